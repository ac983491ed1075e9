"""Published fixations become fixation sets: each kind on a file written here, in the format its authors describe."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
from PIL import Image

from data_prep import fixations
from data_prep.importers import IMPORTERS, mit1003
from saliency_keras.console import UserError
from saliency_keras.data.fixation_set import read_fixation_set

ROOT = Path(__file__).parents[2]


def picture(path, size):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (90, 120, 30)).save(path)


def convert(kind, source, out, *words):
    fixations.main([kind, str(source), str(out), *map(str, words)])
    return rows_of(out)


def rows_of(out):
    with open(out / "fixations.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def places(rows, subject="subject"):
    return [(row["image"], row[subject], float(row["x"]), float(row["y"])) for row in rows]


def cells(values):
    """A cell array, as MATLAB has it."""
    array = np.empty((1, len(values)), object)
    for index, value in enumerate(values):
        array[0, index] = value
    return array


def test_every_kind_that_is_told_has_an_importer():
    assert tuple(IMPORTERS) == fixations.KINDS


def test_osie_counts_pixels_from_one_and_has_subjects_in_order(tmp_path):
    picture(tmp_path / "data/stimuli/1001.jpg", (800, 600))
    looks = [
        {"fix_x": [1.0, 400.5], "fix_y": [1.0, 300.0], "fix_duration": [250, 180]},
        {"fix_x": [800.0], "fix_y": [600.0], "fix_duration": [99]},
    ]
    (tmp_path / "data/eye").mkdir()
    content = {"fixations": cells([{"img": "1001.jpg", "subjects": cells(looks)}])}
    scipy.io.savemat(tmp_path / "data/eye/fixations.mat", content)
    rows = convert("osie", tmp_path / "data", tmp_path / "out")
    assert places(rows) == [
        ("1001.jpg", "1", 0, 0),
        ("1001.jpg", "1", 399.5, 299),
        ("1001.jpg", "2", 799, 599),
    ]
    assert [(row["duration"], row["order"]) for row in rows] == [("250", "1"), ("180", "2"), ("99", "1")]
    assert json.loads((tmp_path / "out/set.json").read_text())["pixels_per_degree"] == 24


def test_smaller_copies_of_the_pictures_get_scaled_positions_and_degrees(tmp_path):
    picture(tmp_path / "small/1001.png", (400, 300))
    looks = [{"fix_x": [1.0, 800.0], "fix_y": [1.0, 600.0], "fix_duration": [9, 9]}]
    content = {"fixations": cells([{"img": "1001.jpg", "subjects": cells(looks)}])}
    scipy.io.savemat(tmp_path / "fixations.mat", content)
    rows = convert("osie", tmp_path / "fixations.mat", tmp_path / "out", "--pictures", tmp_path / "small")
    # The first pixel's left edge is the small picture's left edge: its centre, 0.5 from there, comes to 0.25.
    assert places(rows) == [("1001.png", "1", -0.25, -0.25), ("1001.png", "1", 399.25, 299.25)]
    assert json.loads((tmp_path / "out/set.json").read_text())["pixels_per_degree"] == 12


def test_pictures_of_another_aspect_are_refused(tmp_path):
    picture(tmp_path / "other/1001.jpg", (400, 400))
    looks = [{"fix_x": [1.0, 2.0], "fix_y": [1.0, 2.0], "fix_duration": [9, 9]}]
    content = {"fixations": cells([{"img": "1001.jpg", "subjects": cells(looks)}])}
    scipy.io.savemat(tmp_path / "fixations.mat", content)
    with pytest.raises(UserError, match="has 400x400 pixels, the fixations are those of a picture of 800x600"):
        convert("osie", tmp_path / "fixations.mat", tmp_path / "out", "--pictures", tmp_path / "other")
    assert not list(tmp_path.glob("*out*"))


def test_salicon_json_has_rows_before_columns_both_from_one(tmp_path):
    picture(tmp_path / "images/COCO_val2014_1.jpg", (64, 48))
    content = {
        "images": [{"id": 7, "file_name": "COCO_val2014_1.jpg", "height": 48, "width": 64}],
        "annotations": [
            {"id": 1, "image_id": 7, "worker_id": 31, "fixations": [[1, 1], [48, 64]]},
            {"id": 2, "image_id": 7, "worker_id": 32, "fixations": [[10, 20]]},
        ],
    }
    (tmp_path / "fixations_val2014.json").write_text(json.dumps(content))
    rows = convert("salicon", tmp_path, tmp_path / "out")
    name = "COCO_val2014_1.jpg"
    assert places(rows) == [(name, "31", 0, 0), (name, "31", 63, 47), (name, "32", 19, 9)]


def test_salicon_mat_has_a_struct_a_person_with_columns_before_rows(tmp_path):
    picture(tmp_path / "images/COCO_train2014_9.jpg", (64, 48))
    gaze = np.zeros((2, 1), dtype=[("location", "O"), ("timestamp", "O"), ("fixations", "O")])
    raw, times = np.array([[5.0, 5.0]] * 4), np.arange(4.0)
    gaze[0, 0] = raw, times, np.array([[1, 1], [64, 48]], np.uint16)
    gaze[1, 0] = raw, times, np.array([[20, 10]], np.uint16)
    content = {"image": "COCO_train2014_9", "resolution": np.array([[48, 64]]), "gaze": gaze}
    (tmp_path / "train").mkdir()
    scipy.io.savemat(tmp_path / "train/COCO_train2014_9.mat", content)
    rows = convert("salicon", tmp_path / "train", tmp_path / "out", "--pictures", tmp_path / "images")
    name = "COCO_train2014_9.jpg"
    assert places(rows) == [(name, "1", 0, 0), (name, "1", 63, 47), (name, "2", 19, 9)]


def gaze_of(places, samples, saccade=8):
    """Samples of an eye that rests at places, `samples` each, and moves between them in `saccade` samples."""
    parts = []
    for at, place in enumerate(places):
        parts.append(np.repeat([place], samples, 0))
        if at + 1 < len(places):
            share = (1 - np.cos(np.linspace(0, np.pi, saccade + 2)[1:-1])) / 2
            parts.append(place + share[:, None] * (np.array(places[at + 1]) - place))
    return np.concatenate(parts).astype(float)


def test_mit1003_finds_fixations_in_samples_and_leaves_the_first_out(tmp_path):
    picture(tmp_path / "ALLSTIMULI/i05june05_static_street_boston_p1010764.jpeg", (1024, 768))
    name = "i05june05_static_street_boston_p1010764"
    rests = [(512, 384), (200, 300), (800, 600), (100, 700)]
    for subject in ("ajs", "hp"):
        (tmp_path / "DATA" / subject).mkdir(parents=True)
        content = {name: {"DATA": {"eyeData": gaze_of(rests, 60)}}}
        scipy.io.savemat(tmp_path / f"DATA/{subject}/{name}.mat", content)
        scipy.io.savemat(tmp_path / f"DATA/{subject}/CalibrationData.mat", {"calibration": np.eye(3)})
    rows = convert("mit1003", tmp_path, tmp_path / "out")
    assert places(rows) == [(f"{name}.jpeg", subject, *rest) for subject in ("ajs", "hp") for rest in rests[1:]]
    assert all(200 < float(row["duration"]) < 260 for row in rows)  # 60 samples at 240 a second are 250 ms
    assert json.loads((tmp_path / "out/set.json").read_text())["pixels_per_degree"] == 35


def test_mit1003_takes_no_saccade_where_the_eye_drifts_and_leaves_blinks_out(tmp_path):
    drift = np.stack([np.linspace(100, 110, 240), np.linspace(50, 45, 240)], 1)
    x, y, durations = mit1003.fixations_of(drift)
    assert (x.tolist(), y.tolist(), durations.tolist()) == ([105.0], [47.5], [1000.0])
    picture(tmp_path / "ALLSTIMULI/one.jpeg", (1024, 768))
    (tmp_path / "DATA/ya").mkdir(parents=True)
    samples = gaze_of([(512, 384), (200, 300), (-500, -500), (800, 600)], 60)
    scipy.io.savemat(tmp_path / "DATA/ya/one.mat", {"one": {"DATA": {"eyeData": samples}}})
    rows = convert("mit1003", tmp_path, tmp_path / "out")
    assert places(rows) == [("one.jpeg", "ya", 200, 300), ("one.jpeg", "ya", 800, 600)]


def test_cub_gha_names_pictures_by_their_number_and_subjects_by_run(tmp_path):
    picture(tmp_path / "CUB_200_2011/images/002.Gull/Gull_1.jpg", (50, 40))
    picture(tmp_path / "CUB_200_2011/images/007.Tern/Tern_9.jpg", (40, 50))
    (tmp_path / "CUB_200_2011/images.txt").write_text("1 002.Gull/Gull_1.jpg\n12 007.Tern/Tern_9.jpg\n")
    (tmp_path / "Fixation_run1.txt").write_text("12,40,50,0,49,120,39,0,210\n1,50,40,25,20,333\n")
    (tmp_path / "Fixation_run2.txt").write_text("1,50,40,10,11,150\n")
    rows = convert("cub-gha", tmp_path, tmp_path / "out")
    assert places(rows) == [
        ("007.Tern/Tern_9.jpg", "run1", 0, 49),
        ("007.Tern/Tern_9.jpg", "run1", 39, 0),
        ("002.Gull/Gull_1.jpg", "run1", 25, 20),
        ("002.Gull/Gull_1.jpg", "run2", 10, 11),
    ]
    assert [row["duration"] for row in rows] == ["120", "210", "333", "150"]


def test_cat2000_and_toronto_have_binary_maps_and_nobody_knows_who_looked(tmp_path):
    matrix = np.zeros((30, 40), np.uint8)
    matrix[29, 0] = matrix[4, 39] = 1
    picture(tmp_path / "trainSet/Stimuli/Art/001.jpg", (40, 30))
    picture(tmp_path / "trainSet/Stimuli/Sketch/001.jpg", (40, 30))
    for category in ("Art", "Sketch"):
        (tmp_path / "trainSet/FIXATIONLOCS" / category).mkdir(parents=True)
    scipy.io.savemat(tmp_path / "trainSet/FIXATIONLOCS/Art/001.mat", {"fixLocs": matrix})
    scipy.io.savemat(tmp_path / "trainSet/FIXATIONLOCS/Sketch/001.mat", {"fixLocs": np.fliplr(matrix)})
    rows = convert("cat2000", tmp_path / "trainSet", tmp_path / "cat")
    expected = {("Art/001.jpg", 0, 29), ("Art/001.jpg", 39, 4), ("Sketch/001.jpg", 39, 29), ("Sketch/001.jpg", 0, 4)}
    assert {(image, x, y) for image, _, x, y in places(rows)} == expected
    assert list(rows[0]) == ["image", "subject", "x", "y"]

    density = tmp_path / "fixdens"
    picture(density / "Original Image Set/1.jpg", (40, 30))
    picture(density / "Original Image Set/2.jpg", (40, 30))
    scipy.io.savemat(density / "origfixdata.mat", {"white": cells([matrix, np.flipud(matrix)])})
    rows = convert("toronto", tmp_path, tmp_path / "toronto")
    expected = {("1.jpg", 0, 29), ("1.jpg", 39, 4), ("2.jpg", 0, 0), ("2.jpg", 39, 25)}
    assert {(image, x, y) for image, _, x, y in places(rows)} == expected


def test_figrim_has_participants_of_the_whole_study_and_what_they_saw_first(tmp_path):
    picture(tmp_path / "Targets/bridge/sun_a.jpg", (100, 100))
    picture(tmp_path / "Targets/house/sun_b.jpg", (100, 100))
    nobody = np.zeros((1, 0))

    def person(*looks):
        if not looks:
            return {"RECORDING_SESSION_LABEL": nobody, "fixations": nobody}
        seen = dict(zip(("enc", "rec", "rec2"), map(np.array, looks), strict=True))
        return {"RECORDING_SESSION_LABEL": "ab_7_2", "fixations": seen}

    images = [
        ("Targets/bridge/sun_a.jpg", [person(), person([[1.0, 100.0], [52.3, 53.4]], [[9.0, 9.0]], [[8.0, 8.0]])]),
        ("Targets/house/sun_b.jpg", [person([[11.5, 20.0]], np.zeros((0, 0)), [[8.0, 8.0]]), person()]),
        ("Targets/house/absent.jpg", [person([[11.5, 20.0]], [[9.0, 9.0]], [[8.0, 8.0]]), person()]),
    ]
    names = [("impath", object), ("userdata", object)]
    kinds = [("RECORDING_SESSION_LABEL", object), ("fixations", object)]
    rows = [(path, np.array([[tuple(one.values()) for one in people]], kinds)) for path, people in images]
    scipy.io.savemat(tmp_path / "allImages_release.mat", {"allImages": np.array([rows], names)})
    rows = convert("figrim", tmp_path, tmp_path / "out")
    assert places(rows) == [
        ("Targets/bridge/sun_a.jpg", "2", 0, 99),
        ("Targets/bridge/sun_a.jpg", "2", 51.3, 52.4),
        ("Targets/house/sun_b.jpg", "1", 10.5, 19),
    ]
    assert [row["order"] for row in rows] == ["1", "2", "1"]
    assert json.loads((tmp_path / "out/set.json").read_text())["pixels_per_degree"] == 33


def test_poet_has_two_eyes_and_pictures_called_by_their_class(tmp_path, capsys):
    picture(tmp_path / "POETdataset/PascalImages/cat_2008_000002.jpg", (50, 40))
    picture(tmp_path / "POETdataset/PascalImages/dog_2008_000002.jpg", (50, 40))
    none = np.zeros((0, 2))

    def observer(right, left):
        return ({"fixR": {"pos": np.array(right)}, "fixL": {"pos": np.array(left)}},)

    for name, people in (
        ("cat", [observer([[1.0, 1.0], [50.0, 40.0]], [[2.0, 2.0]]), observer(none, [[26.0, 21.0]])]),
        ("dog", [observer([[10.0, 12.0], [-30.0, 5.0], [20.0, 41.0]], none), observer(none, none)]),
    ):
        looks = np.array([people], [("imgCoord", object)])
        kinds = [("filename", object), ("dimensions", object), ("fixations", object)]
        pictures = np.array([[("2008_000002", np.array([40, 50, 3]), looks)]], kinds)
        (tmp_path / "POETdataset/etData").mkdir(exist_ok=True)
        scipy.io.savemat(tmp_path / f"POETdataset/etData/etData_{name}.mat", {"etData": pictures})
    rows = convert("poet", tmp_path / "POETdataset", tmp_path / "out")
    assert places(rows) == [
        ("cat_2008_000002.jpg", "1", 0, 0),
        ("cat_2008_000002.jpg", "1", 49, 39),
        ("cat_2008_000002.jpg", "2", 25, 20),
        ("dog_2008_000002.jpg", "1", 9, 11),
    ]
    assert "2 of 6 fixations are beside their pictures and are left out" in capsys.readouterr().out


def test_coco_freeview_is_a_list_of_scanpaths_on_padded_pictures(tmp_path):
    for category in ("bowl", "car"):  # the same picture in two folders
        picture(tmp_path / f"images/{category}/000000.jpg", (1680, 1050))
    path = {"name": "000000.jpg", "subject": 4, "X": [840.0, 10.5], "Y": [525.0, 20.0], "T": [200, 300], "length": 2}
    (tmp_path / "freeview.json").write_text(json.dumps([path]))
    rows = convert("coco-freeview", tmp_path, tmp_path / "out")
    assert places(rows) == [("bowl/000000.jpg", "4", 840, 525), ("bowl/000000.jpg", "4", 10.5, 20)]
    assert [row["duration"] for row in rows] == ["200", "300"]


def file_stimuli(path, names, size):
    """What pysaliency's FileStimuli.to_hdf5 writes, version 2.1."""
    with h5py.File(path, "w") as file:
        file.attrs["type"], file.attrs["version"] = np.bytes_("FileStimuli"), np.bytes_("2.1")
        file.create_dataset("filenames", data=[name.encode() for name in names], dtype=h5py.special_dtype(vlen=str))
        shapes = file.create_dataset("shapes", (len(names),), dtype=h5py.special_dtype(vlen=np.dtype("int64")))
        for index in range(len(names)):
            shapes[index] = np.array([size[1], size[0], 3])
        file.attrs["size"] = len(names)


def test_pysaliency_trains_are_padded_with_nan_and_have_seconds(tmp_path):
    for name in ("b", "a"):
        picture(tmp_path / f"stimuli/{name}.jpg", (64, 48))
    file_stimuli(tmp_path / "stimuli.hdf5", ["stimuli/b.jpg", "stimuli/a.jpg"], (64, 48))
    with h5py.File(tmp_path / "fixations.hdf5", "w") as file:
        file.attrs["type"], file.attrs["version"] = np.bytes_("FixationTrains"), np.bytes_("1.2")
        file["train_xs"] = [[1.0, 2.5, np.nan], [10, 20, 30]]
        file["train_ys"] = [[3.0, 4.0, np.nan], [11, 21, 31]]
        file["train_ns"], file["train_subjects"] = [0, 1], [5, 6]
        file["scanpath_fixation_attributes/durations"] = [[0.25, 0.5, np.nan], [0.1, 0.2, 0.3]]
    rows = convert("pysaliency", tmp_path, tmp_path / "out")
    assert places(rows) == [
        ("b.jpg", "5", 1, 3), ("b.jpg", "5", 2.5, 4),
        ("a.jpg", "6", 10, 11), ("a.jpg", "6", 20, 21), ("a.jpg", "6", 30, 31),
    ]  # fmt: skip
    assert [row["duration"] for row in rows] == ["250", "500", "100", "200", "300"]


@pytest.mark.parametrize("kind", ["Fixations", "Scanpaths"])
def test_pysaliency_has_other_files_of_the_same_fixations(tmp_path, kind):
    picture(tmp_path / "stimuli/a.jpg", (64, 48))
    picture(tmp_path / "stimuli/b.jpg", (64, 48))
    file_stimuli(tmp_path / "stimuli_train.hdf5", ["stimuli/a.jpg", "stimuli/b.jpg"], (64, 48))
    with h5py.File(tmp_path / "fixations_train.hdf5", "w") as file:
        file.attrs["type"] = np.bytes_(kind)
        if kind == "Fixations":
            file["x"], file["y"], file["n"], file["subject"] = [1.0, 2, 7], [5.0, 6, 8], [1, 1, 0], [0, 0, 3]
        else:
            file["xs"], file["ys"] = [[1.0, 2], [7, np.nan]], [[5.0, 6], [8, np.nan]]
            file["n"], file["lengths"], file["scanpath_attributes/subject"] = [1, 0], [2, 1], [0, 3]
            file.create_group("fixation_attributes")
    rows = convert("pysaliency", tmp_path / "fixations_train.hdf5", tmp_path / "out")
    assert places(rows) == [("b.jpg", "0", 1, 5), ("b.jpg", "0", 2, 6), ("a.jpg", "3", 7, 8)]


def test_pysaliency_stimuli_that_are_pixels_become_pictures(tmp_path):
    pixels = np.random.default_rng(1).integers(0, 256, (2, 20, 30, 3), np.uint8)
    with h5py.File(tmp_path / "stimuli.hdf5", "w") as file:
        file.attrs["type"], file.attrs["size"] = np.bytes_("Stimuli"), 2
        file["0"], file["1"] = pixels
    with h5py.File(tmp_path / "fixations.hdf5", "w") as file:
        file.attrs["type"] = np.bytes_("Fixations")
        file["x"], file["y"], file["n"], file["subject"] = [1.0, 2.0], [3.0, 4.0], [0, 1], [0, 0]
    convert("pysaliency", tmp_path, tmp_path / "out")
    made = read_fixation_set(tmp_path / "out")
    assert made.images == ("0.png", "1.png")
    assert all((made.read(f"{n}.png") == pixels[n]).all() for n in (0, 1))


def test_pysaliency_without_stimuli_says_what_is_missing(tmp_path):
    with h5py.File(tmp_path / "fixations.hdf5", "w") as file:
        file.attrs["type"] = np.bytes_("Fixations")
    with pytest.raises(UserError, match=r"has no stimuli\.hdf5"):
        convert("pysaliency", tmp_path, tmp_path / "out")


COLUMNS = (
    "image=TRIAL_IMAGE,subject=RECORDING_SESSION_LABEL,x=CURRENT_FIX_X,y=CURRENT_FIX_Y,duration=CURRENT_FIX_DURATION"
)


def test_an_eyelink_report_is_a_table_of_a_screen_with_the_picture_in_its_middle(tmp_path):
    picture(tmp_path / "images/beach.png", (400, 300))
    lines = [
        "RECORDING_SESSION_LABEL\tTRIAL_IMAGE\tCURRENT_FIX_X\tCURRENT_FIX_Y\tCURRENT_FIX_DURATION\tEYE",
        "s01\tbeach.png\t312,0\t234,0\t180\tLEFT",  # (1024 - 400) / 2 and (768 - 300) / 2: the first pixel
        "s01\tbeach.png\t512,5\t384,5\t200\tLEFT",
        "s01\tbeach.png\t512,5\t384,5\t200\tRIGHT",
        "s02\tbeach.png\t.\t.\t90\tLEFT",
    ]
    (tmp_path / "report.txt").write_text("\n".join(lines), encoding="utf-16")
    words = ["--columns", COLUMNS, "--screen", "1024x768", "--where", "EYE=LEFT"]
    rows = convert("table", tmp_path / "report.txt", tmp_path / "out", *words)
    assert places(rows) == [("beach.png", "s01", 0, 0), ("beach.png", "s01", 200.5, 150.5)]
    assert [(row["duration"], row["order"]) for row in rows] == [("180", "1"), ("200", "2")]


def test_a_tobii_export_has_a_row_a_sample_of_a_picture_that_is_shown_larger(tmp_path):
    picture(tmp_path / "images/a b.jpg", (100, 50))
    lines = [
        "Participant name,Presented Media name,Fixation point X,Fixation point Y,Eye movement type index,Movement",
        *["P1,a b.jpg,210,120,1,Fixation"] * 5,
        "P1,a b.jpg,300,130,1,Saccade",
        *["P1,a b.jpg,408.5,218.5,2,Fixation"] * 3,
        "P1,,408.5,218.5,2,Fixation",
    ]
    (tmp_path / "export.csv").write_text("\n".join(lines), encoding="utf-8-sig")
    columns = (
        "image=Presented Media name,subject=Participant name,x=Fixation point X,y=Fixation point Y,"
        "fixation=Eye movement type index"
    )
    words = ["--columns", columns, "--where", "Movement=Fixation"]
    words += ["--screen", "1920x1080", "--picture-at", "210,120", "--shown", "200x100"]
    rows = convert("table", tmp_path / "export.csv", tmp_path / "out", *words)
    # Twice as large: two of the screen's pixels are one of the picture's, and 408 and 409 are its last.
    assert places(rows) == [("a b.jpg", "P1", -0.25, -0.25), ("a b.jpg", "P1", 99, 49)]


def test_shares_of_a_picture_become_pixels_and_missing_subjects_one(tmp_path):
    picture(tmp_path / "images/p.png", (200, 100))
    (tmp_path / "own.csv").write_text("file;fx;fy\np;0.5;0.5\np;0.25;0.1\n")
    words = ["--columns", "image=file,x=fx,y=fy", "--coordinates", "shares"]
    rows = convert("table", tmp_path / "own.csv", tmp_path / "out", *words)
    assert places(rows) == [("p.png", "all", 99.5, 49.5), ("p.png", "all", 49.5, 9.5)]
    assert "order" not in rows[0]


def test_columns_that_are_called_what_they_are_need_not_be_named(tmp_path):
    picture(tmp_path / "images/p.png", (200, 100))
    (tmp_path / "own.csv").write_text("y,subject,x,image,duration\n20,s1,10,p.png,180\n")
    (row,) = convert("table", tmp_path / "own.csv", tmp_path / "out")
    assert places([row]) == [("p.png", "s1", 10, 20)]
    assert (row["duration"], row["order"]) == ("180", "1")


def test_a_malformed_row_and_an_absent_picture_are_counted_and_the_rest_kept(tmp_path, capsys):
    picture(tmp_path / "images/p.png", (200, 100))
    lines = ["image,x,y", *["p.png,10,20"] * 20, "p.png,ten,20", "q.png,1,1"]
    (tmp_path / "own.csv").write_text("\n".join(lines))
    rows = convert("table", tmp_path / "own.csv", tmp_path / "out", "--columns", "image=image,x=x,y=y")
    assert len(rows) == 20
    said = capsys.readouterr().out
    assert "1 rows are malformed" in said
    assert "line 22: 'ten' is no number" in said
    assert "1 fixations are on 1 pictures that are not in" in said
    assert "q.png" in said


def test_screen_coordinates_without_a_screen_are_refused_and_nothing_is_left(tmp_path):
    picture(tmp_path / "images/p.png", (200, 100))
    (tmp_path / "own.csv").write_text("image,x,y\n" + "p.png,900,500\n" * 9)
    with pytest.raises(UserError, match="outside"):
        convert("table", tmp_path / "own.csv", tmp_path / "out", "--columns", "image=image,x=x,y=y")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["images", "own.csv"]


def test_pictures_are_linked_or_copied_and_the_set_is_read_as_any_other(tmp_path):
    picture(tmp_path / "images/p.png", (200, 100))
    (tmp_path / "own.csv").write_text("image,x,y\np.png,10,20\n")
    words = ["--columns", "image=image,x=x,y=y"]
    convert("table", tmp_path / "own.csv", tmp_path / "linked", *words)
    convert("table", tmp_path / "own.csv", tmp_path / "copied", *words, "--copy")
    assert (tmp_path / "linked/images/p.png").is_symlink()
    assert not (tmp_path / "copied/images/p.png").is_symlink()
    points = read_fixation_set(tmp_path / "copied").points("p.png")
    assert (points.x.tolist(), points.y.tolist()) == ([10], [20])


def test_an_out_that_has_something_in_it_stays_as_it_is(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("mine")
    picture(tmp_path / "images/p.png", (200, 100))
    (tmp_path / "own.csv").write_text("image,x,y\np.png,10,20\n")
    with pytest.raises(UserError, match="has files in it"):
        convert("table", tmp_path / "own.csv", tmp_path / "out", "--columns", "image=image,x=x,y=y")
    assert [one.name for one in (tmp_path / "out").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["mit300", ".", "out"], "there is no kind 'mit300'; known are pysaliency, salicon, mit1003,"),
        (["osie", "nowhere", "out"], "there is no nowhere"),
        (["osie", ".", "out"], "has no fixations.mat"),
        (["salicon", ".", "out", "--screen", "10x10"], "--screen is for the kind table alone"),
        (["table", "t.csv", "out", "--columns", "x=a,y=b"], "--columns has no image"),
        (["table", "t.csv", "out"], "--columns has no x, y; for example"),
        (["table", "t.csv", "out", "--columns", "image=c,x=a,y=b"], "has no column c; it has image, a, b"),
        (["salicon", "broken.json", "out"], "is no json of SALICON"),
        (["mit1003", "broken.mat", "out"], "cannot be read as a MATLAB file"),
        (["pysaliency", "broken.hdf5", "out"], "has no stimuli.hdf5"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2_and_nothing_is_written(tmp_path, words, said):
    picture(tmp_path / "p.png", (20, 10))
    (tmp_path / "t.csv").write_text("image,a,b\np.png,1,2\n")
    for name in ("broken.json", "broken.mat", "broken.hdf5"):
        (tmp_path / name).write_text("{ this is none")
    before = sorted(one.name for one in tmp_path.iterdir())
    command = [sys.executable, "-m", "data_prep.fixations", *words]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert said in done.stderr
    assert sorted(one.name for one in tmp_path.iterdir()) == before


@pytest.mark.shared_data
def test_smaller_copies_of_osie_have_the_points_that_the_project_was_scored_on(shared_data, tmp_path):
    """The scored set's positions, brought back to what the authors publish, come out again to the digit."""
    with open(shared_data / "osie/fixations.csv", newline="") as file:
        known = [row for row in csv.DictReader(file) if row["image"] == "1001.jpg"]
    people = sorted({row["subject"] for row in known}, key=int)
    looks = []
    for person in people:
        x, y = np.array([(float(r["x"]), float(r["y"])) for r in known if r["subject"] == person]).T
        looks.append({"fix_x": (x + 0.5) / 0.64 + 0.5, "fix_y": (y + 0.5) / 0.64 + 0.5, "fix_duration": x * 0})
    scipy.io.savemat(tmp_path / "fixations.mat", {"fixations": cells([{"img": "1001.jpg", "subjects": cells(looks)}])})
    rows = convert("osie", tmp_path / "fixations.mat", tmp_path / "out", "--pictures", shared_data / "osie/images")
    found = {(row["subject"], round(float(row["x"]), 2), round(float(row["y"]), 2)) for row in rows}
    assert found == {(row["subject"], float(row["x"]), float(row["y"])) for row in known}


def write_pysaliency(folder, known, x, y, sizes):
    images = list(sizes)
    with h5py.File(folder / "stimuli.hdf5", "w") as file:
        file.attrs["type"] = "FileStimuli"
        file["filenames"] = images
        file["shapes"] = [(height, width, 3) for width, height in sizes.values()]
    with h5py.File(folder / "fixations.hdf5", "w") as file:
        file.attrs["type"] = "Fixations"
        file["x"], file["y"] = x, y
        file["n"] = [images.index(row["image"]) for row in known]
        file["subject"] = [row["subject"] for row in known]
    return folder / "fixations.hdf5", []


def write_report(folder, known, x, y, sizes):
    """An eye tracker's export: pictures in the middle of a screen of 1280x1024, decimal commas."""
    lines = ["PICTURE\tWHO\tLEFT\tTOP"]
    for row, left, top in zip(known, x, y, strict=True):
        width, height = sizes[row["image"]]
        place = f"{left + 640 - width / 2:.2f}\t{top + 512 - height / 2:.2f}".replace(".", ",")
        lines.append(f"{row['image']}\t{row['subject']}\t{place}")
    (folder / "report.txt").write_text("\n".join(lines), encoding="utf-16")
    return folder / "report.txt", ["--screen", "1280x1024", "--columns", "image=PICTURE,subject=WHO,x=LEFT,y=TOP"]


def write_salicon(folder, known, x, y, sizes):
    images = [
        {"id": number, "file_name": image, "width": sizes[image][0], "height": sizes[image][1]}
        for number, image in enumerate(sizes)
    ]
    annotations = [
        {"image_id": list(sizes).index(row["image"]), "worker_id": row["subject"], "fixations": [[top + 1, left + 1]]}
        for row, left, top in zip(known, x, y, strict=True)
    ]
    (folder / "fixations.json").write_text(json.dumps({"images": images, "annotations": annotations}))
    return folder / "fixations.json", []


def write_cub_gha(folder, known, x, y, sizes):
    """As the authors do, whole pixels: those of pictures that are 1,000 times as large."""
    x, y = (np.rint((one + 0.5) * 1000 - 0.5).astype(int) for one in (x, y))
    (folder / "CUB_200_2011").mkdir()
    (folder / "CUB_200_2011/images.txt").write_text("".join(f"{n} {image}\n" for n, image in enumerate(sizes)))
    for row, left, top in zip(known, x, y, strict=True):
        width, height = sizes[row["image"]]
        with open(folder / f"Fixation_{row['subject']}.txt", "a") as file:
            file.write(f"{list(sizes).index(row['image'])},{1000 * width},{1000 * height},{left},{top},200\n")
    return folder, []


ROADS = {"pysaliency": write_pysaliency, "table": write_report, "salicon": write_salicon, "cub-gha": write_cub_gha}


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "road"),
    [("osie", "pysaliency"), ("osie", "table"), ("osie", "salicon"), ("cub-10", "cub-gha"), ("cub-10", "table")],
)
def test_a_real_set_by_another_road_has_the_same_fixations_to_the_digit(shared_data, tmp_path, name, road):
    """OSIE and CUB-GHA, written as others publish fixations, against the tables in which they were published here."""
    with open(shared_data / name / {"osie": "fixations.csv", "cub-10": "gaze.csv"}[name], newline="") as file:
        known = list(csv.DictReader(file))
    chosen = sorted({row["image"] for row in known})[::40]
    known = [row for row in known if row["image"] in chosen]
    folder = tmp_path / "CUB_200_2011/images"
    pictures = shared_data / name / ("images" if name == "osie" else ".")
    sizes = {}
    for image in chosen:
        with Image.open(pictures / image) as one:
            sizes[image] = one.size
    x, y = np.array([[float(row["x"]), float(row["y"])] for row in known]).T
    source, words = ROADS[road](tmp_path, known, x, y, sizes)
    for image in chosen:
        (folder / image).parent.mkdir(parents=True, exist_ok=True)
        (folder / image).symlink_to(pictures.resolve() / image)
    where = folder.parent if road == "cub-gha" else folder
    rows = convert(road, source, tmp_path / "out", "--pictures", where, *words)
    found = [(row["image"], row["subject"], round(float(row["x"]), 2), round(float(row["y"]), 2)) for row in rows]
    assert sorted(found) == sorted((row["image"], row["subject"], float(row["x"]), float(row["y"])) for row in known)
    assert len(found) > 400

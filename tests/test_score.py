"""`score` writes a table, every score and a figure, and tells in one sentence what a user can mend."""

import csv
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from saliency_keras.console import UserError
from saliency_keras.data.fixation_set import read_fixation_set
from saliency_keras.data.fixation_split import is_held_out
from saliency_keras.metrics.fixation_metrics import METRICS, nss
from saliency_keras.metrics.points import Density
from saliency_keras.score import main

WIDTH, HEIGHT, OBSERVERS = 40, 30, ("ann", "bob", "eve")


def make_set(folder, observers=OBSERVERS, pictures=4):
    """Pictures of noise, the last one without fixations; people look around one place of each picture."""
    generator = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    lines = ["image,subject,x,y"]
    for index in range(pictures):
        pixels = generator.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{index}.png")
        place = generator.uniform((8, 8), (WIDTH - 8, HEIGHT - 8))
        for observer in observers if index < pictures - 1 else ():
            for x, y in generator.normal(place, 2.5, (6, 2)):
                lines.append(f"{index}.png,{observer},{x:.2f},{y:.2f}")
    (folder / "fixations.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def folder(tmp_path):
    return make_set(tmp_path / "looks")


def scored(out):
    """From predictor and picture to the scores in `scores.csv`."""
    with open(out / "scores.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["predictor", "image", *METRICS]
    return {(row[0], row[1]): [float(cell) if cell else np.nan for cell in row[2:]] for row in rows[1:]}


def test_every_predictor_has_a_row_for_every_picture_and_the_table_has_their_means(folder, tmp_path, capsys):
    out = tmp_path / "out"
    main([str(folder), "--predictors", "center,uniform,fixations", "--sigma", "3", "--out", str(out)])
    scores = scored(out)
    assert len(scores) == 4 * 4
    table = (out / "table.md").read_text()
    printed = capsys.readouterr().out
    paths = str(tmp_path.parent)  # a path is as long as it is
    assert max(len(line) for line in printed.splitlines() if paths not in line) <= 100
    assert {cell for cell in table.split() if cell != "|" and "-" * 3 not in cell} <= set(printed.split())
    values = np.array([scores["center", f"{index}.png"] for index in range(3)])
    mean, error = values.mean(axis=0), values.std(axis=0, ddof=1) / np.sqrt(3)
    cells = [cell.strip() for cell in next(line for line in table.splitlines() if "| center" in line).split("|")[2:-1]]
    assert cells == [f"{m:.3f} ± {e:.3f}" for m, e in zip(mean, error, strict=True)]
    assert Image.open(out / "figure.png").size[0] > 300


def test_known_maps_have_known_scores(folder, tmp_path):
    main([str(folder), "--predictors", "uniform,fixations", "--sigma", "3", "--out", str(tmp_path / "out")])
    scores = scored(tmp_path / "out")
    uniform = dict(zip(METRICS, scores["uniform", "0.png"], strict=True))
    assert [uniform[name] for name in ("AUC-Judd", "AUC-Borji", "sAUC", "NSS", "CC")] == [0.5, 0.5, 0.5, 0, 0]
    truth = dict(zip(METRICS, scores["fixations", "0.png"], strict=True))
    assert [truth[name] for name in ("CC", "SIM", "KL")] == pytest.approx([1, 1, 0], abs=1e-5)
    assert truth["sAUC"] > 0.8
    assert truth["IG"] > 0.5


def test_the_default_predictor_beats_the_controls_where_people_look_at_what_stands_out(tmp_path):
    folder = tmp_path / "dots"
    (folder / "images").mkdir(parents=True)
    lines = ["image,subject,x,y"]
    for index, (left, top) in enumerate([(4, 4), (48, 30), (6, 28), (50, 6)]):
        pixels = np.full((48, 64, 3), 90, np.uint8)
        pixels[top : top + 8, left : left + 8] = (220, 60, 40)
        Image.fromarray(pixels).save(folder / "images" / f"{index}.png")
        lines += [f"{index}.png,{name},{left + x},{top + 4}" for name in OBSERVERS for x in (2, 4, 6)]
    (folder / "fixations.csv").write_text("\n".join(lines))
    main([str(folder), "--sigma", "3", "--out", str(tmp_path / "out")])
    scores = scored(tmp_path / "out")
    for index in range(4):
        gbvs, *controls = (
            dict(zip(METRICS, scores[name, f"{index}.png"], strict=True)) for name in ("gbvs", "center", "uniform")
        )
        assert gbvs["AUC-Judd"] > 0.9
        for control in controls:
            assert gbvs["KL"] < control["KL"]
            assert all(gbvs[name] > control[name] for name in METRICS if name != "KL")


def test_the_human_bound_predicts_each_observer_by_the_others(folder, tmp_path):
    main([str(folder), "--predictors", "uniform", "--sigma", "3", "--out", str(tmp_path / "out")])
    fixation_set = read_fixation_set(folder)
    one_by_one = [
        nss(
            Density.of(fixation_set.points("1.png", without=observer), 3).values,
            fixation_set.points("1.png", only=observer),
        )
        for observer in OBSERVERS
    ]
    assert scored(tmp_path / "out")["human", "1.png"][3] == pytest.approx(np.mean(one_by_one))


def test_a_picture_without_fixations_has_no_scores_and_is_said_so(folder, tmp_path):
    main([str(folder), "--predictors", "uniform", "--out", str(tmp_path / "out")])
    assert np.isnan(scored(tmp_path / "out")["uniform", "3.png"]).all()
    assert "Pictures without fixations have no scores (1 of 4)" in (tmp_path / "out" / "table.md").read_text()


def test_a_set_in_which_nobody_looked_at_a_picture_is_refused_and_nothing_written(folder, tmp_path):
    """As when fixations are given in the screen's coordinates: all of them lie outside the pictures."""
    lines = (folder / "fixations.csv").read_text().splitlines()
    away = [lines[0], *(f"{line.rsplit(',', 2)[0]},4000,4000" for line in lines[1:])]
    (folder / "fixations.csv").write_text("\n".join(away) + "\n")
    with pytest.raises(UserError, match=rf"no picture .* has a fixation in .*; {len(away) - 1} fixations lie outside"):
        main([str(folder), "--predictors", "uniform", "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_one_observer_leaves_no_human_bound_and_it_is_said_so(tmp_path):
    folder = make_set(tmp_path / "looks", observers=("ann",))
    main([str(folder), "--predictors", "uniform", "--out", str(tmp_path / "out")])
    assert not any(predictor == "human" for predictor, _ in scored(tmp_path / "out"))
    assert "no human bound" in (tmp_path / "out" / "table.md").read_text()


def test_a_single_picture_has_no_shuffled_auc_and_no_centre_bias(tmp_path):
    folder = make_set(tmp_path / "looks", pictures=2)
    main([str(folder), "--predictors", "center", "--out", str(tmp_path / "out")])
    row = dict(zip(METRICS, scored(tmp_path / "out")["center", "0.png"], strict=True))
    assert [name for name, value in row.items() if np.isnan(value)] == ["sAUC", "IG"]
    assert "there is no sAUC" in (tmp_path / "out" / "table.md").read_text()


def test_a_limited_run_scores_some_pictures_as_the_full_one_does(folder, tmp_path):
    main([str(folder), "--predictors", "center", "--out", str(tmp_path / "full")])
    main([str(folder), "--predictors", "center", "--limit", "2", "--out", str(tmp_path / "some")])
    full, some = scored(tmp_path / "full"), scored(tmp_path / "some")
    assert len(some) == 4
    assert all(np.array_equal(full[key], values, equal_nan=True) for key, values in some.items())


def test_held_out_pictures_are_scored_as_among_all_of_them(tmp_path):
    folder = make_set(tmp_path / "looks", pictures=13)
    main([str(folder), "--predictors", "center", "--out", str(tmp_path / "full")])
    main([str(folder), "--predictors", "center", "--held-out", "--out", str(tmp_path / "some")])
    full, some = scored(tmp_path / "full"), scored(tmp_path / "some")
    assert {image for _, image in some} == {f"{index}.png" for index in range(13) if is_held_out(f"{index}.png")}
    assert 0 < len(some) < len(full)
    assert all(np.array_equal(full[key], values, equal_nan=True) for key, values in some.items())
    assert "of the set's 13 pictures, held out from training" in (tmp_path / "some" / "table.md").read_text()
    with pytest.raises(UserError, match="none of the pictures"):
        main([str(make_set(tmp_path / "few")), "--held-out", "--out", str(tmp_path / "none")])


def test_the_caption_names_what_the_reference_code_leaves_open(folder, tmp_path):
    choices = ["--convention", "mit", "--other-images", "2", "--seed", "5", "--baseline", "center", "--sigma", "4"]
    main([str(folder), "--predictors", "center", *choices, "--out", str(tmp_path / "out")])
    table = (tmp_path / "out" / "table.md").read_text()
    for words in ("Convention mit", "2 other pictures (seed 5)", "isotropic Gaussian of the predictor center", "4 px"):
        assert words in table
    # In the mit convention the centre map gains nothing over itself.
    assert scored(tmp_path / "out")["center", "0.png"][7] == pytest.approx(0, abs=1e-6)


def write_maps(folder, size=(WIDTH, HEIGHT), names=("0", "1", "2", "3")):
    from saliency_keras.saliency.controls import Center

    folder.mkdir(parents=True)
    grey = np.round(255 * Center()(np.zeros((1, size[1], size[0], 3), np.uint8))[0]).astype(np.uint8)
    for name in names:
        Image.fromarray(grey).save(folder / f"{name}.png")
    return folder


def test_a_folder_of_maps_scores_as_the_predictor_that_made_them(folder, tmp_path):
    maps = write_maps(tmp_path / "theirs")
    main([str(folder), "--predictors", "center", "--maps", str(maps), "--out", str(tmp_path / "out")])
    scores = scored(tmp_path / "out")
    assert scores["theirs", "0.png"] == pytest.approx(scores["center", "0.png"], abs=0.01)


def test_one_bad_picture_does_not_lose_the_others(folder, tmp_path, capsys):
    main([str(folder), "--predictors", "center", "--out", str(tmp_path / "all")])
    whole = (folder / "images" / "1.png").read_bytes()
    (folder / "images" / "1.png").write_bytes(whole[: len(whole) // 2])
    main([str(folder), "--predictors", "center", "--out", str(tmp_path / "some")])
    full, some = scored(tmp_path / "all"), scored(tmp_path / "some")
    assert np.isnan(some["center", "1.png"]).all()
    for image in ("0.png", "2.png"):
        assert some["center", image] == full["center", image]
        assert some["human", image] == full["human", image]
    assert "1 of 4 pictures cannot be read and are left out: 1.png (" in (tmp_path / "some" / "table.md").read_text()
    for index in range(3):
        (folder / "images" / f"{index}.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="none of the 3 pictures can be read"):
        main([str(folder), "--predictors", "center", "--out", str(tmp_path / "none")])


def test_results_are_written_whatever_a_name_is_and_a_terminal_knows(folder, tmp_path):
    os.rename(folder / "images" / "3.png", os.fsencode(folder / "images") + b"/caf\xe9.png")
    command = [sys.executable, "-m", "saliency_keras.score", str(folder), "--predictors", "center", "--out"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    result = subprocess.run([*command, str(tmp_path / "out")], capture_output=True, env=environment, check=False)
    assert result.returncode == 0, result.stderr
    assert b"\\xb1" in result.stdout  # the sign between mean and error
    assert ("center", "caf\\xe9.png") in scored(tmp_path / "out")


def test_files_are_there_before_anything_can_fail_to_be_printed(folder, tmp_path, monkeypatch):
    def broken(*words, **options):
        raise UnicodeEncodeError("ascii", "±", 0, 1, "no")

    monkeypatch.setattr("builtins.print", broken)
    with pytest.raises(UnicodeEncodeError):
        main([str(folder), "--predictors", "center", "--out", str(tmp_path / "out")])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["figure.png", "scores.csv", "table.md"]


def test_log_densities_score_as_the_densities_they_are(folder, tmp_path):
    generator = np.random.default_rng(3)
    for name in ("plain", "logs"):
        (tmp_path / name).mkdir()
    for index in range(3):
        density = generator.uniform(0.1, 1, (HEIGHT, WIDTH))
        np.save(tmp_path / "plain" / f"{index}.npy", density)
        np.save(tmp_path / "logs" / f"{index}.npy", np.log(density / density.sum()))
    main([str(folder), "--predictors", "", "--maps", str(tmp_path / "plain"), "--out", str(tmp_path / "one")])
    words = ["--maps", f"plain={tmp_path / 'logs'}", "--log"]
    main([str(folder), "--predictors", "", *words, "--out", str(tmp_path / "two")])
    one, two = scored(tmp_path / "one"), scored(tmp_path / "two")
    for image in ("0.png", "1.png", "2.png"):
        assert two["plain", image] == pytest.approx(one["plain", image], abs=1e-9)


def test_maps_of_smiler_are_scored_as_they_lie(folder, tmp_path):
    """SMILER writes OUT/MODEL/NAME, NAME being the picture's own."""
    for model in ("AIM", "GBVS"):
        write_maps(tmp_path / "smiler" / model)
    both = [word for model in ("AIM", "GBVS") for word in ("--maps", f"{model}={tmp_path / 'smiler' / model}")]
    main([str(folder), "--predictors", "center", *both, "--out", str(tmp_path / "out")])
    assert {name for name, _ in scored(tmp_path / "out")} == {"center", "AIM", "GBVS", "human"}
    with pytest.raises(UserError, match=r"AIM, GBVS in it are those of 2 models: name one, --maps AIM=\S+smiler/AIM"):
        main([str(folder), "--maps", str(tmp_path / "smiler"), "--out", str(tmp_path / "other")])


def test_maps_of_another_size_are_resized_and_it_is_said_so(folder, tmp_path):
    maps = write_maps(tmp_path / "theirs", size=(WIDTH * 2, HEIGHT * 2))
    main([str(folder), "--predictors", "center", "--maps", str(maps), "--out", str(tmp_path / "out")])
    scores = scored(tmp_path / "out")
    assert scores["theirs", "0.png"] == pytest.approx(scores["center", "0.png"], abs=0.02)
    assert "3 maps of theirs had another size and were resized" in (tmp_path / "out" / "table.md").read_text()


def test_maps_that_cannot_be_scored_are_refused_in_a_sentence(folder, tmp_path):
    def refused(maps, sentence, *further):
        with pytest.raises(UserError, match=sentence):
            main([str(folder), "--predictors", "center", "--maps", str(maps), "--out", str(tmp_path / "out"), *further])

    maps = write_maps(tmp_path / "some", names=("0",))
    refused(maps, r"lacks the maps of 2 of 3 pictures, the first is that of 1\.png")
    refused(maps / "0.png", "is a file, not a folder")
    refused(tmp_path / "absent", "not there")
    colour = write_maps(tmp_path / "colour")
    Image.fromarray(np.full((HEIGHT, WIDTH, 3), (250, 20, 20), np.uint8)).save(colour / "1.png")
    refused(colour, r"1\.png is a colour picture")
    (colour / "1.png").write_text("nothing")
    refused(colour, r"1\.png cannot be read")
    twice = write_maps(tmp_path / "twice")
    Image.new("L", (WIDTH, HEIGHT)).save(twice / "0.jpg")
    refused(twice, r"two maps for one picture, 0\.jpg and 0\.png")
    refused(write_maps(tmp_path / "center"), "two rows would be named 'center'")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--predictors", "gravity"], "no saliency predictor 'gravity'"),
        (["--predictors", "center,center"], "two rows would be named 'center'"),
        (["--sigma", "0"], "sigma is a positive number"),
        (["--limit", "0"], "1 picture or more"),
        (["--other-images", "0"], "1 or more"),
        (["--other-images", "2", "--seed", "-1"], "seed is 0 or more"),
    ],
)
def test_wrong_arguments_are_refused_in_a_sentence(folder, tmp_path, arguments, sentence):
    with pytest.raises(UserError, match=sentence):
        main([str(folder), "--out", str(tmp_path / "out"), *arguments])


def test_a_place_that_cannot_take_results_is_refused_before_the_scoring(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("saliency_keras.scoring.fixation_scores.score_set", None)
    (tmp_path / "results").touch()
    for out in "results", "results/of/mine":
        with pytest.raises(UserError, match="results is a file"):
            main([str(folder), "--out", str(tmp_path / out)])


def test_a_wrong_path_ends_with_exit_code_2_and_one_sentence(tmp_path):
    command = [sys.executable, "-m", "saliency_keras.score", str(tmp_path / "absent")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith("error: there is no folder")
    assert result.stderr.count("\n") == 1


def test_help_comes_without_loading_anything_heavy():
    code = (
        "import sys\nfrom saliency_keras.score import main\n"
        "try: main(['--help'])\nexcept SystemExit: print(sorted({'numpy', 'keras', 'PIL'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.endswith("[]\n")


@pytest.mark.shared_data
def test_on_osie_gbvs_beats_the_centre_and_people_beat_both(shared_data, tmp_path):
    main([str(shared_data / "osie"), "--predictors", "gbvs,center", "--limit", "8", "--out", str(tmp_path)])
    scores = scored(tmp_path)
    mean = {
        name: np.mean([values for (row, _), values in scores.items() if row == name], axis=0)
        for name in ("gbvs", "center", "human")
    }
    for metric in ("AUC-Judd", "sAUC", "NSS", "IG"):
        column = METRICS.index(metric)
        assert mean["center"][column] < mean["gbvs"][column] < mean["human"][column]


# What commit c465382 gave for the same eight pictures: AUC-Judd, AUC-Borji, sAUC, NSS, CC, SIM, KL and IG, their means.
BEFORE = {
    "standard": {
        "center": [0.7094824, 0.7093383, 0.4946849, 0.7648647, 0.2955619, 0.3703070, 1.3280472, -0.1831328],
        "human": [0.9199014, 0.9198822, 0.8697859, 3.6022450, 0.6639460, 0.5140833, 1.0926191, 1.8425940],
    },
    "mit": {
        "center": [0.7114895, 0.7060432, 0.5357042, 0.7598482, 0.2955619, 0.3744878, 1.3280472, -0.1655336],
        "human": [0.9351058, 0.8610403, 0.8365512, 3.5914534, 0.6639460, 0.5140833, 1.0898893, 1.8376760],
    },
}


@pytest.mark.shared_data
@pytest.mark.parametrize("convention", list(BEFORE))
def test_a_right_set_has_the_scores_that_it_had_before_sets_were_checked_as_a_whole(shared_data, tmp_path, convention):
    words = ["--predictors", "center", "--limit", "8", "--convention", convention, "--out", str(tmp_path)]
    main([str(shared_data / "osie"), *words])
    scores = scored(tmp_path)
    for name, expected in BEFORE[convention].items():
        found = [values for (row, _), values in scores.items() if row == name]
        assert len(found) == 8
        np.testing.assert_allclose(np.mean(found, axis=0), expected, atol=2e-7)

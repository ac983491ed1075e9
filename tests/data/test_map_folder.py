"""Maps that somebody else made."""

import tarfile
import zipfile

import h5py
import numpy as np
import pytest
import scipy.io
from PIL import Image

from saliency_keras.console import UserError
from saliency_keras.data.map_folder import MapFolder, read_map


@pytest.mark.parametrize(
    ("levels", "mode"),
    [
        (np.arange(12, dtype=np.uint8).reshape(3, 4) * 20, "L"),
        (np.arange(12, dtype=np.uint16).reshape(3, 4) * 5000, "I;16"),
        (np.repeat(np.arange(12, dtype=np.uint8).reshape(3, 4, 1) * 20, 3, axis=-1), "RGB"),
    ],
)
def test_grey_levels_are_read_as_stored(tmp_path, levels, mode):
    Image.fromarray(levels).save(tmp_path / "a.png")
    assert Image.open(tmp_path / "a.png").mode == mode
    values = MapFolder(tmp_path, {"a.jpg": (4, 3)}).map_of("a.jpg")
    np.testing.assert_array_equal(values, levels if levels.ndim == 2 else levels[..., 0])


def test_a_smaller_map_is_resized_bicubically_with_its_overshoot(tmp_path):
    levels = np.zeros((6, 8), np.uint8)
    levels[:, 4:] = 255
    Image.fromarray(levels).save(tmp_path / "a.png")
    maps = MapFolder(tmp_path, {"a.jpg": (32, 24)})
    values = maps.map_of("a.jpg")
    assert values.shape == (24, 32)
    assert maps.resized == 1
    assert values.min() < -5
    assert values.max() > 260
    # The edge stays in the middle, and far from it nothing changes.
    np.testing.assert_allclose(values[:, 15] + values[:, 16], 255, atol=1e-3)
    assert (values[:, :4] == 0).all()


def test_pictures_that_share_a_stem_cannot_share_a_folder_of_maps(tmp_path):
    Image.new("L", (4, 3)).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="the same one"):
        MapFolder(tmp_path, {"a.jpg": (4, 3), "a.png": (4, 3)})


LEVELS = np.arange(1, 13, dtype=np.float32).reshape(3, 4) / 7


def write_npy(path, levels):
    np.save(path.with_suffix(".npy"), levels.astype(np.float64)[None, :, :, None])


def write_mat(path, levels):
    scipy.io.savemat(path.with_suffix(".mat"), {"saliencyMap": levels, "threshold": 3.0, "other": np.eye(2)})


def write_mat_73(path, levels):
    with h5py.File(path.with_suffix(".mat"), "w") as file:
        file["S"] = levels.T  # MATLAB writes columns first


def write_tiff(path, levels):
    Image.fromarray(levels).save(path.with_suffix(".tiff"))


@pytest.mark.parametrize("write", [write_npy, write_mat, write_mat_73, write_tiff])
def test_arrays_of_every_kind_are_read_as_they_are(tmp_path, write):
    write(tmp_path / "a", LEVELS)
    np.testing.assert_array_equal(MapFolder(tmp_path, {"a.jpg": (4, 3)}).map_of("a.jpg"), LEVELS)


@pytest.mark.parametrize("write", [write_npy, write_mat, write_tiff])
def test_log_densities_are_refused_as_maps_and_read_as_what_they_are(tmp_path, write):
    write(tmp_path / "a", np.log(LEVELS / LEVELS.sum()))
    with pytest.raises(UserError, match=r"negative values .*log density, say --log"):
        MapFolder(tmp_path, {"a.jpg": (4, 3)})
    values = MapFolder(tmp_path, {"a.jpg": (4, 3)}, log=True).map_of("a.jpg")
    np.testing.assert_allclose(values, LEVELS / LEVELS.max(), rtol=1e-6)


def test_a_log_density_may_be_minus_infinity_where_nobody_looks(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[-np.inf, 0], [np.log(3), np.log(4)]]))
    np.testing.assert_allclose(read_map(tmp_path / "a.npy", log=True), [[0, 0.25], [0.75, 1]])


def packed_zip(folder, path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for one in sorted(folder.rglob("*.npy")):
            archive.write(one, f"top/{one.relative_to(folder)}")
        archive.writestr("__MACOSX/top/._a.npy", b"nothing")
        archive.writestr("top/sub/.DS_Store", b"nothing")


def packed_tar(folder, path):
    with tarfile.open(path, "w") as archive:
        archive.add(folder, ".")


def as_hdf5(folder, path):
    with h5py.File(path, "w") as file:
        for one in sorted(folder.rglob("*.npy")):
            file[str(one.relative_to(folder).with_suffix(".jpg"))] = np.load(one)


@pytest.mark.parametrize("pack", [packed_zip, packed_tar, as_hdf5])
def test_maps_are_read_where_they_lie(tmp_path, pack):
    folder = tmp_path / "maps"
    (folder / "sub").mkdir(parents=True)
    write_npy(folder / "a", LEVELS)
    write_npy(folder / "sub" / "a", 2 * LEVELS)
    pack(folder, tmp_path / "theirs.packed")
    sizes = {"a.jpg": (4, 3), "sub/a.jpg": (4, 3)}
    found = MapFolder(tmp_path / "theirs.packed", sizes)
    assert found.name == "theirs"
    for image in sizes:
        np.testing.assert_array_equal(found.map_of(image), MapFolder(folder, sizes).map_of(image))


def test_tars_are_entered_where_a_folder_has_nothing_else(tmp_path):
    folder = tmp_path / "maps"
    (folder / "sub").mkdir(parents=True)
    write_npy(folder / "a", LEVELS)
    write_npy(folder / "sub" / "a", 2 * LEVELS)
    (tmp_path / "packed").mkdir()
    for name in ("a", "sub/a"):
        with tarfile.open(tmp_path / "packed" / f"{name[0]}.tar", "w") as archive:
            archive.add(folder / f"{name}.npy", f"{name}.npy")
    sizes = {"a.jpg": (4, 3), "sub/a.jpg": (4, 3)}
    found = MapFolder(tmp_path / "packed", sizes)
    np.testing.assert_array_equal(found.map_of("sub/a.jpg"), 2 * LEVELS)
    write_npy(folder / "a", 3 * LEVELS)
    packed_tar(tmp_path / "packed", folder / "old.tar")  # beside maps, it is no second source of them
    np.testing.assert_array_equal(MapFolder(folder, sizes).map_of("a.jpg"), 3 * LEVELS)


def test_a_compressed_tar_is_to_be_unpacked_first(tmp_path):
    with tarfile.open(tmp_path / "maps.tar.gz", "w:gz") as archive:
        archive.add(__file__, "a.png")
    with pytest.raises(UserError, match=r"is compressed.*unpack it first"):
        MapFolder(tmp_path / "maps.tar.gz", {"a.jpg": (4, 3)})


def grey_and_alpha(levels):
    return np.dstack([np.full_like(levels, 255), levels])


@pytest.mark.parametrize(
    ("values", "name", "sentence"),
    [
        (np.where(LEVELS > 1, np.nan, LEVELS), "a.tif", r"5 of 12 values that are no numbers"),
        (np.where(LEVELS > 1.6, np.inf, LEVELS), "a.tif", r"1 of 12 values .*not finite"),
        (grey_and_alpha((100 * LEVELS).astype(np.uint8)), "a.png", "alpha channel"),
        (LEVELS[:, :1].copy(), "a.tif", r"1x3 and its picture 4x3, which is another aspect"),
        (LEVELS[:, :3].T.copy().repeat(4, 0), "a.tif", "another aspect"),
        (np.zeros((3, 4), np.uint8), "a.png", "all 1 maps .* are black"),
        (np.dstack([LEVELS] * 3), "a.npy", r"shape \(3, 4, 3\)"),
        (np.array([["x"]]), "a.npy", "no numbers"),
        (np.array([{}], object), "a.npy", "cannot be read"),
    ],
)
def test_what_is_no_map_is_refused_before_anything_is_scored(tmp_path, values, name, sentence):
    if name.endswith(".npy"):
        np.save(tmp_path / name, values, allow_pickle=True)
    else:
        Image.fromarray(values).save(tmp_path / name)
    with pytest.raises(UserError, match=sentence):
        MapFolder(tmp_path, {"a.jpg": (4, 3)})


def test_a_map_that_fits_the_turned_picture_names_the_option(tmp_path):
    write_tiff(tmp_path / "a", LEVELS.repeat(20, 1))
    with pytest.raises(UserError, match=r"another aspect; it fits a picture that is turned .*--upright"):
        MapFolder(tmp_path, {"a.jpg": (3, 80)})


def test_maps_that_are_the_same_everywhere_are_counted(tmp_path):
    for name, levels in (("a", LEVELS), ("b", 0 * LEVELS), ("c", 0 * LEVELS + 1)):
        write_npy(tmp_path / name, levels)
    found = MapFolder(tmp_path, {f"{name}.jpg": (4, 3) for name in "abc"})
    assert (found.flat, found.black) == (["b.jpg", "c.jpg"], 1)


def test_files_beside_the_maps_do_not_count_as_second_ones(tmp_path):
    write_npy(tmp_path / "a", LEVELS)
    (tmp_path / "a.json").write_text("{}")
    assert MapFolder(tmp_path, {"a.jpg": (4, 3)}).map_of("a.jpg").shape == (3, 4)


def test_maps_of_other_names_are_said_to_be_there(tmp_path):
    write_npy(tmp_path / "a_saliency", LEVELS)
    with pytest.raises(UserError, match=r"lacks the maps of 1 of 1 pictures.*1 other maps \(a_saliency\)"):
        MapFolder(tmp_path, {"a.jpg": (4, 3)})


def test_names_that_differ_in_unicode_composition_belong_together(tmp_path):
    write_npy(tmp_path / "cafe\u0301", LEVELS)
    assert MapFolder(tmp_path, {"caf\u00e9.jpg": (4, 3)}).map_of("caf\u00e9.jpg").shape == (3, 4)

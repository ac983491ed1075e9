"""TFDS sets, with a small one prepared on the spot and read without a network."""

import csv
import io

import numpy as np
import pytest
from PIL import Image

from data_prep import compaction
from data_prep.convert import convert
from data_prep.sources import open_source
from saliency_keras.console import UserError


def png(index):
    file = io.BytesIO()
    pixels = np.random.default_rng(index).integers(0, 256, (30 + index, 40, 3), dtype="uint8")
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A TFDS folder with the sets `tiny_shapes` (train and test) and `tiny_numbers` (no pictures)."""
    import tensorflow_datasets as tfds

    class TinyShapes(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")
        pkg_dir_path = None

        def _info(self):
            features = {"image": tfds.features.Image(), "label": tfds.features.ClassLabel(names=["disc", "ring"])}
            return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

        def _split_generators(self, manager):
            return {"train": self._generate_examples(range(8)), "test": self._generate_examples(range(8, 12))}

        def _generate_examples(self, numbers):
            for number in numbers:
                yield number, {"image": io.BytesIO(png(number)), "label": number % 2}

    class TinyNumbers(TinyShapes):
        def _info(self):
            return self.dataset_info_from_configs(features=tfds.features.FeaturesDict({"value": np.int64}))

        def _generate_examples(self, numbers):
            for number in numbers:
                yield number, {"value": number}

    class TinyBoxes(TinyShapes):
        """One box as in caltech_birds2011 and cars196, a sequence of them as in stanford_dogs, one in other units."""

        def _info(self):
            box = tfds.features.BBoxFeature()
            features = {
                "image": tfds.features.Image(),
                "label": tfds.features.ClassLabel(names=["disc", "ring"]),
                "bbox": box,
                "objects": tfds.features.Sequence({"bbox": box}),
                "corner": tfds.features.BBoxFeature(bbox_format="XYXY"),
            }
            return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

        def _generate_examples(self, numbers):
            box = tfds.features.BBox
            for number in numbers:
                objects = [box(ymin=0.0, xmin=0.97, ymax=1.0, xmax=1.0)] * (number % 3)
                yield (
                    number,
                    {
                        "image": io.BytesIO(png(number)),
                        "label": number % 2,
                        "bbox": box(ymin=0.25, xmin=0.0, ymax=0.75, xmax=0.5),
                        "objects": [{"bbox": one} for one in objects],
                        "corner": box(ymin=1, xmin=2, ymax=3, xmax=4),
                    },
                )

    class TinyFlowers(TinyShapes):
        """Three labelled splits, as oxford_flowers102."""

        def _split_generators(self, manager):
            parts = {"train": range(4), "validation": range(4, 8), "test": range(8, 14)}
            return {split: self._generate_examples(numbers) for split, numbers in parts.items()}

    class TinyImagenet(TinyFlowers):
        """The labels of `test` are not public, as imagenet2012's."""

        def _generate_examples(self, numbers):
            for number in numbers:
                yield number, {"image": io.BytesIO(png(number)), "label": -1 if number >= 8 else number % 2}

    folder = tmp_path_factory.mktemp("tfds")
    for kind in (TinyShapes, TinyNumbers, TinyBoxes, TinyFlowers, TinyImagenet):
        kind(data_dir=folder).download_and_prepare()
    return folder


@pytest.fixture
def data_dir(prepared, monkeypatch):
    """Makes that folder the one TFDS looks into."""
    import tensorflow_datasets as tfds

    builder = tfds.builder
    monkeypatch.setattr(tfds, "builder", lambda name, **options: builder(name, data_dir=str(prepared), **options))


@pytest.mark.usefixtures("data_dir")
def test_pictures_and_labels_are_those_tfds_gives():
    source = open_source("tfds:tiny_shapes")
    assert source.classes == ("disc", "ring")
    assert source.description["splits"] == {"train": "train", "val": "test"}
    assert source.description["name"] == "tiny_shapes/1.0.0"
    for split, numbers in (("train", range(8)), ("val", range(8, 12))):
        pictures = source.pictures(split)
        assert len({picture.id for picture in pictures}) == len(numbers)
        found = {source.read(picture)[0].tobytes(): picture.label for picture in pictures}
        expected = {np.asarray(Image.open(io.BytesIO(png(number)))).tobytes(): number % 2 for number in numbers}
        assert found == expected


@pytest.mark.usefixtures("data_dir")
def test_val_is_the_test_split_where_its_labels_are_public():
    flowers, imagenet = open_source("tfds:tiny_flowers"), open_source("tfds:tiny_imagenet")
    assert flowers.description["splits"] == {"train": "train", "val": "test"}
    assert len(flowers.pictures("val")) == 6
    assert imagenet.description["splits"] == {"train": "train", "val": "validation"}
    assert len(imagenet.pictures("val")) == 4


@pytest.mark.usefixtures("data_dir")
def test_a_tfds_set_becomes_a_compact_one(tmp_path):
    manifest = compaction.compact(open_source("tfds:tiny_shapes"), tmp_path / "set", saliency=("center",), workers=0)
    assert manifest.splits["train"].per_class == (4, 4)
    assert manifest.splits["val"].per_class == (2, 2)
    assert manifest.source["kind"] == "tfds"


@pytest.mark.usefixtures("data_dir")
def test_boxes_are_stored_as_shares_of_the_square(tmp_path):
    source = open_source("tfds:tiny_boxes")
    manifest = compaction.compact(source, tmp_path / "set", saliency=("center",), workers=0)
    with open(tmp_path / "set" / "boxes.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["split", "id", "xmin", "ymin", "xmax", "ymax"]
    expected = []
    for split in ("train", "val"):
        for picture in source.pictures(split):
            height, width = source.read(picture)[0].shape[:2]
            shorter = min(height, width)
            # The central square in pixels; the first box reaches over its left edge where the picture is wide.
            left, top = (width - shorter) / 2, (height - shorter) / 2
            boxes = [(0, height / 4, width / 2, 3 * height / 4)]
            boxes += [(0.97 * width, 0, width, height)] * (len(source.boxes(picture)) - 1)
            for xmin, ymin, xmax, ymax in boxes:
                edges = [
                    (xmin - left) / shorter,
                    (ymin - top) / shorter,
                    (xmax - left) / shorter,
                    (ymax - top) / shorter,
                ]
                xmin, ymin, xmax, ymax = (min(1, max(0, edge)) for edge in edges)
                if xmin < xmax:
                    expected.append((split, picture.id, xmin, ymin, xmax, ymax))
    assert sum(len(source.boxes(picture)) for picture in source.pictures("train")) == 8 + 7
    found = [(row["split"], row["id"], *(float(row[name]) for name in list(row)[2:])) for row in rows]
    assert len(found) == len(expected) > 12
    for one, other in zip(sorted(found), sorted(expected), strict=True):
        assert one[:2] == other[:2]
        assert one[2:] == pytest.approx(other[2:], abs=0.003)  # the longer side is rounded to whole pixels
    assert convert(manifest.folder, tmp_path / "npy", "npy").folder.joinpath("boxes.csv").is_file()


@pytest.mark.usefixtures("data_dir")
def test_a_set_without_boxes_gets_no_table_of_them(tmp_path):
    compaction.compact(open_source("tfds:tiny_shapes"), tmp_path / "set", saliency=("center",), workers=0)
    assert not (tmp_path / "set" / "boxes.csv").exists()


@pytest.mark.usefixtures("data_dir")
@pytest.mark.parametrize(
    ("name", "sentence"),
    [("no_such_set_anywhere", "TFDS cannot prepare"), ("tiny_numbers", "no set for image classification")],
)
def test_what_cannot_be_used_is_one_sentence(name, sentence):
    with pytest.raises(UserError, match=sentence) as refused:
        open_source(f"tfds:{name}")
    assert "\n" not in str(refused.value)


@pytest.mark.usefixtures("data_dir")
def test_a_network_that_is_not_there_is_one_sentence(monkeypatch):
    import tensorflow_datasets as tfds

    def no_network(builder, *arguments, **options):
        raise ConnectionError("\nFailed to resolve the host.\nCheck your network.")

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", no_network)
    with pytest.raises(UserError) as refused:
        open_source("tfds:tiny_shapes")
    assert str(refused.value) == "TFDS cannot prepare 'tiny_shapes': Failed to resolve the host."


@pytest.mark.usefixtures("data_dir")
def test_a_cut_off_file_is_told(prepared):
    (path,) = prepared.glob("tiny_shapes/1.0.0/*-test.tfrecord-*")
    whole = path.read_bytes()
    flipped = [whole[:place] + bytes([whole[place] ^ 0x80]) + whole[place + 1 :] for place in (0, 7, 9, 40, 200)]
    try:
        for harmed in (whole[:-7], whole[: len(whole) // 2], whole + bytes(32), *flipped):
            path.write_bytes(harmed)
            with pytest.raises(UserError, match="is damaged or cut off"):
                open_source("tfds:tiny_shapes").pictures("val")
    finally:
        path.write_bytes(whole)

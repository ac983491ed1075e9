"""Both versions of the manifest: what each says, that one set has one digest in both, and what is refused."""

import dataclasses
import hashlib
import json

import pytest

from saliency_keras.console import UserError
from saliency_keras.data.geometry import Framing
from saliency_keras.data.manifest import Manifest, SaliencyMap
from tests.small_sets import as_version_1, write_small_set

PREDICTORS = {
    "picture": {"name": "source"},
    "square": {"name": "gbvs", "version": 2, "parameters": {"levels": [1, 2]}},
    "stored": {"name": "itti", "version": 1, "parameters": {}, "pictures": "as stored, 36 px"},
    "run": {"name": "step1", "version": 2, "parameters": {"experiment": "pretrain", "weights": "0123"}},
}


@pytest.fixture
def small(tmp_path):
    """The `Manifest` of a small set of version 2 with the maps `first` and `other`."""
    return write_small_set(tmp_path, codec="npy")[0]


def test_version_2_says_framing_and_what_each_map_is_made_of(small):
    fields = json.loads((small.folder / "manifest.json").read_text())
    assert fields["version"] == 2
    assert fields["framing"] == {"shorter": 256, "square": 256, "stored": 36, "boxes": None}
    assert [one["made_of"] for one in fields["maps"]] == ["square", "square"]
    assert "side" not in fields


def test_any_framing_comes_back_as_it_was_saved(small):
    framing = Framing(340, 299, 299, boxes="ab" * 32)
    dataclasses.replace(small, framing=framing).save(small.folder)
    assert Manifest.load(small.folder).framing == framing
    assert Manifest.load(small.folder).side == 299


def test_version_1_is_read_with_the_framing_that_all_sets_had(small):
    old = Manifest.load(as_version_1(small.folder))
    assert old.framing == Framing(shorter=256, square=256, stored=36)
    assert old == small


@pytest.mark.parametrize("made_of", PREDICTORS)
def test_what_a_map_of_version_1_is_made_of_is_told_by_its_predictor(small, made_of):
    first = SaliencyMap("first", PREDICTORS[made_of], 0.5, {}, made_of)
    dataclasses.replace(small, maps=(first, small.maps[1])).save(small.folder)
    expected = Manifest.load(small.folder)
    assert expected.maps[0].made_of == made_of
    assert Manifest.load(as_version_1(small.folder)) == expected


def test_digest_of_a_set_of_version_1_is_what_it_was(small):
    # Before there was a version 2, the digest was the sha256 of the manifest's text, but for maps that do not count.
    dataclasses.replace(small, maps=small.maps[:1]).save(small.folder)
    text = (as_version_1(small.folder) / "manifest.json").read_bytes()
    old = Manifest.load(small.folder)
    assert old.digest() == hashlib.sha256(text).hexdigest()
    old.save(small.folder)
    new = Manifest.load(small.folder)
    assert json.loads((small.folder / "manifest.json").read_text())["version"] == 2
    assert new.digest() == old.digest()


def test_digest_is_the_same_in_both_versions_with_a_further_map(small):
    old = Manifest.load(as_version_1(small.folder))
    assert old.digest("other") == small.digest("other") == hashlib.sha256(
        (small.folder / "manifest.json").read_bytes()
    ).hexdigest()  # fmt: skip
    assert old.digest() == small.digest() != small.digest("other")


def test_digest_knows_the_framing_and_the_boxes(small):
    framings = [Framing(stored=36), Framing(300, 256, 36), Framing(300, 300, 36), Framing(stored=36, boxes="ab")]
    digests = {dataclasses.replace(small, framing=framing).digest() for framing in framings}
    assert len(digests) == 4


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"framing": {"shorter": 256, "square": 300, "stored": 36, "boxes": None}}, "--square 300, --shorter 256"),
        ({"framing": {"shorter": 256, "square": 256, "stored": 3600, "boxes": None}}, "16 to 1024"),
        ({"framing": {"shorter": 256, "square": 256, "stored": 36}}, "boxes"),
        ({"framing": None}, "TypeError"),
        ({"framing": [256, 256, 36]}, "TypeError"),
        ({"version": True}, "format version True, this program reads versions 1 and 2"),
        ({"version": 3}, "format version 3, this program reads versions 1 and 2; make the set again"),
        ({"version": "2"}, "format version '2', this program reads versions 1 and 2"),
        ({"version": 1}, "side"),
    ],
)
def test_a_framing_or_version_that_cannot_be_is_refused_in_a_sentence(small, change, sentence):
    path = small.folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(UserError, match=sentence):
        Manifest.load(small.folder)


def test_a_map_made_of_something_unknown_is_refused(small):
    path = small.folder / "manifest.json"
    fields = json.loads(path.read_text())
    fields["maps"][1]["made_of"] = "dreams"
    path.write_text(json.dumps(fields))
    with pytest.raises(UserError, match=r"is damaged.*what the map other is made of"):
        Manifest.load(small.folder)

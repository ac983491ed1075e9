"""Damages of every file of a set, and sets that lie with right checksums: one sentence, from `train` and `verify`."""

import dataclasses
import hashlib
import json

import numpy as np
import pytest

from data_prep import verify
from saliency_keras import train
from saliency_keras.console import UserError
from saliency_keras.data.manifest import Manifest
from saliency_keras.data.records import encode_record, record_dtype, record_writer
from saliency_keras.data.stored import Records, check_pictures
from tests.attacks.damages import damages, outcome, time_limit
from tests.small_sets import write_small_set

EACH = 120  # damages of each file
SIDE, CLASSES = 16, 3


@pytest.fixture(params=["raw", "jpeg", "npy"])
def small_set(request, tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    write_small_set(folder, SIDE, request.param, CLASSES, train=(6,), val=(3,))
    return folder


def content(folder):
    """All that a training would learn from a set, after the checks that it makes."""
    manifest = Manifest.load(folder)
    manifest.check_sums()
    found = [manifest.to_json()]
    for split in manifest.splits:
        stored = Records(manifest, split)
        check_pictures(manifest, split, stored)
        places = np.arange(len(stored))
        found += [stored.ids(places), stored.labels(places).tolist()]
        found += [words.tobytes() for words in stored.words(places)]
        found += [one.tobytes() for one in Records(manifest, split, "other").maps(places)]
    return found


def test_a_damaged_file_of_a_set_is_refused_and_no_picture_changes(small_set):
    before = content(small_set)
    for path in sorted(small_set.iterdir()):
        whole = path.read_bytes()
        for damaged in damages(whole, EACH, seed=path.name):
            path.write_bytes(damaged)
            found = outcome(lambda: content(small_set))
            if path.name == "manifest.json":  # it has no checksum of itself, but counts and shards must fit
                assert found is None or found[1:] == before[1:]
            else:
                assert found is None
        path.write_bytes(whole)


def test_verify_ends_in_a_sentence_whatever_is_damaged(small_set, tmp_path, capsys):
    for path in sorted(small_set.iterdir()):
        whole = path.read_bytes()
        for damaged in damages(whole, 16, seed=f"{path.name}, verified"):
            path.write_bytes(damaged)
            outcome(lambda: verify.main([str(small_set), "--sheet", str(tmp_path / "sheet.png")]))
        path.write_bytes(whole)
    assert outcome(lambda: verify.main([str(small_set), "--sheet", str(tmp_path / "sheet.png")])) is None
    assert "are as the manifest says" in capsys.readouterr().out


def written_anew(folder, labels=None, ids=None):
    """Writes the train shard with other labels or ids, and the manifest with its right size and checksum."""
    manifest = Manifest.load(folder)
    (shard,) = manifest.splits["train"].shards
    stored = Records(manifest, "train")
    places = np.arange(len(stored))
    words = [one.copy().view(np.uint8).reshape(manifest.side, manifest.side, 4) for one in stored.words(places)]
    labels, ids = stored.labels(places) if labels is None else labels, stored.ids(places) if ids is None else ids
    dtype = record_dtype(manifest.side, max(len(one.encode()) for one in ids))
    with record_writer(folder / shard.file, manifest.codec, dtype) as writer:
        for one, label, identifier in zip(words, labels, ids, strict=True):
            writer.write(encode_record(manifest.codec, one[..., :3], one[..., 3], label, identifier, dtype))
    said = (folder / shard.file).read_bytes()
    shard = dataclasses.replace(shard, bytes=len(said), sha256=hashlib.sha256(said).hexdigest())
    split = dataclasses.replace(manifest.splits["train"], shards=(shard,))
    dataclasses.replace(manifest, splits={**manifest.splits, "train": split}).save(folder)


def changed(change):
    """A lie of the manifest alone."""

    def lie(folder):
        path = folder / "manifest.json"
        fields = json.loads(path.read_text())
        change(fields)
        path.write_text(json.dumps(fields))

    return lie


def minus_one(folder):
    """What a record's label is read as -1 from: a protocol buffer has it as an unsigned number of 64 bits."""
    return -1 if Manifest.load(folder).codec == "npy" else 2**64 - 1


def nested(levels):
    found = {}
    for _ in range(levels):
        found = {"in": found}
    return found


LIES = {
    "a label outside the classes": lambda folder: written_anew(folder, labels=[0, 1, 2, 0, 1, 7]),
    "a negative label": lambda folder: written_anew(folder, labels=[0, 1, 2, 0, 1, minus_one(folder)]),
    "other counts per class": lambda folder: written_anew(folder, labels=[0, 0, 0, 0, 1, 2]),
    "ids all alike": lambda folder: written_anew(folder, ids=["class0/one.png"] * 6),
    "a NUL in an id": lambda folder: written_anew(folder, ids=["a\0b", *"cdefg"]),
    "an empty id": lambda folder: written_anew(folder, ids=["", *"cdefg"]),
    "a NUL in a class name": changed(lambda fields: fields["classes"].__setitem__(0, "cat\0dog")),
    "half a character in a class name": changed(lambda fields: fields["classes"].__setitem__(0, "cat\ud800")),
    "two classes of one name": changed(lambda fields: fields["classes"].__setitem__(0, fields["classes"][1])),
    "counts of a million millions": changed(
        lambda fields: fields["splits"]["train"].update(
            per_class=[10**12, 0, 0], shards=[{**fields["splits"]["train"]["shards"][0], "records": 10**12}]
        )
    ),
    "negative counts": changed(lambda fields: fields["splits"]["train"].update(per_class=[8, -4, 2])),
    "nesting of 900": changed(lambda fields: fields["source"].update(nested(900))),
    "a mean that is no number": changed(lambda fields: fields.update(mean_rgb=[float("nan")] * 3)),
    "pictures of a million pixels a side": changed(lambda fields: fields["framing"].update(stored=10**6)),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_set_that_lies_with_right_checksums_is_refused_by_train_and_verify_alike(small_set, tmp_path, lie):
    LIES[lie](small_set)
    words = ["rgb", "--data", str(small_set), "--out", str(tmp_path / "run"), "--epochs", "1"]
    sentences = []
    with pytest.raises(UserError) as refused, time_limit():
        content(small_set)  # the checks that `train` makes before its first epoch; what it says, is said by it
    sentences.append(str(refused.value))
    with pytest.raises(UserError) as refused, time_limit():
        verify.main([str(small_set), "--sheet", str(tmp_path / "sheet.png")])
    sentences.append(str(refused.value))
    if lie not in TAKES_A_NETWORK:
        with pytest.raises(UserError) as refused, time_limit():
            train.main(words)
        sentences.append(str(refused.value))
        assert not (tmp_path / "run").exists()
    assert len(set(sentences)) == 1, sentences
    assert "\n" not in sentences[0]


# What lies in the records is seen after the network is built, for which these pictures are too small.
TAKES_A_NETWORK = {name for name, lie in LIES.items() if lie.__name__ == "<lambda>"}


def test_train_refuses_lying_records_before_it_writes_anything(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    write_small_set(folder, side=120, codec="raw", classes=2, train=(6,), val=(4,))
    written_anew(folder, labels=[0, 1, 0, 1, 0, 2])
    words = ["rgb", "--data", str(folder), "--out", str(tmp_path / "run"), "--epochs", "1", "--set", "dense_units=8"]
    with pytest.raises(UserError, match="has the label 2, which is no class"):
        train.main([*words, "--set", "side=112", "--set", "width_multiplier=0.125"])
    assert not (tmp_path / "run").exists()

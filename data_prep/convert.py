"""One compact data set into another codec: the same records, maps, shards and order.

Pictures are not prepared again, so `raw` and `npy` hold the same pixels, byte for byte; into `jpeg` they are
compressed once, and out of it they are what it kept. The new set is written beside its place and takes it when it is
whole.
"""

import dataclasses
import importlib.metadata
import os
import shutil
from pathlib import Path

import numpy as np

from data_prep.compaction import FRAMES, TABLES, exclusive, no_room
from data_prep.shards import described, picture_bytes, whole_shards
from saliency_keras.console import UserError, progress
from saliency_keras.data.manifest import CODECS, Manifest, Shard, Split, shard_name, shard_suffix
from saliency_keras.data.records import encode_record, encode_side_record, record_dtype
from saliency_keras.data.stored import Records


def convert(source, out, codec):
    """Writes a compact data set again, in another codec.

    Args:
        source: Folder of a compact data set.
        out: The folder to make; absent or empty.
        codec: `"raw"`, `"jpeg"` or `"npy"`.

    Returns:
        The new set's `Manifest`. Its means are those of the source's pixels, which `jpeg` keeps to about a thousandth.

    Raises:
        UserError: If the source is damaged or has that codec already, or the folder is not free.
        OSError: If the folder cannot be written; nothing stays of it then.
    """
    manifest, out = Manifest.load(source), Path(out)
    if codec not in CODECS:
        raise UserError(f"the codec must be {', '.join(CODECS[:-1])} or {CODECS[-1]}; received {codec!r}.")
    if codec == manifest.codec:
        raise UserError(f"{source} has the codec {codec} already; copy the folder.")
    if (out / "manifest.json").is_file():
        there = Manifest.load(out)
        if there.codec == codec and _content(there) == _content(manifest):
            print(f"{out} is already there and finished: nothing to do.")
            return there
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} is not empty; choose another folder.")
    manifest.check_sums()
    unfinished = out.with_name(f".{out.name}.incomplete")
    unfinished.mkdir(parents=True, exist_ok=True)
    with exclusive(unfinished):
        try:
            for path in unfinished.iterdir():  # what a killed run has left
                path.unlink()
            _check_space(manifest, unfinished, codec)
            _write(manifest, unfinished, codec)
            os.replace(unfinished, out)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return Manifest.load(out)


def _check_space(manifest, folder, codec):
    records = sum(split.records for split in manifest.splits.values())
    needed = records * picture_bytes(manifest.side, codec, len(manifest.maps))
    if needed > (free := shutil.disk_usage(folder).free):
        raise no_room(needed, free, folder.parent)


def _content(manifest):
    """What a set was made of: its source, and what made each map."""
    return manifest.source, [(one.name, one.predictor) for one in manifest.maps]


def _write(manifest, folder, codec):
    further = manifest.map_names[1:]
    written = {split: [] for split in manifest.splits}
    total = sum(split.records for split in manifest.splits.values())
    sums = np.zeros(4 + len(further), np.int64)  # of red, green, blue and each map, over the pictures of train
    with progress(total=total, label=f"to {codec}") as bar:
        for split, content in manifest.splits.items():
            pictures = Records(manifest, split)
            maps = [Records(manifest, split, name) for name in further]
            for number in range(len(content.shards)):
                names = [
                    shard_name(split, number, len(content.shards), name, shard_suffix(codec))
                    for name in (None, *further)
                ]
                places = np.arange(pictures.first[number], pictures.first[number + 1])
                of_shard = _write_shard([folder / name for name in names], codec, pictures, maps, places, bar)
                sums += of_shard if split == "train" else 0
                written[split].append([Shard(**described(folder / name, len(places))) for name in names])
    columns = {split: list(zip(*rows, strict=True)) for split, rows in written.items()}
    means = [*manifest.mean_rgb, *(one.mean for one in manifest.maps)]
    if manifest.codec == "jpeg":  # the manifest has the means of what was compressed
        means = (sums / (255 * manifest.splits["train"].records * manifest.side**2)).tolist()
    dataclasses.replace(
        manifest,
        mean_rgb=tuple(means[:3]),
        codec=codec,
        splits={split: Split(columns[split][0], content.per_class) for split, content in manifest.splits.items()},
        maps=tuple(
            dataclasses.replace(
                one, mean=mean, shards={split: columns[split][number] for split in columns} if number else {}
            )
            for number, (one, mean) in enumerate(zip(manifest.maps, means[3:], strict=True))
        ),
        libraries={**manifest.libraries, "numpy": importlib.metadata.version("numpy")},
    ).save(folder)
    for name in (*TABLES, FRAMES):
        if (manifest.folder / name).is_file():
            shutil.copyfile(manifest.folder / name, folder / name)


def _write_shard(paths, codec, pictures, maps, places, bar):
    """Writes the records of one shard and of its side shards; returns the sums of red, green, blue and each map."""
    sums = np.zeros(4 + len(maps), np.int64)
    ids, side = pictures.ids(places), pictures.side
    dtype = record_dtype(side, max(len(identifier.encode()) for identifier in ids))
    described_as = [dtype] + [("u1", (side, side))] * len(maps)
    with whole_shards(paths, codec, described_as) as (writer, *side_writers):
        rows = zip(pictures.words(places), pictures.labels(places), ids, strict=True)
        for words, label, identifier in rows:
            rgbs = words.view(np.uint8).reshape(side, side, 4)
            writer.write(encode_record(codec, rgbs[..., :3], rgbs[..., 3], label, identifier, dtype))
            sums[:4] += rgbs.reshape(-1, 4).sum(axis=0, dtype=np.int64)
            bar.update()
        for number, (side_writer, one) in enumerate(zip(side_writers, maps, strict=True), 4):
            for saliency in one.maps(places):
                side_writer.write(encode_side_record(codec, saliency))
                sums[number] += saliency.sum(dtype=np.int64)
    return sums

"""Shards: the order of the pictures on disk, how many shards there are, and writing one whole or not at all.

The order is a keyed shuffle: pictures sorted by a hash of seed and id, so that it depends on nothing else. A shard is
a stretch of that order. It is written under a temporary name, flushed to disk and renamed; then a small file
of results (counts, sums, what was skipped) is put beside it, and only a shard with such results counts as finished.
Planning a whole set, the worker processes and the manifest are in `data_prep.compaction`.
"""

import contextlib
import dataclasses
import functools
import hashlib
import itertools
import json
import os

import google_crc32c
import numpy as np

from data_prep.sources.source import Unusable, UnusableBox
from data_prep.spool import contents_of
from saliency_keras.console import UserError
from saliency_keras.data import geometry
from saliency_keras.data.manifest import shard_name, shard_suffix
from saliency_keras.data.pictures import UnreadablePicture, orientation_of
from saliency_keras.data.records import encode_record, encode_side_record, record_dtype, record_writer
from saliency_keras.files import FULL, check_claims, sha256_of, whole_file

SHARD_BYTES = 128 * 2**20
BATCH = 32


@dataclasses.dataclass(frozen=True)
class Task:
    """One shard to write: everything its bytes depend on.

    Attributes:
        split: `"train"` or `"val"`.
        number: Number of the shard, from 0.
        of: Number of shards of the split.
        pictures: The shard's pictures in order.
        maps: Names of the maps, the interleaved one first.
        framing: The `Framing` of pictures and maps.
        codec: `"raw"`, `"jpeg"` or `"npy"`.
        classes: Number of classes.
    """

    split: str
    number: int
    of: int
    pictures: tuple
    maps: tuple[str, ...]
    framing: geometry.Framing
    codec: str
    classes: int

    @property
    def side(self):
        """Stored width and height in pixels."""
        return self.framing.stored

    @property
    def files(self):
        """Names of the shard and its side shards, one for each map."""
        suffix = shard_suffix(self.codec)
        return [shard_name(self.split, self.number, self.of, name, suffix) for name in (None, *self.maps[1:])]

    @functools.cached_property
    def dtypes(self):
        """What a record is in each of those files, for codec `npy`."""
        id_bytes = max(len(picture.id.encode()) for picture in self.pictures)
        return [record_dtype(self.side, id_bytes)] + [("u1", (self.side, self.side))] * (len(self.maps) - 1)

    @property
    def results_file(self):
        """Name of the results beside the shard, which exist until the manifest is written."""
        return "." + shard_name(self.split, self.number, self.of, suffix="json")


def keyed_order(pictures, seed):
    """Sorts pictures by a hash of seed and id: a shuffle that depends on nothing else.

    Args:
        pictures: Pictures of one split.
        seed: Any integer.

    Returns:
        A list of the same pictures.
    """
    return sorted(pictures, key=lambda picture: hashlib.sha256(f"{seed}/{picture.id}".encode()).digest())


def record_bytes(side, codec):
    """About how many bytes one record takes, id and framing included."""
    # Quality 95 takes 0.60 bytes a pixel for picture and map together: 400 of Imagenette's photographs at 144 px.
    return 150 + (round(0.65 * side * side) if codec == "jpeg" else 4 * side * side)


def picture_bytes(side, codec, maps):
    """About how many bytes one picture takes with that many maps; the first map is interleaved."""
    return record_bytes(side, codec) + (maps - 1) * record_bytes(side, codec) // 4


def shard_count(split, pictures, bytes_each):
    """How many shards a split gets: none above 128 MiB, and enough of them to share the work and to shuffle well.

    Args:
        split: `"train"` or `"val"`.
        pictures: Number of pictures.
        bytes_each: Bytes of a record.

    Returns:
        The number of shards: as many as 128 MiB each ask for, and one per 128 pictures up to 8 (train) or 2 (val).
    """
    by_size = -(-pictures * bytes_each // SHARD_BYTES)
    by_work = min(8 if split == "train" else 2, -(-pictures // 128))
    return max(1, by_size, by_work)


def stretches(pictures, count):
    """Cuts a list into `count` parts whose lengths differ by one at most."""
    bounds = [number * len(pictures) // count for number in range(count + 1)]
    return [tuple(pictures[start:end]) for start, end in itertools.pairwise(bounds)]


def write_shard(task, folder, source, predictors, advance=lambda read, skipped: None, spool=None):
    """Reads a shard's pictures, predicts their maps and writes the shard, its side shards and its results.

    Args:
        task: The `Task`.
        folder: Folder of the data set.
        source: Where the pictures come from.
        predictors: The predictor of each map the source does not have itself, by name.
        advance: Called with the numbers of pictures read and skipped since the last call.
        spool: Where `data_prep.spool` has gathered the pictures' files, or `None`: the source reads them.

    Returns:
        The results, as `finished_results` reads them.

    Raises:
        Unusable: If maps of the source's own are no maps of their pictures, or boxes lie outside; nothing is written
            then.
    """
    results = {
        "skipped": [],
        "boxes": [],
        "checksums": [],
        "frames": [],
        "turned": 0,
        "flat_maps": {},
        "per_class": [0] * task.classes,
        "rgb_sums": [0] * 3,
        "map_sums": [0] * len(task.maps),
    }
    unusable = []
    content_of = source.content if spool is None else contents_of(task, spool)
    with whole_shards([folder / name for name in task.files], task.codec, task.dtypes) as writers:
        for start in range(0, len(task.pictures), BATCH):
            batch, skipped, boxes = _read_batch(
                task.pictures[start : start + BATCH], task.framing, source, content_of, unusable, results
            )
            results["skipped"] += skipped
            results["boxes"] += boxes
            if batch and not unusable:
                _write_batch(task, batch, predictors, writers, results)
            advance(len(batch), len(skipped))
        refuse(unusable, len(task.pictures), task.files[0])
    results["shards"] = [described(folder / name, sum(results["per_class"])) for name in task.files]
    if not sum(results["per_class"]):
        # A shard without records would be a trap for readers: it is left out, its number stays free.
        for name in task.files:
            (folder / name).unlink()
        results["shards"] = []
    with whole_file(folder / task.results_file, "w", encoding="utf-8") as file:
        json.dump(results, file)
    return results


def refuse(unusable, pictures, file):
    """Raises one error for all that came with the pictures of a shard and cannot be used, if there is any.

    Args:
        unusable: List of `Unusable`.
        pictures: Number of the shard's pictures.
        file: Name of the shard.
    """
    if unusable:
        first = unusable[0]
        count = sum(error.what == first.what for error in unusable)
        raise type(first)(
            f"the {first.what} of {count:,} of the {pictures:,} pictures of {file} cannot be used; the first: {first}"
        )


def count_flat(results, name, saliency, identifier):
    """Adds a map that is the same everywhere to a shard's results: their number, how many are black, an id."""
    if saliency.min() == saliency.max():
        flat = results["flat_maps"].setdefault(name, [0, 0, identifier])
        results["flat_maps"][name] = [flat[0] + 1, flat[1] + int(not saliency.any()), flat[2]]


def finished_results(task, folder):
    """The results of a shard, or of a side shard of `add_map`, that is finished; else `None`."""
    try:
        results = json.loads((folder / task.results_file).read_text(encoding="utf-8"))
        if [shard["file"] for shard in results["shards"]] not in ([], task.files):
            return None
        for shard in results["shards"]:
            if (folder / shard["file"]).stat().st_size != shard["bytes"]:
                return None
    except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return results


def _read_batch(pictures, framing, source, content_of, unusable, results):
    """Squares of the pictures that can be read, `(picture, pixels, own maps)`, and `[id, reason]` of the others.

    The third list has the boxes of the former's objects, `[id, xmin, ymin, xmax, ymax]` as shares of the square.
    What is wrong with a map of the source's own, or with a picture's box, is added to the list `unusable`; checksums of
    the files, the pictures' sizes and crops, how many have an orientation tag and what is odd about maps are added to
    `results`.
    """
    batch, skipped, boxes = [], [], []
    for picture in pictures:
        results["checksums"].append(None)
        try:
            content = content_of(picture)
            if content is not None:
                results["checksums"][-1] = google_crc32c.value(content)
                results["turned"] += orientation_of(content) != 1
            pixels, own_maps = source.read(picture, content)
            crop = crop_of(picture, *pixels.shape[:2])
        except UnreadablePicture as error:
            skipped.append([picture.id, error.reason])
            continue
        except Unusable as error:
            unusable.append(error)
            continue
        left, top, right, bottom = crop
        squares = {}
        for name, one in own_maps.items():
            squares[name] = geometry.square_of_map(one, source.made_of(name), crop, framing)
            count_flat(results, name, one, picture.id)
        batch.append((picture, geometry.square(pixels[top:bottom, left:right], framing), squares))
        height, width = pixels.shape[:2]
        results["frames"].append([height, width, *crop])
        within = (geometry.box_in_square(box, width, height, framing, crop) for box in source.boxes(picture))
        boxes += [[picture.id, *box] for box in within if box]
    return batch, skipped, boxes


def crop_of(picture, height, width):
    """The pixels of a picture that its box leaves, `(left, top, right, bottom)`; all of them where it has none."""
    if picture.box is None:
        return 0, 0, width, height
    try:
        return geometry.box_in_pixels(picture.box, width, height)
    except ValueError as error:
        raise UnusableBox(f"{error} of the picture {picture.id!r}.") from None


def _write_batch(task, batch, predictors, writers, results):
    """Predicts the maps of a batch on its squares, scales picture and maps, writes records, adds up results."""
    squares = np.stack([pixels for _, pixels, _ in batch])
    predicted = {name: _stored_maps(predictors[name](squares), task.side) for name in task.maps if name in predictors}
    for index, (picture, pixels, own_maps) in enumerate(batch):
        image = geometry.shrink(pixels, task.side)
        maps = [
            predicted[name][index] if name in predicted else geometry.stored_map(own_maps[name], task.side)
            for name in task.maps
        ]
        writers[0].write(encode_record(task.codec, image, maps[0], picture.label, picture.id, task.dtypes[0]))
        for writer, one in zip(writers[1:], maps[1:], strict=True):
            writer.write(encode_side_record(task.codec, one))
        results["per_class"][picture.label] += 1
        # Integer sums: the means do not depend on the order in which shards are added up.
        for channel in range(3):
            results["rgb_sums"][channel] += int(image[..., channel].sum(dtype="int64"))
        for number, one in enumerate(maps):
            results["map_sums"][number] += int(one.sum(dtype="int64"))


def _stored_maps(maps, side):
    """What is stored of a batch of maps."""
    if maps.strides[0] == 0:  # one map, seen as often as there are pictures, as `center` gives it
        return [geometry.stored_map(maps[0], side)] * len(maps)
    return [geometry.stored_map(one, side) for one in maps]


@contextlib.contextmanager
def whole_shards(paths, codec, dtypes):
    """Writers of a shard and its side shards, which appear under their names as `whole_paths` says."""
    with whole_paths(paths) as temporaries, contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(record_writer(path, codec, dtype))
            for path, dtype in zip(temporaries, dtypes, strict=True)
        ]


@contextlib.contextmanager
def whole_paths(paths):
    """Paths to write to; what is there appears under its name, on disk, only if the block ends well.

    Raises:
        UserError: If there is no room left.
    """
    # The process's number keeps a worker that outlives its killed parent for a moment out of its successor's file.
    temporaries = [path.with_name(f".{path.name}.{os.getpid()}.incomplete") for path in paths]
    check_claims(paths[0])
    try:
        yield temporaries
        for temporary, path in zip(temporaries, paths, strict=True):
            with open(temporary, "rb") as file:
                os.fsync(file.fileno())
            check_claims(path)
            os.replace(temporary, path)
    except OSError as error:
        if error.errno in FULL:
            raise UserError(f"there is no room left for {paths[0]}; make room and give the command again.") from None
        raise
    finally:
        for temporary in temporaries:
            with contextlib.suppress(FileNotFoundError):
                temporary.unlink()


def described(path, records):
    """A shard as the manifest names it."""
    return {"file": path.name, "records": records, "bytes": path.stat().st_size, "sha256": sha256_of(path)}

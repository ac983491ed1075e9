"""Records by their place: where each one's pixels, label and id lie in a shard, TFRecord or npy, without TensorFlow.

A TFRecord file is walked once to find its records, a npy shard is one structured array whose records have the same
fields; from then on a record is one read, in any order. What a record holds is `records`'; choosing, cropping and
batching is the reader's.
"""

import functools
import os
import struct
import threading
import tokenize

import numpy as np

from saliency_keras.console import UserError
from saliency_keras.data.manifest import POOLED

OPEN = 32  # files open at a time: a large set has more shards than a process may open
MOST = 1 << 26  # bytes; no record is longer, so a length beyond is damage
POSITIONAL = hasattr(os, "preadv")  # reads that leave a file's position alone; Windows has none, so threads take turns
WORD = np.dtype("<u4")  # one pixel of picture and map: red, green, blue, saliency


class Records:
    """The records of one split, or of one further map of it, by their place on disk.

    What it promises by itself: as many records as the manifest says, each of the right kind and size and read from its
    own place, or a sentence. That the bytes are those which were written rests on `Manifest.check_sums`, which training
    and the commands of `data_prep` call first: a bit that flips in a stored pixel is a pixel as good as any other.
    """

    def __init__(self, manifest, split, map_name=None):
        """Finds no record yet; each shard is looked through when it is first needed.

        Args:
            manifest: The compact set's `Manifest`.
            split: `"train"`, `"val"`, or `"train+val"` for all pictures, whose ids then begin with their split:
                two pictures, one of each split, may have one id.
            map_name: Name of a further map, or `None` for the pictures with the interleaved map.
        """
        self.side, self.codec = manifest.side, manifest.codec
        self._shards = manifest.shards_of(split, map_name)
        self._paths = manifest.shard_files(split, map_name)
        in_train = len(manifest.splits["train"].shards)
        of_shard = ["train/"] * in_train + ["val/"] * (len(self._shards) - in_train)
        self._prefixes = of_shard if split == POOLED else [""] * len(self._shards)
        self.first = np.cumsum([0, *(shard.records for shard in self._shards)])  # place of each shard's first record
        # numpy reads a header by compiling it, which Python 3.11 does not survive in two threads: not in a reader's.
        self._headers = [_npy_header(path) for path in self._paths] if self.codec == "npy" else None
        interleaved = map_name in (None, manifest.map_names[0])
        pixels = {"image", "saliency"} if self.codec == "jpeg" else {"rgbs"}
        self._names = {*pixels, "label", "id"} if interleaved else {"saliency"}
        self._found, self._finding = {}, threading.Lock()
        self._open = functools.lru_cache(OPEN)(lambda number: _OpenFile(self._paths[number]))

    def __len__(self):
        return int(self.first[-1])

    def words(self, places, with_map=True):
        """Yields whole pictures with their interleaved maps.

        Args:
            places: int64 array `(B,)`, places in the split.
            with_map: Whether the map is wanted; without it, what the map's byte holds is not defined.

        Yields:
            uint32 array `(side, side)` for each place: a pixel's bytes are red, green, blue, saliency. It is good
            until the next one is asked for.
        """
        words = np.empty((self.side, self.side), WORD)
        for shard, fields, row in self._rows(places):
            if self.codec == "jpeg":
                yield _decoded(shard, fields, row, self.side, with_map)
            else:
                shard.read_into(words, fields["rgbs"][row, 0])
                yield words

    def maps(self, places):
        """Yields whole maps, uint8 `(side, side)`, for places in the split."""
        for shard, fields, row in self._rows(places):
            if self.codec == "jpeg":
                yield _picture(shard, fields["saliency"][row], self.side, "GRAY")[..., 0]
            elif "rgbs" in fields:
                yield shard.read_into(np.empty((self.side, self.side, 4), np.uint8), fields["rgbs"][row, 0])[..., 3]
            else:
                yield shard.read_into(np.empty((self.side, self.side), np.uint8), fields["saliency"][row, 0])

    def labels(self, places):
        """Labels, int64 `(B,)`, for places in the split."""
        numbers, rows = self._numbers_and_rows(places)
        labels = np.empty(len(rows), np.int64)
        for number in np.unique(numbers).tolist():
            here = numbers == number
            labels[here] = self._fields(number)["label"][rows[here]]
        return labels

    def ids(self, places):
        """Ids, a list of str, for places in the split."""
        prefixes = [self._prefixes[number] for number in self._numbers_and_rows(places)[0]]
        rows = ((shard, fields["id"][row]) for shard, fields, row in self._rows(places))
        ids = []
        for prefix, (shard, span) in zip(prefixes, rows, strict=True):
            try:
                ids.append(prefix + shard.read(*span).rstrip(b"\0").decode())
            except UnicodeDecodeError as error:
                raise _damaged(shard.path, error) from None
        return ids

    def _rows(self, places):
        """For each place: its shard, where that shard's fields lie, and the record's row in them."""
        numbers, rows = self._numbers_and_rows(places)
        fields = {number: self._fields(number) for number in np.unique(numbers).tolist()}
        for number, row in zip(numbers.tolist(), rows.tolist(), strict=True):
            yield self._open(number), fields[number], row  # one by one: a split may have more shards than can be open

    def _numbers_and_rows(self, places):
        numbers = np.searchsorted(self.first, places, side="right") - 1
        return numbers, np.asarray(places) - self.first[numbers]

    def _fields(self, number):
        with self._finding:  # once: the second of two threads would see the file as it is later
            if number not in self._found:
                self._found[number] = self._find(number)
            return self._found[number]

    def _find(self, number):
        path = self._paths[number]
        try:
            if self._headers:
                found = _fields_of_npy(self._open(number), *self._headers[number])
            else:
                with open(path, "rb") as file:
                    found = _fields_of_tfrecord(file)
            _check(found, self._names, self._shards[number].records, self.side, self.codec)
        except FileNotFoundError:
            raise _gone(path) from None
        except (ValueError, KeyError, IndexError, TypeError, OverflowError, struct.error) as error:
            raise error if isinstance(error, UserError) else _damaged(path, error) from None
        return found


def check_pictures(manifest, split, stored):
    """Refuses a split whose ids and labels are not what its manifest says, before anything is learned from them.

    Args:
        manifest: The compact set's `Manifest`.
        split: `"train"` or `"val"`.
        stored: The split's `Records`.

    Raises:
        UserError: If a label is no class, an id is there twice or is no text, or a class has another number of
            pictures.
    """
    per_class, seen = np.zeros(len(manifest.classes), np.int64), {}
    for path, first, end in zip(manifest.shard_files(split), stored.first, stored.first[1:], strict=False):
        places = np.arange(first, end)
        labels = stored.labels(places)
        for identifier, label in zip(stored.ids(places), labels.tolist(), strict=True):
            if identifier in seen:
                raise UserError(f"the shard {path} is damaged: the id {identifier!r} is in {seen[identifier]} too.")
            if not 0 <= label < len(manifest.classes):
                raise UserError(
                    f"the shard {path} is damaged: {identifier!r} has the label {label}, which is no class."
                )
            if not identifier or "\0" in identifier:
                raise UserError(f"the shard {path} is damaged: {identifier!r} is no id.")
            seen[identifier] = path.name
        per_class += np.bincount(labels, minlength=len(manifest.classes))
    for name, said, there in zip(manifest.classes, manifest.split(split).per_class, per_class, strict=True):
        if said != there:
            raise UserError(
                f"the manifest of {manifest.folder} says {said} {split} pictures of the class {name!r}, "
                f"the shards have {there}; run data_prep.compact again."
            )


class _OpenFile:
    """A shard's bytes. They are read, not mapped: who touches a mapped page of a file that shrank is killed."""

    def __init__(self, path):
        try:
            self.path, self._file = path, open(path, "rb", buffering=0)  # noqa: SIM115, lives as long as this object
            self._turn = threading.Lock()
        except FileNotFoundError:
            raise _gone(path) from None

    def read_into(self, array, begin):
        """Fills a contiguous array with the bytes from `begin` on, and returns it. Several threads may read at once."""
        if POSITIONAL:
            found = os.preadv(self._file.fileno(), [array], begin)
        else:
            with self._turn:
                self._file.seek(begin)
                found = self._file.readinto(array)
        if found != array.nbytes:
            raise self._changed()
        return array

    def read(self, begin, end):
        """The bytes from `begin` to `end`."""
        if POSITIONAL:
            data = os.pread(self._file.fileno(), end - begin, begin)
        else:
            with self._turn:
                self._file.seek(begin)
                data = self._file.read(end - begin)
        if len(data) != end - begin:
            raise self._changed()
        return data

    def _changed(self):
        return UserError(f"the shard {self.path} has changed while it was read; run data_prep.compact again.")


def _gone(path):
    return UserError(f"the shard {path} is gone; run data_prep.compact again.")


def _damaged(path, error):
    return UserError(f"the shard {path} is damaged ({type(error).__name__}: {error}); run data_prep.compact again.")


def _npy_header(path):
    """Shape, dtype and offset of the array in a npy file."""
    try:
        array = np.lib.format.open_memmap(path, mode="r")  # it takes no pickle and no archive, as np.load would
        return array.shape, array.dtype, array.offset
    except FileNotFoundError:
        raise _gone(path) from None
    except (ValueError, EOFError, TypeError, LookupError, OverflowError, SyntaxError, tokenize.TokenError) as error:
        raise _damaged(path, error) from None


def _fields_of_npy(shard, shape, dtype, offset):
    """Where the fields of a npy shard lie, as `_fields_of_tfrecord`."""
    item = np.dtype((dtype, shape[1:]))
    begins = offset + item.itemsize * np.arange(shape[0])
    if dtype.names is None:
        return {"saliency": np.stack([begins, begins + item.itemsize], axis=1)}
    fields = {}
    for name in ("rgbs", "id"):
        kind, place = dtype.fields[name][:2]
        fields[name] = np.stack([begins + place, begins + place + kind.itemsize], axis=1)
    kind, place = dtype.fields["label"][:2]
    labels = [shard.read_into(np.empty(1, kind), begin)[0] for begin in begins + place]
    return {**fields, "label": np.array(labels, np.int64)}


def _fields_of_tfrecord(file):
    """Where the fields of a TFRecord file's examples lie.

    Args:
        file: The open file.

    Returns:
        For each bytes feature an int64 array `(records, 2)`, begin and end in the file; for `label` its values.

    Raises:
        ValueError: If these are no whole examples.
    """
    found, at = {}, 0
    while head := file.read(12):  # the example's length, and a checksum of it
        (length,) = struct.unpack("<Qxxxx", head)
        example = file.read(min(length, MOST) + 4)  # and a checksum of the example
        if len(example) != length + 4:
            raise ValueError(f"the record at byte {at} is not whole")
        for name, value in _features(example, 0, length):
            found.setdefault(name, []).append(value if name == "label" else np.add(value, at + 12))
        at += 16 + length
    return {name: np.array(values, np.int64) for name, values in found.items()}


def _features(data, begin, end):
    """Names and values of the features of one `tf.train.Example`: a span for bytes, the number for an integer."""
    ((_, *features),) = _messages(data, begin, end)
    for _, *entry in _messages(data, *features):
        (_, *name), (_, *feature) = _messages(data, *entry)
        ((kind, *values),) = _messages(data, *feature)
        ((_, *value),) = _messages(data, *values)
        yield data[slice(*name)].decode(), _varint(data, value[0])[0] if kind == 3 else value


def _messages(data, begin, end):
    """Field number, begin and end of each length-delimited field of a protocol buffer message."""
    while begin < end:
        tag, begin = _varint(data, begin)
        if tag & 7 != 2:
            raise ValueError(f"a field of type {tag & 7} at byte {begin}")
        length, begin = _varint(data, begin)
        if begin + length > end:
            raise ValueError(f"a field beyond its message at byte {begin}")
        yield tag >> 3, begin, begin + length
        begin += length


def _varint(data, at):
    """A protocol buffer's integer and the place after it."""
    value = shift = 0
    while True:
        if shift > 63:
            raise ValueError(f"an integer without an end at byte {at}")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _check(found, names, records, side, codec):
    if set(found) != names:
        raise ValueError(f"records with {', '.join(sorted(found)) or 'nothing'} instead of {', '.join(sorted(names))}")
    sizes = {"rgbs": 4 * side * side, "saliency": side * side} if codec != "jpeg" else {}
    for name, values in found.items():
        if len(values) != records:
            raise ValueError(f"{len(values)} records with {name}, the manifest says {records}")
        if values.shape[1:] != (() if name == "label" else (2,)):
            raise ValueError(f"a record whose {name} is of another kind")
        if name in sizes and np.any(values[:, 1] - values[:, 0] != sizes[name]):
            raise ValueError(f"a record whose {name} is not {sizes[name]} bytes")


def _decoded(shard, fields, row, side, with_map):
    """Picture and map of a jpeg record as words `(side, side)`."""
    rgbs = _picture(shard, fields["image"][row], side, "RGBA")
    if with_map:
        rgbs[..., 3:] = _picture(shard, fields["saliency"][row], side, "GRAY")
    return rgbs.view(WORD)[..., 0]


def _picture(shard, span, side, space):
    """Decodes a JPEG as Pillow does, and in two thirds of the time: uint8 `(side, side, 4 or 1)`."""
    import simplejpeg

    content = shard.read(*span)
    try:
        height, width, stored, _ = simplejpeg.decode_jpeg_header(content)
        if (height, width, stored == "Gray") != (side, side, space == "GRAY"):
            raise ValueError(f"{width} x {height}, {stored}, where {space} of {side} x {side} should be")
        return simplejpeg.decode_jpeg(content, space)
    except ValueError as error:
        raise _damaged(shard.path, error) from None

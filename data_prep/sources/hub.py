"""Sets as the Hugging Face hub has them: parquet files with the pictures inside, and webdataset tars.

Both are files on this machine; nothing is fetched. Splits are those of the file names (`train-00000-of-00294.parquet`,
`imagenet1k-validation-00.tar`) or else of their folders (`default/train/0000.parquet`). A picture's id is its class and
its file name, as in an image folder; where file names are missing or not unique, its class and its number in the split.

Parquet needs pyarrow, the extra `hub`. The picture is a column of structs `{bytes, path}` or of bytes. The label is a
column of whole numbers, which the file's metadata names (`ClassLabel`), or of texts. A parquet file is compressed in
groups of rows, so that one picture costs as much as all of its group: `data_prep.spool` reads each file once.

A sample of a webdataset is the files of one name up to the first dot: a picture, and `.cls` (a number or a text) or
`.json` with the field `label` or `cls`. `classnames.txt` beside the tars names the classes, a line each.
"""

import itertools
import json
import os
import re
import zipfile
from pathlib import Path
from typing import NamedTuple

from data_prep.sources.listed import ListedSource
from data_prep.sources.source import Picture, changed_at, distinct_names
from data_prep.sources.splits import NAMES, named_split
from saliency_keras.console import UserError
from saliency_keras.data.archive import Member, is_archive, tar_members
from saliency_keras.data.listing import shown
from saliency_keras.data.pictures import PICTURE_SUFFIXES

PARQUET = b"PAR1"
POINTER = b"version https://git-lfs"  # what Git leaves where a large file was not fetched
SPLIT_WORDS = tuple(name for names in NAMES.values() for name in names)
ROWS = 32  # pictures that are decoded at a time
PICTURE_COLUMNS = ("image", "img", "picture", "jpg", "jpeg", "png", "webp")
LABEL_COLUMNS = ("label", "labels", "class", "category", "target", "cls")
LABEL_FIELDS = ("label", "cls")
PEEKED, SAMPLES_PEEKED = 200, 16  # entries of a folder, samples of a tar, that show what it is
LEVELS = 3  # the folder, its subfolders and theirs: CONFIGURATION/SPLIT/*.parquet


class Row(NamedTuple):
    """A picture in a parquet file: the file, the row, and what the row calls the picture."""

    file: str
    row: int
    name: str

    def __str__(self):
        return f"{self.file}, row {self.row}"


class Sample(NamedTuple):
    """A picture in a webdataset tar."""

    member: Member
    name: str

    def __str__(self):
        return str(self.member)


class _HubSource(ListedSource):
    """What both kinds have in common.

    A subclass calls `_sort` before `_read`, and has `_labelled(path)`: it yields the class (or `None`) and the place of
    each picture in a file; a place has a `name`.
    """

    def _sort(self, files, hold_out):
        """Sorts the files by the splits that their names say."""
        files = sorted((_split_of(one, self.folder), one) for one in files)
        self._files = {split: [one for _, one in of] for split, of in itertools.groupby(files, key=lambda one: one[0])}
        if hold_out is None and not any(named_split(self._files, split) for split in NAMES):
            raise UserError(
                f"the file names of {self.where} say no split (the first: {files[0][1].name}); call the files "
                "train-… and validation-…, or give --hold-out 0.1 to hold a tenth of each class out."
            )

    def _read(self, classes=None, hold_out=None):
        super()._read(classes, hold_out)
        self.notes += tuple(
            f"{many:,} pictures of {split} have no label and are left out" for split, many in self._unlabelled.items()
        )

    def rows(self):
        """Yields `(split, class, place, None)` of each picture that has a label."""
        self._unlabelled = {}
        for split, files in self._files.items():
            for path in files:
                for name, place in self._labelled(path):
                    if name is None:
                        self._unlabelled[split] = self._unlabelled.get(split, 0) + 1
                    else:
                        yield split, name, place, None

    def _splits_of(self, counts):
        try:
            return super()._splits_of(counts)
        except UserError as error:
            if not self._unlabelled:
                raise
            raise UserError(f"{error} The pictures of {' and '.join(self._unlabelled)} have no labels.") from None

    def _named(self, found, split):
        ids = {one.id for one in found}
        if len(ids) == len(found) and not any(one.id.endswith("/") for one in found):
            return found
        return [
            one._replace(id=f"{self._names[one.label]}/{split or 'picture'}-{number:07d}")
            for number, one in enumerate(found)
        ]


class ParquetSource(_HubSource):
    """The pictures of parquet files.

    Args:
        place: A parquet file, or a folder with some in it or in its subfolders.
        hold_out: As for `CsvSource`.
        label: Name of the column with the class, or `None`: the one that there is.
    """

    one_by_one = False

    def __init__(self, place, hold_out=None, label=None):
        self.where = str(place)
        self.folder, files = _found(place, "parquet")
        self._sort(files, hold_out)
        self._asked = label
        self._columns = _columns(next(iter(self._files.values()))[0], label)
        names = self._columns.names
        if names:
            self._columns = self._columns._replace(names=distinct_names(names, [str(one) for one in range(len(names))]))
        self._average = {}
        self._read(classes=self._columns.names, hold_out=hold_out)
        self.description = {"kind": "parquet", "name": self.folder.name, "class_folders": self._names}
        if hold_out is not None:
            self.description["held_out"] = hold_out

    def content(self, picture):
        """The bytes of one picture; `contents` reads many."""
        return dict(self.contents([picture]))[0]

    def contents(self, pictures):
        """Yields the number of each of the pictures and its bytes, in the order in which they lie."""
        wanted = {}
        for number, picture in enumerate(pictures):
            wanted.setdefault(picture.place.file, {})[picture.place.row] = number
        for path in sorted(wanted):
            yield from self._contents_of(path, wanted[path])

    def changed(self, picture):
        """When the parquet file was last changed."""
        return changed_at(picture.place.file)

    def identity(self, picture):
        """What makes it another picture: its row, too, and the bytes of its file on average."""
        return [*super().identity(picture), picture.place.row]

    def _labelled(self, path):
        with _opened(path) as file:
            self._check_columns(path)
            image, part, label, names = self._columns
            picture = f"{image}.path" if part == "bytes and path" else None
            rows = itertools.count()
            for batch in _batches(file, path, [label, *([picture] if picture else [])], 1 << 16):
                labels = batch.column(label).to_pylist()
                paths = batch.column(image).field("path").to_pylist() if picture else [None] * len(labels)
                for value, name in zip(labels, paths, strict=True):
                    row = next(rows)
                    yield _class_of(value, names, path, row), Row(str(path), row, os.path.basename(name or ""))

    def _check_columns(self, path):
        found = _columns(path, self._asked)
        names = found.names and distinct_names(found.names, [str(one) for one in range(len(found.names))])
        if found._replace(names=names) != self._columns:
            first = next(iter(self._files.values()))[0]
            raise UserError(f"{path} has other columns or class names than {first}; SOURCE is one set.")

    def _contents_of(self, path, wanted):
        """Yields number and bytes of the rows that are wanted; goes through the groups of rows that have some."""
        image, part, *_ = self._columns
        with _opened(path) as file:
            sizes = [file.metadata.row_group(number).num_rows for number in range(file.metadata.num_row_groups)]
            start = 0
            for group, size in enumerate(sizes):
                rows = range(start, start + size)
                start += size
                left = sum(row in rows for row in wanted) if len(wanted) < size else sum(row in wanted for row in rows)
                if not left:
                    continue
                row = rows.start
                column = image if part == "bytes" else f"{image}.bytes"
                for batch in _batches(file, path, [column], ROWS, [group]):
                    values = batch.column(image) if part == "bytes" else batch.column(image).field("bytes")
                    for at in range(len(values)):
                        if row + at in wanted:
                            yield wanted[row + at], values[at].as_py() or b""
                            left -= 1
                    row += len(values)
                    if not left:
                        break

    def _picture(self, of_class, path, box):
        if path.file not in self._average:
            with _opened(path.file) as file:
                self._average[path.file] = os.path.getsize(path.file) // max(1, file.metadata.num_rows)
        return Picture(f"{of_class}/{path.name}", self._labels[of_class], path, self._average[path.file], box)


class WebdatasetSource(_HubSource):
    """The pictures of webdataset tars.

    Args:
        place: A tar, or a folder with some in it or in its subfolders.
        hold_out: As for `CsvSource`.
    """

    def __init__(self, place, hold_out=None):
        self.where = str(place)
        self.folder, files = _found(place, "tar")
        self._sort(files, hold_out)
        names = self.folder / "classnames.txt"
        self._class_names = None
        if names.is_file():
            lines = names.read_text(encoding="utf-8").splitlines()
            self._class_names = distinct_names(
                [line.strip() for line in lines if line.strip()], list(map(str, range(len(lines))))
            )
        self._read(classes=self._class_names, hold_out=hold_out)
        self.description = {"kind": "webdataset", "name": self.folder.name, "class_folders": self._names}
        if hold_out is not None:
            self.description["held_out"] = hold_out

    def content(self, picture):
        """The bytes of a picture in its tar."""
        return picture.place.member.read()

    def changed(self, picture):
        """When the tar was last changed."""
        return changed_at(picture.place.member.archive)

    def _labelled(self, path):
        for key, members in _samples(path):
            pictures = [one for one in members if _is_picture(one.name)]
            if not pictures:
                continue
            if len(pictures) > 1:
                both = shown([Path(one.name).name for one in pictures])
                raise UserError(f"the sample {key} of {path} has several pictures ({both}); a picture has one label.")
            yield self._label_of(members, path, key), Sample(pictures[0], Path(pictures[0].name).name)

    def _label_of(self, members, path, key):
        by_suffix = {one.name.lower().rpartition(".")[2]: one for one in members}
        if "cls" in by_suffix:
            value = by_suffix["cls"].read().decode("utf-8", "replace").strip()
        elif "json" in by_suffix:
            try:
                fields = json.loads(by_suffix["json"].read())
            except ValueError as error:
                raise UserError(f"the json of the sample {key} of {path} cannot be read: {error}.") from None
            fields = fields if isinstance(fields, dict) else {}
            value = next((fields[name] for name in LABEL_FIELDS if name in fields), None)
        else:
            return None
        if isinstance(value, str) and re.fullmatch(r"-?\d+", value):
            value = int(value)
        return _class_of(value, self._class_names, path, key)

    def _picture(self, of_class, path, box):
        return Picture(f"{of_class}/{path.name}", self._labels[of_class], path, path.member.bytes, box)


class Columns(NamedTuple):
    """What a parquet file calls its columns.

    Attributes:
        image: The column of the pictures.
        part: `"bytes"` for a column of bytes; `"bytes and path"` or `"bytes alone"` for one of structs.
        label: The column of the classes.
        names: Names of the classes by number, or `None`.
    """

    image: str
    part: str
    label: str
    names: tuple | None


def is_parquet(path):
    """Whether a file is parquet, or a pointer that stands for one."""
    with open(path, "rb") as file:
        head = file.read(len(POINTER))
    return head.startswith(PARQUET) or (head == POINTER and Path(path).suffix == ".parquet")


def is_webdataset(path):
    """Whether a file is a tar whose first samples have a picture and a label each."""
    if not is_archive(path) or zipfile.is_zipfile(path) or _is_compressed(path):
        return False
    for _, members in itertools.islice(_samples(path), SAMPLES_PEEKED):
        if any(_is_picture(one.name) for one in members):
            return any(one.name.lower().endswith((".cls", ".json")) for one in members)
    return False


def hub_files(folder, kind):
    """The files of a set of the hub: those with that suffix in a folder, its subfolders or theirs.

    Args:
        folder: The folder.
        kind: `"parquet"` or `"tar"`.

    Returns:
        Paths, sorted; none if it is an image folder, which may have a million files further down.
    """
    folder = Path(folder)
    train = named_split([one.name for one in folder.iterdir()], "train")
    if train and (folder / train).is_dir() and any(one.is_dir() for one in (folder / train).iterdir()):
        return []
    level = [folder]
    for _ in range(LEVELS):
        entries = {one: _first_entries(one) for one in level}
        holders = [one for one, few in entries.items() if any(entry.suffix == f".{kind}" for entry in few)]
        if found := [file for one in holders for file in one.glob(f"*.{kind}") if file.is_file()]:
            return sorted(file for file in found if not file.name.startswith("."))
        level = [entry for few in entries.values() for entry in few if entry.is_dir()]
    return []


def _first_entries(folder):
    """Some of the entries of a folder, hidden ones aside: enough to see what it has."""
    with os.scandir(folder) as entries:
        return [Path(one.path) for one in itertools.islice(entries, PEEKED) if not one.name.startswith(".")]


def way_out(folder):
    """What to say where a folder is neither an image folder nor a set of the hub, but looks like the latter."""
    if not os.path.isdir(folder):
        return ""
    if arrows := hub_files(folder, "arrow"):
        return f" It has {arrows[0].name}, as `save_to_disk` writes; write the set with `to_parquet` instead."
    if tars := hub_files(folder, "tar"):
        return (
            f" It has {tars[0].name}, which is no tar of a webdataset: samples have a picture and a label, .cls or "
            f".json. imagenet:{folder} reads the tars of ILSVRC2012; compressed tars are to be unpacked first."
        )
    return ""


def _found(place, kind):
    """The folder of a set, absolute, and its files of one kind."""
    place = Path(os.path.abspath(place))
    if place.is_file():
        return place.parent, [place]
    files = hub_files(place, kind)
    configurations = {}
    for one in files:
        parts = one.relative_to(place).parts[:-1]
        parts = tuple(part for part in parts if part.lower() not in (*SPLIT_WORDS, "data"))
        configurations.setdefault("/".join(parts), one)
    if len(configurations) > 1:
        names = ", ".join(name or "." for name in sorted(configurations))
        raise UserError(f"{place} has several configurations ({names}); SOURCE is the folder of one of them.")
    return place, files


def _split_of(path, folder):
    """The split that a file's name says, or else its folder's; empty if neither does."""
    named = re.match(r"(\w+)-\d+-of-\d+", path.name)
    if named:
        return named[1]
    for text in (path.name, *path.relative_to(folder).parts[-2::-1]):
        for word in re.split(r"[-_. ]", text.lower()):
            if word in SPLIT_WORDS:
                return word
    return ""


def _class_of(value, names, path, row):
    """The class of a label; `None` for a picture without one, for which the hub writes -1."""
    if value is None or value == -1 or value == "":
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int):
        if not isinstance(value, bool) and (not isinstance(value, float) or value != int(value)):
            raise UserError(f"the label of {row} in {path} is {value!r}; a label is a whole number or a text.")
        value = int(value)
    if not names:
        return str(value)
    if not 0 <= value < len(names):
        raise UserError(f"the label of {row} in {path} is {value}; the set names {len(names)} classes, from 0.")
    return names[value]


def _opened(path):
    """A parquet file, opened; pages are read as they are wanted, not whole groups of rows."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UserError(f"{path} is a parquet file; to read it, install pyarrow: `pip install .[hub]`.") from None
    with open(path, "rb") as file:
        if file.read(len(POINTER)) == POINTER:
            raise UserError(f"{path} is a pointer of Git LFS, not the file itself; get the file with `git lfs pull`.")
    try:
        return pyarrow.parquet.ParquetFile(path, buffer_size=1 << 20)
    except pyarrow.ArrowInvalid as error:
        raise UserError(f"{path} is damaged or not whole: {_first_line(error)}; fetch it again.") from None


def _batches(file, path, columns, rows, groups=None):
    import pyarrow

    try:
        yield from file.iter_batches(rows, row_groups=groups, columns=columns, use_threads=False)
    except (pyarrow.ArrowInvalid, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise UserError(f"{path} is damaged or not whole: {_first_line(error)}; fetch it again.") from None


def _first_line(error):
    return str(error).splitlines()[0].rstrip(".")


def _columns(path, asked=None):
    """Finds the columns of pictures and classes in a file; `asked` is the name of the latter, or `None`."""
    with _opened(path) as file:
        schema = file.schema_arrow
    import pyarrow.types as types

    said = _features(schema.metadata)
    kinds = {}
    for field in schema:
        fields = [one.name for one in field.type] if types.is_struct(field.type) else []
        if "bytes" in fields:
            kinds[field.name] = "bytes and path" if "path" in fields else "bytes alone"
        elif types.is_binary(field.type) or types.is_large_binary(field.type):
            kinds[field.name] = "bytes"
    there = ", ".join(schema.names)
    image = _one_of(kinds, [name for name in kinds if said.get(name, {}).get("_type") == "Image"], PICTURE_COLUMNS)
    if image is None:
        raise UserError(
            f"{path} has no column with the bytes of pictures, or several; its columns are {there}. Pictures in files "
            "of their own are read by a LIST.csv of path,label."
        )
    label = asked
    if label is None:
        labels = [name for name in schema.names if said.get(name, {}).get("_type") == "ClassLabel"]
        label = _one_of([name for name in schema.names if name != image], labels, LABEL_COLUMNS)
        if label is None:
            choice = f" --label {labels[0]}, for example, says which." if labels else " --label COLUMN says which."
            raise UserError(f"{path} has no column label, or several; its columns are {there}.{choice}")
    elif label not in schema.names:
        raise UserError(f"{path} has no column {label}; its columns are {there}.")
    kind = schema.field(label).type
    if types.is_nested(kind) or types.is_binary(kind):
        raise UserError(f"the column {label} of {path} has {kind}; a picture has one label, a whole number or a text.")
    names = said.get(label, {}).get("names")
    return Columns(image, kinds[image], label, tuple(map(str, names)) if names else None)


def _one_of(there, said, usual):
    """The one that the metadata says, else the first of the usual names, else the only one of those that are there."""
    if len(said) == 1:
        return said[0]
    if usual_ones := [name for name in usual if name in (said or there)]:
        return usual_ones[0]
    return next(iter(there)) if not said and len(there) == 1 else None


def _features(metadata):
    """What the hub's library says of each column; nothing where it did not write the file."""
    try:
        return json.loads((metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, ValueError, TypeError):
        return {}


def _samples(path):
    """Yields the samples of a tar: what their files begin with, and the files."""
    members = (Member(str(path), one.name, one.offset_data, one.size) for one in tar_members(path))
    members = (one for one in members if not Path(one.name).name.startswith("."))
    for key, of_sample in itertools.groupby(members, key=lambda one: _key(one.name)):
        yield key, list(of_sample)


def _key(name):
    folder, _, file = name.rpartition("/")
    return f"{folder}/{file.partition('.')[0]}" if folder else file.partition(".")[0]


def _is_picture(name):
    return name.lower().endswith(PICTURE_SUFFIXES)


def _is_compressed(path):
    import tarfile

    try:
        with tarfile.open(path, "r:"):
            return False
    except tarfile.TarError:
        return True

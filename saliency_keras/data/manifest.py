"""The manifest of a compact data set: what is in the folder, and whether it is all there.

`data_prep.compact` writes it last, so a folder with a manifest is a finished data set. `Manifest.load` refuses,
in one sentence, whatever does not fit. It also reads version 1, which has no `framing` (the sides but the stored one
were always 256) and no `made_of`. It saves version 2.
"""

import dataclasses
import difflib
import hashlib
import json
from pathlib import Path

from saliency_keras.console import UserError, progress
from saliency_keras.data.geometry import Framing
from saliency_keras.files import absent, read_json, whole_file

FORMAT = "saliency_keras compact data set"
VERSION = 2
VERSIONS = (1, 2)  # that are read
MADE_OF = ("picture", "square", "stored", "run")
CODECS = ("raw", "jpeg", "npy")
SPLITS = ("train", "val")
POOLED = "train+val"  # both, one after the other, for what draws from all pictures


def shard_suffix(codec):
    """`"npy"` for the codec `npy`, else `"tfrecord"`."""
    return "npy" if codec == "npy" else "tfrecord"


def shard_name(split, number, of, map_name=None, suffix="tfrecord"):
    """`train-00000-of-00008.tfrecord`, or `train-00000-of-00008.mask.tfrecord` for a side shard of maps."""
    middle = f".{map_name}" if map_name else ""
    return f"{split}-{number:05d}-of-{of:05d}{middle}.{suffix}"


@dataclasses.dataclass(frozen=True)
class Shard:
    """One file of records: `file` (name in the folder), `records`, `bytes`, `sha256`."""

    file: str
    records: int
    bytes: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class Split:
    """One split: its shards in order and the number of pictures of each class, in the order of the classes."""

    shards: tuple[Shard, ...]
    per_class: tuple[int, ...]

    @property
    def records(self):
        return sum(shard.records for shard in self.shards)


@dataclasses.dataclass(frozen=True)
class SaliencyMap:
    """One map each picture has.

    The first map of a set is interleaved with the pictures and `shards` is empty; a further one lies in side shards,
    `shards["train"]` being in the order of `splits["train"].shards`.

    Attributes:
        name: The map's name.
        predictor: What made it: name, version and parameters of a predictor; `{"name": "source"}` for a map that came
            with the pictures. `pictures` is there too where it saw the pictures as they are stored.
        mean: Mean over the train split, 0 to 1.
        shards: Side shards by split.
        made_of: `"picture"` for a map of the whole picture that was framed with it, `"square"` for one predicted on
            the square, `"stored"` for one predicted on the stored picture (here or elsewhere), `"run"` for one by the
            network of a run, which `predictor` names.
        kernels: What the bytes of a predicted map depend on besides library versions (`saliency_keras.blas.kernels`);
            `""` for a map of the source's own and for one that was made before kernels were recorded.
    """

    name: str
    predictor: dict
    mean: float
    shards: dict[str, tuple[Shard, ...]] = dataclasses.field(default_factory=dict)
    made_of: str = "square"
    kernels: str = ""

    @property
    def on_stored(self):
        """Whether its predictor saw the pictures as they are stored, not their squares."""
        return "pictures" in self.predictor


def what_it_is_made_of(predictor):
    """What a map was made of, as far as its predictor's description says it: for manifests of version 1.

    Args:
        predictor: As in `SaliencyMap`.

    Returns:
        One of `MADE_OF`.
    """
    if predictor.get("name") == "source":
        return "picture"
    if {"experiment", "weights"} <= dict(predictor.get("parameters") or {}).keys():
        return "run"
    return "stored" if "pictures" in predictor else "square"


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What a compact data set holds.

    Attributes:
        framing: The `Framing` of the pictures and maps.
        codec: `"raw"` (one RGBS string a record), `"jpeg"` (two JPEG strings) or `"npy"` (a structured array).
        classes: Class names; a label is an index into them.
        splits: `{"train": Split, "val": Split}`.
        maps: The maps of each picture, the interleaved one first.
        mean_rgb: Mean of red, green and blue over the train split, 0 to 1.
        seed: Seed of the order on disk.
        source: Where the pictures came from, in words and numbers.
        libraries: Versions of the libraries that wrote it.
        folder: Where it was loaded from; not stored.
    """

    framing: Framing
    codec: str
    classes: tuple[str, ...]
    splits: dict[str, Split]
    maps: tuple[SaliencyMap, ...]
    mean_rgb: tuple[float, float, float]
    seed: int
    source: dict
    libraries: dict
    folder: Path | None = None

    @property
    def side(self):
        """Width and height of every stored picture and map, in pixels."""
        return self.framing.stored

    @property
    def map_names(self):
        return tuple(one.name for one in self.maps)

    def map_named(self, name):
        """The `SaliencyMap` of that name; a `UserError` that lists the names if there is none."""
        for one in self.maps:
            if one.name == name:
                return one
        raise UserError(f"the data set {self.folder} has no map named {name!r}; it has {', '.join(self.map_names)}.")

    def check_side(self, side):
        """Refuses, as a `UserError`, a network that wants crops larger than the stored pictures."""
        if side > self.side:
            raise UserError(
                f"the network wants {side} px, the data set {self.folder} stores {self.side} px; compact it with a "
                "larger --side."
            )

    def classes_without(self, excluded):
        """The classes that are left, a tuple of names.

        Args:
            excluded: Names of those that are not.

        Raises:
            UserError: If one of them is no class of the set, or fewer than two would be left.
        """
        unknown = [name for name in excluded if name not in self.classes]
        if unknown:
            near = difflib.get_close_matches(unknown[0], self.classes, 3) or self.classes[:3]
            raise UserError(
                f"the data set {self.folder} has no class {unknown[0]!r} to exclude; it has {len(self.classes)} "
                f"classes, such as {', '.join(near)}."
            )
        kept = tuple(name for name in self.classes if name not in excluded)
        if excluded and len(kept) < 2:
            raise UserError(
                f"exclude_classes leaves {len(kept)} of the {len(self.classes)} classes of {self.folder}; a "
                "classifier tells two or more apart."
            )
        return kept

    def split(self, name):
        """The `Split` of that name; `"train+val"` for all pictures, those of train first."""
        if name != POOLED:
            return self.splits[name]
        both = [self.splits[one] for one in SPLITS]
        per_class = tuple(map(sum, zip(*(one.per_class for one in both), strict=True)))
        return Split(tuple(shard for one in both for shard in one.shards), per_class)

    def shards_of(self, split, map_name=None):
        """A split's `Shard`s, or its side shards for a further map, in order; of both splits for `"train+val"`."""
        if map_name is None or map_name == self.maps[0].name:
            return self.split(split).shards
        shards = self.map_named(map_name).shards
        return tuple(shard for one in SPLITS for shard in shards[one]) if split == POOLED else shards[split]

    def shard_files(self, split, map_name=None):
        """Paths of a split's shards, or of its side shards for a further map, in order."""
        return [self.folder / shard.file for shard in self.shards_of(split, map_name)]

    def to_json(self):
        """The manifest's text: the same manifest gives the same bytes."""
        fields = dataclasses.asdict(self)
        for one in fields["maps"]:
            if not one["kernels"]:
                del one["kernels"]
        return _text(VERSION, fields)

    def save(self, folder):
        """Writes `manifest.json`, whole or not at all."""
        with whole_file(Path(folder) / "manifest.json", "w", encoding="utf-8") as file:
            file.write(self.to_json())

    def digest(self, map_name=None):
        """Names the data that a run used: sha256 over pictures, interleaved map and, where one is given, a further map.

        Other further maps do not count, so that adding one does not affect the runs on the set. Kernels do not
        count either: two processors that made the same bytes made the same data. The text is that of a manifest of
        version 1 where the framing is, so that the same records have the same digest in both versions.
        """
        return self._sha256(self._used(map_name))

    def described(self, map_name=None):
        """Names the data that a run used, so that a run can say later what has become of them.

        Args:
            map_name: As for `digest`.

        Returns:
            A dictionary with `digest`; `recipe`, a sha256 that two sets share if pictures, options, predictors and
            library versions are the same; and `kernels`, which their maps' bytes depend on besides.
        """
        used = self._used(map_name)
        splits = {name: Split((), split.per_class) for name, split in self.splits.items()}
        recipe = dataclasses.replace(self, splits=splits)
        return {
            "digest": self._sha256(used),
            "recipe": recipe._sha256([dataclasses.replace(one, mean=0, shards={}) for one in used]),
            "kernels": "; ".join(dict.fromkeys(one.kernels for one in used if one.kernels)),
        }

    def _used(self, map_name):
        return [one for one in self.maps if one is self.maps[0] or one.name == map_name]

    def _sha256(self, maps):
        fields = dataclasses.asdict(dataclasses.replace(self, maps=tuple(maps)))
        for one in fields["maps"]:
            del one["made_of"], one["kernels"]
        version = VERSION
        if self.framing.of_version_1:
            del fields["framing"]
            version, fields = 1, {"side": self.side, **fields}
        return hashlib.sha256(_text(version, fields).encode()).hexdigest()

    def check_sums(self, further=None):
        """Refuses a set one of whose shards has another sha256 than the manifest says; reads every byte once.

        Args:
            further: As for `load`.
        """
        shards = self._every_shard(further)
        with progress(total=sum(shard.bytes for shard, _ in shards), label="checking", unit="byte") as bar:
            for shard, command in shards:
                digest = hashlib.sha256()
                with open(self.folder / shard.file, "rb") as file:
                    while block := file.read(1 << 20):
                        digest.update(block)
                        bar.update(len(block))
                if digest.hexdigest() != shard.sha256:
                    raise UserError(
                        f"the shard {self.folder / shard.file} is damaged; remove it and run {command} again."
                    )

    @classmethod
    def load(cls, folder, further=None):
        """Reads the manifest of `folder` and checks that the shards are there and have the right size.

        Args:
            folder: Folder of a compact data set.
            further: Names of the further maps whose side shards are looked at, `None` for all.

        Returns:
            The `Manifest`.

        Raises:
            UserError: If the folder or its manifest is missing or malformed, the version is unknown, or a
                shard is missing or has another size.
        """
        folder = Path(folder)
        path = folder / "manifest.json"
        if not folder.is_dir():
            raise UserError(
                f"{absent(folder)}; make a data set with `python -m data_prep.compact SOURCE {folder}`."
            )
        if not path.is_file():
            raise UserError(
                f"{folder} has no manifest.json, so it is no finished compact data set; give the command again that "
                f"was making it, or make one of its pictures with `python -m data_prep.compact {folder} OUT`."
            )
        fields = read_json(path)
        if fields.get("format") != FORMAT:
            raise UserError(f"{path} is not the manifest of a compact data set.")
        if fields.get("version") not in VERSIONS or isinstance(fields["version"], bool):
            raise UserError(
                f"{path} has format version {fields.get('version')!r}, this program reads versions "
                f"{' and '.join(map(str, VERSIONS))}; make the set again."
            )
        try:
            manifest = cls._from_fields(fields, folder)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise UserError(f"{path} is damaged: {type(error).__name__} at {error}.") from None
        manifest.check_sizes(further)
        return manifest

    @classmethod
    def _from_fields(cls, fields, folder):
        first = fields["version"] == 1
        splits = {
            name: Split(
                _shards(fields["splits"][name]["shards"]), tuple(int(n) for n in fields["splits"][name]["per_class"])
            )
            for name in SPLITS
        }
        maps = tuple(
            SaliencyMap(
                str(one["name"]),
                dict(one["predictor"]),
                float(one["mean"]),
                {name: _shards(shards) for name, shards in one["shards"].items()},
                what_it_is_made_of(one["predictor"]) if first else str(one["made_of"]),
                str(one.get("kernels", "")),
            )
            for one in fields["maps"]
        )
        manifest = cls(
            framing=Framing(stored=int(fields["side"])) if first else _framing(fields["framing"]),
            codec=fields["codec"],
            classes=tuple(str(name) for name in fields["classes"]),
            splits=splits,
            maps=maps,
            mean_rgb=tuple(float(value) for value in fields["mean_rgb"]),
            seed=int(fields["seed"]),
            source=dict(fields["source"]),
            libraries=dict(fields["libraries"]),
            folder=folder,
        )
        if manifest.codec not in CODECS:
            raise ValueError(f"codec {manifest.codec!r}")
        text = manifest.to_json()
        if "\\u0000" in text:
            raise ValueError("a name with a NUL")
        text.encode()  # a ValueError where a name holds half a character
        if not all(0 <= value <= 1 for value in (*manifest.mean_rgb, *(one.mean for one in maps))):
            raise ValueError("a mean")
        if min((number for split in splits.values() for number in split.per_class), default=0) < 0:
            raise ValueError("counts per class")
        if len(set(manifest.classes)) < len(manifest.classes):
            raise ValueError("two classes of one name")
        if not manifest.classes or not maps or len(manifest.mean_rgb) != 3:
            raise ValueError("classes, maps or mean_rgb")
        for name, split in splits.items():
            if len(split.per_class) != len(manifest.classes) or sum(split.per_class) != split.records:
                raise ValueError(f"the counts of {name}")
        for one in maps:
            if not _plain(one.name):
                raise ValueError(f"the map name {one.name!r}")
            if one.made_of not in MADE_OF:
                raise ValueError(f"what the map {one.name} is made of")
        for one in maps[1:]:
            for name, split in splits.items():
                if [s.records for s in one.shards[name]] != [s.records for s in split.shards]:
                    raise ValueError(f"the side shards of the map {one.name}")
        return manifest

    def check_sizes(self, further=None):
        """Refuses a set one of whose shards is missing or has another size than the manifest says; as `load`."""
        for shard, command in self._every_shard(further):
            path = self.folder / shard.file
            if not path.is_file():
                raise UserError(f"the shard {path} is missing; run {command} again.")
            if path.stat().st_size != shard.bytes:
                raise UserError(
                    f"the shard {path} has {path.stat().st_size} bytes, the manifest says {shard.bytes}; "
                    f"run {command} again."
                )

    def _every_shard(self, further):
        """Each shard with the command that makes it again; a map that `data_prep.compact` made may be made by both."""
        shards = [(shard, "data_prep.compact") for split in self.splits.values() for shard in split.shards]
        for one in self.maps[1:]:
            if further is None or one.name in further:
                command = f"data_prep.add_map for the map {one.name}"
                shards += [(shard, command) for of_split in one.shards.values() for shard in of_split]
        return shards


def made_by_other_kernels(one, other):
    """Whether other data are the same set, made again by the kernels of another processor.

    Args:
        one: Data as `Manifest.described` names them; an earlier version gave the digest alone.
        other: Other data.

    Returns:
        `True` if recipes agree, and bytes and kernels differ, which both have to be known.
    """
    if one.get("digest") == other.get("digest") or not one.get("recipe") or one["recipe"] != other.get("recipe"):
        return False
    return bool(one["kernels"] and other["kernels"]) and one["kernels"] != other["kernels"]
def _text(version, fields):
    fields = {"format": FORMAT, "version": version, **fields}
    del fields["folder"]
    return json.dumps(fields, indent=1, ensure_ascii=False) + "\n"


def _framing(fields):
    sides = {name: int(fields[name]) for name in ("shorter", "square", "stored")}
    return Framing(**sides, boxes=None if fields["boxes"] is None else str(fields["boxes"]))


def _plain(name):
    """Whether a name is that of a file in the folder itself, and of no hidden one."""
    return bool(name) and name == Path(name).name and not name.startswith(".") and "\0" not in name


def _shards(entries):
    shards = tuple(Shard(str(e["file"]), int(e["records"]), int(e["bytes"]), str(e["sha256"])) for e in entries)
    for shard in shards:
        if shard.records > shard.bytes:
            raise ValueError(f"{shard.records} records in the {shard.bytes} bytes of {shard.file!r}")
        # A manifest is data from elsewhere: it may name files of its own folder only.
        if not _plain(shard.file):
            raise ValueError(f"the shard name {shard.file!r}")
        if shard.records < 1:
            raise ValueError(f"the shard {shard.file!r} without records")
    return shards

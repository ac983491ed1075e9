"""What a compact data set will hold, decided before anything is written: pictures, order, shards, maps, and a digest.

Two commands with the same plan make the same bytes. Where a folder holds another plan, the error says what differs.
"""

import contextlib
import dataclasses
import hashlib
import importlib.metadata
import json

from data_prep import shards as sharding
from data_prep.sources.source import check_map_name
from saliency_keras.console import UserError, progress, tell
from saliency_keras.data.geometry import Framing
from saliency_keras.data.manifest import CODECS, SPLITS
from saliency_keras.saliency import PREDICTORS, predictor

LIBRARIES = ("numpy", "pillow", "tensorflow", "keras")
# What plans of earlier versions did without saying so.
BEFORE = {"shorter": Framing.shorter, "square": Framing.square, "boxes": "none"}


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a data set is to be; two runs with the same plan, library versions and kernels write the same bytes.

    Attributes:
        tasks: One `shards.Task` a shard, train first.
        source: The source.
        predictors: The predictors by map name; a map without one comes from the source.
        seed: Seed of the order.
        limit: Number of pictures taken of each split, or `None` for all.
        digest: sha256 of everything above and of the list of pictures with their sizes.
        bytes: About how many bytes the set will have.
    """

    tasks: tuple
    source: object
    predictors: dict
    seed: int
    limit: int | None
    digest: str
    bytes: int

    @property
    def settings(self):
        """What was asked for, by the option's name, as JSON gives it back: to tell what differs between two plans."""
        first = self.tasks[0]
        asked = {
            "source": [self.source.description, self.source.classes],
            "saliency": [[name, described_predictor(self.predictors.get(name))] for name in first.maps],
            **_sides(first.framing),
            "codec": first.codec,
            "shards": first.of,
            "limit": self.limit or "none",
            "seed": self.seed,
        }
        return json.loads(json.dumps(asked))

    def pictures(self, split):
        """Number of pictures planned for a split."""
        return sum(len(task.pictures) for task in self.tasks if task.split == split)

    def differing(self, settings):
        """What a folder holds that this plan does not want, in words; `settings` are the folder's."""
        differing = []
        for name, asked in self.settings.items() if isinstance(settings, dict) else ():
            there = settings.get(name, BEFORE.get(name, asked))
            if name == "boxes":
                differing += ["other boxes of the pictures"] * (there != asked)
            elif name == "source":
                differing += ["another source"] * (there != asked)
            elif name == "saliency":
                # add_map may have added further maps since; predictors of one name may differ in version or parameters.
                if there[: len(asked)] != asked:
                    names = [", ".join(one for one, _ in maps) for maps in (there, asked)]
                    differing.append(f"another --saliency ({names[0]}, now {names[1]})")
            elif there != asked:
                differing.append(f"another --{name} ({there}, now {asked})")
        other = "other pictures or maps (files, another --limit, or a set that was converted)"
        return " and ".join(differing) or other


def make_plan(
    source,
    saliency=("gbvs",),
    side=None,
    codec="raw",
    shards=None,
    limit=None,
    seed=0,
    *,
    square=None,
    shorter=None,
):
    """Decides what a data set will hold, shard by shard, before anything is written.

    Args:
        source: As for `compact`.
        saliency: As for `compact`.
        side: As for `compact`.
        codec: As for `compact`.
        shards: As for `compact`.
        limit: As for `compact`.
        seed: As for `compact`.
        square: As for `compact`.
        shorter: As for `compact`.

    Returns:
        The `Plan`.

    Raises:
        UserError: If an argument or the source does not fit.
    """
    framing = Framing.chosen(side, square, shorter)
    if codec not in CODECS:
        raise UserError(f"the codec must be {', '.join(CODECS[:-1])} or {CODECS[-1]}; received {codec!r}.")
    if limit is not None and limit < 1:
        raise UserError(f"the limit must be 1 or more pictures; received {limit}.")
    # A run folder makes a map of the folder's name: a path could not be part of a shard's name.
    predicted = {word: predictor(word) for word in saliency if word not in source.own_maps}
    for word in predicted.keys() - PREDICTORS.keys():
        check_map_name(predicted[word].name)
    named = [predicted[word].name if word in predicted else word for word in saliency]
    maps = (*named, *(name for name in source.own_maps if name not in named))
    if len(set(maps)) < len(maps):
        raise UserError(f"each saliency map can be there once only; received {', '.join(saliency)}.")
    predictors = {one.name: one for one in predicted.values()}
    listed, content = _listed(source, seed, limit)
    framing = dataclasses.replace(framing, boxes=_digest_of_boxes(listed))
    tasks = _tasks(listed, maps, framing, codec, len(source.classes), shards)
    pictures = sum(len(task.pictures) for task in tasks)
    per_picture = sharding.picture_bytes(framing.stored, codec, len(maps))
    facts = [
        *(source.description, source.classes, framing.stored, codec, seed, limit, [task.files for task in tasks]),
        [[name, described_predictor(predictors.get(name))] for name in maps],
        # The plan of a set that could be of version 1 stays what it was, so that such a set is known as finished.
        *([] if framing.of_version_1 else [dataclasses.asdict(framing)]),
    ]
    content.update(json.dumps(facts, sort_keys=True).encode())
    return Plan(tuple(tasks), source, predictors, seed, limit, content.hexdigest(), pictures * per_picture)


def _listed(source, seed, limit):
    """The pictures of each split in the order of their records, and a sha256 object that has seen them all."""
    content, listed = hashlib.sha256(), {}
    for split in SPLITS:
        pictures = _each_once(source.pictures(split), split, source.classes)
        listed[split] = sharding.keyed_order(pictures, seed)[:limit]
        for picture in progress(listed[split], label=f"checking {split}"):
            box = [] if picture.box is None else [{"box": [float(edge) for edge in picture.box]}]
            content.update(json.dumps([split, *source.identity(picture), *box]).encode())
    return listed, content


def _tasks(listed, maps, framing, codec, classes, shards):
    """One `shards.Task` a shard; `shards` is the number of train shards, or `None`."""
    tasks = []
    for split, pictures in listed.items():
        number = sharding.shard_count(split, len(pictures), sharding.record_bytes(framing.stored, codec))
        if shards is not None and split == "train":
            if not 1 <= shards <= len(pictures):
                raise UserError(f"{len(pictures)} train pictures make 1 to {len(pictures)} shards; received {shards}.")
            number = shards
        tasks += [
            sharding.Task(split, index, number, part, maps, framing, codec, classes)
            for index, part in enumerate(sharding.stretches(pictures, number))
        ]
    return tasks


def _each_once(pictures, split, classes):
    """The pictures without those that a list names again, which are counted.

    Raises:
        UserError: If two pictures have one id, by which predictions are read and draws are made, or one picture has two
            classes or boxes.
    """
    found, again = {}, 0
    for picture in pictures:
        other = found.setdefault(picture.id, picture)
        if other is picture:
            continue
        if other.place != picture.place:
            both = f"{other.place} and {picture.place}"
            raise UserError(f"two pictures of {split} have the id {picture.id!r}: {both}; rename one.")
        if other.label != picture.label:
            labels = f"{classes[other.label]} and {classes[picture.label]}"
            raise UserError(f"{split} has the picture {picture.id!r} twice, as {labels}; a picture has one class.")
        if other.box != picture.box:
            raise UserError(f"{split} has the picture {picture.id!r} twice, with two boxes; a picture is stored once.")
        again += 1
    if again:
        tell(f"{again:,} {split} pictures are listed again and are left out")
    return list(found.values()) if again else pictures


def _digest_of_boxes(listed):
    """sha256 of the boxes of all pictures that have one, by split and id; `None` if none has."""
    boxed = [
        [split, picture.id, *map(float, picture.box)]
        for split, pictures in listed.items()
        for picture in pictures
        if picture.box is not None
    ]
    return hashlib.sha256(json.dumps(sorted(boxed)).encode()).hexdigest() if boxed else None


def described_predictor(maker):
    """A predictor as plan and manifest name it; a map without one is the source's own."""
    if maker is None:
        return {"name": "source"}
    return {"name": maker.name, "version": maker.version, "parameters": maker.parameters}


def versions():
    """Versions of the libraries; TensorFlow may be absent, most predictors do without."""
    installed = {}
    for name in LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            installed[name] = importlib.metadata.version(name)
    return installed


def settings_of(manifest):
    """A finished set's `Plan.settings` from the fields of its manifest, which does not know the limit."""
    try:
        source = {name: value for name, value in manifest["source"].items() if name != "plan"}
        shards = int(manifest["splits"]["train"]["shards"][0]["file"].split("-of-")[1][:5])
        saliency = [[one["name"], one["predictor"]] for one in manifest["maps"]]
        settings = {"source": [source, manifest["classes"]], "saliency": saliency, "shards": shards}
        framing = manifest["framing"] if manifest["version"] > 1 else {"stored": manifest["side"]}
        return settings | _sides(Framing(**framing)) | {name: manifest[name] for name in ("codec", "seed")}
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        return None


def _sides(framing):
    """A framing by the names of the command's options, and the boxes."""
    sides = {"shorter": framing.shorter, "square": framing.square, "side": framing.stored}
    return {**sides, "boxes": framing.boxes or "none"}

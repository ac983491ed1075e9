"""Adds a saliency map to a compact data set, or replaces one.

    python -m data_prep.add_map OUT --saliency PREDICTOR [--name NAME] [--workers N]
    python -m data_prep.add_map OUT --maps NAME=DIR [--log] [--workers N]

The set is there already; its pictures' source is not needed. A predictor
sees the pictures as they are stored (144x144 unless --side said otherwise, and decoded where the codec is jpeg), not
the square (256x256) that `data_prep.compact` shows it, so its maps are coarser; the manifest says so. The map is called
as its predictor, or NAME, and is used by `--maps NAME` in training. The interleaved map cannot be replaced.

Maps computed elsewhere come with --maps NAME=DIR: DIR is a folder, tar, zip or HDF5 file with one map for each picture,
`DIR/train/CLASS/STEM.png` (or .npy, .mat, .tif) for the picture `CLASS/STEM.jpg` of train. They are maps of the whole
pictures, of their squares or of the pictures as stored (`data_prep.export_squares` writes both); their size says which.
The same maps give the records that `data_prep.compact --maps NAME=DIR` gives.

The set can be read all the while: new side shards get names that no map of the set uses, the manifest comes when all
of them are there, and only then what it no longer names is removed. Killed and run again, it goes on where it was.
"""

import copy
import dataclasses
import functools
import hashlib
import json
import shutil
from pathlib import Path

from data_prep.compact import named_folder
from saliency_keras import console
from saliency_keras.console import UserError, progress
from saliency_keras.data import geometry
from saliency_keras.files import whole_file


def main(arguments=None):
    """Parses the command line, adds the map and prints what was made.

    Args:
        arguments: The command line's words, or `None` for the program's own.

    Raises:
        UserError: For any mistake that the user can correct.
    """
    parser = console.parser(__spec__.name, __doc__)
    parser.add_argument("out", metavar="OUT", type=Path, help="folder of the compact data set")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--saliency", metavar="PREDICTOR", help="saliency predictor or run folder")
    which.add_argument(
        "--maps",
        dest="saliency",
        type=named_folder,
        metavar="NAME=DIR",
        help="maps computed elsewhere, DIR/train/CLASS/STEM.png for each picture; a folder, tar, zip or HDF5 file",
    )
    parser.add_argument("--name", help="the map's name (default: the predictor's)")
    parser.add_argument("--log", action="store_true", help="the maps of --maps are log densities")
    parser.add_argument("--workers", type=int, help="worker processes, 0 for none (default: one per core)")
    options = parser.parse_args(arguments)

    manifest, name = add_map(options.out, options.saliency, options.name, options.workers, log=options.log)
    records = sum(split.records for split in manifest.splits.values())
    mean = manifest.map_named(name).mean
    told = f"{options.out} has the map {name} for its {records:,} pictures, mean {mean:.3f}"
    console.tell(f"{told}; train with --maps {name}")
    print(console.next_step("train", "fanin3", "--data", options.out, "--maps", name))


@dataclasses.dataclass(frozen=True)
class SideTask:
    """One side shard to write.

    Attributes:
        split: `"train"` or `"val"`.
        number: Number of the shard.
        file: Name of the side shard.
        given: For maps computed elsewhere, of the shard's pictures in order: their ids, their `MapFile`s, and their
            frames (`compaction.frames_of`) or `None` for each. Empty for predicted maps.
    """

    split: str
    number: int
    file: str
    given: tuple = ()

    @property
    def files(self):
        """The name in a list, as a shard's `Task` has several."""
        return [self.file]

    @property
    def results_file(self):
        """Name of the results beside the side shard, which exist until the manifest is written."""
        return f".{self.file}.json"


class PredictedMaps:
    """The maps that a predictor makes of the stored pictures.

    Args:
        saliency: Name of the predictor, or a run folder.
        name: The map's name, or `None` for the predictor's.
    """

    note = ""

    def __init__(self, saliency, name):
        from data_prep.compaction import made_of
        from data_prep.sources.source import check_map_name
        from saliency_keras.blas import kernels
        from saliency_keras.saliency import PREDICTORS, predictor

        self.predictor = predictor(saliency)
        if name is not None or saliency not in PREDICTORS:
            check_map_name(name or self.predictor.name)
        self.name = name or self.predictor.name
        self.made_of, self.kernels = made_of(self.predictor, "stored"), kernels()

    def for_workers(self, workers):
        """What workers get in the place of this, and the networks that stay here by name (`workers.kept_here`)."""
        from data_prep.workers import kept_here

        sent, kept = kept_here({self.name: self.predictor}, workers)
        theirs = copy.copy(self)
        theirs.predictor = sent[self.name]
        return theirs, kept

    def described(self, manifest):
        """What the manifest says that made the map."""
        from data_prep.plan import described_predictor

        return {**described_predictor(self.predictor), "pictures": f"as stored, {manifest.side} px"}

    def of(self, split, places):
        """What a task needs of the maps of these places: nothing."""
        return ()

    def batches(self, task, manifest, results):
        """Yields lists of float maps `(side, side)` in the order of the records."""
        import numpy as np

        from data_prep.shards import BATCH
        from saliency_keras.data.stored import Records

        stored, side = Records(manifest, task.split), manifest.side
        places = np.arange(stored.first[task.number], stored.first[task.number + 1])
        for first in range(0, len(places), BATCH):
            rgbs = [
                words.copy().view(np.uint8) for words in stored.words(places[first : first + BATCH], with_map=False)
            ]
            pictures = np.stack(rgbs).reshape(-1, side, side, 4)[..., :3]
            yield list(self.predictor(np.ascontiguousarray(pictures)))


class GivenMaps:
    """Maps that were computed elsewhere, found by the ids of the records.

    Args:
        name: The map's name.
        place: Folder, tar, zip or HDF5 file.
        log: Whether they are log densities.
        manifest: The set's `Manifest`.

    Raises:
        UserError: If maps are missing, or cannot be placed in this set.
    """

    kernels = ""

    def __init__(self, name, place, log, manifest):
        import numpy as np

        from data_prep.compaction import frames_of
        from data_prep.sources.splits import NAMES
        from data_prep.sources.with_maps import LOOKED_AT, NamedMaps
        from saliency_keras.data.stored import Records

        self.name, self._log = name, log
        self._maps = NamedMaps(name, place, log, manifest.framing)
        self._given, self._digest = {}, hashlib.sha256()
        frames = frames_of(manifest)
        for split, content in manifest.splits.items():
            ids = Records(manifest, split).ids(np.arange(content.records))
            files = self._maps.find(split, dict.fromkeys((*NAMES[split], ""), ids))
            self._given[split] = ids, files, [None] * len(ids) if frames is None else frames[split]
            looked_at = zip(files[:LOOKED_AT], self._given[split][2], strict=False)
            self._maps.find_what_they_are_of((file, _size_of(frame)) for file, frame in looked_at)
            for file in progress(files, label=f"reading maps of {split}", unit="map"):
                self._digest.update(file.content())
        self.made_of = self._maps.made_of or "picture"
        self.note = self._maps.note
        if frames is None and self.made_of == "picture":
            if manifest.framing.boxes:
                raise UserError(
                    f"{manifest.folder} does not say to which boxes its pictures were cropped (an earlier version made "
                    "it), so that maps of the whole pictures have no place in it; make it again, or use maps of the "
                    "squares (data_prep.export_squares)."
                )
            self.note += (
                f"; {manifest.folder} does not say what size its pictures had (an earlier version made it), so that "
                "nothing checks their aspect"
            )

    def for_workers(self, workers):
        """This itself, and no networks."""
        return self, {}

    def described(self, manifest):
        """What the manifest says that the map is: the name of its place, and what tells these maps from others."""
        described = {"name": "source", "maps": self._maps.place.resolve().name, "sha256": self._digest.hexdigest()}
        return {**described, "log_densities": True} if self._log else described

    def of(self, split, places):
        """Ids, files and frames of the pictures of these places."""
        return tuple(column[places] for column in self._given[split])

    def batches(self, task, manifest, results):
        """Yields lists of float maps `(square, square)`, or `(side, side)`, in the order of the records.

        Raises:
            UnusableMap: If some are no maps of their pictures.
        """
        from data_prep.shards import BATCH, count_flat, refuse
        from data_prep.sources.source import UnusableMap

        unusable, pictures = [], list(zip(*task.given, strict=True))
        for first in range(0, len(pictures), BATCH):
            batch = []
            for identifier, file, frame in pictures[first : first + BATCH]:
                try:
                    one = self._maps.read(file, _size_of(frame))
                except UnusableMap as error:
                    unusable.append(error)
                    continue
                count_flat(results, self.name, one, identifier)
                crop = (0, 0, *one.shape[::-1]) if frame is None else frame[2:].tolist()
                batch.append(geometry.square_of_map(one, self.made_of, crop, manifest.framing))
            yield batch
        refuse(unusable, len(pictures), task.file)

    def __getstate__(self):
        return {**self.__dict__, "_given": None, "_digest": None}  # tasks have what workers need


def _size_of(frame):
    """`(height, width)` of a picture from its frame; `None` where that is not known."""
    return None if frame is None else tuple(frame[:2].tolist())


def add_map(folder, saliency, name=None, workers=None, *, log=False):
    """Adds a map to a compact data set, or replaces a further one.

    Args:
        folder: Folder of the set.
        saliency: Name of the predictor, a run folder, or `(name, place)` of maps computed elsewhere.
        name: The map's name, or `None` for the predictor's.
        workers: Number of worker processes (`None`: one per core), or 0 to work in this process.
        log: Whether maps computed elsewhere are log densities.

    Returns:
        The new `Manifest` and the map's name.

    Raises:
        UserError: If the set, the predictor, the name, a map or the free space does not fit.
        OSError: If the folder cannot be written. A later run goes on from the side shards that are finished.
    """
    from data_prep.compaction import exclusive, flat_notes
    from data_prep.sources.source import Unusable
    from data_prep.workers import check_workers
    from saliency_keras.blas import kernels
    from saliency_keras.data.manifest import Manifest, SaliencyMap

    check_workers(workers)
    folder, given = Path(folder), isinstance(saliency, tuple)
    if given and name is not None:
        raise UserError(f"maps computed elsewhere are called as --maps NAME=DIR says; leave --name {name} out.")
    if log and not given:
        raise UserError("--log says that the maps of --maps are log densities; there are no --maps.")
    maps = None if given else PredictedMaps(saliency, name)
    name = saliency[0] if given else maps.name
    Manifest.load(folder, further=())
    with exclusive(folder):
        manifest = Manifest.load(folder, further=())  # another damaged map is the next command's
        if name == manifest.maps[0].name:
            raise UserError(
                f"{name} is interleaved with the pictures of {folder} and cannot be replaced; give the new map another "
                f"{'name, --maps NAME=DIR,' if given else '--name'} and train with --maps."
            )
        maps = maps or GivenMaps(*saliency, log, manifest)
        made_by = json.loads(json.dumps(maps.described(manifest)))  # as the manifest gives it back
        there = [one for one in manifest.maps if one.name == name]
        if there and there[0].predictor == made_by and _whole(manifest, name):
            # The same again, or killed between manifest and clearing up: only the latter is left to do.
            _clear_up(folder, manifest)
            print(f"{folder} has this map already: nothing to do.")
            return manifest, name
        manifest.check_sums(further=())
        tasks = _tasks(manifest, maps)
        if maps.note:
            console.tell(maps.note)
        _check_space(manifest, tasks)
        # With the kernels: what another processor has begun is not part of this map, but made again.
        plan = [manifest.digest(), name, made_by, kernels()]
        plan = hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()
        try:
            results = _write_shards(manifest, tasks, maps, plan, workers)
        except Unusable:
            _clear_up(folder, manifest)  # corrected maps are other maps: nothing that is here could be part of them
            raise
        sums = sum(result["sum"] for task, result in zip(tasks, results, strict=True) if task.split == "train")
        mean = sums / (255 * manifest.splits["train"].records * manifest.side**2)
        new = SaliencyMap(name, made_by, mean, _by_split(tasks, results), maps.made_of, maps.kernels)
        every = [new if one.name == name else one for one in manifest.maps]
        manifest = dataclasses.replace(manifest, maps=(*every, *([] if there else [new])))
        manifest.save(folder)
        _clear_up(folder, manifest)
        for note in flat_notes([name], results, sum(split.records for split in manifest.splits.values())):
            console.tell(note)
        return Manifest.load(folder, further=(name,)), name


def write_side_shard(task, manifest, maps, plan, advance=lambda read, skipped: None):
    """Writes the side shard of a shard's stored pictures and its results.

    Args:
        task: The `SideTask`.
        manifest: The set's `Manifest`.
        maps: `PredictedMaps` or `GivenMaps`.
        plan: What the results shall say they belong to.
        advance: Called with the number of pictures done since the last call, and 0.

    Returns:
        The results: `plan`, `shards` (the one, as the manifest names it), `sum` of the maps' values, and `flat_maps` as
        those of `shards.write_shard`.
    """
    from data_prep.shards import described, whole_shards
    from saliency_keras.data.records import encode_side_record

    side = manifest.side
    results = {"plan": plan, "sum": 0, "flat_maps": {}}
    records = manifest.splits[task.split].shards[task.number].records
    with whole_shards([manifest.folder / task.file], manifest.codec, [("u1", (side, side))]) as (writer,):
        for batch in maps.batches(task, manifest, results):
            for saliency in batch:
                one = geometry.stored_map(saliency, side)
                writer.write(encode_side_record(manifest.codec, one))
                results["sum"] += int(one.sum(dtype="int64"))
            advance(len(batch), 0)
    results["shards"] = [described(manifest.folder / task.file, records)]
    with whole_file(manifest.folder / task.results_file, "w", encoding="utf-8") as file:
        json.dump(results, file)
    return results


def _tasks(manifest, maps):
    """One task a shard; the files are called so that no map of the set has a file of that name."""
    used = {shard.file for one in manifest.maps for shards in one.shards.values() for shard in shards}
    version = 1
    while True:
        middle = maps.name if version == 1 else f"{maps.name}.{version}"
        tasks = []
        for split, content in manifest.splits.items():
            first = 0
            for number, shard in enumerate(content.shards):
                path, last = Path(shard.file), first + shard.records
                given = maps.of(split, slice(first, last))
                tasks.append(SideTask(split, number, f"{path.stem}.{middle}{path.suffix}", given))
                first = last
        if not used & {task.file for task in tasks}:
            return tasks
        version += 1


def _whole(manifest, name):
    """Whether the set's shards and those of its map `name` are there as the manifest says."""
    try:
        manifest.check_sizes(further=(name,))
        manifest.check_sums(further=(name,))
    except UserError:
        return False
    return True


def _check_space(manifest, tasks):
    from data_prep.compaction import no_room, size_text
    from data_prep.shards import record_bytes

    records = sum(split.records for split in manifest.splits.values())
    whole = records * record_bytes(manifest.side, manifest.codec) // 4
    files = (manifest.folder / task.file for task in tasks)
    needed = max(0, whole - sum(file.stat().st_size for file in files if file.is_file()))
    free = shutil.disk_usage(manifest.folder).free
    console.tell(f"{records:,} maps of {manifest.side} px, about {size_text(whole)}; {size_text(free)} free.")
    if needed > free:
        raise no_room(needed, free, manifest.folder)


def _write_shards(manifest, tasks, maps, plan, workers):
    """Writes the side shards that are not finished and returns the results of all, in the tasks' order."""
    from data_prep.workers import in_workers

    results = {number: _finished(manifest.folder, task, plan) for number, task in enumerate(tasks)}
    todo = {number: tasks[number] for number, found in results.items() if found is None}
    if len(todo) < len(tasks):
        print(f"{len(tasks) - len(todo)} of {len(tasks)} side shards are finished already.", flush=True)
    maps, kept = maps.for_workers(workers)
    work = functools.partial(write_side_shard, manifest=manifest, maps=maps, plan=plan)
    pictures = sum(manifest.splits[task.split].shards[task.number].records for task in todo.values())
    with progress(total=pictures, label="adding maps") as bar:
        if todo:
            results |= in_workers(work, todo, workers, bar, kept)
    return list(results.values())


def _finished(folder, task, plan):
    """The results of a side shard that is finished, or `None`."""
    from data_prep.shards import finished_results

    results = finished_results(task, folder)
    return results if results and results.get("plan") == plan else None


def _by_split(tasks, results):
    from saliency_keras.data.manifest import Shard

    shards = {}
    for task, result in zip(tasks, results, strict=True):
        shards[task.split] = (*shards.get(task.split, ()), Shard(**result["shards"][0]))
    return shards


def _clear_up(folder, manifest):
    """Removes shards that the manifest does not name, and results."""
    named = {shard.file for split in manifest.splits.values() for shard in split.shards}
    named |= {shard.file for one in manifest.maps for shards in one.shards.values() for shard in shards}
    for path in folder.glob("*-of-*"):
        if path.name not in named:
            path.unlink(missing_ok=True)


if __name__ == "__main__":
    console.run(main)

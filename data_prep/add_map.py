"""Adds a saliency map to a compact data set, or replaces one.

    python -m data_prep.add_map OUT --saliency PREDICTOR [--name NAME] [--workers N]

The set is there already; its pictures' source is not needed. The predictor
sees the pictures as they are stored (144x144 unless --side said otherwise, and decoded where the codec is jpeg), not
the square (256x256) that `data_prep.compact` shows it, so its maps are coarser; the manifest says so. The map is called
as its predictor, or NAME, and is used by `--maps NAME` in training. The interleaved map cannot be replaced.

The set can be read all the while: new side shards get names that no map of the set uses, the manifest comes when all
of them are there, and only then what it no longer names is removed. Killed and run again, it goes on where it was.
"""

import dataclasses
import functools
import hashlib
import json
import shutil
from pathlib import Path

from saliency_keras import console
from saliency_keras.console import UserError, progress
from saliency_keras.data import geometry
from saliency_keras.files import whole_file

BATCH = 32


def main(arguments=None):
    """Parses the command line, adds the map and prints what was made.

    Args:
        arguments: The command line's words, or `None` for the program's own.

    Raises:
        UserError: For any mistake that the user can correct.
    """
    parser = console.parser(__spec__.name, __doc__)
    parser.add_argument("out", metavar="OUT", type=Path, help="folder of the compact data set")
    parser.add_argument("--saliency", metavar="PREDICTOR", required=True, help="saliency predictor or run folder")
    parser.add_argument("--name", help="the map's name (default: the predictor's)")
    parser.add_argument("--workers", type=int, help="worker processes, 0 for none (default: one per core)")
    options = parser.parse_args(arguments)

    manifest, name = add_map(options.out, options.saliency, options.name, options.workers)
    records = sum(split.records for split in manifest.splits.values())
    mean = manifest.map_named(name).mean
    print(f"{options.out} has the map {name} for its {records:,} pictures, mean {mean:.3f}; train with --maps {name}")
    print(console.next_step("train", "fanin3", "--data", options.out, "--maps", name))


@dataclasses.dataclass(frozen=True)
class SideTask:
    """One side shard to write: its split, its shard, and its file's name."""

    split: str
    number: int
    file: str

    @property
    def files(self):
        """The name in a list, as a shard's `Task` has several."""
        return [self.file]

    @property
    def results_file(self):
        """Name of the results beside the side shard, which exist until the manifest is written."""
        return f".{self.file}.json"


def add_map(folder, saliency, name=None, workers=None):
    """Adds a map to a compact data set, or replaces a further one.

    Args:
        folder: Folder of the set.
        saliency: Name of the predictor, or a run folder.
        name: The map's name, or `None` for the predictor's.
        workers: Number of worker processes (`None`: one per core), or 0 to work in this process.

    Returns:
        The new `Manifest` and the map's name.

    Raises:
        UserError: If the set, the predictor, the name or the free space does not fit.
        OSError: If the folder cannot be written. A later run goes on from the side shards that are finished.
    """
    from data_prep.compaction import described_predictor, exclusive, made_of
    from data_prep.sources.source import check_map_name
    from data_prep.workers import check_workers
    from saliency_keras.blas import kernels
    from saliency_keras.data.manifest import Manifest, SaliencyMap
    from saliency_keras.saliency import PREDICTORS, predictor

    check_workers(workers)
    folder, maker = Path(folder), predictor(saliency)
    if name is not None or saliency not in PREDICTORS:
        check_map_name(name or maker.name)
    name = name or maker.name
    Manifest.load(folder, further=())
    with exclusive(folder):
        manifest = Manifest.load(folder, further=())  # another damaged map is the next command's
        if name == manifest.maps[0].name:
            raise UserError(
                f"{name} is interleaved with the pictures of {folder} and cannot be replaced; give the new map another "
                "--name and train with --maps."
            )
        made_by = {**described_predictor(maker), "pictures": f"as stored, {manifest.side} px"}
        made_by = json.loads(json.dumps(made_by))  # as the manifest gives it back
        there = [one for one in manifest.maps if one.name == name]
        if there and there[0].predictor == made_by and _whole(manifest, name):
            # The same again, or killed between manifest and clearing up: only the latter is left to do.
            _clear_up(folder, manifest)
            print(f"{folder} has this map already: nothing to do.")
            return manifest, name
        manifest.check_sums(further=())
        tasks = _tasks(manifest, name)
        _check_space(manifest, tasks)
        # With the kernels: what another processor has begun is not part of this map, but made again.
        plan = [manifest.digest(), name, made_by, kernels()]
        plan = hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()
        results = _write_shards(manifest, tasks, maker, plan, workers)
        sums = sum(result["sum"] for task, result in zip(tasks, results, strict=True) if task.split == "train")
        mean = sums / (255 * manifest.splits["train"].records * manifest.side**2)
        new = SaliencyMap(name, made_by, mean, _by_split(tasks, results), made_of(maker, "stored"), kernels())
        maps = [new if one.name == name else one for one in manifest.maps]
        manifest = dataclasses.replace(manifest, maps=(*maps, *([] if there else [new])))
        manifest.save(folder)
        _clear_up(folder, manifest)
        return Manifest.load(folder, further=(name,)), name


def write_side_shard(task, manifest, maker, plan, advance=lambda read, skipped: None):
    """Predicts the maps of a shard's stored pictures and writes its side shard and its results.

    Args:
        task: The `SideTask`.
        manifest: The set's `Manifest`.
        maker: The predictor.
        plan: What the results shall say they belong to.
        advance: Called with the number of pictures done since the last call, and 0.

    Returns:
        The results: `plan`, `shards` (the one, as the manifest names it) and `sum` of the maps' values.
    """
    import numpy as np

    from data_prep.shards import described, whole_shards
    from saliency_keras.data.records import encode_side_record
    from saliency_keras.data.stored import Records

    stored, side = Records(manifest, task.split), manifest.side
    places = np.arange(stored.first[task.number], stored.first[task.number + 1])
    total = 0
    with whole_shards([manifest.folder / task.file], manifest.codec, [("u1", (side, side))]) as (writer,):
        for first in range(0, len(places), BATCH):
            rgbs = [
                words.copy().view(np.uint8) for words in stored.words(places[first : first + BATCH], with_map=False)
            ]
            pictures = np.stack(rgbs).reshape(-1, side, side, 4)[..., :3]
            for saliency in maker(np.ascontiguousarray(pictures)):
                one = geometry.stored_map(saliency, side)
                writer.write(encode_side_record(manifest.codec, one))
                total += int(one.sum(dtype="int64"))
            advance(len(pictures), 0)
    results = {"plan": plan, "shards": [described(manifest.folder / task.file, len(places))], "sum": total}
    with whole_file(manifest.folder / task.results_file, "w", encoding="utf-8") as file:
        json.dump(results, file)
    return results


def _tasks(manifest, name):
    """One task a shard; the files are called so that no map of the set has a file of that name."""
    used = {shard.file for one in manifest.maps for shards in one.shards.values() for shard in shards}
    version = 1
    while True:
        middle = name if version == 1 else f"{name}.{version}"
        tasks = []
        for split, content in manifest.splits.items():
            for number, shard in enumerate(content.shards):
                path = Path(shard.file)
                tasks.append(SideTask(split, number, f"{path.stem}.{middle}{path.suffix}"))
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
    print(f"{records:,} maps of {manifest.side} px, about {size_text(whole)}; {size_text(free)} free.", flush=True)
    if needed > free:
        raise no_room(needed, free, manifest.folder)


def _write_shards(manifest, tasks, maker, plan, workers):
    """Writes the side shards that are not finished and returns the results of all, in the tasks' order."""
    from data_prep.workers import in_workers

    results = {number: _finished(manifest.folder, task, plan) for number, task in enumerate(tasks)}
    todo = {number: tasks[number] for number, found in results.items() if found is None}
    if len(todo) < len(tasks):
        print(f"{len(tasks) - len(todo)} of {len(tasks)} side shards are finished already.", flush=True)
    work = functools.partial(write_side_shard, manifest=manifest, maker=maker, plan=plan)
    pictures = sum(manifest.splits[task.split].shards[task.number].records for task in todo.values())
    with progress(total=pictures, label="predicting") as bar:
        if todo:
            results |= in_workers(work, todo, workers, bar)
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

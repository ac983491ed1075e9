"""Compaction: plans a data set, has worker processes write its shards, and finishes it with the manifest.

What a folder goes through: the plan (`.plan.json`) comes first and says whose shards these are; shards appear one by
one, each with its results; `skipped.csv` and the manifest come last, plan and results go. A folder with a plan is
unfinished, one with a manifest is finished, and a run that finds its own plan goes on where the other was stopped.
How a shard is written is in `data_prep.shards`, what happens to a picture in `saliency_keras.data.geometry`.
"""

import bisect
import contextlib
import csv
import functools
import json
import os
import shutil
from pathlib import Path

import google_crc32c
import numpy as np

from data_prep import shards as sharding
from data_prep import spool
from data_prep.plan import described_predictor, make_plan, settings_of, versions
from data_prep.sources.source import FolderSource, Unusable, changed_at
from data_prep.workers import check_workers, completed, in_workers, kept_here
from saliency_keras.blas import kernels
from saliency_keras.console import UserError, tell
from saliency_keras.data.manifest import SPLITS, Manifest, SaliencyMap, Shard, Split
from saliency_keras.files import check_folder, claimed, whole_file
from saliency_keras.saliency.run import NetworkMaps

PLAN = ".plan.json"
SLACK = 2  # seconds that a file system's clock may lag behind
TABLES = ("skipped.csv", "boxes.csv")  # beside the manifest; boxes where the source has some
ATTENDED = "attended.csv"  # what pictures were cropped to, where somebody looked at them first (`data_prep.zoom`)
CHECKSUMS = "checksums.npy"  # of the pictures' files, in the plan's order; 0 where there was none to be read
FRAMES = "frames.npy"  # height, width and crop of each picture before it was framed, in the order of the records


def compact(
    source,
    out,
    saliency=("gbvs",),
    side=None,
    codec="raw",
    shards=None,
    workers=None,
    limit=None,
    seed=0,
    do_tasks=None,
    *,
    square=None,
    shorter=None,
):
    """Turns a source into a compact data set, or finishes one that was stopped.

    Args:
        source: A source (`data_prep.sources.open_source`).
        out: Folder to make; one that holds the same plan, finished or not, is taken up.
        saliency: Names of the maps: predictors, or maps the source has itself. The first is interleaved with the
            pictures. Maps of the source that are not named follow as further ones.
        side: Stored width and height in pixels, as `Framing.chosen` takes it: `None` for 144.
        codec: `"raw"`, `"jpeg"` or `"npy"`.
        shards: Number of train shards, or `None` for what `shards.shard_count` says.
        workers: Number of worker processes (`None`: one per core), or 0 to work in this process.
        limit: Number of pictures to take of each split, a keyed sample, or `None` for all.
        seed: Seed of the order on disk.
        do_tasks: Function that does tasks elsewhere than in worker processes here, called and answering as
            `workers.in_workers` without its `workers`.
        square: Side of the central square that maps are predicted on, `None` for 256, or more for a larger `side`.
        shorter: What the shorter side is scaled to, `None` for 256, or more for a larger square.

    Returns:
        The `Manifest`.

    Raises:
        UserError: If an argument, the source, the folder or the free space does not fit.
        OSError: If the folder cannot be written. A later run goes on from the shards that are finished.
    """
    check_workers(workers)
    out = Path(out)
    check_outside(source, out)
    plan = make_plan(source, saliency, side, codec, shards, limit, seed, square=square, shorter=shorter)
    with _claimed(out, plan):
        if (out / "manifest.json").exists() and (manifest := _finished(out, plan)):
            _check_unchanged(out, plan)
            print(f"{out} is already there and finished: nothing to do.")
            return manifest
        for note in plan.source.maps_notes:
            tell(note)
        _check_space(out, plan)
        _write_plan(out, plan)
        try:
            results = _write_shards(plan, out, do_tasks or functools.partial(_in_workers, workers=workers))
        except Unusable:
            # Mended maps are other maps, mended boxes other boxes: nothing that is here could be part of their set.
            shutil.rmtree(out)
            raise
        except UserError:
            if not any(out.glob("*-of-*")):
                spool.remove(out)
                (out / PLAN).unlink()  # nothing is done, so that the folder is free for another plan
            raise
        return _finish(out, plan, results)


def made_of(maker, pictures):
    """What the manifest says that a predictor's map was made of.

    Args:
        maker: The predictor.
        pictures: What it saw, `"square"` or `"stored"`.

    Returns:
        `"run"` for the network of a run, else `pictures`.
    """
    return "run" if isinstance(maker, NetworkMaps) else pictures


def check_outside(source, out):
    """Refuses a folder that cannot be made, or among a source's class folders, where it would be a class."""
    check_folder(out)
    if isinstance(source, FolderSource):
        for folder in dict.fromkeys(source.folder / source.folder_of(split) for split in SPLITS):
            if Path(os.path.realpath(folder)) in Path(os.path.realpath(out)).parents:
                raise UserError(f"{out} lies in {folder}, whose folders are classes; choose a folder elsewhere.")


@contextlib.contextmanager
def _claimed(out, plan):
    """Makes the folder, or makes sure that it is ours, and keeps other runs out of it until the block ends."""
    _check_ours(out, plan)
    with exclusive(out):
        _check_ours(out, plan)
        yield


@contextlib.contextmanager
def exclusive(out):
    """Claims a folder until the block ends; made if absent, it is removed again if nothing is in it then.

    What killed processes have left half written there is removed when it begins and, however it ends, when it ends.
    """
    with claimed(out):
        try:
            _remove_leftovers(out)
            yield
        finally:
            _remove_leftovers(out)


def _check_ours(out, plan):
    """Refuses a folder with anything but this plan's data set in it."""
    if not out.is_dir() or not any(out.iterdir()):
        return
    if (out / PLAN).is_file():
        found = _json(out / PLAN)
        if found.get("plan") != plan.digest:
            raise UserError(
                f"{out} holds an unfinished data set with {plan.differing(found.get('settings'))}; "
                "use the same, choose another folder or delete it."
            )
        if found.get("libraries") != versions():
            raise UserError(
                f"{out} was begun with other library versions ({found.get('libraries')}); "
                "use those, choose another folder or delete it."
            )
        if found.get("kernels", kernels()) != kernels():
            raise UserError(
                f"{out} was begun by the kernels of another processor ({found['kernels']}; here {kernels()}); go on "
                "there, choose another folder or delete it."
            )
    elif (out / "manifest.json").is_file():
        settings = settings_of(found := _json(out / "manifest.json"))
        if settings is None:
            raise UserError(
                f"{out / 'manifest.json'} is damaged, so that nobody can say what set this is; "
                f"choose another folder or delete {out}."
            )
        if found["source"].get("plan") != plan.digest or found["codec"] != plan.settings["codec"]:
            raise UserError(f"{out} is a data set with {plan.differing(settings)}; choose another folder or delete it.")
    else:
        check_unused(out, zoomed="zoom" in plan.source.description)


def is_begun(out):
    """Whether a folder holds a data set, finished or not."""
    return (out / PLAN).is_file() or (out / "manifest.json").is_file()


def check_unused(out, zoomed=False):
    """Refuses a folder that is no data set of ours and has something in it, besides the boxes of a zoomed one."""
    names = {path.name for path in out.iterdir()} - ({ATTENDED} if zoomed else set())
    if any(not name.endswith(".incomplete") for name in names):
        raise UserError(f"{out} is not empty and holds no data set of ours; choose another folder.")


def _json(path):
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}


def _finished(out, plan):
    """The manifest of a finished set, or `None` after clearing away a set with damaged shards."""
    try:
        manifest = Manifest.load(out)
    except UserError as error:
        settings = settings_of(_json(out / "manifest.json"))
        names = [name for name, _ in settings["saliency"]] if settings else []
        planned, added = names[: len(plan.settings["saliency"])], names[len(plan.settings["saliency"]) :]
        if added and _is_whole(out, planned):
            raise
        again = f", without {', '.join(added)}: data_prep.add_map adds maps anew" if added else ""
        tell(error)
        tell(f"making the set again{again}")
        _write_plan(out, plan)  # first: killed from here on, the folder is still known as ours
        # All shards, not only the plan's: maps that were added later go with the pictures they belong to.
        beside = ("manifest.json", *TABLES, CHECKSUMS, FRAMES)
        for path in (*(out / name for name in beside), *out.glob("*-of-*")):
            path.unlink(missing_ok=True)
        return None
    # Killed between the manifest and the clearing up: only the latter is left to do.
    _clear_up(out, plan)
    return manifest


def _is_whole(out, further):
    try:
        Manifest.load(out, further)
    except UserError:
        return False
    return True


def _write_plan(out, plan):
    with whole_file(out / PLAN, "w", encoding="utf-8") as file:
        made_by = {"libraries": versions(), "kernels": kernels()}
        json.dump({"plan": plan.digest, **made_by, "settings": plan.settings}, file)


def _remove_leftovers(out):
    """Removes what killed processes left half written in a folder."""
    for path in out.glob(".*.incomplete"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _clear_up(out, plan):
    spool.remove(out)
    for path in (*(out / task.results_file for task in plan.tasks), out / PLAN):
        if path.exists():  # a finished set may lie where nothing can be written, not even what is not there unlinked
            path.unlink()


def _check_space(out, plan):
    """Says how many pictures, how many bytes and how much room there is; stops if it will not fit."""
    task = plan.tasks[0]
    there = sum((out / name).stat().st_size for task in plan.tasks for name in task.files if (out / name).is_file())
    free = shutil.disk_usage(out).free
    needed = max(0, plan.bytes - there) + spool.bytes_of(plan.source, plan.tasks)
    counts = " + ".join(f"{plan.pictures(split):,} {split}" for split in SPLITS)
    tell(
        f"{counts} pictures of {len(plan.source.classes)} classes at {task.framing}, {task.codec}, "
        f"{', '.join(task.maps)}: about {size_text(plan.bytes)} in {len(plan.tasks)} shards; {size_text(free)} free."
    )
    if needed > free:
        counts = [plan.pictures(split) for split in SPLITS]
        fitting = int(free * sum(counts) / plan.bytes)
        limit = bisect.bisect(range(max(counts)), fitting, key=lambda each: sum(min(each + 1, n) for n in counts))
        jpeg = sharding.record_bytes(task.side, "jpeg") / sharding.record_bytes(task.side, "raw") * plan.bytes
        smaller = f"--codec jpeg (about {size_text(jpeg)}), " if task.codec != "jpeg" else ""
        instead = f": use {smaller}a smaller --side, or --limit (about {limit:,} pictures of each split fit)"
        with contextlib.suppress(OSError):
            out.rmdir()
        raise no_room(needed, free, out, instead)


def no_room(needed, free, folder, instead=""):
    """The `UserError` for bytes that do not fit into a folder; `instead`, what to do about it, ends the sentence."""
    return UserError(f"about {size_text(needed)} are needed and {size_text(free)} are free in {folder}{instead}.")


def size_text(number):
    """Bytes in decimal units, as disks are sold."""
    for unit in ("bytes", "kB", "MB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "bytes" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:,.1f} GB"


def _write_shards(plan, out, do_tasks):
    """Writes the shards that are not finished and returns the results of all, in the plan's order."""

    def work_on(tasks):
        place = spool.fill(plan.source, tasks, out)
        return functools.partial(
            sharding.write_shard, folder=out, source=plan.source, predictors=plan.predictors, spool=place
        )

    found = [_results_of_now(task, out, plan.source) for task in plan.tasks]
    return completed(plan.tasks, found, work_on, do_tasks, "compacting", "shards")


def _in_workers(work, todo, bar, workers):
    """Has shards written in worker processes, while the networks among their predictors stay in this one."""
    predictors, kept = kept_here(work.keywords["predictors"], workers)
    return in_workers(functools.partial(work, predictors=predictors), todo, workers, bar, kept)


def _finish(out, plan, results):
    """Adds up the shards' results, writes the tables and the manifest, and removes the traces of the work."""
    skipped = [
        (*row, task.split) for task, result in zip(plan.tasks, results, strict=True) for row in result["skipped"]
    ]
    _check_classes(out, plan, results, skipped)
    boxes = [
        (task.split, *row) for task, result in zip(plan.tasks, results, strict=True) for row in result.get("boxes", ())
    ]
    write_table(out / "skipped.csv", ("id", "reason", "split"), skipped)
    checksums = write_checksums(out, results)
    if boxes:
        write_table(out / "boxes.csv", ("split", "id", "xmin", "ymin", "xmax", "ymax"), boxes)
    _write_frames(out, results)
    manifest = _manifest(plan, results)
    manifest.save(out)
    _clear_up(out, plan)
    for note in (*_notes(plan, results), *_duplicates(plan, checksums, skipped)):
        tell(note)
    return Manifest.load(out)


def _results_of_now(task, out, source):
    """The results of a finished shard, unless a picture of it has been changed since."""
    results = sharding.finished_results(task, out)
    if results is None or not (checksums := results.get("checksums")):
        return results
    if len(checksums) != len(task.pictures):
        return None
    when = changed_at(out / task.results_file)
    changed = first_changed(source, zip(task.pictures, checksums, strict=True), when)
    return results if changed is None else None


def first_changed(source, rows, when):
    """The first picture whose file has been changed since `when` and has another checksum than it had.

    Only files that the file system calls changed are read.

    Args:
        source: The source.
        rows: `Picture`s with the checksums that their files had.
        when: Seconds, as `os.stat` gives them.
    """
    newer = [one for one in rows if (changed := source.changed(one[0])) is not None and changed >= when - SLACK]
    for number, content in source.contents([picture for picture, _ in newer]):
        picture, checksum = newer[number]
        if google_crc32c.value(content) != (checksum or 0):
            return picture
    return None


def write_checksums(out, results):
    """Writes the checksums of all pictures' files in the plan's order, if there are any, and returns them."""
    found = [checksum or 0 for result in results for checksum in result.get("checksums", ())]
    checksums = np.array(found, np.uint32)
    if checksums.any():
        with whole_file(out / CHECKSUMS) as file:
            np.save(file, checksums)
    return checksums


def _write_frames(out, results):
    """Writes sizes and crops of the stored pictures in the order of their records, if all shards know them."""
    frames = [frame for result in results for frame in result.get("frames", ())]
    if len(frames) == sum(sum(result["per_class"]) for result in results):
        with whole_file(out / FRAMES) as file:
            np.save(file, np.array(frames, np.uint32))


def frames_of(manifest):
    """What the pictures of a set were before they were framed.

    Args:
        manifest: The set's `Manifest`.

    Returns:
        By split an int64 array `(pictures, 6)` in the order of the records: height, width, and the crop `(left, top,
        right, bottom)` that was framed. `None` of a set that does not say, as earlier versions made them.
    """
    try:
        frames = np.load(manifest.folder / FRAMES, allow_pickle=False).astype(np.int64)
    except (OSError, ValueError, EOFError):
        return None
    records = [split.records for split in manifest.splits.values()]
    if frames.shape != (sum(records), 6):
        return None
    return dict(zip(manifest.splits, np.split(frames, np.cumsum(records)[:-1]), strict=True))


def _check_unchanged(out, plan):
    """Refuses a finished set one of whose pictures has been changed in place since."""
    pictures = [picture for task in plan.tasks for picture in task.pictures]
    check_unchanged(out, plan.source, pictures, "is a data set with")


def check_unchanged(out, source, pictures, what):
    """Refuses what was made of pictures one of which has been changed since, as the checksums beside it say.

    Args:
        out: Folder with the checksums.
        source: The source.
        pictures: The `Picture`s in the order of the checksums.
        what: What the folder does with other pictures, for the sentence.

    Raises:
        UserError: If one has been changed.
    """
    try:
        checksums = np.load(out / CHECKSUMS)
    except (OSError, ValueError, EOFError):
        return
    if len(checksums) != len(pictures):
        return
    changed = first_changed(source, zip(pictures, map(int, checksums), strict=True), changed_at(out / CHECKSUMS))
    if changed is not None:
        raise UserError(
            f"{out} {what} other pictures: {changed.place} has been changed since; choose another folder or delete it."
        )


def _notes(plan, results):
    """What is odd about the pictures and maps of a set, a sentence each."""
    total = sum(len(task.pictures) for task in plan.tasks)
    notes = []
    if turned := sum(result.get("turned", 0) for result in results):
        how = "were turned upright" if plan.source.upright else "are stored as they lie; --upright turns them"
        notes.append(f"{turned:,} of {total:,} pictures have an orientation tag (EXIF) and {how}")
    return [*notes, *flat_notes(plan.tasks[0].maps, results, total)]


def flat_notes(names, results, total):
    """What shards' results say of maps that are the same everywhere, a sentence for each name that has some."""
    notes = []
    for name in names:
        flat = [result["flat_maps"][name] for result in results if name in result.get("flat_maps", {})]
        if many := sum(one[0] for one in flat):
            black = f", {zeros:,} of them black" if (zeros := sum(one[1] for one in flat)) else ""
            first = flat[0][2]
            notes.append(f"{many:,} of {total:,} maps {name} are the same everywhere{black}; one is that of {first}")
    return notes


def _duplicates(plan, checksums, skipped):
    """A sentence about pictures of val whose files are in train too: accuracy on them is memory."""
    skipped = {(split, identifier) for identifier, _, split in skipped}
    where = {"train": {}, "val": {}}
    for (split, picture), checksum in zip(
        ((task.split, picture) for task in plan.tasks for picture in task.pictures), checksums.tolist(), strict=False
    ):
        if checksum and (split, picture.id) not in skipped:
            where[split].setdefault(checksum, []).append(picture)
    found = []
    for key in where["val"].keys() & where["train"].keys():
        # A checksum of 32 bits is alike by chance now and then: the files decide.
        contents = dict(plan.source.contents(where["train"][key]))
        for number, content in plan.source.contents(where["val"][key]):
            picture = where["val"][key][number]
            twins = [other for at, other in enumerate(where["train"][key]) if content and contents[at] == content]
            if twins:
                found.append((picture, twins))
    if not found:
        return []
    total = plan.pictures("val") - sum(split == "val" for split, _ in skipped)
    labels = sum(all(other.label != picture.label for other in twins) for picture, twins in found)
    picture, twins = min(found, key=lambda pair: pair[0].id)
    others = f", {labels:,} of them under another class" if labels else ""
    return [
        f"{len(found):,} of {total:,} val pictures are duplicates of pictures in train{others}; one is "
        f"{picture.id}, in train as {twins[0].id}"
    ]


def write_table(path, names, rows):
    """Writes a CSV file, whole or not at all."""
    with whole_file(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([names, *rows])


def _per_class(plan, results, split):
    counts = [result["per_class"] for task, result in zip(plan.tasks, results, strict=True) if task.split == split]
    return tuple(map(sum, zip(*counts, strict=True)))


def _check_classes(out, plan, results, skipped):
    """Refuses a class without a readable picture: no network could learn it, and nobody would notice."""
    for split in SPLITS:
        counts = _per_class(plan, results, split)
        planned = [picture for task in plan.tasks if task.split == split for picture in task.pictures]
        for label, name in enumerate(plan.source.classes):
            lost = {picture.id for picture in planned if picture.label == label} if not counts[label] else ()
            # A small sample may have a class's one broken picture and none of its others.
            if len(lost) > (1 if plan.limit is not None and any(counts) else 0):
                reason = next(reason for identifier, reason, where in skipped if where == split and identifier in lost)
                shutil.rmtree(out)
                raise UserError(
                    f"none of the {len(lost)} {split} pictures of the class {name!r} can be read "
                    f"(the first one: {reason}); repair them or remove the class."
                )


def _manifest(plan, results):
    """The manifest of the finished shards."""
    first = plan.tasks[0]
    splits = {}
    side_shards = {name: {} for name in first.maps[1:]}
    for split in SPLITS:
        # A shard none of whose pictures could be read was not kept.
        rows = [
            result["shards"]
            for task, result in zip(plan.tasks, results, strict=True)
            if task.split == split and result["shards"]
        ]
        columns = [tuple(Shard(**shard) for shard in column) for column in zip(*rows, strict=True)]
        splits[split] = Split(columns[0], _per_class(plan, results, split))
        for name, column in zip(first.maps[1:], columns[1:], strict=True):
            side_shards[name][split] = column
    train = [result for task, result in zip(plan.tasks, results, strict=True) if task.split == "train"]
    pixels = splits["train"].records * first.side**2 * 255
    rgb = [sum(result["rgb_sums"][channel] for result in train) / pixels for channel in range(3)]
    makers = {name: plan.predictors.get(name) for name in first.maps}
    maps = tuple(
        SaliencyMap(
            name,
            described_predictor(makers[name]),
            sum(result["map_sums"][number] for result in train) / pixels,
            side_shards.get(name, {}),
            made_of(makers[name], "square") if makers[name] else plan.source.made_of(name),
            kernels() if name in plan.predictors else "",
        )
        for number, name in enumerate(first.maps)
    )
    return Manifest(
        framing=first.framing,
        codec=first.codec,
        classes=tuple(plan.source.classes),
        splits=splits,
        maps=maps,
        mean_rgb=tuple(rgb),
        seed=plan.seed,
        source={**plan.source.description, "plan": plan.digest},
        libraries=versions(),
    )

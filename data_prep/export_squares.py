"""Writes the squares of pictures as PNGs, for a saliency predictor elsewhere.

    python -m data_prep.export_squares SOURCE OUT [--tar] [--shorter N] [--square N] [--side N] [--workers N] …

A square is what `data_prep.compact` predicts a picture's map on: the central 256x256 pixels of the picture, its shorter
side scaled to 256 (--shorter, --square and --side as in `compact`). SOURCE is what `compact` takes; of a finished
compact data set, the pictures are written as they are stored. OUT gets `train/CLASS/STEM.png` and `val/CLASS/STEM.png`,
or with --tar the same in tars of 10,000 pictures (--shard-size N). Maps that a predictor makes of them, with the same
names in a folder, a tar or a folder of tars, come back by `--maps NAME=DIR` of `compact`, `beam` and `add_map`.

Stopped and run again, it goes on where it was. `squares.json`, which says what the squares are, comes last.
`skipped.csv` names the pictures that cannot be read, `checksums.npy` tells whether a picture was changed since.
"""

import contextlib
import csv
import dataclasses
import functools
import hashlib
import io
import json
import os
import shutil
import tarfile
from pathlib import Path

from data_prep.compact import SIDES, is_compact, source_options
from saliency_keras import console
from saliency_keras.console import UserError
from saliency_keras.data import geometry
from saliency_keras.data.manifest import SPLITS, shard_name
from saliency_keras.files import whole_file

FORMAT, VERSION = "saliency_keras squares", 1
DONE, PLAN, SKIPPED = "squares.json", ".squares.json", "skipped.csv"
PER_TAR, PER_PART = 10_000, 256  # pictures of one tar; of one part of the work where files lie in folders
BYTES_PER_PIXEL = 1.6  # of a PNG: 1.40 for 100 photographs of MIT1003 at 256 px, 1.51 for 100 of CUB-200-2011
COMPRESSION = 1  # zlib's level; 6, the usual one, takes 23 ms a square instead of 7, for a fourteenth less


def main(arguments=None):
    """Parses the command line, writes the squares and prints what was written.

    Args:
        arguments: The command line's words, or `None` for the program's own.

    Raises:
        UserError: For any mistake that the user can correct.
    """
    options = _parser().parse_args(arguments)
    written = _export_squares(options)
    counts = " + ".join(f"{written['squares'][split]:,} {split}" for split in SPLITS)
    skipped = f"; {written['skipped']:,} pictures cannot be read (see skipped.csv)" if written["skipped"] else ""
    console.tell(f"{counts} squares of {written['side']} px are in {options.out}{skipped}")
    words = ("add_map", options.source) if is_compact(options.source) else ("compact", options.source, "OUT")
    why = f"once a predictor has written maps/{written['example']} and so on, or .npy"
    print(console.next_step(*words, "--maps", "NAME=maps", why=why))


def _export_squares(options):
    """Writes the squares of a source's pictures, as the command `export_squares` does.

    All arguments but the first two are the command's options, by keyword.

    Args:
        source: What the command takes.
        out: Folder to make.

    Returns:
        What `squares.json` has: `source`, `side`, `framing`, `squares` (their number by split), `skipped` and so on.

    Raises:
        UserError: For any mistake that the user can correct.
        OSError: If the folder cannot be written. A later run goes on from the parts that are finished.
    """
    from data_prep.compaction import check_outside, exclusive
    from data_prep.workers import check_workers

    check_workers(options.workers)
    plan = _plan(options)
    out = Path(options.out)
    check_outside(plan.source, out)
    if finished := _finished(out, plan):
        return finished
    with exclusive(out):
        if finished := _finished(out, plan):
            return finished
        _check_space(out, plan)
        with whole_file(out / PLAN, "w", encoding="utf-8") as file:
            json.dump({"plan": plan.digest, "settings": plan.settings}, file)
        results = _write_parts(out, plan, options.workers)
        return _finish(out, plan, results)


@dataclasses.dataclass(frozen=True)
class Part:
    """Some squares that are written together: a tar, or files in folders.

    Attributes:
        split: `"train"` or `"val"`.
        number: Number of the part, from 0.
        of: Number of parts of the split.
        pictures: Its pictures.
        in_tar: Whether it is a tar.
    """

    split: str
    number: int
    of: int
    pictures: tuple
    in_tar: bool

    @property
    def file(self):
        """Name of the tar."""
        return shard_name(self.split, self.number, self.of, suffix="tar")

    @property
    def files(self):
        """The name in a list, by which `data_prep.spool` tells parts from each other."""
        return [self.file]

    @property
    def results_file(self):
        """Name of the results, which exist until all is finished."""
        return "." + shard_name(self.split, self.number, self.of, suffix="json")

    def name_of(self, picture):
        """Name of a picture's square, below OUT or in the tar."""
        return f"{self.split}/{os.path.splitext(picture.id)[0]}.png"


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is to be written: the `Part`s, the source, the `Framing`, what was asked for, and sha256 of all this."""

    parts: tuple
    source: object
    framing: geometry.Framing
    settings: dict
    digest: str


def _plan(options):
    """Decides which squares there will be and where, before anything is written."""
    from data_prep.shards import keyed_order, stretches
    from data_prep.sources.with_maps import check_stems
    from saliency_keras.data.listing import stem_key

    source, framing = _source(options)
    if options.limit is not None and options.limit < 1:
        raise UserError(f"the limit must be 1 or more pictures; received {options.limit}.")
    if options.shard_size is not None and (options.shard_size < 1 or not options.tar):
        raise UserError(
            "--shard-size says how many pictures a tar of --tar has, 1 or more; received "
            f"--shard-size {options.shard_size}{'' if options.tar else ' without --tar'}."
        )
    size = (options.shard_size or PER_TAR) if options.tar else PER_PART
    settings = {
        "source": [source.description, list(source.classes)],
        "framing": {"shorter": framing.shorter, "square": framing.square},
        "in_tars": size if options.tar else False,
        "limit": options.limit or "none",
        "seed": options.seed or 0,
    }
    settings = json.loads(json.dumps(settings))  # as a file gives them back
    content, parts = hashlib.sha256(json.dumps(settings).encode()), []
    for split in SPLITS:
        pictures = keyed_order(source.pictures(split), settings["seed"])[: options.limit]
        check_stems([stem_key(picture.id) for picture in pictures], [picture.id for picture in pictures], split)
        for picture in pictures:
            if {"", ".", ".."} & set(picture.id.split("/")):
                raise UserError(
                    f"the {split} picture {picture.id} lies outside of its list's folder, so that no square can be "
                    "called after it; put the list into a folder that has all pictures."
                )
            box = [] if picture.box is None else [[float(edge) for edge in picture.box]]
            content.update(json.dumps([split, *source.identity(picture), *box]).encode())
        stretched = stretches(pictures, max(1, -(-len(pictures) // size)))
        parts += [Part(split, number, len(stretched), one, options.tar) for number, one in enumerate(stretched)]
    return Plan(tuple(parts), source, framing, settings, content.hexdigest())


def _source(options):
    """The source and the framing that makes its squares."""
    from data_prep.compaction import PLAN as UNFINISHED
    from data_prep.sources import open_source
    from data_prep.sources.stored import StoredSource

    if not is_compact(options.source):
        if (Path(options.source) / UNFINISHED).is_file():
            raise UserError(
                f"{options.source} is an unfinished compact data set; first give the command that makes it again."
            )
        source = open_source(options.source, options.upright, options.hold_out, options.label)
        for note in source.notes:
            console.tell(note)
        return source, geometry.Framing.chosen(options.side, options.square, options.shorter)
    given = [name for name in (*SIDES, "hold_out", "label") if getattr(options, name) is not None]
    given += ["upright"] * options.upright
    if given:
        raise UserError(
            f"{options.source} is a compact data set: its pictures are written as they are stored. Received: "
            f"{', '.join('--' + name.replace('_', '-') for name in given)}"
        )
    source = StoredSource(options.source)
    return source, geometry.Framing(source.side, source.side, source.side)


def write_part(part, folder, source, framing, advance=lambda read, skipped: None, gathered=None):
    """Reads the pictures of a part and writes their squares and its results.

    Args:
        part: The `Part`.
        folder: OUT.
        source: Where the pictures come from.
        framing: The `Framing`.
        advance: Called with the numbers of pictures read and skipped since the last call.
        gathered: Where `data_prep.spool` has gathered the pictures' files, or `None`: the source reads them.

    Returns:
        The results: `skipped`, a list of `[id, reason]`, `checksums` of the pictures' files or `None`, and `bytes` of
        all squares.
    """
    import google_crc32c
    from PIL import Image

    from data_prep import spool
    from data_prep.shards import crop_of
    from saliency_keras.data.pictures import UnreadablePicture

    results = {"skipped": [], "checksums": [], "bytes": 0}
    content_of = source.content if gathered is None else spool.contents_of(part, gathered)
    with _in_tar(folder / part.file) if part.in_tar else contextlib.nullcontext(_in_folder(folder)) as put:
        for picture in part.pictures:
            results["checksums"].append(None)
            try:
                content = content_of(picture)
                if content is not None:
                    results["checksums"][-1] = google_crc32c.value(content)
                pixels, _ = source.read(picture, content)
            except UnreadablePicture as error:
                results["skipped"].append([picture.id, error.reason])
                (folder / part.name_of(picture)).unlink(missing_ok=True)  # of an earlier run, when it could be read
                advance(0, 1)
                continue
            left, top, right, bottom = crop_of(picture, *pixels.shape[:2])
            file = io.BytesIO()
            square = Image.fromarray(geometry.square(pixels[top:bottom, left:right], framing))
            square.save(file, "PNG", compress_level=COMPRESSION)
            put(part.name_of(picture), file.getvalue())
            results["bytes"] += file.tell()
            advance(1, 0)
    with whole_file(folder / part.results_file, "w", encoding="utf-8") as file:
        json.dump(results, file)
    return results


def _in_folder(folder):
    """Function that writes a file below a folder."""

    def put(name, content):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with whole_file(folder / name) as file:
            file.write(content)

    return put


@contextlib.contextmanager
def _in_tar(path):
    """Function that writes a file into a tar, which appears under its name when it is complete."""
    from data_prep.shards import whole_paths

    with whole_paths([path]) as (temporary,), tarfile.open(temporary, "w") as tar:

        def put(name, content):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))

        yield put


def _write_parts(out, plan, workers):
    """Writes the parts that are not finished and returns the results of all, in the plan's order."""
    from data_prep import spool
    from data_prep.workers import completed, in_workers

    def work_on(parts):
        gathered = spool.fill(plan.source, parts, out)
        return functools.partial(write_part, folder=out, source=plan.source, framing=plan.framing, gathered=gathered)

    found = [_results_of_now(out, part, plan.source) for part in plan.parts]
    return completed(plan.parts, found, work_on, functools.partial(in_workers, workers=workers), "squares", "parts")


def _results_of_now(out, part, source):
    """The results of a finished part, unless a square is gone or a picture has been changed since; else `None`."""
    from data_prep.compaction import first_changed
    from data_prep.sources.source import changed_at

    try:
        results = json.loads((out / part.results_file).read_text(encoding="utf-8"))
        skipped = {identifier for identifier, _ in results["skipped"]}
        rows = list(zip(part.pictures, results["checksums"], strict=True))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    changed = first_changed(source, rows, changed_at(out / part.results_file))
    return None if changed or _missing(out, part, skipped) else results


def _missing(out, part, skipped):
    """The first file of a part that is not there; `None` if all are."""
    names = [part.file] if part.in_tar else map(part.name_of, (one for one in part.pictures if one.id not in skipped))
    return next((name for name in names if not (out / name).is_file()), None)


def _skipped(out):
    """Ids in `skipped.csv`, by split."""
    ids = {split: set() for split in SPLITS}
    with open(out / SKIPPED, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            ids[row["split"]].add(row["id"])
    return ids


def _finished(out, plan):
    """What `squares.json` of a finished folder says; `None` of a folder that is ours to write.

    Raises:
        UserError: If the folder holds something else.
    """
    from data_prep.compaction import check_unchanged

    if not out.is_dir() or not any(out.iterdir()):
        return None
    found = _json(out / DONE) or _json(out / PLAN)
    if not found:
        if all(path.name.endswith(".incomplete") for path in out.iterdir()):
            return None
        raise UserError(f"{out} is not empty and holds no squares of ours; choose another folder.")
    if found.get("plan") != plan.digest:
        there = found.get("settings", {})
        differing = [name for name, asked in plan.settings.items() if there.get(name) != asked]
        what = f"another {' and another '.join(differing)}" if differing else "other pictures"
        raise UserError(f"{out} holds squares of {what}; choose another folder or delete it.")
    if not (out / DONE).is_file():
        return None
    skipped = _skipped(out)
    for part in plan.parts:
        if missing := _missing(out, part, skipped[part.split]):
            raise UserError(f"{out} lacks {missing}, which it had; delete {out / DONE} to have all squares made again.")
    pictures = [picture for part in plan.parts for picture in part.pictures]
    check_unchanged(out, plan.source, pictures, "holds squares of")
    print(f"{out} is already there and finished: nothing to do.")
    return found


def _json(path):
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _check_space(out, plan):
    """Says how many squares and about how many bytes there will be; stops if they will not fit."""
    from data_prep import spool
    from data_prep.compaction import no_room, size_text

    counts = {split: sum(len(part.pictures) for part in plan.parts if part.split == split) for split in SPLITS}
    side, free = plan.framing.square, shutil.disk_usage(out).free
    needed = sum(counts.values()) * BYTES_PER_PIXEL * side**2
    there = sum(len(part.pictures) for part in plan.parts if (out / part.results_file).is_file())
    where = f"{len(plan.parts)} tars" if plan.parts[0].in_tar else "class folders"
    console.tell(
        f"{' + '.join(f'{number:,} {split}' for split, number in counts.items())} squares of {side} px: about "
        f"{size_text(needed)} in {where}; {size_text(free)} free."
    )
    needed += spool.bytes_of(plan.source, plan.parts) - there * BYTES_PER_PIXEL * side**2
    if needed > free:
        raise no_room(needed, free, out, ": use a smaller --limit, or another disk")


def _finish(out, plan, results):
    """Writes `skipped.csv` and `squares.json` and removes the traces of the work."""
    from data_prep import spool
    from data_prep.compaction import write_checksums, write_table

    rows = [(*row, part.split) for part, result in zip(plan.parts, results, strict=True) for row in result["skipped"]]
    skipped = {(split, identifier) for identifier, _, split in rows}
    counts = dict.fromkeys(SPLITS, 0)
    example = None
    for part in plan.parts:
        for picture in part.pictures:
            if (part.split, picture.id) not in skipped:
                counts[part.split] += 1
                example = example or part.name_of(picture)
    if example is None:
        raise UserError(f"none of the {len(rows):,} pictures can be read; the first: {rows[0][0]}: {rows[0][1]}.")
    write_table(out / SKIPPED, ("id", "reason", "split"), rows)
    write_checksums(out, results)
    fields = {
        "format": FORMAT,
        "version": VERSION,
        "side": plan.framing.square,
        "example": example,
        "squares": counts,
        "bytes": sum(result["bytes"] for result in results),
        "skipped": len(rows),
        "settings": plan.settings,
        "plan": plan.digest,
    }
    with whole_file(out / DONE, "w", encoding="utf-8") as file:
        json.dump(fields, file, indent=1, ensure_ascii=False)
    spool.remove(out)
    for name in (PLAN, *(part.results_file for part in plan.parts)):
        (out / name).unlink(missing_ok=True)
    return fields


def _parser():
    parser = console.parser(__spec__.name, __doc__)
    source_options(parser)
    parser.add_argument("--tar", action="store_true", help="write tars instead of class folders")
    parser.add_argument("--shard-size", type=int, metavar="N", help=f"pictures of a tar (default: {PER_TAR:,})")
    parser.add_argument("--workers", type=int, help="worker processes, 0 for none (default: one per core)")
    return parser


export_squares = console.in_python(_export_squares, _parser, "source", "out")


if __name__ == "__main__":
    console.run(main)

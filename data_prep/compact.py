"""Turns pictures into a compact data set with their saliency maps.

    python -m data_prep.compact SOURCE OUT [--saliency PREDICTOR] [--maps NAME=DIR] [--side S]
           [--codec raw|jpeg|npy] …

Pictures and maps lie side by side in shards that `saliency_keras.data` reads. SOURCE is a folder with `train/CLASS/*`
and `val/CLASS/*` (a `classes.csv` with the columns class,name beside them gives the classes human names), or a zip or
tar of such a folder; a list, `LIST.csv` (path,label and perhaps split,x,y,width,height); a parquet file, or a folder of
parquet files or webdataset tars, as the Hugging Face hub has them; `tfds:NAME`, a set of TensorFlow Datasets;
`imagenet:DIR`, DIR having ILSVRC2012 as tars or folders; a published set as it is downloaded (`cub:DIR`,
`flowers102:DIR`, `cars:DIR`, `dogs:DIR`, `aircraft:DIR`, `tiny-imagenet:DIR`); or `popout` for the built-in pictures.
`--hold-out 0.1` holds a tenth of each class out where a SOURCE has no `val`. Prints how many pictures, how
many bytes and how much room there is before it starts, and what was written and skipped at the end. Stopped and run
again, it goes on where it was. Where a source has boxes of objects, `boxes.csv` has them (split,id,xmin,ymin,xmax,ymax)
as shares of the stored pictures, cut off at their edges; a list's box is what its picture is cropped to.

Pictures are scaled so that the shorter side has --shorter pixels (256), the central square of --square pixels (256) is
cut out, the map is predicted on it, and both are scaled to --side pixels (144). What is not given fits what is:
`--side 299` is 299 px throughout, `--shorter 340 --side 299` stores the middle 299 of 340 px without scaling it again.

Maps computed elsewhere come with --maps NAME=DIR: one grey picture or array (.npy, .mat, .tif) for each picture of
SOURCE, brighter where people look, of its relative stem (`photos/train/cat/7.jpg` has `DIR/train/cat/7.png`; other
sources go by the picture's id). DIR may be a tar, a zip, a folder of tars or an HDF5 file. Maps have the aspect of
their pictures, or the size of the squares that `data_prep.export_squares` writes. --saliency and --maps may be repeated
and mixed: the maps are kept in the order given, the first one interleaved with the pictures, which is what training
uses by default; gbvs is predicted only where neither is given. A map that is missing, cannot be read or has another
aspect stops the run with a sentence.

--zoom RUN crops each picture to what that run of `classifier_attention` attends to, enlarges that, and keeps the boxes
in `attended.csv`. Nothing stands out in some pictures: they are used whole, counted and told.

--saliency fixations makes maps of where people looked, of a table with the columns image,subject,x,y: --fixations FILE,
by default `fixations.csv` or `gaze.csv` beside the pictures. A picture that nobody looked at has a map of zeros.

Where SOURCE is a finished compact data set, its records are written again in another --codec, pictures, maps and order
as they are.
"""

import argparse
import csv
from pathlib import Path

from saliency_keras import console

SIDES = ("shorter", "square", "side")
FIXATIONS = "fixations"  # the map of where people looked, as `--saliency` calls it


def main(arguments=None):
    """Parses the command line, makes the data set and prints what was made.

    Args:
        arguments: The command line's words, or `None` for the program's own.

    Raises:
        UserError: For any mistake that the user can correct.
    """
    options = _parser().parse_args(arguments)
    manifest = _compact(options)
    if is_compact(options.source):
        size = sum(path.stat().st_size for path in manifest.folder.iterdir())
        records = sum(split.records for split in manifest.splits.values())
        console.tell(f"{records:,} records in codec {manifest.codec}, {size:,} bytes, are in {manifest.folder}")
    else:
        print_set(manifest)


def _compact(options):
    """Turns pictures into a compact data set, as the command `compact` does.

    All arguments but the first two are the command's options, by keyword: `side`, `codec`, `shards`, `limit`, `seed`,
    `workers` and so on.

    Args:
        source: What the command takes: a folder of pictures, `"tfds:NAME"`, `"imagenet:DIR"`, `"popout"`, or a finished
            compact data set, to be written in another codec.
        out: Folder to make.
        saliency: List of the maps: names of predictors, or `(name, folder)` of maps computed elsewhere.

    Returns:
        The `Manifest`.

    Raises:
        UserError: For any mistake that the user can correct.
    """
    if is_compact(options.source):
        return _convert(options)
    from data_prep.compaction import PLAN, compact

    if (Path(options.source) / PLAN).is_file():
        raise console.UserError(
            f"{options.source} is an unfinished compact data set; first give the command that makes it again."
        )
    return compact(workers=options.workers, **settings(options))


def is_compact(source):
    """Whether a source is a finished compact data set."""
    return (Path(source) / "manifest.json").is_file()


def settings(options):
    """What `compaction.compact` is asked for: a dictionary of its arguments, from those of `options_parser`."""
    from data_prep.sources import open_source
    from saliency_keras.data.geometry import Framing

    source = open_source(options.source, options.upright, options.hold_out, options.label)
    for note in source.notes:
        console.tell(note)
    framing = Framing.chosen(options.side, options.square, options.shorter)
    chosen = [options.saliency] if isinstance(options.saliency, str) else options.saliency or ["gbvs"]
    if FIXATIONS in chosen:
        from data_prep.sources.with_fixations import SourceWithFixations

        source = SourceWithFixations(source, options.fixations)
    elif options.fixations:
        raise console.UserError("--fixations is the table for --saliency fixations, which is not asked for.")
    if folders := dict(one for one in chosen if isinstance(one, tuple)):
        from data_prep.sources.with_maps import SourceWithMaps

        source = SourceWithMaps(source, folders, options.log, framing)
    elif options.log:
        raise console.UserError("--log says that the maps of --maps are log densities; there are no --maps.")
    if options.zoom:
        from data_prep.zoom import ZoomedSource

        source = ZoomedSource(source, options.zoom, options.out, framing, options.limit, options.seed or 0)
    return {
        "source": source,
        "out": options.out,
        "saliency": [one[0] if isinstance(one, tuple) else one for one in chosen],
        **{name: getattr(options, name) for name in SIDES},
        "codec": options.codec,
        "shards": options.shards,
        "limit": options.limit,
        "seed": options.seed or 0,
    }


def print_set(manifest):
    """Prints what a data set holds, what was skipped, and what can be done with it."""
    from saliency_keras.data.listing import shown

    for name, split in manifest.splits.items():
        classes = sum(n > 0 for n in split.per_class)
        shards = len(split.shards)
        print(f"{name}: {split.records:,} pictures of {classes} classes in {shards} shard{'s' * (shards != 1)}")
    if (skipped_csv := manifest.folder / "skipped.csv").is_file():
        with open(skipped_csv, newline="", encoding="utf-8") as file:
            skipped = [row["id"] for row in csv.DictReader(file)]
        total = len(skipped) + sum(split.records for split in manifest.splits.values())
        which = f", which cannot be read (see skipped.csv): {shown(skipped)}" if skipped else ""
        console.tell(f"skipped: {len(skipped):,} of {total:,} pictures{which}")
    if (manifest.folder / "boxes.csv").is_file():
        print("the source's boxes, as shares of the stored pictures, are in boxes.csv")
    console.tell(f"the data set is in {manifest.folder}")
    print(console.next_step("train", "fanin3", "--data", manifest.folder, why="Fan-in3 on these pictures"))


def _convert(options):
    from data_prep.convert import convert

    fixed = {"saliency": "--saliency or --maps", "hold_out": "--hold-out", "label": "--label", "zoom": "--zoom"}
    fixed |= {name: f"--{name}" for name in (*SIDES, "shards", "limit", "seed")}
    if given := [words for name, words in fixed.items() if getattr(options, name) is not None]:
        raise console.UserError(
            f"{options.source} is a compact data set: its records are as they are, only --codec can be chosen. "
            f"Received: {', '.join(given)}"
        )
    return convert(options.source, options.out, options.codec)


def _parser():
    parser = options_parser(__spec__.name, __doc__)
    parser.epilog = "SOURCE may be a finished compact data set: it is then written again in another --codec."
    parser.add_argument("--workers", type=int, help="worker processes, 0 for none (default: one per core)")
    return parser


def options_parser(module, document):
    """The parser of what says which data set to make, whoever makes it; `settings` takes what it parsed."""
    parser = console.parser(module, document)
    source_options(parser)
    parser.add_argument(
        "--saliency", action="append", metavar="PREDICTOR", help="saliency predictor; may be repeated (default: gbvs)"
    )
    parser.add_argument(
        "--maps",
        dest="saliency",
        type=named_folder,
        action="append",
        metavar="NAME=DIR",
        help="maps computed elsewhere, DIR/train/CLASS/STEM.png for each picture, or a tar of them; may be repeated",
    )
    table = "table of fixations, image,subject,x,y, for --saliency fixations (default: the one beside the pictures)"
    parser.add_argument("--fixations", metavar="FILE", help=table)
    parser.add_argument("--log", action="store_true", help="the maps of --maps are log densities")
    zoom = "crop pictures to what a run attends to: RUN, RUN+RUN for a third look, a predictor, boxes, or center=RUN"
    parser.add_argument("--zoom", metavar="WHO", help=zoom)
    parser.add_argument("--codec", default="raw", help="raw, jpeg or npy (default: raw)")
    parser.add_argument("--shards", type=int, help="train shards (default: by size, 128 MiB at most each)")
    return parser


def source_options(parser):
    """Adds to a parser what says which pictures are read, where they go, and how they become squares."""
    source = "folder with train/CLASS/* and val/CLASS/*, LIST.csv, zip, tar, parquet, tfds:NAME, imagenet:DIR, cub:DIR"
    source += " …, popout"
    parser.add_argument("source", help=source)
    parser.add_argument("out", help="folder to make")
    parser.add_argument("--shorter", type=int, help="pixels that the shorter side is scaled to (default: 256, or more)")
    parser.add_argument("--square", type=int, help="side of the central square in pixels (default: 256, or more)")
    parser.add_argument("--side", type=int, help="stored width and height in pixels (default: 144)")
    upright = "turn pictures as their orientation tags say (default: store them as they lie)"
    parser.add_argument("--upright", action="store_true", help=upright)
    hold_out = "share of each class to hold out as val, for a SOURCE that has no such split; for example 0.1"
    parser.add_argument("--hold-out", type=float, metavar="SHARE", help=hold_out)
    label = "column with the classes, for a list or parquet files that do not call it label"
    parser.add_argument("--label", metavar="COLUMN", help=label)
    parser.add_argument("--limit", type=int, help="pictures to take of each split, a keyed sample (default: all)")
    parser.add_argument("--seed", type=int, help="seed of the order on disk (default: 0)")


def named_folder(text):
    """Reads `NAME=DIR` of the command line: name and folder."""
    name, _, folder = text.partition("=")
    if not name or not folder:
        raise argparse.ArgumentTypeError(f"must be NAME=DIR; received {text}")
    return name, folder


compact = console.in_python(_compact, _parser, "source", "out")


if __name__ == "__main__":
    console.run(main)

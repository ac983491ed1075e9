"""Every row of a paper's table, theirs beside ours.

    python -m saliency_keras.reproduce TABLE --data DIR [--out DIR] [--epochs N] [--repeats R] [--only NAME,…]
           [--set KEY=VALUE] [--maps NAME,…] [--large DIR] [--shots 1,5,K] [--fixations DIR]
           [--backbones NAME,…] [--precision bfloat16]
    python -m saliency_keras.reproduce --list

Trains what the table needs into OUT/runs, one run after another, and says which one is running and how many are left;
stopped at any moment and started again with the same words, it goes on where it was. Prints the table and writes it to
OUT/TABLE/table.md and table.csv, with intervals, and the paper's figures beside them. Tables made in one OUT share
their runs. `controls` takes the interleaved map apart, and by `--maps readout` a further map of the set beside it.
The hallucination tables begin on a large set: `--large`. `accuracy-vs-saliency` compares backbones:
`--backbones ours,ResNet50,DenseNet121=FILE,runs/rgb` are the table's own, networks of `keras.applications` with
ImageNet's weights, a file of weights or `=none`, and run folders.
"""

import textwrap
from pathlib import Path

from saliency_keras import console
from saliency_keras.console import UserError
from saliency_keras.data.few_shot import SHOTS, shots_within
from saliency_keras.data.manifest import Manifest
from saliency_keras.experiments.tables import TABLES, table, with_further_maps
from saliency_keras.training.start import check_kind


def main(arguments=None):
    """Runs the command; `arguments` are the words after its name, `sys.argv`'s by default."""
    options = _parse(arguments)
    if options.list:
        for name, one in TABLES.items():
            print(f"{name:25}{one.title}")
            if one.figures:
                print(textwrap.fill(", ".join(one.figures), 100, initial_indent=" " * 25, subsequent_indent=" " * 25))
        return
    further = _words(options.maps)
    chosen = with_further_maps(table(options.table), further)
    _check_maps(options.data, further)
    if chosen.kind in ("fixations", "correlation") and options.fixations is None:
        raise UserError(f"{options.table} scores maps against where people looked; give a set: --fixations DIR.")
    if chosen.kind == "correlation" and (options.epochs or options.repeats):
        raise UserError(f"--epochs and --repeats do not apply to {options.table}; change a length by --set.")

    from saliency_keras.data.fixation_set import read_fixation_set
    from saliency_keras.tables.paper_tables import write_table
    from saliency_keras.tables.plan import Choices, carry_out, check_missing, plan

    if options.fixations is not None:
        read_fixation_set(options.fixations)

    only, shots = _words(options.only), _words(options.shots) or SHOTS
    large = options.large or (options.data if chosen.kind == "fixations" else None)
    choices = Choices(
        options.data, options.out, large, options.epochs, options.repeats, shots, only, tuple(options.set),
        options.precision,
    )  # fmt: skip
    if chosen.kind == "correlation":
        _correlation(chosen, choices, options)
        return
    runs = plan(chosen, choices)
    if chosen.kind == "few_shot" and not options.shots:
        runs = _with_enough_pictures(runs, options.data)
    finished = sum(run.finished for run in runs)
    print(f"{options.table}: {len(runs)} runs, {finished} finished, {len(runs) - finished} left", flush=True)
    missing = carry_out(runs, keep_models=chosen.kind != "few_shot")
    folder = options.out / options.table
    print(write_table(chosen, runs, folder, options.fixations))
    print(f"written: {', '.join(str(path) for path in sorted(folder.iterdir()))}")
    check_missing(missing, options.table)


def _words(text):
    """What stands between the commas, each once."""
    return tuple(dict.fromkeys(filter(None, text.split(","))))


def _with_enough_pictures(runs, data):
    """The runs that take no more training pictures of a class than the smallest one has; says which it leaves out."""
    check_kind(runs[-1].experiment, data)
    manifest = Manifest.load(data)
    in_train = manifest.splits["train"].per_class
    shots = shots_within(in_train)
    if left := [one for one in SHOTS if one not in shots]:
        smallest = in_train.index(min(in_train))
        told = f"{manifest.classes[smallest]!r} has {in_train[smallest]} in train"
        print(f"{', '.join(left)} pictures per class are left out: {told}")
    return [run for run in runs if run.shots not in left]


def _check_maps(data, names):
    """Refuses names that are not of further maps of the set."""
    manifest = Manifest.load(data) if names else None
    for name in names:
        if manifest.map_named(name) is manifest.maps[0]:
            raise UserError(f"{name} is interleaved with the pictures of {data}: controls is about it already.")


def _correlation(chosen, choices, options):
    """Measures the backbones, writes and prints table and figure."""
    from saliency_keras.tables.backbones import OURS, measure, named_backbones
    from saliency_keras.tables.correlation import write
    from saliency_keras.tables.plan import check_missing, check_settings, plan

    words = [word for word in options.backbones.split(",") if word]
    named, runs = named_backbones(words), plan(chosen, choices) if OURS in words else []
    check_settings([*(run.row for run in runs), chosen.readout], choices.settings)
    if not (named or runs):
        raise UserError(f"say which backbones to compare: --backbones {OURS}, networks of keras.applications, runs.")
    measured, missing = measure(chosen, choices, runs, named, options.fixations, options.limit)
    if measured:
        print(write(chosen, measured, options.data, options.out / options.table))
        print(f"written: {options.out / options.table}")
    check_missing(missing, options.table)


def _parse(arguments):
    parser = console.parser(__spec__.name, __doc__)
    add = parser.add_argument
    add("table", nargs="?", metavar="TABLE", help="name of a table; --list shows them")
    add("--list", action="store_true", help="print every table and figure that can be made")
    add("--data", metavar="DIR", type=Path, help="compact data set")
    add("--out", metavar="DIR", type=Path, default=Path("reproduction"), help="where runs and tables go (%(default)s)")
    add("--epochs", metavar="N", type=int, help="epochs of the rows; runs they start from are shortened in proportion")
    repeats = "runs of each row, seeds 0, 1, … (default: the table's own)"
    add("--repeats", "--seeds", metavar="R", type=int, help=repeats)
    add("--only", metavar="NAMES", default="", help="confine it to these experiments and what they are compared with")
    setting = "change a field of all experiments that have it, or of one: EXPERIMENT:KEY=VALUE; repeatable"
    add("--set", action="append", default=[], metavar="KEY=VALUE", help=setting)
    further = "controls: names of further maps of the set to be taken apart beside the interleaved one"
    add("--maps", metavar="NAMES", default="", help=further)
    add("--large", metavar="DIR", type=Path, help="compact set that hallucination tables begin on")
    shots = f"few-shot: training pictures per class (default: of {','.join(SHOTS)} those that every class has)"
    add("--shots", metavar="K,…", default="", help=shots)
    add("--fixations", metavar="DIR", type=Path, help="set that hallucination-3 and accuracy-vs-saliency score on")
    add("--backbones", metavar="NAMES", default="ours", help="accuracy-vs-saliency: what to compare (default: ours)")
    limit = "accuracy-vs-saliency: pictures of each split that linear classifiers see at most (default: %(default)s)"
    add("--limit", metavar="N", type=int, default=10_000, help=limit)
    add("--precision", choices=["float32", "bfloat16"], default="float32", help="default: %(default)s")
    options = parser.parse_args(arguments)
    if not options.list and not options.table:
        parser.error("say which table to make; --list shows them")
    if options.table and not options.list:
        table(options.table)
        if options.data is None:
            raise UserError(f"{options.table} wants a compact data set: --data DIR.")
    for name in "epochs", "repeats", "limit":
        if getattr(options, name) is not None and getattr(options, name) < 1:
            raise UserError(f"--{name} must be at least 1. Received: {getattr(options, name)}")
    return options


if __name__ == "__main__":
    console.run(main)

"""Every row of a paper's table, theirs beside ours.

    python -m saliency_keras.reproduce TABLE --data DIR [--out DIR] [--epochs N] [--repeats R] [--only NAME,…]
           [--set KEY=VALUE] [--maps NAME,…] [--large DIR] [--shots 1,5,K] [--fixations DIR]
           [--backbones NAME,…] [--source SOURCE] [--precision auto|float32|bfloat16]
    python -m saliency_keras.reproduce --list

Trains what the table needs into OUT/runs, one run after another, and says which one is running and how many are left;
stopped at any moment and started again with the same words, it goes on where it was. Prints the table and writes it to
OUT/TABLE/table.md and table.csv, with intervals, and the paper's figures beside them. Tables made in one OUT share
their runs. `controls` takes the interleaved map apart, and by `--maps readout` a further map of the set beside it;
`guidance --maps readout` teaches that map, too.
The hallucination tables begin on a large set: `--large`. `--set ROW:KEY=VALUE` changes one row.
`accuracy-vs-saliency` compares backbones: `--backbones ours,ResNet50,DenseNet121=FILE,runs/rgb` are the table's own,
networks of `keras.applications` with ImageNet's weights, a file of weights or `=none`, and run folders.
The attention tables crop the original pictures: `--source SOURCE`, what the set of `--data` was compacted from.
"""

import dataclasses
from pathlib import Path

from saliency_keras import console
from saliency_keras.console import UserError
from saliency_keras.experiments.tables import TABLES, table
from saliency_keras.files import claimed


def main(arguments=None):
    """Runs the command; `arguments` are the words after its name, `sys.argv`'s by default."""
    options = _parse(arguments)
    if options.list:
        for name, one in TABLES.items():
            print(console.in_lines(one.title, f"{name:25}", 25))
            if one.figures:
                print(console.in_lines(", ".join(one.figures), " " * 25, 25))
        return

    from saliency_keras.tables.further_maps import extended
    from saliency_keras.tables.kind import kind_of
    from saliency_keras.tables.plan import Choices, carry_out, check_missing
    from saliency_keras.tables.results import Results
    from saliency_keras.training.features import shared

    chosen, folder = table(options.table), options.out / options.table
    kind = kind_of(chosen, options)
    choices = Choices(
        options.data, options.out, options.large, options.epochs, options.repeats, options.only, tuple(options.set),
        compact=_compact,
    )  # fmt: skip
    runs, missing = kind.plan(chosen, choices), []
    if runs:
        precision, told = _precision(options, chosen)
        runs = [dataclasses.replace(run, precision=precision) for run in runs]
        finished = sum(run.finished for run in runs)
        print(f"{options.table}: {len(runs)} runs, {finished} finished, {len(runs) - finished} left", flush=True)
        if told and finished < len(runs):
            console.say(told)
        with console.resumable("go on with the same command"), shared(options.out / "features") as features:
            missing = carry_out(runs, kind.keep_models, options.jobs, features)
    try:
        results = Results.load(extended(chosen, kind), runs, options.data)
        with claimed(folder):
            print(kind.write(results, folder))
    except UserError:
        check_missing(missing, options.table)  # this is why there is nothing to write
        raise
    console.tell(f"written: {', '.join(str(path) for path in sorted(folder.iterdir()))}")
    if told := results.conclusion():
        console.say(told)
        folders = [results.runs[row.name][0].folder for row in results.rows()]
        print(console.next_step("report", *folders, "--out", folder / "report.html", why="the runs on one page"))
    check_missing(missing, options.table)


def _precision(options, chosen):
    """The one precision of all runs of a table, so that they compare, and what is to be said of it."""
    from saliency_keras.experiments import experiment
    from saliency_keras.training.precision import choose

    rows = (*chosen.rows, *chosen.readouts)
    of_maps = any(experiment(row.experiment).learns_from_fixations for row in rows)
    return choose(options.precision, sorted((options.out / "runs").glob("*")), of_maps)


def _compact(*arguments, **options):
    """Makes a compact set, for a table that looks again at pictures."""
    from data_prep.compact import compact

    return compact(*arguments, **options)


def _parse(arguments):
    from saliency_keras.tables.kind import KINDS

    options = _parser(KINDS.values()).parse_args(arguments)
    if options.list:
        return options
    if not options.table:
        _parser(KINDS.values()).error("say which table to make; --list shows them")
    # Kinds may give an option of one name other values: what counts is what this table's kind makes of it.
    options, left = _parser([KINDS[table(options.table).kind]]).parse_known_args(arguments)
    if left:
        raise UserError(f"{options.table} does not take {left[0]}.")
    if options.data is None:
        raise UserError(f"{options.table} wants a compact data set: --data DIR.")
    for name in "epochs", "repeats", "jobs":
        if getattr(options, name) is not None and getattr(options, name) < 1:
            raise UserError(f"--{name} must be at least 1. Received: {getattr(options, name)}")
    return options


def _parser(kinds):
    """The command's parser, with the options of some kinds of tables."""
    from saliency_keras.tables.plan import words_of

    parser = console.parser(__spec__.name, __doc__, conflict_handler="resolve")
    add = parser.add_argument
    add("table", nargs="?", metavar="TABLE", help="name of a table; --list shows them")
    add("--list", action="store_true", help="print every table and figure that can be made")
    add("--data", metavar="DIR", type=Path, help="compact data set")
    add("--out", metavar="DIR", type=Path, default=Path("reproduction"), help="where runs and tables go (%(default)s)")
    add("--epochs", metavar="N", type=int, help="epochs of the rows; runs they start from are shortened in proportion")
    repeats = "runs of each row, seeds 0, 1, … (default: the table's own)"
    add("--repeats", "--seeds", metavar="R", type=int, help=repeats)
    jobs = "runs that are trained at once, each with its share of the cores and of the GPU's memory (default: 1)"
    add("--jobs", metavar="N", type=int, default=1, help=jobs)
    only = "only these experiments or rows, and what they are compared with; EXPERIMENT-own for one row of several"
    add("--only", metavar="NAMES", type=words_of, default=(), help=only)
    setting = "change a setting of all rows that have it, or of one row or experiment: NAME:KEY=VALUE; may be repeated"
    add("--set", action="append", default=[], metavar="KEY=VALUE", help=setting)
    add("--large", metavar="DIR", type=Path, help="compact set that tables of several stages begin on")
    precision = "auto: that of the runs in OUT, else bfloat16 where this device is faster in it, else float32"
    add("--precision", choices=["auto", "float32", "bfloat16"], default="auto", help=f"{precision} (default: auto)")
    for kind in kinds:
        kind.options(add)
    return parser


if __name__ == "__main__":
    console.run(main)

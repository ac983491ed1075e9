"""Turns fixations as others publish them into a fixation set.

    python -m data_prep.fixations KIND SOURCE OUT [--pictures DIR] [--copy]
    python -m data_prep.fixations table TABLE OUT [--columns image=…,x=…,y=…[,subject=…,duration=…,fixation=…]]
           [--where COLUMN=VALUE] [--screen WxH] [--picture-at X,Y] [--shown WxH] [--coordinates pixels|shares]

KIND is one of pysaliency, salicon, mit1003, osie, cub-gha, cat2000, toronto, figrim, coco-freeview, poet and table.
SOURCE is the downloaded folder or file; OUT gets `images/` (links, or copies), `fixations.csv` (image,subject,x,y and,
if they are known, duration in milliseconds and order) and `set.json`, which `score` and `train` read. Pictures that are
not there are left out with their fixations, and counted.
"""

import argparse
from pathlib import Path

from saliency_keras import console
from saliency_keras.console import UserError

KINDS = (
    *("pysaliency", "salicon", "mit1003", "osie", "cub-gha", "cat2000", "toronto"),
    *("figrim", "coco-freeview", "poet", "table"),
)
OF_A_TABLE = ("columns", "where", "screen", "picture_at", "shown", "coordinates")


def main(arguments=None):
    """Parses the command line, writes the set and prints what is in it.

    Args:
        arguments: The command line's words, or `None` for the program's own.

    Raises:
        UserError: For any mistake that the user can correct.
    """
    options = _parser().parse_args(arguments)
    if options.kind not in KINDS:
        raise UserError(f"there is no kind {options.kind!r}; known are {', '.join(KINDS)}.")
    of_a_table = {name: getattr(options, name) for name in OF_A_TABLE if getattr(options, name)}
    if options.kind != "table" and of_a_table:
        raise UserError(f"--{next(iter(of_a_table)).replace('_', '-')} is for the kind table alone.")
    if not options.source.exists():
        raise UserError(f"there is no {options.source}; SOURCE is a downloaded file or folder.")

    from data_prep.importers import IMPORTERS
    from data_prep.importers.gathered import Choices, check_out

    check_out(options.out)
    gathered = IMPORTERS[options.kind](options.source, Choices(pictures=options.pictures, **of_a_table))
    fixation_set = gathered.write(options.out, options.copy)
    for note in (*gathered.notes(), *fixation_set.notes):
        console.tell(f"note: {note}")
    people = len(set(fixation_set.subjects))
    print(f"{len(fixation_set.x):,} fixations of {people} subjects on {len(fixation_set.images):,} pictures")
    print(f"the fixation set is in {options.out}")
    print(console.next_step("score", options.out, why="how well predictors say where people look"))


def _parser():
    parser = console.parser(__spec__.name, __doc__)
    parser.add_argument("kind", help=f"what SOURCE is: {', '.join(KINDS)}")
    parser.add_argument("source", type=Path, help="downloaded folder or file")
    parser.add_argument("out", type=Path, help="folder to make")
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="folder of the pictures, if they lie elsewhere")
    parser.add_argument("--copy", action="store_true", help="copy the pictures (default: link to them)")
    columns = (
        "of a table: image=…,x=…,y=… and perhaps subject=…, duration=… (ms), fixation=… (its number) "
        "(default: the columns of these names)"
    )
    parser.add_argument("--columns", type=_columns, metavar="NAME=COLUMN,…", help=columns)
    where = "of a table: take only rows with this value; may be repeated"
    parser.add_argument("--where", type=_pair, action="append", metavar="COLUMN=VALUE", help=where)
    parser.add_argument("--screen", type=_size, metavar="WxH", help="of a table: positions are those of such a screen")
    at = "of a table: left and top edge of the picture on the screen (default: it is in the middle)"
    parser.add_argument("--picture-at", type=_place, metavar="X,Y", help=at)
    shown = "of a table: size at which the screen shows the picture (default: its own)"
    parser.add_argument("--shown", type=_size, metavar="WxH", help=shown)
    coordinates = "of a table: pixels, or shares of the screen, or else of the picture (default: pixels)"
    parser.add_argument("--coordinates", choices=("pixels", "shares"), help=coordinates)
    return parser


def _pair(text):
    name, _, value = text.partition("=")
    if not name or not value:
        raise argparse.ArgumentTypeError(f"must be NAME=VALUE; received {text}")
    return name.strip(), value.strip()


def _columns(text):
    from data_prep.importers.table import KNOWN

    found = dict(_pair(one) for one in text.split(","))
    if unknown := set(found) - set(KNOWN):
        raise argparse.ArgumentTypeError(f"{min(unknown)} is none of {', '.join(KNOWN)}")
    return found


def _size(text):
    return _numbers(text.lower(), "x", 0)


def _place(text):
    return _numbers(text, ",", None)


def _numbers(text, between, above):
    try:
        found = tuple(float(one) for one in text.split(between))
    except ValueError:
        found = ()
    if len(found) != 2 or (above is not None and min(found) <= above):
        raise argparse.ArgumentTypeError(f"must be two numbers with {between} between them; received {text}")
    return found


if __name__ == "__main__":
    console.run(main)

"""All commands under one name: `saliency-keras COMMAND …`, or `python -m saliency_keras COMMAND …`.

Each is the command that `python -m` and its module's name call as well; nothing is parsed here but the command's name.
"""

import ast
import importlib
import importlib.util
import sys
from pathlib import Path

from saliency_keras import __version__, console

PREPARE, PACKAGE = "data_prep", __package__
COMMANDS = {
    "compact": PREPARE,
    "add_map": PREPARE,
    "export_squares": PREPARE,
    "verify": PREPARE,
    "beam": PREPARE,
    "train": PACKAGE,
    "evaluate": PACKAGE,
    "plot": PACKAGE,
    "report": PACKAGE,
    "classify": PACKAGE,
    "reproduce": PACKAGE,
    "fixations": PREPARE,
    "predict": PACKAGE,
    "score": PACKAGE,
    "pack_readout": f"{PACKAGE}.saliency",
    "learn_aim_basis": PREPARE,
}  # in the order in which they are used, each with the package it is a module of


def main():
    """Calls the command that the first word names; without one, prints them all."""
    program = "saliency-keras" if Path(sys.argv[0]).name != "__main__.py" else f"python -m {PACKAGE}"
    name, *words = sys.argv[1:] or ["--help"]
    if name in COMMANDS:
        sys.argv = [sys.argv[0], *words]
        console.run(importlib.import_module(f"{COMMANDS[name]}.{name}").main, f"{program} {name}")
    else:
        console.run(lambda: _tell(program, name))


def _tell(program, word):
    """Prints the commands, or the version; refuses any other word."""
    if word in ("--help", "-h"):
        print(f"usage: {program} COMMAND …\n\nDoes telling a network where people look make it classify better?\n")
        for name, package in COMMANDS.items():
            print(f"  {name:17}{_what_it_does(f'{package}.{name}')}")
        print(f"\nBegin with `{program} train fanin3`, which needs no data.")
        print(f"`{program} COMMAND --help` explains a command.")
    elif word == "--version":
        print(__version__)
    else:
        advice = console.did_you_mean(word, COMMANDS, otherwise=f"; `{program}` prints them all.")
        raise console.UserError(f"there is no command {word!r}{advice}")


def _what_it_does(module):
    """The first line of a module's docstring, read without importing the module."""
    source = importlib.util.find_spec(module).loader.get_source(module)
    return ast.get_docstring(ast.parse(source)).splitlines()[0]


if __name__ == "__main__":
    main()

"""Arrows between the rooms point one way: what imports what, lazy imports included."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# The floors from the ground up. A module imports from its own room and from the rooms named here, from no other.
GROUND = {"blas", "console", "files", "run_folder"}
ARROWS = {
    "blas": set(),
    "console": set(),
    "files": {"console"},
    "run_folder": {"console", "files"},
    "metrics": {"blas"},
    "models": GROUND,
    "saliency": GROUND | {"metrics", "models"},
    "data": GROUND | {"metrics", "saliency"},
    "experiments": GROUND | {"data"},
    "runs": GROUND | {"metrics", "models", "saliency", "data", "experiments"},
    "figures": GROUND | {"metrics", "data", "experiments", "runs"},
    "scoring": GROUND | {"metrics", "saliency", "data", "figures"},
    "training": GROUND | {"metrics", "models", "saliency", "data", "experiments", "runs", "figures", "scoring"},
    "tables": GROUND
    | {"metrics", "models", "saliency", "data", "experiments", "runs", "figures", "scoring", "training"},
    "notebook": GROUND | {"metrics", "data", "experiments", "runs", "figures", "tables"},
    "data_prep.sources": GROUND | {"data", "metrics"},
    "data_prep": GROUND | {"data", "metrics", "models", "saliency", "figures", "data_prep.sources"},
}
FACE = ("face", "__main__")
COMMANDS = ("train", "evaluate", "plot", "report", "classify", "reproduce", "predict", "score")
BELOW_COMMANDS = set(ARROWS) - {"data_prep", "data_prep.sources"}
ARROWS |= dict.fromkeys((*COMMANDS, *FACE), BELOW_COMMANDS)
ARROWS["train"] = BELOW_COMMANDS | {"data_prep"}  # the built-in set
ARROWS["reproduce"] = BELOW_COMMANDS | {"data_prep"}  # sets of what networks attend to


def room_of(path):
    """The room of a module: its folder, or the module itself where it lies in the package's own folder."""
    package, *inner = path.relative_to(ROOT).with_suffix("").parts
    if package == "data_prep":
        return "data_prep.sources" if inner[0] == "sources" and len(inner) > 1 else "data_prep"
    return inner[0]


def imported(path):
    """`(line, room)` of every import of ours in a module, wherever it stands in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno} has a relative import, which this test cannot follow"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            if name.partition(".")[0] in ("saliency_keras", "data_prep"):
                yield node.lineno, room_of(_module(name))


def _module(name):
    """The file of a module, or of the module that holds the name."""
    while True:
        place = ROOT / name.replace(".", "/")
        if place.with_suffix(".py").is_file():
            return place.with_suffix(".py")
        if (place / "__init__.py").is_file():
            return place / "__init__.py"
        name = name.rpartition(".")[0]


MODULES = sorted([*ROOT.glob("saliency_keras/**/*.py"), *ROOT.glob("data_prep/**/*.py")])


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_from_the_rooms_below_its_own(path):
    room = room_of(path)
    if room in ("__init__", "__main__"):
        return  # the Python face and the list of commands may name everything
    for line, other in imported(path):
        if other != "__init__":
            assert other == room or other in ARROWS[room], f"{path.relative_to(ROOT)}:{line}: {room} -> {other}"


def test_there_are_no_circles():
    """The list of allowed arrows itself has an order from the ground up."""
    left = {room: below - {room} for room, below in ARROWS.items()}
    while left:
        free = [room for room, below in left.items() if not below & left.keys()]
        assert free, f"these rooms import each other: {sorted(left)}"
        for room in free:
            del left[room]


def test_models_and_metrics_know_no_backend():
    """Networks, losses, metrics and predictors run on every backend: they import Keras, not what Keras runs on."""
    allowed = {"grad_cam.py", "per_picture.py"}  # a gradient is the backend's; so is the question for a GPU
    for folder in ("models", "metrics", "saliency"):
        for path in (ROOT / "saliency_keras" / folder).glob("*.py"):
            roots = {
                alias.name.partition(".")[0]
                for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                if isinstance(node, ast.Import | ast.ImportFrom)
                for alias in ([ast.alias(node.module)] if isinstance(node, ast.ImportFrom) else node.names)
            }
            assert path.name in allowed or not roots & {"tensorflow", "jax", "torch"}, path

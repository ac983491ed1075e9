"""The notebooks: what is stored is clean and came from a run top to bottom, and they run from a clean clone."""

import ast
import itertools
import json
import os
import re
import shutil
from pathlib import Path

import pytest

import saliency_keras as sk

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
KERNEL = {"kernel_name": "python3", "timeout": 1800, "coalesce_streams": True}
# The kernel draws a twentieth of the built-in training pictures: the networks learn for the same epochs, and see fewer
# pictures. Of a hundred others even a network that guesses gets ten right; notebook 5 shows three that are right.
FEWER = """
from data_prep.sources import popout
popout.COUNTS = {"train": 100, "val": 100}
"""
# Places of one machine, progress bars, and what libraries say on standard error.
UNWANTED = re.compile(r"/root|/home/|/tmp/|/Users/|/work/|it/s\]|\x1b\[|Warning:|Traceback|ETA")


def cells(path, kind):
    return [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == kind]


def texts(output):
    """Everything in an output that is text."""
    found = [output.get("text", "")]
    found += [value for kind, value in output.get("data", {}).items() if kind.startswith("text/")]
    return ["".join(one) for one in found]


def displays(cell):
    """How many figures and tables a cell shows."""
    return sum(output["output_type"] == "display_data" for output in cell["outputs"])


def test_there_are_eleven_and_each_names_the_next():
    assert [path.name[:2] for path in NOTEBOOKS] == [f"{number:02d}" for number in range(1, 12)]
    for path, following in itertools.pairwise(NOTEBOOKS):
        assert f"({following.name})" in "".join(cells(path, "markdown")[-1]["source"])
    listed = (ROOT / "notebooks" / "README.md").read_text(encoding="utf-8")
    assert all(f"({path.name})" in listed for path in NOTEBOOKS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_opens_with_what_it_shows_and_how_long_it_takes(path):
    first = "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"])
    assert first.startswith("# ")
    assert "**What it shows:**" in first
    assert re.search(r"\*\*How long it takes:\*\*.*(minute|second)", first)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_stored_outputs_are_those_of_a_run_from_top_to_bottom_and_clean(path):
    code = cells(path, "code")
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell["outputs"]]
    assert not [output for output in outputs if output["output_type"] == "error" or output.get("name") == "stderr"]
    for text in (text for output in outputs for text in texts(output)):
        assert not UNWANTED.search(text), text
    assert any({"image/png", "image/jpeg"} & output.get("data", {}).keys() for output in outputs)
    assert path.stat().st_size < 2_500_000


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_has_no_logic_of_its_own(path):
    source = "\n".join("".join(cell["source"]) for cell in cells(path, "code"))
    assert not re.search(r"^\s*(def|class|while|try|!|%)\b", source, re.MULTILINE)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_imports_of_ours_the_python_face_alone_and_leaves_the_path_as_it_is(path):
    tree = ast.parse("\n".join("".join(cell["source"]) for cell in cells(path, "code")))
    imported = [alias for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    ours = [(alias.name, alias.asname) for alias in imported if is_ours(alias.name)]
    assert ours == [("saliency_keras", "sk")]
    assert not [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and is_ours(node.module)]
    assert not {"sys", "site", "importlib"} & {alias.name.partition(".")[0] for alias in imported}
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and is_face(node.value)}
    assert used <= set(dir(sk))


def is_ours(module):
    return module.partition(".")[0] in ("saliency_keras", "data_prep")


def is_face(node):
    return isinstance(node, ast.Name) and node.id == "sk"


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A folder with the notebooks and the kept results, its runs its own; the package is this one."""
    folder = tmp_path_factory.mktemp("clone")
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    (folder / "results").symlink_to(ROOT / "results")
    begins = folder / "ipython" / "profile_default" / "startup"  # what a kernel runs before the notebook
    begins.mkdir(parents=True)
    (begins / "fewer_pictures.py").write_text(FEWER, encoding="utf-8")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", [path.name for path in NOTEBOOKS], ids=lambda name: name[:2])
def test_runs_from_top_to_bottom(name, clone, monkeypatch):
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("IPYTHONDIR", str(clone / "ipython"))
    notebook = nbformat.read(clone / "notebooks" / name, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    stored = [displays(cell) for cell in code]
    for cell in code:
        cell.outputs, cell.execution_count = [], None
    nbclient.NotebookClient(notebook, resources={"metadata": {"path": str(clone / "notebooks")}}, **KERNEL).execute()
    assert [displays(cell) for cell in code] == stored
    assert not [output for cell in code for output in cell.outputs if output.get("name") == "stderr"]

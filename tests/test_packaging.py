"""What pip installs: dependencies, extras, files; and what a citation says."""

import re
import tomllib
from pathlib import Path

import saliency_keras

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CORE, EXTRAS = PROJECT["project"]["dependencies"], PROJECT["project"]["optional-dependencies"]


def test_requirements_are_the_core_with_tensorflow_tfds_and_pytest():
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    required = {line for line in lines if not line.startswith("#")}
    by_extras = {*EXTRAS["tensorflow"], *EXTRAS["tfds"], *(one for one in EXTRAS["test"] if one.startswith("pytest>"))}
    assert required == set(CORE) | {one for one in by_extras if not one.startswith("saliency_keras[")}


def test_the_core_has_neither_a_backend_nor_test_tools():
    names = {re.match(r"[\w-]+", one).group() for one in CORE}
    assert "keras" in names
    assert not names & {"tensorflow", "tensorflow-datasets", "jax", "torch", "pytest", "tensorboard", "apache-beam"}


def test_an_extra_that_takes_in_another_names_one_that_is_there():
    for name, content in EXTRAS.items():
        for one in content:
            if taken := re.match(r"saliency_keras\[(.*)\]$", one):
                assert set(taken.group(1).split(",")) <= EXTRAS.keys() - {name}
    (everything,) = EXTRAS["all"]
    assert set(everything.removeprefix("saliency_keras[").removesuffix("]").split(",")) == EXTRAS.keys() - {
        "all",
        "cuda",
    }


def test_every_file_of_the_packages_is_installed():
    data = PROJECT["tool"]["setuptools"]["package-data"]
    for package in ("saliency_keras", "data_prep"):
        for path in (ROOT / package).rglob("*"):
            if path.is_dir() or "__pycache__" in path.parts:
                continue
            folder = path.parent.relative_to(ROOT)
            assert (ROOT / folder / "__init__.py").is_file(), f"{folder} is not a package"
            patterns = ["*.py", *data.get(".".join(folder.parts), [])]
            assert any(path.match(pattern) for pattern in patterns), f"{path} is left out"


def test_the_citation_names_this_version_and_licence():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: (.*)$", citation, re.MULTILINE).group(1) == saliency_keras.__version__
    assert re.search(r"^license: (.*)$", citation, re.MULTILINE).group(1) == PROJECT["project"]["license"]

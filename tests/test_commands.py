"""What every command owes its user: help at once, and no library of networks loaded for it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import saliency_keras
from saliency_keras import console

ROOT = Path(__file__).parents[1]
COMMANDS = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for folder in ("saliency_keras", "data_prep")
    for path in (ROOT / folder).rglob("*.py")
    if '__name__ == "__main__"' in path.read_text(encoding="utf-8") and path.stem != "__main__"
)
SUB_COMMANDS = [module.rpartition(".")[2] for module in COMMANDS]
CODE = """
import json, runpy, sys, time
module, sys.argv = sys.argv[1], [*sys.argv[1:], "--help"]
try:
    runpy.run_module(module, run_name="__main__", alter_sys=True)
except SystemExit as end:
    heavy = [name for name in ("tensorflow", "keras", "matplotlib", "h5py") if name in sys.modules]
    print(json.dumps([end.code, heavy, time.process_time()]))
"""


def too_wide(printed):
    return [line for line in printed.splitlines() if len(line) > 100]


@pytest.mark.parametrize("words", [("train", "--list"), ("reproduce", "--list"), ()], ids=" ".join)
def test_a_list_fits_a_terminal_of_100_columns(words):
    listed = _entry_point(*words).stdout
    assert len(listed.splitlines()) > 10
    assert not too_wide(listed)


def test_the_commands_of_the_design_are_there():
    expected = {"train", "evaluate", "plot", "report", "reproduce", "classify", "predict", "score"}
    prepare = {"compact", "verify", "add_map"}
    names = {f"saliency_keras.{name}" for name in expected} | {f"data_prep.{name}" for name in prepare}
    assert names <= set(COMMANDS)


@pytest.mark.parametrize("module", COMMANDS)
def test_help_answers_in_under_a_second_without_heavy_imports(module):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", CODE, module], capture_output=True, text=True, env=environment)
    code, heavy, seconds = json.loads(done.stdout.splitlines()[-1])
    assert (code, heavy) == (0, [])
    assert seconds < 1
    assert f"usage: python -m {module} " in done.stdout
    assert not done.stderr
    assert not too_wide(done.stdout)


@pytest.mark.parametrize("name", SUB_COMMANDS)
def test_help_of_a_sub_command_is_as_quick_and_names_the_way_it_was_called(name):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-c", CODE, "saliency_keras", name]
    done = subprocess.run(words, capture_output=True, text=True, env=environment)
    code, heavy, seconds = json.loads(done.stdout.splitlines()[-1])
    assert (code, heavy) == (0, [])
    assert seconds < 1
    assert f"usage: python -m saliency_keras {name} " in done.stdout
    assert not done.stderr


def test_the_installed_command_is_called_by_its_own_name():
    script = (
        "import sys; from saliency_keras.__main__ import main; "
        "sys.argv = ['/somewhere/bin/saliency-keras', 'score', '--help']; main()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0
    assert done.stdout.startswith("usage: saliency-keras score ")


def test_without_a_command_all_of_them_are_printed_with_what_they_do():
    done = _entry_point()
    assert done.returncode == 0
    listed = [line.split(maxsplit=1) for line in done.stdout.splitlines() if line.startswith("  ")]
    assert sorted(name for name, _ in listed) == sorted(SUB_COMMANDS)
    assert all(what.endswith(".") for _, what in listed)
    assert dict(listed)["train"] == "Trains one experiment of the papers into a run folder."


def test_version_is_that_of_the_package():
    assert _entry_point("--version").stdout == f"{saliency_keras.__version__}\n"


def test_an_unknown_command_is_refused_in_a_sentence_that_names_the_nearest():
    done = _entry_point("trian", "fanin3")
    assert done.returncode == 2
    assert done.stderr == "error: there is no command 'trian'; did you mean train?\n"


def test_a_sub_command_does_what_the_module_does_and_reports_a_mistake_in_the_same_way():
    done, by_module = _entry_point("train", "rbg"), _module("saliency_keras.train", "rbg")
    assert done.returncode == by_module.returncode == 2
    assert done.stderr == by_module.stderr
    assert "did you mean rgb" in done.stderr
    assert _entry_point("train", "--list").stdout == _module("saliency_keras.train", "--list").stdout


def _entry_point(*words):
    return _module("saliency_keras", *words)


def _module(*words):
    return subprocess.run([sys.executable, "-m", *words], capture_output=True, text=True, cwd=ROOT)


@pytest.mark.parametrize("module", COMMANDS)
def test_unknown_option_is_one_sentence_and_code_2(module):
    done = _module(module, "a", "b", "--nonsense")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("--epo", "--epochs"), ("--e", "--epochs"), ("--epochs-per=3", ""), ("--presicion=float32", "--precision")],
)
def test_an_option_is_typed_in_full_and_a_slip_names_the_nearest(typed, meant, capsys):
    parser = console.parser("saliency_keras.train", "Trains.")
    for name in ("--epochs", "--precision"):
        parser.add_argument(name)
    parser.add_argument("experiment", nargs="?")
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(["fanin3", typed, "3"])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith(f"error: there is no option {typed.partition('=')[0]}")
    assert (f"; did you mean {meant}?" in told) == bool(meant)


def test_an_argument_too_many_is_named(capsys):
    with pytest.raises(SystemExit):
        console.parser("saliency_keras.train", "Trains.").parse_args(["rgb"])
    assert "one argument too many: rgb; `python -m saliency_keras.train --help`" in capsys.readouterr().err


def test_the_nearest_names_are_at_the_end_of_the_sentence():
    assert console.did_you_mean("rbg", ["rgb", "fanin3"]) == "; did you mean rgb?"
    assert console.did_you_mean("fanni", ["fanin1", "fanin2", "rgb"], 2).count(",") == 1
    assert console.did_you_mean("rbg", ["rgb"], written="runs/{}".format) == "; did you mean runs/rgb?"
    assert console.did_you_mean("xyz", ["rgb"]) == "."


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_a_backend_that_is_not_installed_is_told_in_a_sentence(backend):
    script = (
        f"import sys; sys.modules[{backend!r}] = None\n"
        "from saliency_keras import console\n"
        f"console.run(lambda: __import__({backend!r}))"
    )
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"error: Keras runs on {backend}, which is not installed; install it")
    assert f"pip install {backend}" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_the_sentence_names_the_backends_that_are_installed(monkeypatch):
    present = {"jax"}
    monkeypatch.setattr(console, "_is_installed", present.__contains__)
    assert console.no_backend("tensorflow").endswith("or use one that is installed: KERAS_BACKEND=jax.")
    present.add("torch")
    assert console.no_backend("tensorflow").endswith("or use one that is installed: KERAS_BACKEND=jax or torch.")


def test_a_backend_that_keras_does_not_know_is_told_in_a_sentence():
    words = [sys.executable, "-m", "saliency_keras.train", "rgb"]
    ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "KERAS_BACKEND": "jaxx"})
    assert ended.returncode == 2
    assert ended.stderr == "error: KERAS_BACKEND is one of tensorflow, jax, torch. Received: jaxx\n"


def test_a_number_and_its_percent_sign_stay_in_one_line():
    for before in range(90, 100):
        told = console.in_lines(f"{'x' * before} 33 % of all")
        assert "33 %" in told
        assert told.split() == ["x" * before, "33", "%", "of", "all"]
        assert not too_wide(told)

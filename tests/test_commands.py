"""What every command owes its user: help at once, and no library of networks loaded for it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COMMANDS = sorted(
    f"{path.parent.name}.{path.stem}"
    for folder in ("saliency_keras", "data_prep")
    for path in (ROOT / folder).glob("*.py")
    if "__main__" in path.read_text(encoding="utf-8")
)
CODE = """
import json, runpy, sys, time
module, sys.argv = sys.argv[1], sys.argv[1:] + ["--help"]
try:
    runpy.run_module(module, run_name="__main__")
except SystemExit as end:
    heavy = [name for name in ("tensorflow", "keras", "matplotlib", "h5py") if name in sys.modules]
    print(json.dumps([end.code, heavy, time.process_time()]))
"""


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
    assert "usage:" in done.stdout
    assert not done.stderr


@pytest.mark.parametrize("module", COMMANDS)
def test_unknown_option_ends_with_code_2(module):
    done = subprocess.run([sys.executable, "-m", module, "--nonsense"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_a_backend_that_is_not_installed_is_told_in_a_sentence(backend):
    script = (
        f"import sys; sys.modules[{backend!r}] = None\n"
        "from saliency_keras import console\n"
        f"console.run(lambda: __import__({backend!r}))"
    )
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"error: Keras is to run on {backend}, which is not installed")
    assert ended.stderr.count("\n") == 1


def test_a_backend_that_keras_does_not_know_is_told_in_a_sentence():
    words = [sys.executable, "-m", "saliency_keras.train", "rgb"]
    ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "KERAS_BACKEND": "jaxx"})
    assert ended.returncode == 2
    assert ended.stderr == "error: KERAS_BACKEND is one of tensorflow, jax, torch. Received: jaxx\n"

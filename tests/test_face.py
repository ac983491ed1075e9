"""The Python face: one quick import, and what the commands do by keyword."""

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import saliency_keras as sk
from saliency_keras import evaluate, plot, report, score, train
from tests.runs_fixture import write_run

ROOT = Path(__file__).parents[1]
DOCUMENT = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")


@pytest.fixture
def runs(tmp_path):
    return write_run(tmp_path / "better", skill=2.0), write_run(tmp_path / "worse", "noconv2", skill=0.5)


def test_the_import_is_quick_and_brings_nothing_heavy():
    code = (
        "import sys, time; began = time.process_time(); import saliency_keras as sk; dir(sk); "
        "print(time.process_time() - began, [n for n in ('numpy', 'keras', 'tensorflow', 'h5py') if n in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True).stdout
    seconds, heavy = printed.split(maxsplit=1)
    assert float(seconds) < 0.1
    assert heavy == "[]\n"


@pytest.mark.parametrize(("given", "expected"), [(None, "1"), ("0", "0")])
def test_the_import_has_tensorflow_take_onednn_s_kernels_unless_the_user_said_otherwise(given, expected):
    environment = {name: value for name, value in os.environ.items() if name != "TF_ENABLE_ONEDNN_OPTS"}
    environment |= {"TF_ENABLE_ONEDNN_OPTS": given} if given else {}
    code = "import saliency_keras, os; print(os.environ['TF_ENABLE_ONEDNN_OPTS'])"
    printed = subprocess.check_output([sys.executable, "-c", code], text=True, cwd=ROOT, env=environment)
    assert printed.strip() == expected


def test_every_name_of_the_face_is_there_and_explains_itself():
    names = [name for name in dir(sk) if not name.startswith("__")]
    assert {"fit", "compare", "network", "predictor", "read", "load", "experiment", "score", "show"} <= set(names)
    for name in names:
        assert inspect.getdoc(getattr(sk, name)), name


def test_the_document_lists_every_name_of_the_face_and_no_other():
    listed = DOCUMENT.partition("## All names")[2]
    assert sorted(re.findall(r"`sk\.(\w+)`", listed)) == [name for name in dir(sk) if not name.startswith("__")]


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'fitt'"):
        sk.fitt  # noqa: B018


def test_a_verb_is_not_covered_by_the_command_module_of_its_name():
    code = (
        "import saliency_keras.plot, saliency_keras.score; import saliency_keras as sk; "
        "print(callable(sk.plot), callable(sk.score), callable(saliency_keras.plot))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True).stdout
    assert printed == "True True True\n"
    assert all(map(callable, (evaluate, plot, report, score)))
    assert inspect.ismodule(train)


def test_a_verb_takes_the_command_s_options_with_their_defaults_and_no_others():
    taken = inspect.signature(sk.fit).parameters
    assert taken["maps"].default == "own"
    assert taken["seed"].default == 0
    assert all(one.kind is inspect.Parameter.KEYWORD_ONLY for name, one in taken.items() if name != "experiment")
    assert "list" not in taken
    with pytest.raises(TypeError, match="epoch"):
        sk.fit("rgb", epoch=3)
    with pytest.raises(TypeError, match="experiment"):
        sk.fit()


@pytest.mark.parametrize("given", ["nowhere", Path("nowhere"), {"network": "nowhere"}, ["nowhere"]])
def test_the_run_to_start_from_is_given_as_it_comes(given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(sk.UserError, match="there is no run folder nowhere to start from"):
        sk.fit("rgbs_pretrained", init=given)


def test_a_comparison_says_what_evaluate_prints(runs, capsys):
    better, worse = runs
    comparison = sk.compare(better, sk.load(worse))
    train_words = sys.modules["saliency_keras.evaluate"].main([str(better), "--against", str(worse)])
    assert train_words is None
    printed = " ".join(capsys.readouterr().out.split())  # a terminal's lines are shorter
    for line in str(comparison).splitlines()[2:]:
        assert " ".join(line.split()) in printed
    right, before = (run.predictions.correct() for run in (comparison.run, comparison.twin))
    assert comparison.difference.value == pytest.approx(right.mean() - before.mean())
    assert comparison.difference.low < comparison.difference.value < comparison.difference.high
    assert comparison.top1.value == right.mean()
    assert comparison.p < 0.01
    assert "<table>" in comparison._repr_html_()


def test_what_a_notebook_shows_of_a_run_is_escaped(tmp_path):
    run = sk.load(write_run(tmp_path / "run", data_folder="compact/<script>"))
    assert "&lt;script&gt;" in run._repr_html_()
    assert "<script>" not in run._repr_html_()
    assert f"Top-1 {sk.percent(run.top1, run.summary['pictures']['validation'])} % (95 % interval" in str(run)


def test_a_network_is_the_experiment_s_with_other_arguments():
    model = sk.network("rgb", classes=7, side=72, dense_units=16, conv2_padding="same")
    assert model.output_shape == (None, 7)
    assert model.get_layer("fc1").units == 16
    with pytest.raises(sk.UserError, match="no argument dens_units"):
        sk.network("rgb", dens_units=16)


def test_every_example_of_the_document_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    examples = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    assert len(examples) == 8
    names = {}
    for example in examples:
        exec(compile(example, "docs/python.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "(8, 80, 80, 3) (8, 80, 80, 1)" in printed
    assert "(144, 144, 3) (144, 144)" in printed
    assert "did you mean fanin3" in printed
    assert names["maps"].dtype == np.float32
    assert names["maps"].shape == (8, 80, 80)
    assert isinstance(names["network"], keras.Model)
    assert names["page"].is_file()
    rows = np.stack(names["scored"].scores.rows["itti"])
    assert rows.shape == (6, 8)
    assert names["reader"].validation()[0][0]["image"].tobytes() == names["inputs"]["image"].tobytes()

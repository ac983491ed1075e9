"""`report`: one page with every run's figures, comparison and classes, names as text, nothing from outside."""

import html

import pytest

from saliency_keras import report
from saliency_keras.console import UserError
from saliency_keras.training.runs import Run
from tests.runs_fixture import CLASSES, write_run


@pytest.fixture
def runs(tmp_path):
    return [write_run(tmp_path / name, name, skill=skill) for name, skill in (("rgb", 1.2), ("fanin3", 1.6))]


def test_two_runs_are_shown_and_compared_with_the_first(tmp_path, runs, capsys):
    out = tmp_path / "page.html"
    report.main([*map(str, runs), "--out", str(out)])
    assert capsys.readouterr().out == f"{out}\n"
    text = out.read_text(encoding="utf-8")
    assert "<title>rgb · fanin3</title>" in text
    assert "<h2>fanin3 against rgb</h2>" in text
    for folder in runs:
        right = int(Run.load(folder).predictions.correct().sum())
        assert f"<td class=s>{right} of 210</td>" in text
    assert text.count("data:image/png;base64,") == 3
    for name in CLASSES:
        assert html.escape(name) in text
    assert "<b>bold</b>" not in text


def test_one_run_has_no_comparison(tmp_path, runs):
    report.main([str(runs[0]), "--out", str(tmp_path / "page.html")])
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "against" not in text
    assert text.count("data:image/png;base64,") == 1


def test_runs_over_other_pictures_are_refused_and_nothing_is_written(tmp_path, runs):
    other = write_run(tmp_path / "other", pictures=203)
    with pytest.raises(UserError, match="cannot be compared"):
        report.main([str(runs[0]), str(other), "--out", str(tmp_path / "page.html")])
    assert not (tmp_path / "page.html").exists()

"""`plot`: several runs in one picture, under the name that was asked for."""

import numpy as np
import pytest
from PIL import Image

from saliency_keras import plot
from saliency_keras.console import UserError
from tests.runs_fixture import write_run


@pytest.fixture
def runs(tmp_path):
    return [str(write_run(tmp_path / name, name)) for name in ("rgb", "fanin3")]


def test_the_picture_goes_to_the_current_folder_and_its_name_is_printed(tmp_path, monkeypatch, runs, capsys):
    monkeypatch.chdir(tmp_path)
    plot.main(runs)
    assert capsys.readouterr().out == "comparison.png\n"
    pixels = np.asarray(Image.open(tmp_path / "comparison.png").convert("L"))
    assert pixels.shape[1] > pixels.shape[0] > 300
    assert pixels.min() < 50


def test_each_run_is_named_in_the_picture(tmp_path, runs):
    plot.main([*runs, "--out", str(tmp_path / "figure.svg")])
    drawn = (tmp_path / "figure.svg").read_text(encoding="utf-8")
    assert "<!-- rgb -->" in drawn
    assert "<!-- fanin3 -->" in drawn


def test_one_run_is_drawn_with_its_training_curves(tmp_path, runs):
    plot.main([runs[0], "--out", str(tmp_path / "figure.svg")])
    assert "<!-- training -->" in (tmp_path / "figure.svg").read_text(encoding="utf-8")


def test_a_run_twice_no_run_and_an_odd_file_name_are_refused_before_anything_is_written(tmp_path, runs):
    for words in ([runs[0], runs[0]], [runs[0], str(tmp_path)], [*runs, "--out", "figure.bmp"]):
        with pytest.raises(UserError):
            plot.main(words)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fanin3", "rgb"]

"""`plot`: several runs in one picture, under the name that was asked for."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saliency_keras.console import UserError
from saliency_keras.figures import intervals
from saliency_keras.files import only_process
from saliency_keras.plot import main
from saliency_keras.runs.run import Run
from tests.runs_fixture import write_run


@pytest.fixture
def runs(tmp_path):
    return [str(write_run(tmp_path / name, name)) for name in ("rgb", "fanin3")]


def test_the_picture_goes_to_the_current_folder_and_its_name_is_printed(tmp_path, monkeypatch, runs, capsys):
    monkeypatch.chdir(tmp_path)
    main(runs)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "comparison.png"
    assert printed[1].startswith("fanin3 and rgb cannot be told apart") or printed[1].startswith("fanin3 is ")
    command = "\n".join(printed).partition("next: ")[2].replace(" \\\n    ", " ")
    command = command.replace("\n    # ", "  # ")  # where the line is full, what it is for stands in the next one
    assert command.startswith(f"python -m saliency_keras.report {runs[0]} {runs[1]}  # ")
    pixels = np.asarray(Image.open(tmp_path / "comparison.png").convert("L"))
    assert pixels.shape[1] > pixels.shape[0] > 300
    assert pixels.min() < 50


def test_each_run_is_named_in_the_picture(tmp_path, runs):
    main([*runs, "--out", str(tmp_path / "figure.svg")])
    drawn = (tmp_path / "figure.svg").read_text(encoding="utf-8")
    assert "<!-- rgb -->" in drawn
    assert "<!-- fanin3 -->" in drawn


def test_one_run_is_drawn_with_its_training_curves(tmp_path, runs):
    main([runs[0], "--out", str(tmp_path / "figure.svg")])
    assert "<!-- training -->" in (tmp_path / "figure.svg").read_text(encoding="utf-8")


def unfinished(folder, epochs):
    """A run as a training leaves it after some epochs."""
    for name in ("summary.json", "predictions.h5"):
        (folder / name).unlink()
    lines = (folder / "history.csv").read_text().splitlines(keepends=True)
    (folder / "history.csv").write_text("".join(lines[: epochs + 1]))
    return folder


def test_a_run_that_is_not_finished_is_drawn_as_far_as_it_is_and_said_to_be_running(tmp_path, runs, capsys):
    folder = unfinished(write_run(tmp_path / "noconv2", "noconv2"), 3)
    main([str(folder), "--out", str(tmp_path / "one.svg")])
    assert "epoch 3 of 12, stopped: Top-1 " in capsys.readouterr().out
    assert "epoch 3 of 12" in (tmp_path / "one.svg").read_text(encoding="utf-8")
    with only_process(folder):  # as a training does
        main([*runs, str(folder), "--out", str(tmp_path / "both.svg")])
    assert "<!-- noconv2, epoch 3 of 12, running -->" in (tmp_path / "both.svg").read_text(encoding="utf-8")
    with pytest.raises(UserError, match="not finished"):
        main([*runs, str(folder), "--gains", "--out", str(tmp_path / "gains.svg")])


def test_gains_of_runs_that_differ_by_seed_are_one_line_beside_the_published_one(tmp_path, monkeypatch):
    """Each seed is compared with the baseline of its own seed, counted here; a seed without it is left out."""
    drawn = {}
    draw = intervals.intervals_figure
    monkeypatch.setattr(intervals, "intervals_figure", lambda panels: drawn.update(panels) or draw(panels))
    published = {"rgb": {"top1": 0.366}, "fanin3": {"top1": 0.4899}}
    made = [("rgb", 0.3, 0), ("rgb", 1.3, 1), ("fanin3", 1.5, 0), ("fanin3", 1.8, 1), ("fanin3", 1.8, 2)]
    folders = [
        str(write_run(tmp_path / f"{name}{seed}", name, published=published[name], skill=skill, seed=seed))
        for name, skill, seed in made
    ]
    main([*folders, "--gains", "--out", str(tmp_path / "gains.svg")])
    ((title, ((label, gain, theirs),)),) = drawn.items()
    right = [Run.load(Path(folder)).predictions.correct().mean() for folder in folders]
    assert (title, label) == ("against rgb", "fanin3, 2 seeds")
    assert gain.seeds == pytest.approx((right[2] - right[0], right[3] - right[1]))
    assert gain.value == pytest.approx(sum(gain.seeds) / 2)
    # Of two seeds, Student's quantile is 12.7: the interval is far wider than what lies between them.
    assert gain.high - gain.low > 5 * abs(gain.seeds[0] - gain.seeds[1])
    assert theirs == pytest.approx(0.1239)
    assert "<!-- each seed -->" in (tmp_path / "gains.svg").read_text(encoding="utf-8")


def test_one_seed_of_each_run_has_the_paired_interval_over_pictures(tmp_path):
    folders = [write_run(tmp_path / name, name, skill=skill) for name, skill in (("rgb", 0.3), ("fanin3", 1.5))]
    before, run = (Run.load(folder) for folder in folders)
    ((_, ((label, gain, _),)),) = intervals.gain_panels([before, run]).items()
    paired = intervals.difference([run.predictions], [before.predictions])
    assert label == "fanin3"
    assert (gain.value, gain.low, gain.high) == (paired.value, paired.low, paired.high)


def test_the_spread_between_seeds_is_that_of_all_lines(tmp_path):
    """A line of one seed borrows it, and so is wider than over pictures alone."""
    made = [("rgb", 0.3, 0), ("rgb", 1.3, 1), ("fanin3", 1.5, 0), ("fanin3", 1.8, 1), ("noconv2", 1.0, 0)]
    runs = [Run.load(write_run(tmp_path / f"{name}{seed}", name, skill=k, seed=seed)) for name, k, seed in made]
    (lines,) = intervals.gain_panels(runs).values()
    gains = {label: gain for label, gain, _ in lines}
    assert set(gains) == {"fanin3, 2 seeds", "noconv2, 1 seed"}
    alone = intervals.difference([runs[4].predictions], [runs[0].predictions])
    assert gains["noconv2, 1 seed"].value == pytest.approx(alone.value)
    assert gains["noconv2, 1 seed"].high - gains["noconv2, 1 seed"].low > 1.5 * (alone.high - alone.low)


def test_gains_over_two_baselines_are_refused_not_guessed(tmp_path, runs):
    """As with runs of 15 and of 20 epochs in one picture: which baseline is meant, only the caller knows."""
    longer = write_run(tmp_path / "longer", "rgb", epochs=20)
    with pytest.raises(UserError, match="fanin3 has more than one baseline"):
        main([*runs, str(longer), "--gains", "--out", str(tmp_path / "gains.png")])
    assert not (tmp_path / "gains.png").exists()


def test_gains_without_a_baseline_say_which_run_is_missing(tmp_path, runs):
    with pytest.raises(UserError, match="give rgb of the same seed too"):
        main([runs[1], "--gains", "--out", str(tmp_path / "gains.png")])
    main([*runs, "--gains", "--out", str(tmp_path / "gains.svg")])
    assert "<!-- against rgb -->" in (tmp_path / "gains.svg").read_text(encoding="utf-8")


def test_a_run_twice_no_run_and_an_odd_file_name_are_refused_before_anything_is_written(tmp_path, runs, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where figures go that are not told
    for words, sentence in (
        ([runs[0], runs[0]], "is given twice"),
        ([runs[0], str(tmp_path)], "is no run folder"),
        ([*runs, "--out", "figure.bmp"], "must end in"),
    ):
        with pytest.raises(UserError, match=sentence):
            main(words)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fanin3", "rgb"]

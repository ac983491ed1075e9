"""Curves: every metric of a history is drawn with its numbers, whatever its length, its gaps or its names."""

import itertools

import numpy as np
import pytest

from saliency_keras.console import UserError
from saliency_keras.figures import style
from saliency_keras.figures.curves import comparison_figure, run_figure
from saliency_keras.runs.run import Run
from tests.runs_fixture import write_run


@pytest.fixture
def make_run(tmp_path):
    def make(folder, name="fanin3", **settings):
        return Run.load(write_run(tmp_path / folder, name, **settings))

    return make


def panel(figure, name):
    return next(ax for ax in figure.axes if name in ax.get_ylabel())


def line(ax, label):
    return next(one for one in ax.lines if one.get_label().startswith(label))


def test_a_runs_curves_are_its_history_in_percent_over_epochs(make_run):
    run = make_run("a", epochs=30, published={"top1": 0.4899, "top5": 0.728})
    figure = run_figure(run.config, run.history)
    assert [ax.get_ylabel() for ax in figure.axes] == [
        "Top-1 accuracy (%)",
        "Top-5 accuracy (%)",
        "cross-entropy (nats)",
        "loss",
        "learning rate (log scale)",
    ]
    assert {ax.get_xlabel() for ax in figure.axes} == {"epoch"}
    top1 = panel(figure, "Top-1")
    np.testing.assert_array_equal(line(top1, "validation").get_xdata(), np.arange(1, 31))
    np.testing.assert_allclose(line(top1, "validation").get_ydata(), 100 * run.history["val_top1"])
    np.testing.assert_allclose(line(top1, "training").get_ydata(), 100 * run.history["top1"])
    np.testing.assert_allclose(panel(figure, "rate").lines[0].get_ydata(), run.history["learning_rate"])


@pytest.mark.parametrize("classes", [5, 6])
def test_top5_has_a_panel_only_where_it_can_be_wrong(make_run, classes):
    """With five classes the true one is always among the first five."""
    runs = [make_run(name, name, classes=tuple("abcdef"[:classes])) for name in ("fanin3", "noconv2")]
    for figure in (run_figure(runs[0].config, runs[0].history), comparison_figure(runs)):
        assert any("Top-5" in ax.get_ylabel() for ax in figure.axes) == (classes == 6)


def test_the_published_value_is_a_dashed_line_with_its_source(make_run):
    run = make_run("a", published={"top1": 0.4899})
    figure = run_figure(run.config, run.history, published=True)
    published = line(panel(figure, "Top-1"), "thesis Table 4.1")
    assert published.get_label() == "thesis Table 4.1: 48.99 (its pictures)"
    assert set(published.get_ydata()) == {48.99}
    assert published.get_linestyle() == "--"
    assert not [one for one in panel(figure, "Top-5").lines if "thesis" in one.get_label()]


def test_published_values_are_not_drawn_over_another_set_unless_asked_for(make_run):
    """Seven classes and a dozen epochs are not the thesis's thousand and ninety."""
    runs = [make_run(name, name, published={"top1": 0.4899}) for name in ("fanin3", "noconv2")]
    of_one = panel(run_figure(runs[0].config, runs[0].history), "Top-1")
    assert [one.get_label() for one in of_one.lines] == ["training", "validation", "chance (7 classes)"]
    figure = comparison_figure(runs)
    assert not panel(figure, "Top-1").texts
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["fanin3", "noconv2", "chance (7 classes)"]


@pytest.mark.parametrize("epochs", [1, 2, 90])
def test_any_number_of_epochs_can_be_drawn(tmp_path, make_run, epochs):
    run = make_run("a", epochs=epochs)
    style.save(run_figure(run.config, run.history), tmp_path / "curves.png")
    style.save(comparison_figure([run, make_run("b", "rgb", epochs=3)]), tmp_path / "comparison.png")
    for name in ("curves.png", "comparison.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_metrics_of_other_tasks_are_drawn_in_pairs_the_loss_after_them(make_run):
    run = make_run("a", extra={"nss": 2.0, "val_nss": 1.5, "val_only": 0.3, "odd $name$": 1})
    figure = run_figure(run.config, run.history)
    names = [ax.get_ylabel() for ax in figure.axes]
    assert names[2:5] == ["NSS (standard deviations)", "only", "odd $name$"]
    assert names[5:7] == ["cross-entropy (nats)", "loss"]
    assert [one.get_label() for one in panel(figure, "NSS").lines] == ["training", "validation"]
    assert [one.get_label() for one in panel(figure, "only").lines] == ["validation"]


def test_what_is_not_finite_leaves_a_gap_and_nothing_else(tmp_path, make_run):
    run = make_run("a", epochs=5)
    for column in run.history:
        if column != "epoch":
            run.history[column][2] = np.nan
    run.history["loss"][3] = np.inf
    run.history["val_loss"][:] = np.nan
    figure = run_figure(run.config, run.history)
    np.testing.assert_array_equal(np.isnan(line(panel(figure, "Top-1"), "validation").get_ydata()), np.arange(5) == 2)
    style.save(figure, tmp_path / "curves.png")
    assert np.isfinite(panel(figure, "loss").get_ylim()).all()


def test_comparison_has_one_validation_line_a_run_of_its_own_length(make_run):
    runs = [make_run("a", epochs=10), make_run("b", "rgb", epochs=4), make_run("c", maps="shuffled", epochs=7)]
    figure = comparison_figure(runs)
    top1 = panel(figure, "validation Top-1")
    *lines, chance = top1.lines
    assert [one.get_label() for one in lines] == ["fanin3", "rgb", "fanin3, shuffled maps"]
    for one, run in zip(lines, runs, strict=True):
        np.testing.assert_allclose(one.get_ydata(), 100 * run.history["val_top1"])
    named = [text.get_text() for text in figure.legends[0].get_texts()]
    assert named == ["fanin3", "rgb", "fanin3, shuffled maps", chance.get_label()]
    assert len({(str(one.get_linestyle()), one.get_marker()) for one in top1.lines}) == 4


def test_comparison_names_each_published_value_once(make_run):
    published = {"rgb": {"top1": 0.366}, "fanin2": {"top1": 0.366}, "fanin3": {"top1": 0.4899}}
    runs = [make_run(name, name, published=values) for name, values in published.items()]
    again = make_run("again", "fanin3", seed=1, published=published["fanin3"])
    figure = comparison_figure([*runs, again], published=True)
    texts = [text.get_text() for text in panel(figure, "Top-1").texts]
    assert texts == ["36.60 rgb, fanin2", "48.99 fanin3"]
    in_legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert in_legend[-1] == "published (the paper's pictures)"
    assert in_legend[-2] == "chance (7 classes)"
    assert len(in_legend) == 6
    assert not panel(figure, "Top-5").texts


def test_names_of_published_values_that_lie_close_do_not_overlap(tmp_path, make_run):
    names = "rgb", "rgbs", "fanin1", "fanin2"
    runs = [make_run(name, name, published={"top1": 0.36 + 0.001 * index}) for index, name in enumerate(names)]
    figure = comparison_figure(runs, published=True)
    style.save(figure, tmp_path / "comparison.png")
    renderer = figure.canvas.get_renderer()
    boxes = sorted((text.get_window_extent(renderer) for text in panel(figure, "Top-1").texts), key=lambda box: box.y0)
    assert len(boxes) == 4
    assert all(below.y1 <= above.y0 + 1 for below, above in itertools.pairwise(boxes))


def test_a_long_legend_does_not_squeeze_the_curves(tmp_path, make_run):
    runs = [make_run(f"run {index}", f"rgbs_1s2s_pretrained_{index}", maps="shuffled_in_class") for index in range(14)]
    figure = comparison_figure(runs)
    style.save(figure, tmp_path / "comparison.png")
    assert min(ax.get_position().height * figure.get_figheight() for ax in figure.axes) > 2
    extent = figure.legends[0].get_window_extent(figure.canvas.get_renderer())
    assert extent.width < figure.bbox.width


def test_comparison_draws_the_loss_only_for_runs_that_have_nothing_else(make_run):
    run = make_run("a", epochs=2)
    bare = {name: run.history[name] for name in ("epoch", "loss", "val_loss")}
    only_loss = Run(run.folder, run.config, bare, run.summary)
    assert [ax.get_ylabel() for ax in comparison_figure([only_loss]).axes] == ["validation loss"]
    nothing = Run(run.folder, run.config, {"epoch": bare["epoch"]}, run.summary)
    with pytest.raises(UserError, match="nothing to compare"):
        comparison_figure([nothing])


def test_runs_with_different_metrics_are_all_in_the_legend(make_run):
    classifier = make_run("a", "rgb")
    salnet = make_run("b", "salnet", extra={"val_nss": 1.5})
    for name in ("top1", "val_top1", "top5", "val_top5"):
        del salnet.history[name]
    figure = comparison_figure([classifier, salnet])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["rgb", "salnet", "chance (7 classes)"]


def test_chance_is_a_dotted_line_at_what_guessing_gets_right(make_run):
    """One of seven, and five of seven."""
    runs = [make_run("a"), make_run("b", seed=1)]
    for figure in (run_figure(runs[0].config, runs[0].history), comparison_figure(runs)):
        for name, guess in (("Top-1", 1 / 7), ("Top-5", 5 / 7)):
            assert list(line(panel(figure, name), "chance").get_ydata()) == pytest.approx([100 * guess] * 2)
        others = [ax for ax in figure.axes if "%" not in ax.get_ylabel()]
        assert not [one for ax in others for one in ax.lines if "chance" in one.get_label()]

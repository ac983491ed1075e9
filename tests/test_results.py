"""The runs that are kept in results/ and the figures that README and docs/results.md take from them."""

import csv
import importlib.util
import re
from pathlib import Path

import h5py
import numpy as np
import pytest

from saliency_keras.figures.intervals import printed_gain
from saliency_keras.metrics.digits import points

ROOT = Path(__file__).parents[1]
RUNS = ROOT / "results/imagenette-160-90-epochs"
FOLDERS = sorted(folder for folder in RUNS.iterdir() if folder.is_dir())
PAGES = "README.md", "docs/results.md"
# A difference with its interval as the pages write it: value, low, high.
WRITTEN = re.compile(r"([+-]\d+\.\d+) \(([+-]\d+\.\d+)\s+to\s+([+-]\d+\.\d+)\)")


@pytest.fixture(scope="module")
def tables():
    """results/tables.py as a module."""
    spec = importlib.util.spec_from_file_location("results_tables", ROOT / "results/tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def photographs(tables):
    return tables.Photographs()


def read(page):
    """The words of a page, each line break a space."""
    return " ".join((ROOT / page).read_text(encoding="utf-8").split())


def right(folder):
    """Which pictures a run has right, by id: read without the package."""
    with h5py.File(RUNS / folder / "predictions.h5") as file:
        ids, first, label = file["id"].asstr()[:], file["top5"][:, 0], file["label"][:]
    return (first == label)[np.argsort(ids)]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_kept_run_is_of_ninety_epochs_and_its_predictions_are_those_of_its_last_epoch(folder):
    with open(folder / "history.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == list(range(1, 91))
    assert right(folder.name).mean() == pytest.approx(float(rows[-1]["val_top1"]), abs=1e-6)


def test_no_kept_file_names_a_place_of_a_machine():
    for folder in FOLDERS:
        for name in ("config.json", "summary.json"):
            assert not re.search(r'["= ](/|[A-Z]:\\)', (folder / name).read_text(encoding="utf-8")), folder / name


def test_the_tables_of_the_page_are_those_recomputed_from_the_kept_runs(tables, photographs):
    page = (ROOT / "docs/results.md").read_text(encoding="utf-8")
    for table in (tables.accuracies, tables.division, tables.controls):
        assert table(photographs) in page
    deviation, degrees = photographs.spread
    assert f"{100 * deviation:.2f} points with {degrees} degrees of freedom" in read("docs/results.md")


def test_what_the_maps_alone_say_is_on_the_page_as_the_command_wrote_it(tables):
    page = (ROOT / "docs/results.md").read_text(encoding="utf-8")
    table = tables.information()
    assert "gbvs" in table
    assert table in page


def test_every_difference_that_the_pages_write_with_its_interval_is_in_a_recomputed_table(tables, photographs):
    recomputed = set()
    for table in (tables.accuracies, tables.division, tables.controls):
        recomputed |= set(WRITTEN.findall(table(photographs)))
    for page in PAGES:
        written = WRITTEN.findall(read(page))
        assert len(written) >= 4, page
        assert set(written) <= recomputed, page


def test_the_first_screen_says_what_the_runs_say_of_each_row(tables, photographs):
    """README names the row beside the figure, so that a figure of another row would be noticed."""
    own, same, other = (("rgbs", maps) for maps in ("readout", "readout:shuffled_in_class", "readout:shuffled"))
    fanin3, learned, of_class, place = (
        tables.cell(one)
        for one in (
            photographs.gain("fanin3"),
            photographs.gain(*own),
            photographs.less(same, other),
            photographs.less(own, same),
        )
    )
    words = read("README.md")
    row = photographs.rows["fanin3", "own"].first
    printed = points(printed_gain(row, photographs.rows["rgb", None].first), 50_000)
    assert f"{row.summary['pictures']['train']:,} training pictures, {row.summary['epochs']} epochs" in words
    assert f"For Fan-in3 the difference is {fanin3} points; the thesis prints {printed}" in words
    assert f"(`readout`) gains {learned} points as a fourth channel" in words
    assert f"most of that, {of_class}, comes with the map of any picture" in words
    assert f"The picture's own map adds {place}" in words
    for name in ("fanin1", "fanin2", "fanin3", "rgbs", "rgb_1s2s"):
        assert photographs.gain(name).low < 0, f"{name} gains measurably by gbvs maps: the sentence is wrong"


def test_the_page_says_how_much_one_two_and_three_seeds_bound(photographs):
    """Half of an interval's width in points, the mean of the gains with as many seeds."""
    half = {1: [], 2: [], 3: []}
    for key in photographs.baselines:
        gain = photographs.gain(*key)
        half[len(gain.seeds)].append(50 * (gain.high - gain.low))
    one, two, three = (f"{np.mean(half[seeds]):.1f}" for seeds in (1, 2, 3))
    sentence = (
        f"two seeds bound a gain to about {two} points to each side, three seeds to about {three}, and one seed to"
    )
    assert f"{sentence} about {one}." in read("docs/results.md")
    assert f"of {len(photographs.baselines)} gains" in read("docs/results.md")


def test_a_gain_is_the_mean_over_seeds_of_the_paired_differences(photographs):
    """Counted from the files, without the package: means and seeds of three rows."""
    for (name, maps), folder, baseline, seeds in (
        (("fanin3", "own"), "fanin3", "rgb", 3),
        (("fanin1", "shuffled"), "fanin1-shuffled", "rgb", 2),
        (("rgbs", "readout"), "rgbs-readout", "rgb_mean", 2),
    ):
        of_seed = [(right(f"{folder}-{n}") * 1.0 - right(f"{baseline}-{n}")).mean() for n in range(seeds)]
        gain = photographs.gain(name, maps)
        assert gain.seeds == pytest.approx(of_seed)
        assert gain.value == pytest.approx(np.mean(of_seed))
        assert gain.low < gain.value < gain.high


def test_the_parts_of_a_learned_maps_gain_add_up_to_the_whole(photographs):
    for name in ("rgbs", "rgb_1s2s", "fanin1", "fanin3"):
        own, same, other = ((name, maps) for maps in ("readout", "readout:shuffled_in_class", "readout:shuffled"))
        parts = photographs.less(own, same), photographs.less(same, other), photographs.gain(*other)
        assert sum(part.value for part in parts) == pytest.approx(photographs.gain(*own).value)


def test_the_command_prints_the_tables_and_draws_every_row(tables, tmp_path, capsys):
    tables.main(["--gains", str(tmp_path / "gains.svg"), "--division", str(tmp_path / "division.svg")])
    assert "| `noconv2_pooled`" in capsys.readouterr().out
    division = (tmp_path / "division.svg").read_text(encoding="utf-8")
    assert division.count("<!-- place: own less same-class map -->") == 4
    drawn = (tmp_path / "gains.svg").read_text(encoding="utf-8")
    for label in ("fanin3, 3 seeds", "rgbs, readout maps, 2 seeds", "fanin1, readout:shuffled_in_class maps, 1 seed"):
        assert f"<!-- {label} -->" in drawn

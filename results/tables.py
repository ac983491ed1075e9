"""python results/tables.py [--gains gains.png] [--division division.png]

Recomputes every figure of docs/results.md and of README's first screen from the runs beside this file: the table of
the 90-epoch runs, what their gains divide into, and the controls; and prints what `reproduce map-information` found.
`--gains` draws what each row gained too, `--division` what the gain of a learned map divides into. The tests compare
what this prints with what the pages say. Nothing is trained, and Keras is not needed.
"""

import argparse
import csv
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from saliency_keras.experiments.tables import baseline_of  # noqa: E402
from saliency_keras.figures.intervals import (  # noqa: E402
    gain_panels,
    intervals_figure,
    pooled,
    printed_gain,
    rows_of_seeds,
)
from saliency_keras.figures.style import save  # noqa: E402
from saliency_keras.figures.table import markdown_table  # noqa: E402
from saliency_keras.metrics.digits import percent, points  # noqa: E402
from saliency_keras.metrics.statistics import seeds_spread  # noqa: E402
from saliency_keras.runs.run import Run  # noqa: E402

RUNS = Path(__file__).parent / "imagenette-160-90-epochs"
FAN_IN = ("rgb", "fanin1", "fanin2", "fanin3", "fanin3_doubled", "noconv2", "noconv2_pooled")
NETWORKS = (*FAN_IN, "rgb_mean", "rgbs", "rgb_1s2s")
INFORMATION = RUNS.parent / "map-information"
# What the maps are called on the page.
MAPS = {
    None: "none",
    "own": "`gbvs`",
    "shuffled": "`gbvs`, other pictures'",
    "readout": "`readout`",
    "readout:shuffled_in_class": "`readout`, same class",
    "readout:shuffled": "`readout`, other pictures'",
}


class Photographs:
    """The 90-epoch runs as rows of seeds.

    Attributes:
        rows: From `(network, maps)` to its `figures.intervals.Seeds`.
        spread: The spread between seeds and its degrees of freedom, over all gains over a baseline.
    """

    def __init__(self, folder=RUNS):
        self.runs = [Run.load(one) for one in sorted(folder.iterdir()) if one.is_dir()]
        rows = {(row.first.name, row.first.maps): row for row in rows_of_seeds(self.runs)}
        self.rows = {(name, maps): rows[name, maps] for name in NETWORKS for maps in MAPS if (name, maps) in rows}
        own = {name: row for (name, maps), row in rows.items() if maps in (None, "own")}
        self.baselines = {row: own[baseline_of(row[0])] for row in self.rows if baseline_of(row[0])}
        gains = [row.less(self.baselines[key]).mean(axis=1) for key, row in self.rows.items() if key in self.baselines]
        self.spread = seeds_spread(gains)

    def less(self, first, second):
        """The `Estimate` of one row less another, each `(network, maps)`."""
        (found,) = pooled([self.rows[first].less(self.rows[second])], self.spread)
        return found

    def gain(self, name, maps="own"):
        """The `Estimate` of a row's gain over its baseline."""
        (found,) = pooled([self.rows[name, maps].less(self.baselines[name, maps])], self.spread)
        return found


def cell(estimate):
    """An estimate and its interval as the pages write them: `"-4.9 (-6.3 to -3.5)"`."""
    ends = f"{points(estimate.low, estimate.pictures)} to {points(estimate.high, estimate.pictures)}"
    return f"{points(estimate.value, estimate.pictures)} ({ends})"


def accuracies(photographs):
    """The table of all rows: accuracy, and the gain over the baseline beside the thesis's."""
    rows = []
    for (name, maps), row in photographs.rows.items():
        runs = list(row.runs.values())
        top1, top5 = (sum(run.predictions.correct(k).mean() for run in runs) / len(runs) for k in (1, 5))
        pictures, gain, theirs = runs[0].predictions.ids.size, "", ""
        if baseline := photographs.baselines.get((name, maps)):
            gain = cell(photographs.gain(name, maps))
            printed = printed_gain(row.first, baseline.first)
            theirs = "" if printed is None else points(printed, 50_000)
        parameters, adds = (row.first.summary[key] for key in ("parameters", "multiply_adds"))
        size = [f"{parameters['total'] / 1e6:.1f} M", f"{adds / 1e9:.2f} G"]
        right = [percent(top1, pictures), percent(top5, pictures)]
        rows.append([f"`{name}`", MAPS[maps], len(runs), *right, gain, theirs, *size])
    header = ["network", "maps", "seeds", "Top-1 %", "Top-5 %", "gain, points", "thesis", "parameters", "multiply-adds"]
    return markdown_table(header, rows)


def divided(photographs):
    """From a network to the `Estimate`s of the whole gain of `readout` and of its parts: place, class, and the rest."""
    found = {}
    for name in ("rgbs", "rgb_1s2s", "fanin1", "fanin3"):
        own, same, other = ((name, maps) for maps in ("readout", "readout:shuffled_in_class", "readout:shuffled"))
        parts = photographs.less(own, same), photographs.less(same, other), photographs.gain(*other)
        found[name] = (photographs.gain(*own), *parts)
    return found


def division(photographs):
    """What the gain of `readout` over the baseline divides into."""
    header = ["network", "seeds", "whole gain", "place", "class", "the rest"]
    rows = [[f"`{name}`", len(one[0].seeds), *map(cell, one)] for name, one in divided(photographs).items()]
    return markdown_table(header, rows)


def division_figure(photographs):
    """The same as a figure: one panel a network, the whole gain filled, its parts hollow."""
    lines = ("whole gain", "place: own less same-class map", "class: same-class less any map", "the rest: any map")
    panels = {}
    for name, estimates in divided(photographs).items():
        seeds = len(estimates[0].seeds)
        title = f"{name} with readout maps, {seeds} seed{'s' * (seeds > 1)}"
        panels[title] = [(line, one, None) for line, one in zip(lines, estimates, strict=True)]
    return intervals_figure(panels, parts=True)


def information():
    """What a linear classifier has right that sees the maps alone, as `reproduce map-information` wrote it."""
    rows = []
    for path in sorted(INFORMATION.glob("*/table.csv")):
        with open(path, newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                right, *ends = (f"{100 * float(row[one]):.1f}" if row[one] else "" for one in ("top1", "low", "high"))
                interval = " to ".join(ends) if all(ends) else ""
                rows.append([path.parent.name, row["map"], row["labels"] or "", right, interval])
    return markdown_table(["set", "map", "labels it learned", "Top-1 %", "95 % interval"], rows)


def controls(photographs):
    """What the network's own maps are worth, beside other pictures' maps and beside no saliency branch."""
    pairs = [
        (name, f"its own {MAPS[maps]} maps, other pictures'", (name, maps), (name, swapped))
        for maps, swapped in (("own", "shuffled"), ("readout", "readout:shuffled"))
        for name in NETWORKS
        if (name, swapped) in photographs.rows
    ]
    pairs += [
        ("fanin3", f"{MAPS[maps]} maps, no saliency branch (`noconv2`)", ("fanin3", maps), ("noconv2", None))
        for maps in ("own", "readout")
    ]
    pairs += [
        (name, "`readout` maps, `gbvs` maps", (name, "readout"), (name, "own"))
        for name in NETWORKS
        if (name, "readout") in photographs.rows
    ]
    rows = []
    for name, what, first, second in pairs:
        found = photographs.less(first, second)
        rows.append([f"`{name}`", what, len(found.seeds), cell(found)])
    return markdown_table(["network", "first, second", "seeds", "first - second, points"], rows)


def main(arguments=None):
    """Prints the tables; draws if asked."""
    parser = argparse.ArgumentParser(description="Recompute the figures of docs/results.md from the runs kept here.")
    parser.add_argument("--gains", metavar="FILE", type=Path, help="draw what each row gained, .png, .pdf or .svg")
    divided_into = "draw what the gain of a learned map divides into, .png, .pdf or .svg"
    parser.add_argument("--division", metavar="FILE", type=Path, help=divided_into)
    options = parser.parse_args(arguments)
    photographs = Photographs()
    print(*(table(photographs) for table in (accuracies, division, controls)), information(), sep="\n")
    deviation, degrees = photographs.spread
    print(f"Spread of a gain between seeds: {100 * deviation:.2f} points, {degrees} degrees of freedom.")
    if options.gains:
        save(intervals_figure(gain_panels(photographs.runs)), options.gains)
    if options.division:
        save(division_figure(photographs), options.division)


if __name__ == "__main__":
    main()

"""The thesis's outlook: accuracies as in its tables, gains per minute of training, accuracy by the stage of merging."""

import dataclasses

from saliency_keras.figures.depth import depth_figure
from saliency_keras.figures.document import Table
from saliency_keras.figures.intervals import intervals_figure, numbers_of, text_of
from saliency_keras.metrics.digits import points
from saliency_keras.tables.accuracy import accuracy_table, gain_panels
from saliency_keras.tables.plan import AsPlanned
from saliency_keras.tables.results import INTERVALS, write_files

MINUTES = (
    "Minutes are those of this machine, of all epochs with their validation; points per minute is the gain over them."
)


@dataclasses.dataclass(frozen=True)
class Outlook(AsPlanned):
    """Rows with their accuracies, gains, differences to their twins, and gains per minute of training."""

    def write(self, results, folder):
        """As `TableKind.write`."""
        header, rows, numbers, csv_rows = accuracy_table(results)
        header += ["its twin", "less its twin, points", "its interval", "minutes", "points per minute"]
        numbers += ["twin", "less_twin", "less_twin_low", "less_twin_high", "minutes", "gain_per_minute"]
        for row, cells, csv_cells in zip(results.rows(), rows, csv_rows, strict=True):
            minutes, rate = per_minute(results, row)
            less = results.difference(row.name, row.twin)
            cells += [less and row.twin, *text_of(less, points)]
            cells += [f"{minutes:.1f}", None if rate is None else f"{100 * rate:+.3f}"]
            csv_cells += [less and row.twin, *numbers_of(less)]
            csv_cells += [round(minutes, 3), None if rate is None else round(rate, 8)]
        figures = results.curves()
        if panels := gain_panels(results):
            figures["gains.png"] = intervals_figure(panels)
        if lines := by_depth(results):
            figures["depth.png"] = depth_figure(
                lines, results.accuracy("rgb") if "rgb" in results.runs else None
            )
        notes = [*results.head(), INTERVALS, MINUTES]
        return write_files(folder, results.table, notes, [Table(header, rows)], (numbers, csv_rows), figures)


def per_minute(results, row):
    """Minutes of a row's training, the mean over its repeats, and its gain divided by them, or `None` for no gain."""
    runs = results.runs[row.name]
    minutes = sum(run.summary["seconds"] for run in runs) / len(runs) / 60
    gain = results.difference(row.name, row.baseline)
    return minutes, gain.value / minutes if gain and minutes else None


def by_depth(results):
    """The rows of branches that meet once, by the stage.

    Args:
        results: `tables.results.Results`.

    Returns:
        From `"map"`, `"map, fixed branch"` and the same with `"picture"` to a list of the stage, the `Estimate` of the
        accuracy, and the number of parameters, by ascending stage; empty without such rows.
    """
    lines = {}
    for row in results.rows():
        run = results.runs[row.name][0]
        arguments = run.config["experiment"]["arguments"]
        if row.experiment != "merged" or len(arguments["at"]) > 1:
            continue
        second = "picture" if arguments["doubled"] else "map"
        name = second + (", fixed branch" if arguments["branch"] == "fixed" else "")
        point = arguments["at"][0], results.accuracy(row.name), run.summary["parameters"]["total"]
        lines.setdefault(name, []).append(point)
    return {name: sorted(points, key=lambda point: point[0]) for name, points in lines.items()}

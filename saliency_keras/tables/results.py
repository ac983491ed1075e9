"""The finished runs of a table, and what every kind of table does with them: rows, sentences, files."""

import dataclasses
import json
import re
from pathlib import Path

import numpy as np

from saliency_keras import run_folder
from saliency_keras.console import UserError
from saliency_keras.data.shown import CONTROLS, Shown
from saliency_keras.experiments import EXPERIMENTS, experiment
from saliency_keras.figures import style
from saliency_keras.figures.curves import comparison_figure, run_figure
from saliency_keras.figures.document import Caution, Heading, markdown, terminal
from saliency_keras.figures.intervals import accuracy, difference
from saliency_keras.figures.table import write_csv
from saliency_keras.files import whole_file
from saliency_keras.metrics.digits import difference_in_words
from saliency_keras.metrics.statistics import seeds_spread
from saliency_keras.runs.learned import is_at_chance
from saliency_keras.runs.run import Run

INTERVALS = (
    "Intervals: 95 %, from two repeats on over seeds and pictures, with the spread between seeds pooled over the rows "
    "(what all repeats share left out); of one repeat over pictures only. The paper's figures are of its own pictures."
)
REPEATED_DRAWS = (
    "Intervals: 95 %, over repeats from three on (what all repeats share left out), below that over pictures. "
    "The paper's figures are of its own pictures."
)


@dataclasses.dataclass(frozen=True, eq=False)
class Results:
    """The finished runs of a table.

    Attributes:
        table: The `PaperTable`.
        runs: From a row's name to its `runs.run.Run`s, one a repeat; of a few-shot table, from the row's name and the
            number of pictures per class, `(name, shots)`.
        planned: The `tables.plan.PlannedRun`s, finished or not.
        data: Folder of the compact set.
    """

    table: object
    runs: dict
    planned: tuple = ()
    data: Path | None = None

    @classmethod
    def load(cls, table, planned, data=None):
        """Loads what is finished.

        Args:
            table: The `PaperTable`.
            planned: Its `tables.plan.PlannedRun`s. A row that lacks a run is left out.
            data: Folder of the compact set.

        Returns:
            `Results`.
        """
        repeats = {}
        for one in planned:
            if not one.row.preparation:
                repeats.setdefault((one.row.name, one.shots) if one.shots else one.row.name, []).append(one)
        whole = {name: of_row for name, of_row in repeats.items() if all(one.finished for one in of_row)}
        runs = {name: [Run.load(one.folder) for one in of_row] for name, of_row in whole.items()}
        return cls(table, runs, tuple(planned), data)

    def rows(self):
        """The rows that are measured and there, in the order of the experiments, baselines first."""
        order = list(EXPERIMENTS)
        there = [row for row in self.table.rows if not row.preparation and row.name in self.runs]
        return sorted(there, key=lambda row: order.index(row.experiment))

    def classifiers(self):
        """Those of `rows` whose runs are classifiers."""
        return [row for row in self.rows() if (self.runs[row.name][0].folder / run_folder.PREDICTIONS).is_file()]

    @property
    def first(self):
        """Any of the runs.

        Raises:
            UserError: If there is none.
        """
        if not self.runs:
            raise UserError("no row of the table is whole, so there is nothing to write.")
        return next(iter(self.runs.values()))[0]

    def tested(self, name):
        """The `Predictions` of a row's runs, one a repeat."""
        return [run.predictions for run in self.runs[name]]

    def difference(self, name, other, k=1):
        """The `Estimate` of a row less another at Top-`k`, or `None` where one is not there."""
        if name not in self.runs or other not in self.runs:
            return None
        spread = self.spread(lambda one: one.correct(k).mean(), gains=True)
        return difference(self.tested(name), self.tested(other), k, spread)

    def spread(self, figure, gains=False):
        """How much another seed changes a figure, pooled over the rows (`metrics.statistics.seeds_spread`).

        Args:
            figure: From a run's `Predictions` to its figure, a float.
            gains: Whether it is the figure's gain over the row's baseline that is meant.

        Returns:
            `(spread, degrees)`.
        """
        rows = self.classifiers()
        of_row = {row.name: np.array([figure(one) for one in self.tested(row.name)]) for row in rows}
        if gains:
            compared = [row for row in rows if row.baseline not in ("", row.name) and row.baseline in of_row]
            return seeds_spread([of_row[row.name] - of_row[row.baseline] for row in compared])
        return seeds_spread(list(of_row.values()))

    def accuracy(self, name, k=1):
        """The `Estimate` of a row's accuracy at Top-`k`."""
        return accuracy(self.tested(name), k, self.spread(lambda one: one.correct(k).mean()))

    def head(self):
        """Sentences that say what was run: data set, machine, maps, settings other than the papers'."""
        runs = [run for repeats in self.runs.values() for run in repeats]
        said = what_was_run(self.first), *maps_shown(runs), *changed_settings(self.planned)
        return [*learned_nothing(self.runs), *said]

    def conclusion(self):
        """What came out, in a sentence: how many rows differ from their baselines, and the largest gain; `""` for none.

        A difference counts where its whole 95 % interval lies on one side of zero.
        """
        compared = [(row, self.difference(row.name, row.baseline)) for row in self.classifiers() if row.baseline]
        compared = [(row, found) for row, found in compared if found is not None]
        if not compared:
            return ""
        above, below = (sum(test(one) for _, one in compared) for test in (lambda d: d.low > 0, lambda d: d.high < 0))
        row, best = max(compared, key=lambda pair: pair[1].value)
        most = difference_in_words(best.value, best.low, best.high, best.pictures, row.baseline)
        rows = f"{len(compared)} rows" if len(compared) > 1 else "1 row"
        return f"Of {rows}, {above} lie above their baseline and {below} below; the best: {row.name} is {most}."

    def curves(self, published=False):
        """The figures that the table names and whose rows are all there.

        Args:
            published: Whether to draw what the paper prints though a run differs from the paper's in its pictures.

        Returns:
            From a file name to a figure.
        """
        figures = {}
        for name, wanted in self.table.figures.items():
            if all(one in self.runs for one in wanted):
                first, caption = [self.runs[one][0] for one in wanted], figure_number(name)
                if len(first) == 1:
                    figures[name] = run_figure(first[0].config, first[0].history, published, caption=caption)
                else:
                    caption = f"{caption}: {', '.join(wanted)}" if caption else ""
                    figures[name] = comparison_figure(first, wanted, published, caption=caption)
        return figures


def figure_number(name):
    """Which figure of the thesis a file repeats, in words: `"Thesis, Fig. 4.15 (rgbs)"`, or `""` for none."""
    found = re.fullmatch(r"figure-([0-9.]+)(?:-(.+))?\.png", name)
    return f"Thesis, Fig. {found[1]}" + (f" ({found[2]})" if found[2] else "") if found else ""


def write_files(folder, table, notes, shown, numbers, figures):
    """Writes `table.md`, `table.csv` and the figures of a table.

    Args:
        folder: Where to; made if absent.
        table: The `PaperTable`, for its title and its note.
        notes: Sentences under the table.
        shown: `figures.document` blocks: the table, or several.
        numbers: `(header, rows)` for `table.csv`.
        figures: From a file name to a figure.

    Returns:
        What `table.md` says, for a terminal.
    """
    folder.mkdir(parents=True, exist_ok=True)
    blocks = [Heading(table.title, level=1), *shown, *(note for note in (*notes, table.note) if note)]
    with whole_file(folder / "table.md", "w", encoding="utf-8") as file:
        file.write(markdown(blocks))
    write_csv(folder / "table.csv", *numbers)
    for name, figure in figures.items():
        style.save(figure, folder / name)
    return terminal(blocks)


def learned_nothing(runs):
    """A caution that names the rows whose runs are at chance (`runs.learned`): a list of one, or none.

    Args:
        runs: From a row's name, or its name and number of pictures per class, to its `runs.run.Run`s.
    """
    rows = [name for name, repeats in runs.items() if any(map(is_at_chance, repeats))]
    names = ", ".join(name if isinstance(name, str) else f"{name[0]} ({name[1]} per class)" for name in rows)
    told = f"at chance, so that differences to them say nothing about a strategy: {names}."
    return [Caution(told)] if rows else []


def maps_shown(runs):
    """A sentence that names what made the saliency maps that runs were shown, with its version: a list of one, or none.

    Maps that are the same for all pictures are left out.
    """
    made_of, found = {}, {}
    for run in runs:
        shown = Shown.parse(run.maps) if run.maps else None
        if shown is None or shown.swap in CONTROLS:
            continue
        name = shown.map or run.config["data"]["maps"][0]
        key = run.config["data"]["digest"], name
        if key not in made_of:
            made_of[key] = _predictor_of(run, name)
        found[made_of[key]] = None
    return [f"Saliency maps: {'; '.join(found)}."] if found else []


def _predictor_of(run, name):
    """What made a map, and its version, in words."""
    try:
        predictor = run.data_set().map_named(name).predictor
    except UserError:
        return f"{name} (the data set is not here any more, so the version is not known)"
    called = predictor.get("name", name)
    of_map = "" if called == name else f"{name}: "
    return f"{of_map}{called}, version {predictor['version']}" if "version" in predictor else f"{of_map}{called}"


def changed_settings(planned):
    """A sentence that says which settings the runs have beside what their experiments say: a list of one, or none."""
    changed = {}
    for one in planned:
        default = experiment(one.row.experiment).with_settings(one.row.settings)
        differing = [
            f"{name}={json.dumps(value)}"
            for name, value in one.experiment.settings.items()
            if name not in ("few_shot", "drops") and value != default.settings[name]
        ]
        changed.setdefault(", ".join(differing), {})[one.row.name] = None
    told = [f"{', '.join(names)}: {settings}" for settings, names in changed.items() if settings]
    return [f"Other than the papers' settings: {'; '.join(told)}."] if told else []


def what_was_run(run):
    """A sentence about the data, the machine and the versions behind a table."""
    config, data, settings = run.config, run.config["data"], run.settings
    versions = ", ".join(f"{name} {version}" for name, version in config["versions"].items() if version)
    return (
        f"Data set {data['folder']} ({data['digest'][:12]}, {data['classes']} classes), {settings['side']} "
        f"px, {settings['epochs']} epochs, batches of {settings['batch']}, "
        f"{config['precision']}; {versions}; {config['device']['cores']} cores of {config['device']['machine']}."
    )

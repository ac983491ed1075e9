"""SalClassNet, Table 4: maps of the joined network, of the detector alone, and of others, against fixations."""

import dataclasses
from pathlib import Path

import numpy as np

from saliency_keras import run_folder
from saliency_keras.console import UserError
from saliency_keras.experiments.published import SALCLASSNET_4, SALCLASSNET_4_METRICS, SUSPECT_4
from saliency_keras.figures.document import Table
from saliency_keras.metrics.fixation_metrics import METRICS
from saliency_keras.metrics.statistics import bootstrap_interval
from saliency_keras.runs.run import Run
from saliency_keras.tables.class_accuracy import options_of_stages, staged_plan
from saliency_keras.tables.fixations import check_fixations
from saliency_keras.tables.plan import words_of
from saliency_keras.tables.results import changed_settings, what_was_run, write_files
from saliency_keras.tables.shift import DETECTOR

PREDICTORS = ("center", "fixations")
OURS = {"salclassnet": "SalClassNet", "fixations": "Human Baseline"}
ELSEWHERE = {"salnet": "SalNet", "salicon": "SALICON"}  # experiments that the paper compares with
NOTE = (
    "The paper's figures are of its own pictures, as printed; its Human Baseline is the map of the gaze against "
    f"itself, our `fixations`, a ceiling and no agreement of people; {SUSPECT_4}. `human` predicts each observer by "
    "the others."
)


@dataclasses.dataclass(frozen=True)
class TopDown:
    """Maps against fixations, in the metrics of Table 4.

    Attributes:
        fixations: Folder of the fixation set to score on: pictures that no network was trained on.
        free_viewing: As of `Staged`.
        exclude_classes: As of `Staged`.
        predictors: Names of predictors or run folders beside ours. Runs of `salnet` and `salicon` are the paper's rows
            of that name, and its fine-tuned rows where they began with another run.
        maps: Folders of maps made elsewhere, to be scored too.
        convention: Of the metrics, as `score --convention`.
    """

    fixations: Path | None = None
    free_viewing: Path | None = None
    exclude_classes: str = ""
    predictors: tuple[str, ...] = PREDICTORS
    maps: tuple[Path, ...] = ()
    convention: str = "standard"
    keep_models = True

    @staticmethod
    def options(add):
        """`--fixations`, `--free-viewing`, `--exclude-classes`, `--predictors`, `--maps`, `--convention`."""
        from saliency_keras.tables.fixations import Fixations

        Fixations.options(add)
        options_of_stages(add)
        names = f"salclassnet-4: predictors or run folders to score too (default: {','.join(PREDICTORS)})"
        add("--predictors", metavar="NAMES", type=words_of, default=PREDICTORS, help=names)
        add("--convention", choices=("mit", "standard"), default="standard", help="of the metrics (%(default)s)")

    def plan(self, table, choices):
        """As `TableKind.plan`."""
        from saliency_keras.scoring.fixation_scores import check_names

        check_fixations(self.fixations)
        runs = staged_plan(table, choices, self.free_viewing, self.exclude_classes)
        # Refuses a name of no predictor, and one that two rows would have, before anything is trained.
        check_names([*(run.folder.name for run in runs if _makes_maps(run)), *(one.name for one in self._sources()[1])])
        return runs

    def write(self, results, folder):
        """As `TableKind.write`."""
        from saliency_keras.saliency import predictor
        from saliency_keras.scoring.examples import examples_figure
        from saliency_keras.scoring.fixation_scores import Protocol, score_set

        made = [run for run in results.planned if run.finished and _makes_maps(run)]
        if not made:
            raise UserError("no network that makes maps is there, so there is nothing to score.")
        own = []
        for run in made:
            one = predictor(str(run.folder))
            one.name = run.folder.name
            own.append(one)
        fixation_set, sources = self._sources()
        named = {source.name: papers_name(one) for one, source in zip(self.predictors, sources, strict=False)}
        sources, protocol = [*own, *sources], Protocol(self.convention)
        scores = score_set(fixation_set, sources, protocol)
        header, rows, numbers, csv_rows = top_down_table(scores, named)
        tables, seeds = [Table(header, rows)], {}
        for run in made:
            seeds.setdefault(run.row.name, []).append(run.folder.name)
        detector = seeds.pop(DETECTOR, [])
        if detector and seeds:
            header, rows, further = less_the_detector(scores, detector[0], seeds)
            tables, csv_rows = [*tables, Table(header, rows)], csv_rows + further
        notes = [what_was_run(Run.load(made[-1].folder)), *changed_settings(results.planned), scores.caption(), NOTE]
        figures = {"maps.png": examples_figure(fixation_set, sources, protocol, scores.images, scores)}
        return write_files(folder, results.table, notes, tables, (numbers, csv_rows), figures)

    def _sources(self):
        """The fixation set, and what is scored on it beside ours."""
        from saliency_keras.data.fixation_set import read_fixation_set
        from saliency_keras.scoring.sources import sources_of

        fixation_set = read_fixation_set(self.fixations)
        return fixation_set, sources_of(self.predictors, self.maps, fixation_set)


def _makes_maps(run):
    """Whether a run ends in a network that makes a map of a picture: the detector, or the joined one."""
    return run.experiment.task in ("joint", "maps", "fixation_maps")


def papers_name(predictor):
    """What the paper calls a predictor that it compares with.

    Args:
        predictor: Name of a predictor, or a run folder.

    Returns:
        `"SalNet"` or `"SALICON"` of a run of that experiment, with `"Fine-tuned "` before it if it began with another
        run; `""` of any other predictor.
    """
    if not run_folder.is_finished(Path(predictor)):
        return ""
    run = Run.load(predictor)
    name = ELSEWHERE.get(run.name, "")
    return f"Fine-tuned {name}" if name and run.config.get("init") else name


def top_down_table(scores, named=None):
    """Table 4: our scores beside the paper's on its four sets.

    Args:
        scores: `scoring.fixation_scores.Scores`.
        named: From rows of `scores` to the paper's names of them, `""` for none.

    Returns:
        `(header, rows, csv header, csv rows)`.
    """
    called = {name: (named or {}).get(name) or OURS.get(name, name) for name in scores.rows}
    theirs = [f"paper's {metric}, {one}" for one in SALCLASSNET_4 for metric in SALCLASSNET_4_METRICS]
    rows, csv_rows, columns = [], [], [METRICS.index(metric) for metric in SALCLASSNET_4_METRICS]
    for name in scores.rows:
        means, errors = scores.mean(name)[columns], scores.standard_error(name)[columns]
        printed = _printed(called[name])
        rows.append([name, *(f"{a:.3f} ± {b:.3f}" for a, b in zip(means, errors, strict=True)), *map(_three, printed)])
        csv_rows.append([name, *means, *errors, *_NO_INTERVALS, *printed])
    left = [name for name in next(iter(SALCLASSNET_4.values())) if name not in called.values()]
    rows += [[f"{name}, the paper's", *_NONE, *map(_three, _printed(name))] for name in left]
    csv_rows += [[f"{name}, the paper's", *_NONE, *_NONE, *_NO_INTERVALS, *_printed(name)] for name in left]
    errors = [f"{metric}_error" for metric in SALCLASSNET_4_METRICS]
    bounds = [f"{metric}_{bound}" for metric in SALCLASSNET_4_METRICS for bound in ("low", "high")]
    ours = ["maps", *SALCLASSNET_4_METRICS]
    return [*ours, *theirs], rows, [*ours, *errors, *bounds, *theirs], csv_rows


def less_the_detector(scores, detector, seeds):
    """How much better the maps of the other stages are than the detector's, picture by picture.

    Args:
        scores: `scoring.fixation_scores.Scores`.
        detector: Name of the detector's row in them.
        seeds: From the name of each other stage to the names of its seeds' rows.

    Returns:
        `(header, rows, csv rows)`: means over seeds and pictures, with 95 % intervals over pictures.
    """
    rows, csv_rows = [], []
    for name, of_seeds in seeds.items():
        less = np.mean([scores.rows[one] for one in of_seeds], axis=0) - scores.rows[detector]
        means, bounds, cells = [], [], []
        for metric in SALCLASSNET_4_METRICS:
            values = less[:, METRICS.index(metric)]
            values = values[~np.isnan(values)]
            low, high = bootstrap_interval(values)
            means.append(values.mean())
            bounds += [low, high]
            cells.append(f"{values.mean():+.3f} ({low:+.3f} to {high:+.3f})")
        rows.append([name, len(of_seeds), *cells])
        csv_rows.append([f"{name} less {detector}", *means, *_NONE, *bounds, *_NONE * len(SALCLASSNET_4)])
    return [f"less {detector}, by picture", "seeds", *SALCLASSNET_4_METRICS], rows, csv_rows


_NONE = (None,) * len(SALCLASSNET_4_METRICS)
_NO_INTERVALS = _NONE * 2


def _three(value):
    return None if value is None else f"{value:.3f}"


def _printed(name):
    """What the paper prints of a row on each of its sets; `None`s for a row that it does not have."""
    return [value for rows in SALCLASSNET_4.values() for value in rows.get(name, _NONE)]

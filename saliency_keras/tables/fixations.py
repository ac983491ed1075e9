"""Figueroa-Flores et al. 2020, Table III: the map of step 1, and other predictors, against where people looked."""

import dataclasses
from pathlib import Path

from saliency_keras.console import UserError
from saliency_keras.experiments.published import SUSPECT_III, TABLE_III, TABLE_III_METRICS
from saliency_keras.runs.run import Run
from saliency_keras.tables.plan import plan
from saliency_keras.tables.results import changed_settings, what_was_run, write_files

METRIC_OF_PAPER = {"AUC": "AUC-Judd", "InfoGain": "IG"}  # the paper does not say which AUC it is
PREDICTOR_OF_PAPER = {"IKN": "itti", "AIM": "aim", "SDLF": "sdlf", "GBVS": "gbvs", "GroundTruth (Humans)": "human"}
OURS = "Our Approach (Step I)"
STEP_1 = "step 1"
NOTE = f"Published: that paper's pictures. As printed there; {SUSPECT_III}."


@dataclasses.dataclass(frozen=True)
class Fixations:
    """Predictors against fixations.

    Attributes:
        fixations: Folder of the fixation set.
    """

    fixations: Path | None = None
    keep_models = True

    @staticmethod
    def options(add):
        """`--fixations`."""
        fixations_option(add)

    def plan(self, table, choices):
        """As `TableKind.plan`; without a large set, step 1 learns from the one of the rows."""
        check_fixations(self.fixations)
        return plan(table, dataclasses.replace(choices, large=choices.large or choices.data))

    def write(self, results, folder):
        """As `TableKind.write`."""
        from saliency_keras.data.fixation_set import read_fixation_set
        from saliency_keras.saliency import predictor
        from saliency_keras.scoring.examples import examples_figure
        from saliency_keras.scoring.fixation_scores import Protocol, score_set

        run = next(one for one in results.planned if one.row.experiment.startswith("hallucination_step1"))
        own = predictor(str(run.folder))
        own.name = STEP_1
        sources = [own, *(predictor(name) for name in ("gbvs", "itti", "aim", "sdlf", "center"))]
        fixation_set, protocol = read_fixation_set(self.fixations), Protocol()
        scores = score_set(fixation_set, sources, protocol)
        *shown, numbers, csv_rows = fixations_table(scores, own.name)
        notes = [what_was_run(Run.load(run.folder)), *changed_settings(results.planned), scores.caption(), NOTE]
        figures = {"maps.png": examples_figure(fixation_set, sources, protocol, scores.images, scores)}
        return write_files(folder, results.table, notes, shown, (numbers, csv_rows), figures)


def fixations_option(add):
    """Adds `--fixations` to a parser by its `add_argument`."""
    what = "set that hallucination-3 and accuracy-vs-saliency score on"
    add("--fixations", metavar="DIR", type=Path, help=what)


def check_fixations(fixations):
    """Refuses a fixation set that is not given or cannot be read."""
    if fixations is None:
        raise UserError("this table scores maps against where people looked; give a set: --fixations DIR.")
    from saliency_keras.data.fixation_set import read_fixation_set

    read_fixation_set(fixations)


def fixations_table(scores, run_name):
    """Table III: our scores beside the paper's on Toronto and SID4VAM.

    Args:
        scores: `scoring.fixation_scores.Scores` of the predictors.
        run_name: Name of the row of step 1's run.

    Returns:
        `(header, rows, csv header, csv rows)`; metrics as the paper orders them.
    """
    from saliency_keras.metrics.fixation_metrics import METRICS

    ours = [METRIC_OF_PAPER.get(name, name) for name in TABLE_III_METRICS]
    header = ["predictor", *ours, *(f"{name}, {paper_set}" for paper_set in TABLE_III for name in TABLE_III_METRICS)]
    names_of_paper = {**{ours: paper for paper, ours in PREDICTOR_OF_PAPER.items()}, run_name: OURS}
    rows = []
    for name in scores.rows:
        means = dict(zip(METRICS, scores.mean(name), strict=True))
        rows.append([name, *(means[metric] for metric in ours), *_table_iii(names_of_paper.get(name))])
    left = [name for name in next(iter(TABLE_III.values())) if name not in {names_of_paper.get(row[0]) for row in rows}]
    rows += [[name, *[None] * len(ours), *_table_iii(name)] for name in left]
    shown = [[row[0], *(value if value is None else f"{value:.3f}" for value in row[1:])] for row in rows]
    return header, shown, header, rows


def _table_iii(name):
    return [value for of_set in TABLE_III.values() for value in of_set.get(name, [None] * len(TABLE_III_METRICS))]

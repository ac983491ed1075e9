"""Figueroa-Flores et al. 2020, Table III: the map of step 1, and other predictors, against where people looked."""

import dataclasses
from pathlib import Path

from saliency_keras.console import UserError
from saliency_keras.experiments.published import SUSPECT_III, TABLE_III, TABLE_III_METRICS
from saliency_keras.figures.document import Table
from saliency_keras.runs.run import Run
from saliency_keras.tables import further_maps
from saliency_keras.tables.few_shot import begun_with_weights
from saliency_keras.tables.plan import plan, words_of
from saliency_keras.tables.results import changed_settings, what_was_run, write_files

METRIC_OF_PAPER = {"AUC": "AUC-Judd", "InfoGain": "IG"}  # the paper does not say which AUC it is
# The paper's "GroundTruth" is the human density scored against itself: KL 0 and SIM 1 say so.
PREDICTOR_OF_PAPER = {"IKN": "itti", "AIM": "aim", "SDLF": "sdlf", "GBVS": "gbvs", "GroundTruth (Humans)": "fixations"}
OURS = "Our Approach (Step I)"
STEP_1 = "step 1"
PREDICTORS = ("gbvs", "itti", "aim", "sdlf", "center", "readout", "fixations")
NOTE = (
    f"The paper's figures are of its own pictures, as printed; {SUSPECT_III}. Its GroundTruth is the human density "
    "against itself, our fixations; `human` predicts each observer by the others, which the paper does not have."
)


@dataclasses.dataclass(frozen=True)
class Fixations:
    """Predictors against fixations.

    Attributes:
        fixations: Folder of the fixation set.
        predictors: Names of predictors or run folders beside step 1; `"fixations"` is the human density.
        maps: Folders of maps to score too; one with the name of a row of the paper is shown beside that row.
        convention: Of the metrics, as `score --convention`; the paper's are made with the MIT benchmark's.
    """

    fixations: Path | None = None
    predictors: tuple[str, ...] = PREDICTORS
    maps: tuple[Path, ...] = ()
    convention: str = "mit"
    keep_models = True

    @staticmethod
    def options(add):
        """`--fixations`, `--predictors`, `--maps`, `--convention`."""
        fixations_option(add)
        names = f"hallucination-3: predictors or run folders to score (default: {','.join(PREDICTORS)})"
        add("--predictors", metavar="NAMES", type=words_of, default=PREDICTORS, help=names)
        add("--maps", metavar="DIR", type=Path, action="append", default=[], help=further_maps.HELP)
        convention = "hallucination-3: of the metrics (default: mit, as the paper's)"
        add("--convention", choices=("mit", "standard"), default="mit", help=convention)

    def plan(self, table, choices):
        """As `TableKind.plan`; without a large set, step 1 learns from the one of the rows."""
        check_fixations(self.fixations)
        self._sources()  # refuses a name of no predictor before anything is trained
        return begun_with_weights(plan(table, dataclasses.replace(choices, large=choices.large or choices.data)))

    def write(self, results, folder):
        """As `TableKind.write`."""
        from saliency_keras.saliency import predictor
        from saliency_keras.scoring.examples import examples_figure
        from saliency_keras.scoring.fixation_scores import Protocol, score_set

        run = next(one for one in results.planned if one.row.experiment.startswith("hallucination_step1"))
        own = predictor(str(run.folder))
        own.name = STEP_1
        fixation_set, sources = self._sources()
        sources, protocol = [own, *sources], Protocol(self.convention)
        scores = score_set(fixation_set, sources, protocol)
        header, rows, csv_header, csv_rows = fixations_table(scores, own.name)
        made_by = "; ".join(f"{one.name}, version {one.version}" for one in sources if hasattr(one, "version"))
        notes = [what_was_run(Run.load(run.folder)), *changed_settings(results.planned), scores.caption(), NOTE]
        notes.append(f"Predictors: {made_by}.")
        figures = {"maps.png": examples_figure(fixation_set, sources, protocol, scores.images, scores)}
        return write_files(folder, results.table, notes, [Table(header, rows)], (csv_header, csv_rows), figures)

    def _sources(self):
        """The fixation set, and what is scored on it beside step 1."""
        from saliency_keras.data.fixation_set import read_fixation_set
        from saliency_keras.scoring.sources import sources_of

        fixation_set = read_fixation_set(self.fixations)
        return fixation_set, sources_of(self.predictors, self.maps, fixation_set)


def fixations_option(add):
    """Adds `--fixations` to a parser by its `add_argument`."""
    what = "set that hallucination-3, salclassnet-4 and accuracy-vs-saliency score on"
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
    theirs = [f"paper's {name}, {paper_set}" for paper_set in TABLE_III for name in TABLE_III_METRICS]
    header = ["predictor", *ours, *theirs]
    printed = next(iter(TABLE_III.values()))
    names_of_paper = {name: name for name in printed}  # folders of maps may be called so
    names_of_paper |= {ours: paper for paper, ours in PREDICTOR_OF_PAPER.items()} | {run_name: OURS}
    rows = []
    for name in scores.rows:
        means = dict(zip(METRICS, scores.mean(name), strict=True))
        rows.append([name, *(means[metric] for metric in ours), *_table_iii(names_of_paper.get(name))])
    left = [name for name in printed if name not in {names_of_paper.get(row[0]) for row in rows}]
    rows += [[name, *[None] * len(ours), *_table_iii(name)] for name in left]
    shown = [[row[0], *(value if value is None else f"{value:.3f}" for value in row[1:])] for row in rows]
    return header, shown, header, rows


def _table_iii(name):
    return [value for of_set in TABLE_III.values() for value in of_set.get(name, [None] * len(TABLE_III_METRICS))]

"""From the runs of a reproduction to the table of its paper, written and returned.

Tables of fixations and of few pictures are made here from `few_shot`'s rows, the thesis's and the controls by
`reproduction`.
"""

import json

from saliency_keras.console import UserError
from saliency_keras.experiments import experiment
from saliency_keras.runs.run import Run
from saliency_keras.tables import few_shot
from saliency_keras.tables.accuracy import Results, write, write_files


def write_table(table, planned, folder, fixations=None):
    """Writes a table and its figures.

    Args:
        table: The `PaperTable`.
        planned: Its `tables.plan.PlannedRun`s. A row that lacks a run is left out.
        folder: Where `table.md`, `table.csv` and the figures go; made if absent.
        fixations: Folder of the fixation set, for tables of that kind.

    Returns:
        The text of `table.md`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if table.kind == "fixations":
        return _fixations(table, planned, folder, fixations)
    measured = [one for one in planned if not one.row.preparation]
    broken = {(one.row.name, one.shots) for one in measured if not one.finished}
    runs = {}
    for one in measured:
        if (one.row.name, one.shots) not in broken:
            runs.setdefault((one.row.name, one.shots), []).append(Run.load(one.folder))
    if not runs:
        raise UserError("no row of the table is whole, so there is nothing to write.")
    first = next(iter(runs.values()))[0]
    head = [_what_was_run(first), *_changed(planned)]
    if table.kind not in ("few_shot", "standard"):
        return write(table, Results(table, {name: repeats for (name, _), repeats in runs.items()}), folder, head)
    like = few_shot.published_set(first.config["data"]["folder"])
    of_paper = few_shot.BASES[table.kind] == next(iter(runs))[0].rpartition("_")[2]
    methods = {(name.rpartition("_")[0], shots): repeats for (name, shots), repeats in runs.items()}
    if table.kind == "standard":
        alone = {method: repeats for (method, _), repeats in methods.items()}
        *shown, numbers, csv_rows = few_shot.standard_rows(alone, like, of_paper)
        return write_files(folder, table, head, shown, (numbers, csv_rows), {})
    like = like if of_paper else None
    *shown, numbers, csv_rows = few_shot.few_shot_table(methods, like)
    figures = {"accuracy.png": few_shot.few_shot_figure(methods, like)}
    if gains := few_shot.gains_figure(methods, like):
        figures["gains.png"] = gains
    return write_files(folder, table, head, shown, (numbers, csv_rows), figures)


def _fixations(table, planned, folder, fixations):
    from saliency_keras.data.fixation_set import read_fixation_set
    from saliency_keras.saliency import predictor
    from saliency_keras.scoring.examples import examples_figure
    from saliency_keras.scoring.fixation_scores import Protocol, score_set

    run = next(one for one in planned if one.row.experiment.startswith("hallucination_step1"))
    own = predictor(str(run.folder))
    own.name = "step 1"
    sources = [own, *(predictor(name) for name in ("gbvs", "itti", "aim", "sdlf", "center"))]
    fixation_set, protocol = read_fixation_set(fixations), Protocol()
    scores = score_set(fixation_set, sources, protocol)
    *shown, numbers, csv_rows = few_shot.fixations_table(scores, own.name)
    head = [_what_was_run(Run.load(run.folder)), *_changed(planned), scores.caption()]
    figures = {"maps.png": examples_figure(fixation_set, sources, protocol, scores.images, scores)}
    return write_files(folder, table, head, shown, (numbers, csv_rows), figures)


def _changed(planned):
    """A sentence that says which settings the runs have beside what their experiments say: one, or none."""
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


def _what_was_run(run):
    """A sentence about the data, the machine and the versions behind a table."""
    config, data, settings = run.config, run.config["data"], run.settings
    versions = ", ".join(f"{name} {version}" for name, version in config["versions"].items() if version)
    return (
        f"Data set {data['folder']} ({data['digest'][:12]}, {data['classes']} classes), {settings['side']} "
        f"px, {settings['epochs']} epochs, batches of {settings['batch']}, {config['precision']}; {versions}; "
        f"{config['device']['cores']} cores of {config['device']['machine']}."
    )

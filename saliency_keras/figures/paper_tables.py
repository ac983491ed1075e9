"""From the runs of a reproduction to the table of its paper, written and returned: one place that knows all kinds."""

from saliency_keras.figures import few_shot
from saliency_keras.figures.reproduction import Results, write, write_files
from saliency_keras.training.runs import Run


def write_table(table, planned, folder, fixations=None):
    """Writes a table and its figures.

    Args:
        table: The `PaperTable`.
        planned: Its `training.reproduction.PlannedRun`s, all finished.
        folder: Where `table.md`, `table.csv` and the figures go; made if absent.
        fixations: Folder of the fixation set, for tables of that kind.

    Returns:
        The text of `table.md`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if table.kind == "fixations":
        return _fixations(table, planned, folder, fixations)
    runs = {}
    for one in planned:
        if not one.row.preparation:
            runs.setdefault((one.row.name, one.shots), []).append(Run.load(one.folder))
    head = [_what_was_run(next(iter(runs.values()))[0])]
    if not any(row.experiment.startswith("baseline_rgb") for row in table.rows):
        return write(table, Results(table, {name: repeats for (name, _), repeats in runs.items()}), folder, head)
    like = few_shot.published_set(next(iter(runs.values()))[0].config["data"]["folder"])
    methods = {(name.rpartition("_")[0], shots): repeats for (name, shots), repeats in runs.items()}
    if table.kind != "few_shot":
        alone = {method: repeats for (method, _), repeats in methods.items()}
        *shown, numbers, csv_rows = few_shot.standard_rows(alone, like)
        return write_files(folder, table, head, shown, (numbers, csv_rows), {})
    *shown, numbers, csv_rows = few_shot.few_shot_table(methods, like)
    figures = {"accuracy.png": few_shot.few_shot_figure(methods, like)}
    return write_files(folder, table, head, shown, (numbers, csv_rows), figures)


def _fixations(table, planned, folder, fixations):
    from saliency_keras.data.fixations import read_fixation_set
    from saliency_keras.figures.saliency import examples_figure
    from saliency_keras.metrics.scoring import Protocol, score_set
    from saliency_keras.saliency import predictor

    run = next(one for one in planned if one.row.experiment.startswith("hallucination_step1"))
    own = predictor(str(run.folder))
    own.name = "step 1"
    sources = [own, *(predictor(name) for name in ("gbvs", "itti", "aim", "sdlf", "center"))]
    fixation_set, protocol = read_fixation_set(fixations), Protocol()
    scores = score_set(fixation_set, sources, protocol)
    *shown, numbers, csv_rows = few_shot.fixations_table(scores, own.name)
    head = [_what_was_run(Run.load(run.folder)), scores.caption()]
    figures = {"maps.png": examples_figure(fixation_set, sources, protocol, scores.images, scores)}
    return write_files(folder, table, head, shown, (numbers, csv_rows), figures)


def _what_was_run(run):
    """A sentence about the data, the machine and the versions behind a table."""
    config, data = run.config, run.config["data"]
    versions = ", ".join(f"{name} {version}" for name, version in config["versions"].items() if version)
    return (
        f"Data set {data['folder']} ({data['digest'][:12]}, {data['classes']} classes), {config['experiment']['side']} "
        f"px, {config['experiment']['epochs']} epochs, batches of {config['experiment']['batch']}, "
        f"{config['precision']}; {versions}; {config['device']['cores']} cores of {config['device']['machine']}."
    )

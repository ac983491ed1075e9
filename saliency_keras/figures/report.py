"""The report on one or several runs: a page with its answer on top, and what the answer rests on below.

It brings together what the neighbours make; nothing is computed here. With several runs, the first is the one that
the others are compared with. Figures are narrow, so that they are legible on a phone.
"""

import json

from saliency_keras.console import UserError
from saliency_keras.experiments.experiment import WORDS
from saliency_keras.figures.cases import case_blocks, disagreement_blocks
from saliency_keras.figures.confusion import confusion_blocks
from saliency_keras.figures.curves import LOSSES, comparison_figure, run_figure
from saliency_keras.figures.diagram import network_diagram
from saliency_keras.figures.document import Answer, Caution, Figures, Folded, Heading, Table, figure_picture
from saliency_keras.figures.evaluation import (
    EXPLAINED,
    accuracies,
    class_table,
    comparison,
    figures_of,
    written_class_table,
)
from saliency_keras.figures.intervals import accuracy, intervals_figure, printed_gain, rows_of_seeds
from saliency_keras.figures.verdict import VERDICTS, against_first, conclusion, what_is_compared
from saliency_keras.metrics.digits import is_worth_telling, points
from saliency_keras.metrics.statistics import seeds_spread
from saliency_keras.runs.labels import labels_of, set_name, title_of, without_chance
from saliency_keras.runs.learned import warnings
from saliency_keras.runs.networks import network_of_run

PAIRS = 3  # comparisons that are shown with the pictures on which the two runs disagree
NARROW = 5.0  # inches of a figure that is legible on a phone
CLASSES_NAMED = 12
# How the time of a training was spent, by the field of summary.json.
SPENT = {
    "device_busy": "device trains",
    "waiting": "waits for pictures",
    "waiting_for_host": "waits for the host",
    "validating": "validation",
    "saving": "saving",
}
# Fields of config.json that differ from run to run without saying anything about the result.
NOT_SETTINGS = ("name", *WORDS, "shown", "parents")


def report(runs):
    """The report on some runs.

    Args:
        runs: `runs.run.Run`s of classifiers, one or more; all tested on the same pictures. Those that are not finished
            stand in the curves and in a caution.

    Returns:
        A document: list of blocks.

    Raises:
        UserError: If a run has no predictions, is given twice, or was tested on other pictures than the first.
    """
    drawn, going = runs, [run for run in runs if run.unfinished]
    runs = [run for run in runs if not run.unfinished]
    if not runs:
        names = ", ".join(dict.fromkeys(run.name for run in going))
        blocks = [Heading(f"How far is {names}?", level=1), Answer("; ".join(map(str, going))), Heading("Curves")]
        return [*blocks, _curves(going, labels_of(going))]
    labels = labels_of(runs)
    others = runs[1:]
    cautions = dict.fromkeys(sentence for run in runs for sentence in warnings(run))
    cautions |= dict.fromkeys(f"{run} so far; it is not compared yet." for run in going)
    blocks = [Heading(question(runs), level=1), Answer(conclusion(runs)), *map(Caution, cautions)]
    if others:
        blocks += [what_is_compared(runs), *_gains(runs), Heading("The runs"), _overview(runs), *_spent(runs, labels)]
        if differing := _differences(runs, labels):
            blocks += ["What differs between them; all else is the same, and in each run's config.json:", differing]
    blocks += [Heading("The pictures"), _card(runs[0]), Heading("The networks" if others else "The network")]
    blocks += [_diagrams(runs, labels), Heading("Curves"), _curves(drawn, labels_of(drawn))]
    pairs, called = _pairs(runs), {id(run): label for run, label in zip(runs, labels, strict=True)}
    for run, baseline in pairs:
        label, label_baseline = (called[id(one)] for one in (run, baseline))
        blocks += [Heading(f"{label} against {label_baseline}")]
        blocks += comparison(run, baseline, label, label_baseline, explained=False)
        if len(pairs) <= PAIRS:
            blocks += disagreement_blocks(run, baseline, label, label_baseline)
    for run, label in zip(runs, labels, strict=True):
        blocks += [Heading(label), title_of(run.config), *_one_run(run, label)]
        blocks += [] if others else _spent([run], [label])
        if not others and (changed := _differences(runs, labels)):
            blocks += ["Settings other than the paper's:", changed]
    return [*blocks, Heading("How to read the numbers"), *EXPLAINED]


def _pairs(runs):
    """Which runs are compared: each further one with the first, or with the one of its own seed in the first's row."""
    baseline, *rows = rows_of_seeds(runs)
    if not rows:
        return [(run, runs[0]) for run in runs[1:]]
    return [(run, baseline.runs.get(seed, runs[0])) for row in rows for seed, run in row.runs.items()]


def question(runs):
    """What the page answers: `"Is fanin3 better than rgb on imagenette-160?"`."""
    data = set_name(runs[0].config)
    where = f" on {data}" if data else ""
    baseline, *rows = [without_chance(row.label) for row in rows_of_seeds(runs)]
    if len(runs) == 1:
        return f"What does {baseline} get right{where}?"
    if not rows:
        return f"How far apart are {len(runs)} runs of {baseline}{where}?"
    if len(rows) == 1:
        return f"Is {rows[0]} better than {baseline}{where}?"
    if len(rows) <= VERDICTS:
        return f"Which is better than {baseline}{where}: {', '.join(rows[:-1])} or {rows[-1]}?"
    return f"Which of {len(rows)} is better than {baseline}{where}?"


def _gains(runs):
    """What each run, or each row of runs that differ by their seed only, gains over the first: a figure."""
    baseline, found = against_first(runs)
    if not found:
        return []
    panel = [(row.label, one, printed_gain(row.first, baseline.first)) for row, one in found]
    told = (
        f"{label}: {points(one.value, one.pictures)} points, {points(one.low, one.pictures)} to "
        f"{points(one.high, one.pictures)}"
        for label, one, _ in panel
    )
    title = f"Top-1, differences to {baseline.label}"
    figure = intervals_figure({f"against {baseline.label}": panel}, width=NARROW)
    return [Figures([figure_picture(figure, f"{title}: {'; '.join(told)}.")])]


def _overview(runs):
    """One line a run, or a row of runs that differ by their seed only: means, with the interval over seeds too."""
    figures, seeds = figures_of(len(runs[0].predictions.classes)).values(), rows_of_seeds(runs)
    several = any(len(row.runs) > 1 for row in seeds)
    titles = [title for title, _ in figures]
    columns = [column for title in titles for column in (f"{title} %", *([f"{title} interval"] * several))]
    header = ["run", *(["seeds"] * several), *columns, "paper's Top-1 %", "parameters", "epochs", "images/s", "hours"]
    spreads = {
        k: seeds_spread([[run.predictions.correct(k).mean() for run in row.runs.values()] for row in seeds])
        for _, k in figures
    }
    rows = []
    for row in seeds:
        run, tested = row.first, [run.predictions for run in row.runs.values()]
        published = run.published.get("top1")
        parameters, seconds, speed = (
            run.summary.get("parameters", {}).get("total"), run.summary.get("seconds"),
            run.summary.get("images_per_second"),
        )  # fmt: skip
        estimates = [accuracy(tested, k, spreads[k]).text() for _, k in figures]
        rows.append(
            [
                row.label,
                *([len(tested)] * several),
                *(cell for one in estimates for cell in one[: 1 + several]),
                f"{100 * published:.2f}" if published else None,
                None if parameters is None else f"{parameters:,}",
                len(run.history["epoch"]),
                None if speed is None else f"{speed:,.0f}",
                None if seconds is None else f"{seconds / 3600:.2f}",
            ]
        )
    return _without_empty_columns(header, rows)


def _spent(runs, labels):
    """How the time of each training was spent, as far as it was measured: a sentence and a table, or nothing."""
    rows = [[label, *map(run.summary.get, SPENT)] for run, label in zip(runs, labels, strict=True)]
    if all(value is None for _, *shares in rows for value in shares):
        return []
    rows = [[label, *(None if value is None else f"{100 * value:.1f}" for value in shares)] for label, *shares in rows]
    told = "How the time of each training was spent, in percent. Where the processor trains, it is never seen to wait."
    return [told, _without_empty_columns(["run", *SPENT.values()], rows)]


def _without_empty_columns(header, rows):
    told = [place for place in range(len(header)) if any(row[place] is not None for row in rows)]
    return Table([header[place] for place in told], [[row[place] for place in told] for row in rows])


def _differences(runs, labels):
    """The settings in which runs differ, or one run from its paper's: a table, or `None`."""
    from saliency_keras.experiments import EXPERIMENTS

    told = [_settings(run) for run in runs]
    header = ["setting", *labels]
    if len(runs) == 1:
        paper = EXPERIMENTS.get(runs[0].name)
        if paper is None:
            return None
        header, told = ["setting", "this run", "the paper's"], [told[0], paper.settings]
        told[0] = {name: value for name, value in told[0].items() if name in told[1]}
    names = dict.fromkeys(name for one in told for name in one)
    written = {name: [_written(one[name]) if name in one else "–" for one in told] for name in names}
    rows = [[name, *values] for name, values in written.items() if len(set(values)) > 1]
    return Table(header, rows) if rows else None


def _settings(run):
    """What may differ between runs: the experiment's settings, the maps, and how it was trained."""
    config = run.config
    chosen = {name: value for name, value in run.settings.items() if name not in NOT_SETTINGS}
    trained = {name: config.get(name) for name in ("seed", "precision", "backend", "augment", "devices", "init")}
    return {**chosen, "maps": run.maps or "none", **trained, "data": set_name(config)}


def _written(value):
    value = list(value) if isinstance(value, tuple) else value
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _card(run):
    """The data set in a small table."""
    data, predictions = run.config["data"], run.predictions
    rows = [["name", set_name(run.config) or "?"]]
    try:
        manifest = run.data_set()
    except UserError:
        manifest = None
    counts = (run.summary.get("pictures") or {}) if manifest is None else {}
    if manifest is not None:
        counts = {name: split.records for name, split in manifest.splits.items()}
    told = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    rows += [["pictures", told]] if told else []
    names = list(predictions.classes[:CLASSES_NAMED])
    more = f" and {len(predictions.classes) - len(names):,} more" if len(predictions.classes) > len(names) else ""
    rows += [
        ["classes", f"{len(predictions.classes):,}: {', '.join(names)}{more}"],
        ["tested", f"{predictions.ids.size:,} pictures of {predictions.split}"],
        ["size", f"{data.get('side')} px stored, {run.settings.get('side')} px seen"],
    ]
    for name in data.get("maps", []):
        predictor = manifest.map_named(name).predictor if manifest is not None else {"name": name}
        version = f", version {predictor['version']}" if "version" in predictor else ""
        rows.append(["saliency map", f"{name}: {predictor.get('name', name)}{version}"])
    rows.append(["digest", str(data.get("digest", ""))[:12]])
    return Table(["the set", ""], rows)


def _diagrams(runs, labels):
    """A diagram of each different network among the runs."""
    drawn = {}
    for run, label in zip(runs, labels, strict=True):
        chosen = json.dumps([run.config["experiment"].get(name) for name in ("network", "arguments")], sort_keys=True)
        drawn.setdefault(chosen + str(run.settings.get("side")), []).append((run, label))
    pictures = []
    for alike in drawn.values():
        network = network_of_run(alike[0][0])
        names = ", ".join(dict.fromkeys(run.name for run, _ in alike))
        if network is not None:
            figure = network_diagram(network, names)
            pictures.append(figure_picture(figure, figure.get_label()))
    return Figures(pictures) if pictures else "The networks are not drawn: their weights were not kept."


def _curves(runs, labels):
    """Curves, one narrow figure a quantity."""
    if len(runs) == 1:
        run = runs[0]
        names = [name for name in run.history if f"val_{name}" in run.history and is_worth_telling(name, run.classes)]
        names = [*sorted(names, key=lambda name: name in LOSSES), "learning_rate"]
        draw = {name: run_figure(run.config, run.history, only=(name,)) for name in names if name in run.history}
    else:
        names = [name for name in figures_of(runs[0].classes) if f"val_{name}" in runs[0].history]
        draw = {name: comparison_figure(runs, labels, only=(name,)) for name in names}
    return Figures([figure_picture(one, f"{name} over epochs of {', '.join(labels)}") for name, one in draw.items()])


def _one_run(run, label):
    return [
        *(block for block in accuracies(run) if not isinstance(block, Caution)),  # cautions stand on top
        *confusion_blocks(run, label),
        *case_blocks(run),
        Folded("Accuracy of each class", [written_class_table(*class_table(run))]),
    ]

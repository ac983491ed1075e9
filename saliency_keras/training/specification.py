"""Everything that a training will do, before it does it: `train --list NAME`.

The thesis prints this as its specification tables (3.1 and 3.3 to 3.7: sizes, weights, means, schedule) and the sizes
of its layers (3.2). Here it follows from the experiment alone, whatever `--set` changed in it.
"""

import json

from saliency_keras.experiments.published import CLASSES
from saliency_keras.figures.document import Heading, Table
from saliency_keras.metrics.digits import published_in_words
from saliency_keras.models.registry import shows_map

IMAGENET = 1000  # classes, where neither a data set nor the paper says otherwise
ENTERS = " (the map enters)"


def specification(experiment, manifest=None):
    """What an experiment does, as a document.

    Args:
        experiment: The `Experiment`, its schedule and settings final.
        manifest: The `Manifest` of the compact set that it is to be trained on, or `None`.

    Returns:
        A list of `figures.document` blocks.

    Raises:
        UserError: If its network cannot be built.
    """
    from saliency_keras.models.layer_table import layer_rows, symbolic, totals
    from saliency_keras.runs.networks import build_network

    classes = len(manifest.classes) if manifest else CLASSES.get(experiment.paper, IMAGENET)
    mean = (0.0,) * 4 if experiment.pictures and experiment.pictures.subtract_mean else None
    with symbolic():
        model = build_network(experiment, classes, mean=mean).model
        rows, counts = layer_rows(model), totals(model)
    lines = [*_what(experiment, classes, manifest), *_training(experiment)]
    lines += [[name, f"{value:,}"] for name, value in counts.items() if value is not None]
    header = ["layer", "kind", "sees", "output", "parameters"]
    cells = [
        [one.name, one.kind + ENTERS * one.map_enters, ", ".join(one.sees), one.output, f"{one.parameters:,}"]
        for one in rows
    ]
    return [
        Heading(f"{experiment.name}: {experiment.paper}, {experiment.row}", level=1),
        Table(["what", "value"], lines),
        Heading("Layers"),
        Table(header, cells),
        Heading("Every setting"),
        Table(["--set", "value"], [[name, _value(value)] for name, value in experiment.settings.items()]),
    ]


def _what(experiment, classes, manifest):
    published = published_in_words(experiment.published)
    lines = [["in short", experiment.what], ["published", published or "no single figure"]]
    lines += [["network", experiment.network]]
    pictures = experiment.pictures
    if pictures is None:
        return [*lines, ["input", f"whole pictures at {experiment.size}, pixels 0 to 255"]]
    stored = f" of stored {manifest.side} px" if manifest else ""
    crops = {
        "random": "random crops, mirrored at random, the same for picture and map",
        "five": "the four corners and the centre, mirrored at random, the same for picture and map",
        "center": "crop of the centre, never mirrored",
    }
    lines += [
        *([] if experiment.task == "maps" else [["classes", f"{classes:,}"]]),
        ["input", f"{pictures.side}x{pictures.side} px{stored}, pixels scaled to 0..1"],
        ["in training", crops[pictures.crops]],
        ["in validation", "crop of the centre"],
        ["mean subtracted", "of each colour and of the map" if pictures.subtract_mean else "no"],
        ["saliency map", _map(experiment)],
        ["trained on", _trained_on(pictures)],
    ]
    return lines


def _map(experiment):
    if experiment.shown and experiment.shown.as_ == "target":
        return f"{experiment.shown}, taught"
    return str(experiment.shown) if shows_map(experiment.network, experiment.arguments) else "none is shown"


def _trained_on(pictures):
    if not pictures.few_shot:
        return "train, tested on val" if pictures.train_on == "train" else "four fifths of val, tested on the last"
    how_many = "all pictures" if pictures.few_shot == "K" else f"{pictures.few_shot} pictures"
    source = f"the list {pictures.few_shot_list}" if pictures.few_shot_list else f"{pictures.few_shot_splits} splits"
    return f"{how_many} of each class, {source}; 5 for validation, 5 for test"


def _training(experiment):
    start, schedule = experiment.start, experiment.schedule
    begin = [f"{part} from a run of {name}" for part, name in start.parents.items()]
    begin += [f"weights {start.weights}"] if start.weights else []
    begin += [f"new {', '.join(start.fresh)}"] if start.fresh else []
    begin += [f"frozen {', '.join(start.frozen)}"] if start.frozen else []
    begin += ["frozen statistics of batch normalisation"] if start.frozen_statistics else []
    optimizer = schedule.optimizer + (f", momentum {schedule.momentum:g}" if schedule.optimizer == "sgd" else "")
    clipped = f", gradients clipped at {schedule.clip_norm:g}" if schedule.clip_norm else ""
    until = f" up to epoch {schedule.decay_until}" if schedule.decay_until else ""
    l2 = experiment.arguments.get("weight_decay")
    loss = f"{experiment.loss} of the map" if experiment.loss else ""
    if not (experiment.learns_from_fixations or experiment.task == "maps"):
        loss = "cross-entropy of the classes" + (f", {loss}" if loss else "")
    if guidance := experiment.guidance:
        stages = f" of {', '.join(guidance.stages)}" if guidance.stages else ""
        loss += f" ({guidance.method}{stages}), weight {guidance.guidance_weight:g}"
    if experiment.loss_weights:
        loss += f", weights {_value(experiment.loss_weights)}"
    rates = _rates(schedule)
    lines = [
        ["begins with", "; ".join(begin) or "random weights"],
        ["epochs", schedule.epochs],
        ["batch", schedule.batch],
        ["optimizer", optimizer + clipped],
        ["learning rate", rates],
        ["loss", loss],
    ]
    if l2 is not None:
        lines.append(["L2 penalty", f"{l2:g} on kernels, a gradient of {2 * l2:g} w"])
    if schedule.decay:
        lines.append(["weight decay", f"{schedule.decay:g}{until}"])
    if schedule.factors:
        by_part = ", ".join(f"{part} x {factor:g}" for part, factor in schedule.factors.items())
        lines.append(["learning rate by part", by_part])
    stops = f", ends after {schedule.patience} epochs without a better one" if schedule.patience else ""
    return [*lines, ["result", f"the {schedule.keep} epoch{stops}"]]


def _rates(schedule):
    """The learning rate and the epochs from which it is another one."""
    told, before = [], None
    for epoch in range(1, schedule.epochs + 1):
        if (rate := schedule.rate(epoch)) != before:
            told.append(f"{rate:.6g}" if before is None else f"{rate:.6g} from epoch {epoch}")
            before = rate
    words = ", ".join(told)
    if schedule.inverse_time:
        words += f", divided by 1 + {schedule.inverse_time:g} x step"
    return words + (", falling to zero as half a cosine" if schedule.cosine else "")


def _value(value):
    if isinstance(value, tuple) and all(isinstance(one, str | int | float) for one in value):
        return ",".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value)

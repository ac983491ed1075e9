"""What runs are called in tables and figures, and the published figures that belong to them."""

import re
from pathlib import Path

from saliency_keras.console import UserError
from saliency_keras.experiments import EXPERIMENTS
from saliency_keras.experiments.experiment import WORDS, flat_settings
from saliency_keras.experiments.published import CLASSES
from saliency_keras.runs.learned import is_at_chance

AT_CHANCE = " (at chance)"
PICTURES = ("side", "subtract_mean")
# Arguments that make another strategy than the one whose figures are published.
STRATEGY = ("at_input", "at_convolutions", "keep_pool2", "conv2_padding", "pool5_to_one", "doubled")


def classes_of(config):
    """How many classes a run's network tells apart, from its `config.json`: those of the set without the excluded ones.

    It is 0 for a run on fixations, which have none.
    """
    excluded = (config["experiment"].get("pictures") or {}).get("exclude_classes") or ()
    return config.get("data", {}).get("classes", 0) - len(excluded)


def published_of(config):
    """The paper's figures for a run that repeats the paper's, from its `config.json`; else none.

    They belong to the run if its data set has as many classes as the paper's, and the experiment is as the paper has it
    in all its fields: side, schedule, means, maps, and every argument of the network.
    """
    of_paper = EXPERIMENTS.get(config["experiment"]["name"])
    figures = of_strategy(config)
    if not figures or config.get("data", {}).get("classes") != CLASSES.get(of_paper.paper):
        return {}
    return figures if as_published(config) else {}


def as_published(config, but=()):
    """Whether a run's experiment is in every field as it stands in `experiments`.

    Args:
        config: The run's `config.json` as a dict. A field that it does not name, as those of earlier versions, is taken
            for the same.
        but: Names of fields that may differ.

    Returns:
        A bool.
    """
    here = EXPERIMENTS.get(config["experiment"]["name"])
    if here is None:
        return False
    here = flat_settings(here.as_json())
    there = flat_settings(config["experiment"])
    return all(there[name] == here[name] for name in (there.keys() & here.keys()) - {"name", *WORDS, *but})


def of_strategy(config):
    """What the paper prints for a run's strategy, whatever data set and schedule the run has, from its `config.json`.

    None for other maps, size, means or strategy than the paper's. Differences of two such figures stand beside the
    differences of two runs; the figures themselves are of the paper's pictures.
    """
    given = flat_settings(config["experiment"])
    of_paper = EXPERIMENTS.get(given["name"])
    if not of_paper or config.get("maps", "own") not in ("own", None):
        return {}
    default = of_paper.settings
    alike = [name for name in (*PICTURES, *STRATEGY) if name in default]
    same = all(given.get(name, default[name]) == default[name] for name in alike)
    return (given.get("published") or {}) if same else {}


def title_of(config):
    """What a run is, in a line: `"fanin3 · own maps · imagenette · seed 0"`, from its `config.json` as a dict."""
    data = set_name(config)
    maps = config.get("maps", "own") if config["experiment"].get("task") != "fixation_maps" else None
    words = [config["experiment"]["name"], maps and f"{maps} maps", data, f"seed {config.get('seed', 0)}"]
    return " · ".join(word for word in words if word)


def set_name(config):
    """The name of a run's data set, from its `config.json`; that of the built-in one without the key of its version."""
    return re.sub(r"^popout-[0-9a-f]{12}$", "popout", Path(str(config.get("data", {}).get("folder", ""))).name)


def labels_of(runs):
    """A short label for each run that differs from all others: `fanin3`, `fanin3, shuffled maps, seed 1`.

    It starts with the experiment and, where they are not the pictures' own, the maps; a network that predicts saliency
    no better than the centre of the picture does is called untrained, a classifier that learned nothing is called at
    chance (`runs.learned`), and a run that is not finished says how far it is. The seed follows where seeds differ.
    Runs that are still alike get what differs in their experiment and their config, at last their folder.

    Args:
        runs: `Run`s.

    Returns:
        A list of strings, one a run, no two alike.

    Raises:
        UserError: If a run is given twice.
    """
    folders = [run.folder.resolve() for run in runs]
    for folder in folders:
        if folders.count(folder) > 1:
            raise UserError(f"the run {folder} is given twice.")
    labels = [run.name if run.maps in ("own", None) else f"{run.name}, {run.maps} maps" for run in runs]
    labels = [label + _learned_nothing(run) for label, run in zip(labels, runs, strict=True)]
    if len({run.seed for run in runs}) > 1:
        labels = [f"{label}, seed {run.seed}" for label, run in zip(labels, runs, strict=True)]
    for detail in _details(runs):
        labels = _told_apart(labels, detail)
    return _told_apart(_told_apart(labels, [folder.name for folder in folders]), [str(folder) for folder in folders])


def _learned_nothing(run):
    """What the label of a run that learned nothing says of that, or of one that is not finished."""
    if run.unfinished:
        return f", {run.unfinished}"
    if run.summary.get("beats_center") is False:
        return ", untrained"
    return AT_CHANCE if is_at_chance(run) else ""


def without_chance(label):
    """A label without what it says of chance, for a sentence that says it itself."""
    return label.replace(AT_CHANCE, "")


def _details(runs):
    """What else may differ between runs of one experiment: one list of texts, one text a run, for each setting."""
    settings = []
    for run in runs:
        data = {"data": Path(str(run.config.get("data", {}).get("folder"))).name}
        config = {key: run.config.get(key) for key in ("init", "precision", "backend")}
        settings.append({**run.settings, **data, **config})
    for key in dict.fromkeys(key for setting in settings for key in setting if key not in WORDS):
        yield [f"{key} {setting.get(key)}" for setting in settings]


def _told_apart(labels, details):
    """Adds its detail to each label that several runs share, where their details differ."""
    details_of_label = {}
    for label, detail in zip(labels, details, strict=True):
        details_of_label.setdefault(label, set()).add(detail)
    return [
        f"{label}, {detail}" if len(details_of_label[label]) > 1 else label
        for label, detail in zip(labels, details, strict=True)
    ]

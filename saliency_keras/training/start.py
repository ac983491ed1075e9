"""Checks a run before any library of networks is loaded, so that a mistake is reported at once."""

from pathlib import Path

from saliency_keras import run_folder
from saliency_keras.console import UserError
from saliency_keras.experiments import experiment as experiment_named
from saliency_keras.experiments.experiment import WHOLE, changes
from saliency_keras.files import check_folder, read_json

WHOLE_PICTURES = "{} sees pictures alone, uncropped: --maps and --augment do not apply to it."


def parents_of(words):
    """The runs that `--init` names.

    Args:
        words: List of `RUN`, for the whole network, or `PART=RUN`.

    Returns:
        From a part to the run folder, `Path`s; `"network"` for the whole network.

    Raises:
        UserError: If a part is named twice.
    """
    parents = {}
    for word in words:
        part, equals, folder = word.partition("=")
        if not equals or Path(word).is_dir():
            part, folder = WHOLE, word
        if part in parents:
            raise UserError(f"--init names two runs for the part {part!r}: {parents[part]} and {folder}.")
        parents[part] = Path(folder)
    return parents


def classes_named(text):
    """The names of classes that `--exclude-classes` gives, each once.

    Args:
        text: A file with one name a line, or names separated by commas; in Python also a list.

    Returns:
        A tuple of names.

    Raises:
        UserError: If there is none, or the file is no text.
    """
    if not isinstance(text, str | Path):
        return tuple(text)
    path = Path(text)
    try:
        names = path.read_text(encoding="utf-8-sig").splitlines() if path.is_file() else str(text).split(",")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as a list of classes: {error}.") from None
    found = tuple(dict.fromkeys(filter(None, (name.strip() for name in names))))
    if not found:
        raise UserError(f"--exclude-classes {text} names no class.")
    return found


def check_start(experiment, out, parents=None, resume=False):
    """Refuses a run that cannot start.

    Args:
        experiment: The `Experiment`.
        out: The run folder.
        parents: From a part to the run folder whose weights it starts from, or `None`.
        resume: Whether to continue the run in `out`, if one was begun there.

    Raises:
        UserError: If the experiment needs a run to start from, that run is not finished, or `out` does not fit.
    """
    out, parents = Path(out), parents or {}
    _check_parents(experiment, parents)
    check_weights(experiment)
    if not run_folder.is_finished(out):
        check_folder(out)
    if resume and run_folder.is_begun(out):
        return
    if out.is_dir() and any(not path.name.startswith(".") for path in out.iterdir()):
        differing, delete = _changes(out, experiment), f"delete {out} to begin again"
        other = f", which was begun with another {', '.join(differing)}" if differing else ""
        if run_folder.is_finished(out):
            raise UserError(f"{out} holds a finished run{other}; choose another --out, or {delete}.")
        if run_folder.is_begun(out):
            on = "" if other else "go on with it by --resume, "
            raise UserError(f"{out} holds an unfinished run{other}; {on}choose another --out, or {delete}.")
        raise UserError(f"{out} is not empty and holds no run; choose another --out.")


def _changes(out, experiment):
    """What an experiment has otherwise than the one that was begun in a folder, as `experiment.changes` says it."""
    try:
        return changes(read_json(out / run_folder.CONFIG)["experiment"], experiment.as_json())
    except (ValueError, KeyError, TypeError, AttributeError):  # damaged
        return []


def check_weights(experiment):
    """Refuses, as a `UserError`, an experiment whose weights are to come from a file that is not there."""
    weights = experiment.start.weights
    if weights not in ("", "imagenet") and not Path(weights).is_file():
        raise UserError(f"there is no weights file {weights}.")


def _check_parents(experiment, parents):
    expected = experiment.start.parents
    missing = {part: name for part, name in expected.items() if part not in parents}
    if list(missing) == [WHOLE] and experiment.start.weights and not _makes_map(expected[WHOLE]):
        missing = {}  # a file has the weights of a network without a saliency branch
    if list(expected) == [WHOLE] and missing and not parents:
        raise UserError(
            f"{experiment.name} starts from the weights of another run; train {expected[WHOLE]} first and give "
            f"its folder to --init."
        )
    if list(expected) != [WHOLE] and missing:
        words = {part: "--init RUN" if part == WHOLE else f"--init {part}=RUN" for part in missing}
        needed = " ".join(f"{word} (a run of {missing[part]})" for part, word in words.items())
        raise UserError(f"{experiment.name} starts from {len(expected)} runs, part by part; give {needed}.")
    for folder in parents.values():
        if not folder.is_dir():
            raise UserError(f"there is no run folder {folder} to start from.")
        if not run_folder.has_network(folder):
            raise UserError(f"{folder} is no finished run: it has no model.keras.")


def _makes_map(name):
    """Whether the network of an experiment has a saliency branch."""
    return bool(experiment_named(name).arguments.get("saliency_branch"))


def check_kind(experiment, data):
    """Refuses a fixation set for a classifier, and a compact data set for a network that predicts saliency.

    Args:
        experiment: The `Experiment`.
        data: The folder given.

    Raises:
        UserError: If it is of the other kind.
    """
    compact, fixations = (Path(data) / "manifest.json").is_file(), (Path(data) / "fixations.csv").is_file()
    if experiment.learns_from_fixations and compact and not fixations:
        raise UserError(
            f"{data} is a compact data set; {experiment.name} learns from a fixation set, a folder with images/ and "
            "fixations.csv."
        )
    if not experiment.learns_from_fixations and fixations and not compact:
        raise UserError(
            f"{data} is a fixation set; {experiment.name} learns from a compact data set, which "
            "`python -m data_prep.compact` makes."
        )

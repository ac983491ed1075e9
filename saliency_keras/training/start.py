"""What can be said of a run before any library of networks is loaded, so that a mistake is told at once."""

from pathlib import Path

from saliency_keras.console import UserError
from saliency_keras.files import check_folder


def check_start(experiment, out, init=None, resume=False):
    """Refuses a run that cannot start.

    Args:
        experiment: The `Experiment`.
        out: The run folder.
        init: Run folder whose weights to start from, or `None`.
        resume: Whether to go on with the run in `out`.

    Raises:
        UserError: If the experiment needs a run to start from, that run is not finished, or `out` does not fit.
    """
    out = Path(out)
    if experiment.starts_from and not init:
        raise UserError(
            f"{experiment.name} starts from the weights of another run; train {experiment.starts_from} first and give "
            f"its folder to --init."
        )
    if init and not Path(init).is_dir():
        raise UserError(f"there is no run folder {init} to start from.")
    if init and not (Path(init) / "model.keras").is_file():
        raise UserError(f"{init} is no finished run: it has no model.keras.")
    if resume and not (out / "config.json").is_file():
        raise UserError(f"{out} holds no run to resume.")
    if not (out / "summary.json").is_file():
        check_folder(out)
    if not resume and out.is_dir() and any(not path.name.startswith(".") for path in out.iterdir()):
        if (out / "summary.json").is_file():
            raise UserError(f"{out} holds a finished run; choose another --out.")
        raise UserError(f"{out} is not empty; go on with its run by --resume, or choose another --out.")


def check_kind(experiment, data):
    """Refuses a fixation set for a classifier, and a compact data set for a network that predicts saliency.

    Args:
        experiment: The `Experiment`.
        data: The folder given.

    Raises:
        UserError: If it is of the other kind.
    """
    compact, fixations = (Path(data) / "manifest.json").is_file(), (Path(data) / "fixations.csv").is_file()
    if experiment.task == "saliency" and compact and not fixations:
        raise UserError(
            f"{data} is a compact data set; {experiment.name} learns from a fixation set, a folder with images/ and "
            "fixations.csv."
        )
    if experiment.task == "classification" and fixations and not compact:
        raise UserError(
            f"{data} is a fixation set; {experiment.name} learns from a compact data set, which "
            "`python -m data_prep.compact` makes."
        )

"""Writes what a run of `readout_pointwise` learned as a file of a predictor.

    python -m saliency_keras.train readout_pointwise --data FIXATIONS
    python -m saliency_keras.saliency.pack_readout runs/readout_pointwise [--out FILE]

FILE (by default `readout.npz` in the run folder) has the form of the file that comes with the program,
`saliency_keras/saliency/readout.npz`: the head's weights in half precision. Put it there, or name it in Python:
`saliency_keras.saliency.readout.Readout(head=FILE)`.
"""

from pathlib import Path

from saliency_keras import console, files, run_folder
from saliency_keras.console import UserError


def main(arguments=None):
    """Runs the command; `arguments` are the words after its name, `sys.argv`'s by default."""
    parser = console.parser(__spec__.name, __doc__)
    parser.add_argument("run", metavar="RUN", type=Path, help="folder of a finished run of readout_pointwise")
    parser.add_argument("--out", metavar="FILE", type=Path, help="the file (default: RUN/readout.npz)")
    options = parser.parse_args(arguments)
    out = options.out or options.run / run_folder.HEAD
    files.check_file(out)
    _check(options.run)

    from saliency_keras.models.weights import load_network
    from saliency_keras.saliency.readout import save_head

    network = load_network(run_folder.checked(options.run, run_folder.MODEL))
    out.parent.mkdir(parents=True, exist_ok=True)
    save_head(network, out)
    print(f"written: {out} ({out.stat().st_size:,} bytes)")


def _check(folder):
    """Refuses a folder without a finished run, and a head over other features than those of the predictor."""
    from saliency_keras.saliency.readout import BACKBONE, LEVELS

    if not (run_folder.is_finished(folder) and run_folder.has_network(folder)):
        raise UserError(f"{folder} is no finished run: it lacks {run_folder.MODEL} or {run_folder.SUMMARY}.")
    try:
        experiment = files.read_json(run_folder.checked(folder, run_folder.CONFIG))["experiment"]
        arguments, frozen = experiment["arguments"], experiment["start"]["frozen"]
        found = experiment["network"], arguments.get("backbone"), arguments.get("levels"), "backbone" in frozen
    except (KeyError, TypeError, AttributeError):
        raise UserError(f"the {run_folder.CONFIG} of {folder} is damaged: it describes no experiment.") from None
    if found != ("readout_pointwise", BACKBONE, ",".join(LEVELS), True):
        raise UserError(
            f"{folder} has no head for the predictor readout, which is one of readout_pointwise over the frozen "
            f"{BACKBONE} with its own levels."
        )


if __name__ == "__main__":
    console.run(main)

"""One run, from an experiment to a finished run folder.

config.json       the whole experiment, data manifest's digest, seed, versions, device, command line, layers that are
                  frozen and layers whose weights were carried over
history.csv       one row an epoch
curves.png        Top-1, Top-5, loss and learning rate
model.keras       the last epoch; best.keras beside it is the best epoch on the validation pictures
predictions.h5    what the last epoch says of every validation picture (few-shot: of every test and unused one); of a
                  network that predicts saliency scores.csv, its scores on every held-out picture
maps.png          pictures with the maps that a network with a saliency branch of its own makes of them
summary.json      last and best figures, parameters, time; written last, so a run with it is finished
state/            resume state, gone when the run is finished
tensorboard/      the history as event files, where they are asked for
"""

import contextlib
import gc
import json
from pathlib import Path

import keras
import numpy as np

from saliency_keras import run_folder
from saliency_keras.console import UserError, say, tell
from saliency_keras.data.manifest import Manifest
from saliency_keras.experiments.experiment import WHOLE
from saliency_keras.files import check_claims, claimed, whole_file
from saliency_keras.models.count import multiply_adds, parameters
from saliency_keras.runs.config import check_same, config_of
from saliency_keras.training.devices import check_batch, check_devices, first_process
from saliency_keras.training.initial_weights import check_classes, check_frozen, initial_weights, load_parents
from saliency_keras.training.listeners import save_model
from saliency_keras.training.loop import fit
from saliency_keras.training.precision import PRECISIONS, choose
from saliency_keras.training.start import WHOLE_PICTURES, check_kind, check_start
from saliency_keras.training.state import drop_state
from saliency_keras.training.tasks import task_named
from saliency_keras.training.tasks.task import best_epoch
from saliency_keras.training.tensorboard import check_tensorboard

DEAD = 0.5  # share of all-zero maps above which a run says so
CONSTANT = 0.01  # standard deviation from picture to picture, as a share of the mean, below which it does


def train(
    experiment,
    data,
    out,
    *,
    seed=0,
    precision="float32",
    parents=None,
    resume=False,
    augment="host",
    tensorboard=False,
    devices=1,
    steps_per_execution=None,
    features=None,
):
    """Trains an experiment into a run folder.

    Args:
        experiment: The `Experiment`, its schedule, maps and settings final.
        data: Folder of a compact data set, or of a fixation set for a network that predicts saliency.
        out: The run folder.
        seed: Seed of weights, order, crops, flips, dropout and swaps.
        precision: `"float32"`, or `"bfloat16"` for half the bytes in activations; weights stay float32. `"auto"` for
            what `training.precision` chooses, and says.
        parents: From a part of the network (`"network"` for all of it) to the run folder whose weights it starts from.
        resume: Whether to continue the run in `out`, if one was begun there.
        augment: Where pictures are cropped and flipped, `"host"` or `"device"`; the pixels are the same.
        tensorboard: Whether to write event files for TensorBoard too, into `out/tensorboard`.
        devices: How many devices share each batch.
        steps_per_execution: Training steps in one call of the device; `None` to choose. It changes no figure.
        features: Folder of `training.features.shared` for what frozen layers make of the pictures; `None` for the run's
            own, which goes with its state.

    Returns:
        The run's summary, as in `summary.json`; `None` in another process than the first of several.

    Raises:
        UserError: For any mistake that the user can correct; nothing is written then, or the run can be resumed.
    """
    out, parents = Path(out), dict(parents or {})
    check_start(experiment, out, parents, resume)
    if tensorboard:
        check_tensorboard()
    kind = task_named(experiment.task)
    check_devices(devices, one_machine=kind.one_machine)
    source = open_data(experiment, data, augment)
    writes = first_process()
    precision, told = choose(precision, [out] if resume else (), experiment.learns_from_fixations)
    if told and writes:
        say(told)
    config = config_of(experiment, source, seed, precision, parents, augment, devices)
    if summary := _finished(config, out, resume):
        return summary
    with claimed(out) if writes else contextlib.nullcontext():
        # Again, for another process may have written there meanwhile; from here on none does.
        if writes:
            check_start(experiment, out, parents, resume)
            if summary := _finished(config, out, resume):
                return summary
        try:
            task = _begin(experiment, source, features or out / run_folder.STATE, config, parents, kind, augment)
            check_batch(task.pictures // task.steps, devices)
            if isinstance(source, Manifest):
                source.check_sums()
                task.check_pictures()
            if writes and not run_folder.is_begun(out):
                _write_json(out / run_folder.CONFIG, config)
            history, measured = fit(task, experiment.schedule, out, tensorboard, devices, steps_per_execution)
            return _finish(task, experiment, history, measured, out) if writes else None
        except Exception as error:
            _explain_reading(error, source)
            raise


def _finished(config, out, resume):
    """The summary of the run in a folder if it is finished; refuses a run that cannot be resumed with this config."""
    if not (resume and run_folder.is_begun(out)):
        return None
    check_same(config, out)
    if not run_folder.is_finished(out):
        return None
    drop_state(out / run_folder.STATE)  # of a run that was killed between the two
    return run_folder.read_summary(out)


def _begin(experiment, source, features, config, parents, kind, augment):
    """The `Task` with the weights that it starts from; notes in the config where they come from."""
    loaded = load_parents(parents)
    _be_reproducible(config["seed"], config["precision"])
    start = loaded.get(WHOLE) or loaded.get("trunk")
    task = kind(experiment, source, config["seed"], features, augment, start and start.network)
    network = task.network
    config["parts"] = {name: list(names) for name, names in network.parts.items()}
    config["carried"] = initial_weights(experiment, network, loaded, config["seed"])
    if isinstance(source, Manifest):
        check_classes(network, loaded, config["carried"], task.classes)
    frozen = network.freeze(experiment.start.frozen)
    if experiment.start.frozen_statistics:
        frozen += network.freeze_statistics()
    check_frozen(experiment, frozen, [*config["carried"], *network.given])
    config["frozen"] = _frozen(network.model)
    return task


def check_begun(experiment, data, out, *, seed=0, precision="float32", parents=None, parents_may_differ=False):
    """Refuses a run folder whose run was begun with other choices than these.

    Args:
        experiment: As for `train`, and so are the others.
        data: Folder of what it is trained on.
        out: The run folder, with a `config.json`.
        seed: Its seed.
        precision: `"float32"` or `"bfloat16"`.
        parents: The run folders that it starts from, by part.
        parents_may_differ: Whether the run may have started from any other.

    Raises:
        UserError: If it was; the sentence names the differences.
    """
    config = config_of(experiment, open_data(experiment, data), seed, precision, dict(parents or {}), "host", 1)
    check_same(config, Path(out), ("init", "started_from") if parents_may_differ else ())


def open_data(experiment, data, augment="host"):
    """Opens what an experiment is trained on.

    Args:
        experiment: The `Experiment`.
        data: Folder of a compact data set or a fixation set.
        augment: As in `train`.

    Returns:
        A `Manifest`, or a `FixationSet` for a network that predicts saliency.

    Raises:
        UserError: If it is not there, damaged or of the other kind, or crops are chosen for a network that sees none.
    """
    if experiment.learns_from_fixations and augment != "host":
        raise UserError(WHOLE_PICTURES.format(experiment.name))
    check_kind(experiment, data)
    return task_named(experiment.task).open(experiment, data)


def forget_networks():
    """Frees the memory of networks that nothing refers to any more, for one training after another in a process.

    TensorFlow keeps the gradient functions of everything that was ever compiled in it, and with them graphs and weights
    (tensorflow#61791); Keras' `clear_session` leaves them.
    """
    keras.utils.clear_session(free_memory=False)  # a garbage collection, which comes below
    if keras.backend.backend() == "tensorflow":
        from tensorflow.python.framework import ops

        kept = getattr(getattr(ops, "gradient_registry", None), "_registry", {})
        for name in [name for name in kept if name.startswith("CustomGradient-")]:
            del kept[name]
    gc.collect()


def _be_reproducible(seed, precision):
    # Names count up within a process; a state knows variables by name, whatever was built before them.
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    keras.config.set_dtype_policy(PRECISIONS[precision])
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


def _frozen(model):
    return [one.name for one in model.layers if one.weights and not any(weight.trainable for weight in one.weights)]


def _finish(task, experiment, history, measured, out):
    model, best = task.network.model, best_epoch(task, history)
    save_model(model, out / run_folder.MODEL)
    summary = {
        "experiment": experiment.name,
        "epochs": len(history),
        "last": history[-1],
        "best": best,
        "kept": (best if experiment.schedule.keep == "best" else history[-1])["epoch"],
        "parameters": parameters(model),
        "multiply_adds": multiply_adds(model),
        "seconds": round(sum(row["seconds"] for row in history), 1),
        **{name: value if value is None else round(value, 4) for name, value in measured.items()},
        "frozen": _frozen(model),
        **task.finish(out),
    }
    if maps := summary.get("hallucinated_maps"):
        tell_if_dead(maps)
    check_claims(out)
    summary = run_folder.sealed(out, json.loads(json.dumps(summary, default=_plain)))
    _write_json(out / run_folder.SUMMARY, summary)
    drop_state(out / run_folder.STATE)
    return summary


def tell_if_dead(maps):
    """Prints a sentence if the maps that `describe_maps` described are zero, or the same for every picture."""
    deviation = (maps["variance_of_strength"] + maps["variance_of_pattern"]) ** 0.5
    if maps["all_zero"] > DEAD:
        tell(f"the saliency branch is dead: {maps['all_zero']:.0%} of its maps are zero everywhere")
    elif deviation < CONSTANT * maps["mean"]:
        share = deviation / maps["mean"]
        tell(f"the saliency branch is constant: from picture to picture its maps vary by {share:.2%} of their mean")


def _explain_reading(error, source):
    """A shard that vanished, shrank or was damaged while it was read makes the backend fail; say which one it was."""
    if type(error).__name__ == "ResourceExhaustedError":
        raise UserError(
            "the training does not fit into the device's memory; delete its run folder and start again with smaller "
            "batches: --set batch=N, of a table --set EXPERIMENT:batch=N."
        ) from error
    if isinstance(source, Manifest) and type(error).__module__.startswith("tensorflow"):
        source.check_sizes()
        source.check_sums()


def _write_json(path, values):
    with whole_file(path, "w", encoding="utf-8") as file:
        json.dump(values, file, indent=1, ensure_ascii=False, default=_plain)
        file.write("\n")


def _plain(value):
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"cannot write {type(value)} as JSON")

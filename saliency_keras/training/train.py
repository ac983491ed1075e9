"""One run, from an experiment to a finished run folder.

config.json       the whole experiment, data manifest's digest, seed, versions, device, command line, layers that are
                  frozen and layers whose weights were carried over
history.csv       one row an epoch
curves.png        Top-1, Top-5, loss and learning rate
model.keras       the last epoch; best.keras beside it is the best epoch on the validation pictures
predictions.h5    what the last epoch says of every validation picture; of a network that predicts saliency scores.csv,
                  its scores on every held-out picture
summary.json      last and best figures, parameters, time; written last, so a run with it is finished
state/            resume state, gone when the run is finished
tensorboard/      the history as event files, where they are asked for
"""

import dataclasses
import json
import os
import platform
import shlex
import statistics
import sys
from pathlib import Path

import keras
import numpy as np

import saliency_keras
from saliency_keras.console import UserError, whole_file
from saliency_keras.data.fixation_arrays import digest
from saliency_keras.data.fixations import read_fixation_set
from saliency_keras.data.manifest import Manifest
from saliency_keras.data.maps import map_and_swap
from saliency_keras.experiments.experiment import Experiment
from saliency_keras.models.build import uses_saliency
from saliency_keras.models.count import multiply_adds, parameters
from saliency_keras.models.hallucination import pretrained_resnet
from saliency_keras.training.classification import classification_job
from saliency_keras.training.devices import check_batch, check_devices, first_process
from saliency_keras.training.fit import fit, save_model
from saliency_keras.training.saliency import saliency_job
from saliency_keras.training.start import check_kind, check_start
from saliency_keras.training.state import drop_state
from saliency_keras.training.surgery import carry_weights, freeze
from saliency_keras.training.tensorboard import check_tensorboard

PRECISIONS = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
DEAD = 0.5  # share of all-zero maps above which a run says so
# Between a run and its resumption.
MUST_AGREE = ("experiment", "maps", "seed", "precision", "init", "backend", "devices")


def train(
    experiment,
    data,
    out,
    maps="own",
    seed=0,
    precision="float32",
    init=None,
    resume=False,
    augment="host",
    tensorboard=False,
    devices=1,
):
    """Trains an experiment into a run folder.

    Args:
        experiment: The `Experiment`, its schedule and settings final.
        data: Folder of a compact data set, or of a fixation set for a network that predicts saliency.
        out: The run folder.
        maps: Which maps the network is shown: `own`, `shuffled`, `shuffled_in_class`, `center`, `uniform` or the
            name of a map of the set.
        seed: Seed of weights, order, crops, flips, dropout and swaps.
        precision: `"float32"`, or `"bfloat16"` for half the bytes in activations; weights stay float32.
        init: Run folder whose weights to start from, or `None`.
        resume: Whether to go on with the run in `out`.
        augment: Where pictures are cropped and flipped, `"host"` or `"device"`; the pixels are the same.
        tensorboard: Whether to write event files for TensorBoard too, into `out/tensorboard`.
        devices: How many devices share each batch.

    Returns:
        The run's summary, as in `summary.json`; `None` in another process than the first of several.

    Raises:
        UserError: For whatever a user can mend; nothing is written then, or the run can be resumed.
    """
    out = Path(out)
    check_start(experiment, out, init, resume)
    if tensorboard:
        check_tensorboard()
    check_devices(devices, one_machine=experiment.task == "saliency")
    source = open_data(experiment, data, maps, augment)
    config = _config(experiment, _described(source, maps), maps, seed, precision, init, augment, devices)
    if resume:
        _check_same(config, out)
        if (out / "summary.json").is_file():
            drop_state(out / "state")  # of a run that was killed between the two
            return json.loads((out / "summary.json").read_text(encoding="utf-8"))
    if isinstance(source, Manifest):
        source.check_sums()
    _be_reproducible(seed, precision)
    if experiment.task == "saliency":
        start = load_run_model(init) if init else None
        job, config["carried"] = saliency_job(experiment, source, seed, out, start)
        config["frozen"] = _frozen(job.model)
    else:
        job = classification_job(experiment, source, maps, seed, augment)
        config["carried"] = _initial_weights(experiment, job.model, init, seed)
        config["frozen"] = freeze(job.model, experiment.freeze)
        _check_frozen(experiment, config)
    check_batch(job.pictures // job.steps, devices)
    if not resume and first_process():
        out.mkdir(parents=True, exist_ok=True)
        _write_json(out / "config.json", config)
    try:
        history, idle = fit(job, experiment, out, tensorboard, devices)
        return _finish(job, experiment, history, idle, out) if first_process() else None
    except Exception as error:
        _explain_reading(error, source)
        raise


def open_data(experiment, data, maps="own", augment="host"):
    """Opens what an experiment is trained on.

    Args:
        experiment: The `Experiment`.
        data: Folder of a compact data set or a fixation set.
        maps: As in `train`.
        augment: As in `train`.

    Returns:
        A `Manifest`, or a `FixationSet` for a network that predicts saliency.

    Raises:
        UserError: If it is not there, damaged or of the other kind, or maps are chosen for a network that sees none.
    """
    if experiment.task == "classification":
        check_kind(experiment, data)
        return Manifest.load(data)
    if maps != "own" or augment != "host":
        raise UserError(f"{experiment.name} sees pictures alone, uncropped: --maps and --augment do not apply to it.")
    check_kind(experiment, data)
    return read_fixation_set(data)


def _initial_weights(experiment, model, init, seed):
    """Carries weights over from a run or from `keras.applications`; returns the names of the layers that got some."""
    if init:
        source, of = load_run_model(init), _experiment_of(init)
    elif experiment.weights:
        source, of = _pretrained(experiment), ""
    else:
        return []
    carried = carry_weights(source, model, experiment.new_weights, experiment.new_top, seed)
    lacking = [layer.name for layer in model.layers if layer.weights and layer.name not in carried]
    lacking = lacking[:-1] if experiment.new_top else lacking
    if lacking and experiment.starts_from not in ("", of):
        raise UserError(
            f"{init} is a run of {of} and lacks {', '.join(lacking)}; {experiment.name} starts from a run of "
            f"{experiment.starts_from}."
        )
    return carried


def _pretrained(experiment):
    backbone, weights = experiment.arguments.get("backbone"), experiment.weights
    if backbone is None:
        raise UserError(
            f"weights={weights} is for networks of keras.applications; give {experiment.name} a run: --init."
        )
    if weights != "imagenet" and not Path(weights).is_file():
        raise UserError(f"there is no weights file {weights}.")
    try:
        return pretrained_resnet(backbone, weights)
    except (ValueError, OSError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"the weights {weights} cannot be loaded into {backbone}: {reason}") from None


def _experiment_of(run):
    try:
        return json.loads((Path(run) / "config.json").read_text(encoding="utf-8"))["experiment"]["name"]
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{run} is no whole run: its config.json cannot be read.") from None


def _check_frozen(experiment, config):
    """Refuses frozen layers with random weights: nothing could ever be learned through them."""
    random = [name for name in config["frozen"] if name not in config["carried"]]
    if random:
        raise UserError(
            f"{experiment.name} freezes {random[0]}{' and others' if len(random) > 1 else ''}, which would keep random "
            f"weights; give --init a run that has them{f' ({experiment.starts_from})' * bool(experiment.starts_from)}."
        )


def load_run_model(folder):
    """Loads the network of a finished run: its last epoch, in safe mode.

    Args:
        folder: A run folder.

    Returns:
        The Keras model, not compiled.

    Raises:
        UserError: If the folder is no finished run.
    """
    path = Path(folder) / "model.keras"
    if not path.is_file():
        raise UserError(f"{folder} is no finished run: it has no model.keras.")
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except (ValueError, OSError, KeyError, TypeError) as error:
        raise UserError(f"{path} cannot be loaded: {str(error).splitlines()[0]}") from None


def _described(source, maps):
    """What a run's `config.json` says of its data."""
    if isinstance(source, Manifest):
        return {
            "folder": str(source.folder),
            "digest": source.digest(map_and_swap(maps)[0]),
            "side": source.side,
            "codec": source.codec,
            "maps": list(source.map_names),
            "classes": len(source.classes),
            "source": source.source,
        }
    return {"folder": str(source.folder), "digest": digest(source), "pictures": len(source.images)}


def _config(experiment, data, maps, seed, precision, init, augment, devices):
    libraries = ["keras", "numpy", "h5py", keras.backend.backend()]
    return {
        "experiment": json.loads(json.dumps(dataclasses.asdict(experiment))),
        "data": data,
        "maps": maps if _sees_maps(experiment) else None,
        "seed": seed,
        "precision": precision,
        "augment": augment,
        "devices": devices,
        "init": str(init) if init else None,
        "backend": keras.backend.backend(),
        "versions": {
            "saliency_keras": saliency_keras.__version__,
            "python": platform.python_version(),
            **{name: getattr(sys.modules.get(name), "__version__", None) for name in libraries},
        },
        "device": {"machine": platform.machine(), "cores": os.cpu_count(), "accelerators": _accelerators()},
        "command": shlex.join(["python", "-m", "saliency_keras.train", *sys.argv[1:]]),
    }


def _sees_maps(experiment):
    return experiment.task == "classification" and uses_saliency(experiment.network, experiment.arguments)


def _accelerators():
    if keras.backend.backend() == "torch":  # Keras lists no devices there
        import torch

        return [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    return [name for name in keras.distribution.list_devices() if "cpu" not in name.lower()]


def _check_same(config, out):
    try:
        earlier = json.loads((out / "config.json").read_text(encoding="utf-8"))
        earlier["experiment"] = {**_defaults(), **earlier["experiment"]}
        earlier.setdefault("devices", 1)
        if config["maps"] is None:
            earlier["maps"] = None  # earlier versions wrote `own` for a network that sees none
        differing = [name for name in MUST_AGREE if name != "experiment" and earlier[name] != config[name]]
        fields = {name: (earlier["experiment"].get(name), value) for name, value in config["experiment"].items()}
        differing += [f"{name} ({before}, now {now})" for name, (before, now) in fields.items() if before != now]
        if earlier["data"]["digest"] != config["data"]["digest"]:
            differing.append("data")
        command = earlier["command"]
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{out / 'config.json'} is damaged; start the run anew in another --out.") from None
    if differing:
        raise UserError(
            f"the run in {out} was started with another {', '.join(differing)}; it was started by `{command}`."
        )


def _defaults():
    """Default values of an experiment's fields: what a run of an earlier version did without saying so."""
    fields = dataclasses.fields(Experiment)
    return {one.name: one.default for one in fields if one.default not in (dataclasses.MISSING, ())}


def _be_reproducible(seed, precision):
    # Names count up within a process; a state knows variables by name, whatever was built before them.
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    keras.config.set_dtype_policy(PRECISIONS[precision])
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


def _frozen(model):
    return [layer.name for layer in model.layers if layer.weights and not layer.trainable]


def _finish(job, experiment, history, idle, out):
    save_model(job.model, out / "model.keras")
    found = job.finish(job.model, out)
    best = max(history, key=lambda row: row[job.best])
    epoch_seconds = statistics.median(row["seconds"] for row in history)
    summary = {
        "experiment": experiment.name,
        "epochs": len(history),
        "last": history[-1],
        "best": best,
        "parameters": parameters(job.model),
        "multiply_adds": multiply_adds(job.model),
        "seconds": round(sum(row["seconds"] for row in history), 1),
        "images_per_second": round(job.pictures / epoch_seconds, 1),
        **{name: share if share is None else round(share, 4) for name, share in idle.items()},
        "frozen": _frozen(job.model),
        **found,
    }
    maps = summary.get("hallucinated_maps", {})
    if maps.get("all_zero", 0) > DEAD or maps.get("variance", 1) == 0:
        print(f"the saliency branch is dead or constant: {maps['all_zero']:.0%} of its maps are zero everywhere")
    _write_json(out / "summary.json", summary)
    drop_state(out / "state")
    return summary


def _explain_reading(error, source):
    """A shard that vanished, shrank or was damaged while it was read makes the backend fail; say which one it was."""
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

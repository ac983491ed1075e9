"""What a run's `config.json` says, and whether a run that is to go on is the one that was begun."""

import dataclasses
import json
import os
import platform
import shlex
import sys
from pathlib import Path

import keras

import saliency_keras
from saliency_keras.console import UserError
from saliency_keras.data.arrays import digest
from saliency_keras.data.manifest import Manifest
from saliency_keras.data.shown import map_and_swap
from saliency_keras.experiments.experiment import Experiment
from saliency_keras.files import sha256_of
from saliency_keras.models.alexnet import Layers
from saliency_keras.models.registry import uses_saliency

# Between a run and its resumption, and every field of the experiment.
MUST_AGREE = ("maps", "seed", "precision", "init", "started_from", "backend", "devices")


def config_of(experiment, source, maps, seed, precision, init, augment, devices):
    """What `config.json` says of a run: a dictionary.

    Args:
        experiment: The `Experiment`, its schedule and settings final.
        source: What it is trained on, a `Manifest` or a `FixationSet`.
        maps: As in `training.train.train`, and so are the others.
        seed: Seed of everything random.
        precision: `"float32"` or `"bfloat16"`.
        init: Run folder whose weights it starts from, or `None`.
        augment: Where pictures are cropped and flipped.
        devices: How many devices share each batch.

    Returns:
        The dictionary. Which layers' weights were carried over and which are frozen is added once they are.
    """
    libraries = ["keras", "numpy", "h5py", keras.backend.backend()]
    return {
        "experiment": json.loads(json.dumps(dataclasses.asdict(experiment))),
        "data": _described(source, maps),
        "maps": maps if _sees_maps(experiment) else None,
        "seed": seed,
        "precision": precision,
        "augment": augment,
        "devices": devices,
        "init": str(init) if init else None,
        "started_from": started_from(experiment, init),
        "backend": keras.backend.backend(),
        "versions": {
            "saliency_keras": saliency_keras.__version__,
            "python": platform.python_version(),
            **{name: getattr(sys.modules.get(name), "__version__", None) for name in libraries},
        },
        "device": {"machine": platform.machine(), "cores": os.cpu_count(), "accelerators": _accelerators()},
        "command": _command(),
    }


def started_from(experiment, init=None):
    """The files that a network's weights come from, by sha256: `{"init": …, "backbone": …, "weights": …}`.

    A path alone would be the same when another run, or another file, lies there.
    """
    folders = {"init": init, "backbone": experiment.arguments.get("backbone")}
    files = {name: Path(folder) / "model.keras" for name, folder in folders.items() if folder}
    files["weights"] = Path(experiment.weights)
    found = {}
    for name, path in files.items():
        if path.is_file():
            found[name] = sha256_of(path)
    return found


def _described(source, maps):
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


def _command():
    """The command line that this process was started by; of a notebook or a script, its program alone."""
    main = getattr(sys.modules["__main__"], "__spec__", None)
    if main and main.name.partition(".")[0] == __package__.partition(".")[0]:
        return shlex.join(["python", "-m", main.name, *sys.argv[1:]])
    return Path(sys.argv[0]).name


def _sees_maps(experiment):
    return experiment.task == "classification" and uses_saliency(experiment.network, experiment.arguments)


def _accelerators():
    if keras.backend.backend() == "torch":  # Keras lists no devices there
        import torch

        return [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    return [name for name in keras.distribution.list_devices() if "cpu" not in name.lower()]


def check_same(config, out, but=()):
    """Refuses to go on with a run that was begun otherwise.

    Args:
        config: Of the run that is asked for.
        out: The run folder.
        but: Names in `MUST_AGREE` that need not.

    Raises:
        UserError: If the run in `out` differs in what it comes to; the sentence says in what.
    """
    try:
        earlier = json.loads((out / "config.json").read_text(encoding="utf-8"))
        there, here = {**_defaults(), **_settings(earlier)}, _settings(config)
        # Where both say which file it was by its digest, which `started_from` compares, a path may be another one.
        moved = earlier.get("started_from", {}).keys() & config["started_from"].keys()
        earlier = {"devices": 1, "started_from": config["started_from"], **earlier}  # earlier versions named neither
        if config["maps"] is None:
            earlier["maps"] = None  # earlier versions wrote `own` for a network that sees none
        agree = [name for name in MUST_AGREE if name not in moved and name not in but]
        differing = [name for name in agree if earlier[name] != config[name]]
        differing += [
            f"{name} ({there.get(name)}, now {here.get(name)})"
            for name in {**here, **earlier["experiment"]["arguments"]}
            if name not in moved and there.get(name) != here.get(name)
        ]
        if earlier["data"]["digest"] != config["data"]["digest"]:
            differing.append("data")
        command = earlier["command"]
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{out / 'config.json'} is damaged; start the run anew in another --out.") from None
    if differing:
        raise UserError(
            f"the run in {out} was started with another {', '.join(differing)}; it was started by `{command}`."
        )


def _settings(config):
    """The fields of a run's experiment and its network's arguments, side by side."""
    fields = dict(config["experiment"])
    arguments = fields.pop("arguments")
    return {**fields, **arguments}


def _defaults():
    """Default values of an experiment's fields and its layers: what an earlier version did without saying so."""
    fields = [*dataclasses.fields(Layers), *dataclasses.fields(Experiment)]
    return {one.name: one.default for one in fields if one.default not in (dataclasses.MISSING, ())}

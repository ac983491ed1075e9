"""What a run's `config.json` says, and the check that `--resume` continues the same run."""

import contextlib
import dataclasses
import os
import platform
import sys
from pathlib import Path

import keras

import saliency_keras
from saliency_keras import run_folder
from saliency_keras.console import UserError, command_line
from saliency_keras.data.arrays import digest
from saliency_keras.data.manifest import Manifest, made_by_other_kernels
from saliency_keras.experiments.experiment import changes
from saliency_keras.files import read_json, sha256_of
from saliency_keras.models.registry import shows_map
from saliency_keras.saliency.per_picture import accelerators

# A resumed run and the run it continues agree in these, and in every field of the experiment.
MUST_AGREE = ("maps", "seed", "precision", "init", "started_from", "backend", "devices")


def config_of(experiment, source, seed, precision, parents, augment, devices):
    """What `config.json` says of a run: a dictionary.

    Args:
        experiment: The `Experiment`, its schedule and settings final.
        source: What it is trained on, a `Manifest` or a `FixationSet`.
        seed: Seed of everything random.
        precision: `"float32"` or `"bfloat16"`.
        parents: From a part to the run folder whose weights it starts from.
        augment: Where pictures are cropped and flipped.
        devices: How many devices share each batch.

    Returns:
        The dictionary. Which layers' weights were carried over and which are frozen is added once they are.
    """
    libraries = ["keras", "numpy", "h5py", keras.backend.backend()]
    return {
        "experiment": experiment.as_json(),
        "data": _described(source, experiment.shown),
        "maps": str(experiment.shown) if _uses_maps(experiment) else None,
        "seed": seed,
        "precision": precision,
        "augment": augment,
        "devices": devices,
        "init": {part: str(folder) for part, folder in parents.items()} or None,
        "started_from": started_from(experiment, parents, seed),
        "backend": keras.backend.backend(),
        "versions": {
            "saliency_keras": saliency_keras.__version__,
            "python": platform.python_version(),
            **{name: getattr(sys.modules.get(name), "__version__", None) for name in libraries},
        },
        "device": {
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            "processor": processor(),
            "accelerators": accelerators(),
            "threads": threads(),
        },
        "command": command_line(),
    }


def started_from(experiment, parents, seed=0):
    """The files that a run starts from besides its data, by sha256.

    They are `{"init": {part: …}, "backbone": …, "weights": …, "teacher": …, …}`. A path alone would be the same when
    another run, or another file, lies there.
    """
    files = {"weights": Path(experiment.start.weights)}
    if experiment.pictures:
        files["few_shot_list"] = Path(experiment.pictures.list_of(seed))
    if folder := experiment.arguments.get("backbone"):
        files["backbone"] = Path(folder) / run_folder.MODEL
    if experiment.guidance and experiment.guidance.teacher:
        files["teacher"] = Path(experiment.guidance.teacher) / run_folder.MODEL
    found = {name: sha256_of(path) for name, path in files.items() if path.is_file()}
    networks = {part: Path(folder) / run_folder.MODEL for part, folder in parents.items()}
    if of_parts := {part: sha256_of(path) for part, path in networks.items() if path.is_file()}:
        found["init"] = of_parts
    return found


def _described(source, shown):
    if isinstance(source, Manifest):
        return {
            "folder": str(source.folder),
            **source.described(shown.map),
            "side": source.side,
            "framing": dataclasses.asdict(source.framing),
            "codec": source.codec,
            "maps": list(source.map_names),
            "classes": len(source.classes),
            "source": source.source,
        }
    return {"folder": str(source.folder), "digest": digest(source), "pictures": len(source.images)}


def _uses_maps(experiment):
    """Whether maps of the data set are shown to the network, or taught to it."""
    if experiment.shown is None:
        return False
    return experiment.shown.as_ == "target" or shows_map(experiment.network, experiment.arguments)


def threads():
    """How many threads share an operation on the processor: sums are rounded in another order with another number."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if keras.backend.backend() == "torch":
        import torch

        return torch.get_num_threads()
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        chosen = tf.config.threading.get_intra_op_parallelism_threads()
        return chosen or int(os.environ.get("TF_NUM_INTRAOP_THREADS") or 0) or cores
    return cores


def _check_threads(earlier, config, out):
    """Refuses to go on with another number of threads than an unfinished run on processors was begun with."""
    there, here = (one.get("device", {}).get("threads") for one in (earlier, config))
    on_processors = not config["device"]["accelerators"]
    if there and there != here and on_processors and not run_folder.is_finished(out):
        raise UserError(
            f"the run in {out} was started with {there} threads, here are {here}, which round otherwise; go on with "
            f"TF_NUM_INTRAOP_THREADS={there} (TensorFlow), on {there} cores (`taskset -c 0-{there - 1}` on Linux), or "
            "start the run again in another --out."
        )


def processor():
    """The processor's name, as its maker or the system gives it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def check_same(config, out, but=()):
    """Checks that `--resume` continues the same run.

    Args:
        config: Of the run that is asked for.
        out: The run folder.
        but: Names in `MUST_AGREE` that need not.

    Raises:
        UserError: If the run in `out` would end with another result; the sentence names the differences.
    """
    earlier = read_json(run_folder.checked(out, run_folder.CONFIG))
    try:
        # Where both say which file it was by its digest, which `started_from` compares, a path may be another one.
        moved = earlier["started_from"].keys() & config["started_from"].keys()
        if config["maps"] is None:
            earlier["maps"] = None  # the map that is named does not matter to a network that sees none
        agree = [name for name in MUST_AGREE if name not in moved and name not in but]
        differing = [
            # Checksums of files tell a reader nothing.
            name if name == "started_from" else f"{name}{_both(earlier[name], config[name])}"
            for name in agree
            if earlier[name] != config[name]
        ]
        differing += changes(earlier["experiment"], config["experiment"], moved)
        data_there, data_here = earlier["data"], config["data"]
        if made_by_other_kernels(data_there, data_here):
            made = f"{data_there['kernels']}, now {data_here['kernels']}"
            differing.append(f"data (the same set, made by another processor's kernels: {made})")
        elif data_there["digest"] != data_here["digest"]:
            same = data_there["folder"] == data_here["folder"]
            changed = " (its files have changed)" if same else _both(data_there["folder"], data_here["folder"])
            differing.append(f"data{changed}")
        command = earlier["command"]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{out / run_folder.CONFIG} is damaged; start the run again in another --out.") from None
    if differing:
        raise UserError(
            f"the run in {out} was started with another {', '.join(differing)}; it was started by `{command}`. Choose "
            f"another --out, or delete {out} to begin again."
        )
    _check_threads(earlier, config, out)


def _both(there, here):
    """Two values of one name: `" (0, now 1)"`; of parents their folders."""
    there, here = (", ".join(one.values()) if isinstance(one, dict) else one for one in (there, here))
    return f" ({there}, now {here})"

"""Which precision a training is quick in on this machine: what `--precision auto` takes.

bfloat16 halves the bytes of activations; weights, logits and losses stay float32. Accelerators of recent years compute
it faster than float32. A processor does so with instructions for it; without them it converts every number, and a step
of Fan-in3 took 7 to 10 times as long as in float32 (AMD EPYC with AVX2, TensorFlow).

Keras is imported only to look at the device, so that a run that is begun is asked without it.
"""

import dataclasses
import os
from pathlib import Path

from saliency_keras import run_folder
from saliency_keras.console import UserError
from saliency_keras.files import read_json

PRECISIONS = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
AUTO, VARIABLE = "auto", "SALIENCY_KERAS_PRECISION"
INSTRUCTIONS = ("avx512_bf16", "amx_bf16")  # as Linux calls those of x86 that TensorFlow's kernels use
AMPERE = (8, 0)  # compute capability of the first NVIDIA GPUs with bfloat16
CPU_INFO = Path("/proc/cpuinfo")
UNKNOWN = "is not known to be faster in bfloat16"
TOLD_OF_ACCELERATORS = {True: "is faster in bfloat16", False: "has no bfloat16", None: UNKNOWN}


@dataclasses.dataclass(frozen=True)
class Device:
    """What is computed on.

    Attributes:
        name: Its name, for a reader.
        quick: Whether bfloat16 is faster on it than float32: `True`, `False`, or `None` where nobody has measured it.
        why: What that rests on, in some words.
    """

    name: str
    quick: bool | None
    why: str


def choose(asked, folders=(), learns_from_fixations=False):
    """The precision of a training, and what a reader must know of it.

    Args:
        asked: `"auto"`, `"float32"` or `"bfloat16"`. For `"auto"`, the environment variable
            `SALIENCY_KERAS_PRECISION` may name one of the two.
        folders: Run folders; with `"auto"`, the first in which a run was begun has chosen already.
        learns_from_fixations: Whether it is a network that predicts saliency, which `"auto"` leaves in float32: its
            maps are the result, and nobody has compared them.

    Returns:
        `(precision, sentence)`, the sentence `""` where there is nothing to say.

    Raises:
        UserError: If the environment variable names no precision, or the file that names a run's is damaged.
    """
    given = os.environ.get(VARIABLE, AUTO) if asked == AUTO else asked
    if given not in (AUTO, *PRECISIONS):
        raise UserError(f"{VARIABLE} is one of {', '.join((AUTO, *PRECISIONS))}. Received: {given}")
    begun = next(filter(None, map(_precision_of, folders)), None)
    if asked == AUTO and begun:
        return begun, f"precision: {begun}, as this was begun in"
    if given == "float32" or (given == AUTO and learns_from_fixations):
        return "float32", ""
    found = device()
    if given == AUTO:
        taken = "bfloat16" if found.quick else "float32"
        return taken, f"precision: {taken} ({found.name} {found.why})"
    if found.quick is False:
        return given, f"caution: {found.name} {found.why}; trainings in float32 are several times faster on it."
    return given, ""


def _precision_of(folder):
    """The precision that a run was begun in, or `None`."""
    config = run_folder.checked(folder, run_folder.CONFIG)
    found = read_json(config).get("precision") if config.is_file() else None
    return found if found in PRECISIONS else None


def device():
    """The `Device` that Keras computes on: the first accelerator, or the processor."""
    import keras

    from saliency_keras.runs.config import processor
    from saliency_keras.saliency.per_picture import accelerators

    backend = keras.backend.backend()
    if names := accelerators():
        capability = _compute_capability(backend)
        quick = capability >= AMPERE if capability else "tpu" in names[0].lower() or None
        return Device(names[0], quick, TOLD_OF_ACCELERATORS[quick])
    flags = _flags()
    has = [flag.upper() for flag in INSTRUCTIONS if flag in flags]
    if flags and not has:
        return Device(processor(), False, "has no instructions for bfloat16")
    if has and backend == "tensorflow":
        return Device(processor(), True, f"has {' and '.join(has)}")
    return Device(processor(), None, UNKNOWN)


def _flags():
    """Names of what an x86 processor can do, empty where the system does not say."""
    try:
        lines = CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return set()
    return next((set(line.partition(":")[2].split()) for line in lines if line.startswith("flags")), set())


def _compute_capability(backend):
    """The first NVIDIA GPU's, `(9, 0)`; `None` where the accelerator is another one."""
    if backend == "tensorflow":
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        return tf.config.experimental.get_device_details(gpus[0]).get("compute_capability") if gpus else None
    if backend == "jax":
        import jax

        found = getattr(jax.local_devices()[0], "compute_capability", None)
        return tuple(map(int, str(found).split("."))) if found else None
    import torch

    return torch.cuda.get_device_capability(0)

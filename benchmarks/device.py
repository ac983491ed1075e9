"""python benchmarks/device.py [EXPERIMENT ...] [--batch 128] [--precision float32] [--pictures 4096] [--epochs 4]

How busy a training keeps its device. For each experiment: images per second of `saliency_keras.train --augment device`
(the median epoch, validation aside), beside those of the same compiled step on one batch that lies on the device, and
their ratio; then how the training's time was spent, as `summary.json` says it. At last what the host adds to a step,
measured with a network of negligible size. The set is made for the purpose: noise, 144 px, ten classes.
KERAS_BACKEND chooses the backend; without a GPU the device is the processor.
"""

import argparse
import contextlib
import io
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "benchmarks"))

SHARES = ("device_busy", "waiting", "waiting_for_host", "validating", "saving")
HOST_STEPS, HOST_BATCH, HOST_SIDE = 960, 32, 16


def main(arguments=None):
    """Parses, measures, prints."""
    parser = argparse.ArgumentParser(description="Images per second of train, beside the bare compiled step.")
    parser.add_argument("experiments", nargs="*", default=["rgb", "fanin3"])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--pictures", type=int, default=4096, help="training pictures of the set that is made")
    parser.add_argument("--epochs", type=int, default=4, help="epochs of each training")
    parser.add_argument("--steps-per-execution", type=int, help="as of train (default: what train chooses)")
    options = parser.parse_args(arguments)
    import keras

    devices = ", ".join(keras.distribution.list_devices())
    print(f"{keras.backend.backend()}, {devices}, batches of {options.batch}, {options.precision}")
    with tempfile.TemporaryDirectory() as folder:
        from reader import make_sets

        make_sets(Path(folder), options.pictures, codecs=())
        print(f"{'':16}{'train, images/s':>17}{'bare step':>12}{'ratio':>8}{'steps a call':>14}")
        summaries = {}
        for name in options.experiments:
            bare = bare_step(name, Path(folder) / "npy", options)
            summary = summaries[name] = training(name, Path(folder), options)
            speed, together = summary["images_per_second"], summary["steps_per_execution"]
            print(f"{name:16}{speed:17,.0f}{bare:12,.0f}{speed / bare:8.2f}{together:14}", flush=True)
    print(f"\n{'share of the time':16}" + "".join(f"{name:>18}" for name in SHARES))
    for name, summary in summaries.items():
        cells = ("–" if summary[share] is None else f"{summary[share]:.1%}" for share in SHARES)
        print(f"{name:16}" + "".join(f"{cell:>18}" for cell in cells))
    print(f"\nthe host's part of a step, of a network of negligible size, batches of {HOST_BATCH}:")
    for together in (1, 32):
        print(f"  {together:2} steps in a call: {1000 * host_seconds(together):.3f} ms a step", flush=True)


def training(name, folder, options):
    """The summary of a training by `train` itself."""
    from saliency_keras.experiments import experiment
    from saliency_keras.training.train import forget_networks, train

    chosen = experiment(name).replace(batch=options.batch).lasting(options.epochs)
    out = folder / f"run-{name}"
    data, together = folder / "npy", options.steps_per_execution
    with contextlib.redirect_stdout(io.StringIO()):  # without the epochs' lines
        summary = train(
            chosen, data, out, precision=options.precision, augment="device", steps_per_execution=together
        )  # fmt: skip
    forget_networks()
    return summary


def bare_step(name, data, options, steps=30):
    """Images a second of the step that `train` compiles, on one batch that stays on the device."""
    import keras

    from saliency_keras.data.manifest import Manifest
    from saliency_keras.experiments import experiment
    from saliency_keras.training import loop
    from saliency_keras.training.precision import PRECISIONS
    from saliency_keras.training.tasks import task_named
    from saliency_keras.training.train import forget_networks

    keras.config.set_dtype_policy(PRECISIONS[options.precision])
    chosen = experiment(name).replace(batch=options.batch)
    with tempfile.TemporaryDirectory() as folder:
        task = task_named(chosen.task)(chosen, Manifest.load(data), 0, Path(folder), "device", None)
        model = keras.Model(task.fed.input, task.fed.output)
        loop.compile_model(model, task, chosen.schedule)
        batch = keras.tree.map_structure(keras.ops.convert_to_tensor, task.training(1, 1)[0])
        model.test_on_batch(*batch)
        step = _jax_step(model, batch) if keras.backend.backend() == "jax" else _other_step(model, batch)
        step(3)
        seconds = []
        for _ in range(3):
            started = time.perf_counter()
            step(steps)
            seconds.append(time.perf_counter() - started)
    forget_networks()
    return options.batch * steps / statistics.median(seconds)


def _jax_step(model, batch):
    import jax

    variables = model.trainable_variables, model.non_trainable_variables, model.optimizer.variables
    state = [[variable.value for variable in some] for some in (*variables, model.metrics_variables)]
    compiled, held = jax.jit(model.train_step, donate_argnums=0), [tuple(state)]

    def run(times):
        for _ in range(times):
            logs, held[0] = compiled(held[0], batch)
        float(logs["loss"])

    return run


def _other_step(model, batch):
    import tensorflow as tf

    compiled = tf.function(model.train_step, jit_compile=model.jit_compile)

    def run(times):
        for _ in range(times):
            logs = compiled(batch)
        float(logs["loss"])

    return run


def host_seconds(together):
    """Seconds of the clock a step of a training whose device has next to nothing to do."""
    import keras
    import numpy as np

    from saliency_keras.data.stream import Stream
    from saliency_keras.training.steps import Steps

    image = keras.Input((HOST_SIDE, HOST_SIDE, 3), dtype="uint8", name="image")
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(image))
    model = keras.Model({"image": image}, keras.layers.Dense(10)(pooled))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    jit = "auto" if keras.backend.backend() == "jax" else False
    model.compile(keras.optimizers.SGD(0.01, 0.9), loss, metrics=["sparse_categorical_accuracy"], jit_compile=jit)
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (HOST_BATCH, HOST_SIDE, HOST_SIDE, 3), dtype=np.uint8)
    batch = {"image": pictures}, random.integers(0, 10, HOST_BATCH)
    if together > 1:
        Steps(model, batch, together, in_a_loop=True)
    calls = HOST_STEPS // together

    def epochs(number):
        stream = Stream(lambda step: batch, range(number * HOST_STEPS))
        stream = stream.grouped(together, HOST_STEPS) if together > 1 else stream
        model.fit(stream, epochs=number, steps_per_epoch=calls, shuffle=False, verbose=0)

    epochs(1)
    started = time.perf_counter()
    epochs(3)
    return (time.perf_counter() - started) / (3 * HOST_STEPS)


if __name__ == "__main__":
    from saliency_keras.console import run

    run(main)

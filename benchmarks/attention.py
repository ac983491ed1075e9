"""What classifier attention costs: a pass beside its backbone's, and `compact --zoom` beside plain compaction.

    python benchmarks/attention.py RUN SOURCE [--pictures N] [--repeats N]

RUN is a finished run of `classifier_attention`, SOURCE the pictures of its classes. All is processor time of this
process, over the same pictures, in turns; the smallest of the repeats counts. Loading and tracing the network takes
some seconds whatever the set's size, so that compaction is measured with N pictures of each split and with a quarter
of them, and the difference is told.
"""

import argparse
import contextlib
import io
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import keras
import numpy as np

from data_prep.compact import compact
from saliency_keras.data.second_look import RunLook
from saliency_keras.models.attention import MASK_LAYER
from saliency_keras.runs.run import network_in

BATCH = 32


def main():
    """Parses, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("source", metavar="SOURCE")
    parser.add_argument("--pictures", type=int, default=64, help="of each split (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="default: %(default)s")
    options = parser.parse_args()
    look = RunLook(options.run)
    model = network_in(options.run).model
    pixels = np.random.default_rng(0).integers(0, 256, (BATCH, look.run.side, look.run.side, 3), np.uint8)
    features = model.get_layer("attended_features").input[0]
    passes = {"backbone": keras.Model(model.input, features), "network": model,
              "network to its mask": keras.Model(model.input, model.get_layer(MASK_LAYER).output)}  # fmt: skip
    found = measured({name: lambda one=one: one.predict_on_batch({"image": pixels}) for name, one in passes.items()},
                     options.repeats)  # fmt: skip
    for name, seconds in found.items():
        print(f"{name}: {1000 * seconds / BATCH:.1f} ms a picture, {seconds / found['backbone']:.3f} of the backbone's")
    sides = {"side": look.framing.stored, "square": look.framing.square, "shorter": look.framing.shorter}
    form = {"saliency": ["uniform"], "workers": 0, **sides}
    limits = options.pictures // 4, options.pictures
    times = measured(
        {
            (zoom, limit): lambda zoom=zoom, limit=limit: made(options, form, limit=limit, zoom=zoom)
            for zoom in (None, options.run)
            for limit in limits
        },
        options.repeats,
    )
    pictures = 2 * (limits[1] - limits[0])
    plain, zoomed = (times[zoom, limits[1]] - times[zoom, limits[0]] for zoom in (None, options.run))
    of_pass = found["network to its mask"] / BATCH * pictures
    print(f"plain compaction of {pictures} further pictures: {plain:.2f} s; the network's pass: {of_pass:.2f} s")
    print(f"with --zoom: {zoomed:.2f} s, {zoomed / (plain + of_pass):.3f} of both together")
    print(f"and in any case {times[options.run, limits[1]] - times[None, limits[1]] - zoomed + plain:.2f} s")


def made(options, form, **more):
    """Compacts the pictures into a folder that is thrown away."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        compact(options.source, str(Path(folder) / "set"), **form, **more)


def measured(functions, repeats):
    """The smallest processor time of each of some functions, called in turns after a first call that is not counted."""
    seconds = {}
    for repeat in range(repeats + 1):
        for name, function in functions.items():
            began = time.process_time()
            function()
            if repeat:
                seconds.setdefault(name, []).append(time.process_time() - began)
    return {name: min(times) for name, times in seconds.items()}


if __name__ == "__main__":
    main()

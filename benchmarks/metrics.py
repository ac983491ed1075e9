"""How long eight fixation metrics take, beside pysaliency in the same run.

    python benchmarks/metrics.py [--pictures 100] [--convention standard]

100 pictures of 640x480 with 100 fixations each and a smooth map: AUC-Judd, AUC-Borji, sAUC, NSS, CC, SIM, KL and IG of
every picture. Densities and the baseline are made beforehand for both. pysaliency (0.2.22, which needs setuptools
below 81, torch and `np.trapz = np.trapezoid`) is asked for the same eight figures through its own models; where it is
not installed, only our time is printed. Prints processor milliseconds a picture (one core for both; other work on the
machine disturbs them less than the clock), the ratio, and both means of each metric.
"""

import argparse
import importlib.metadata
import os
import sys
import time
from pathlib import Path

# One core for both: what is compared is the work, not the number of threads.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np  # noqa: E402  (after the number of threads is set)

from saliency_keras.metrics.fixation_metrics import METRICS, all_metrics  # noqa: E402
from saliency_keras.metrics.points import Density, FixationPoints  # noqa: E402

WIDTH, HEIGHT, FIXATIONS = 640, 480, 100


def make_input(pictures, seed=0):
    """Integer fixations, smooth maps of few fixations of another draw, densities and leave-one-out baselines."""
    generator = np.random.default_rng(seed)

    def positions(count):
        return [np.clip(generator.normal(side / 2, side / 5, count), 0, side - 1).round() for side in (WIDTH, HEIGHT)]

    fixations = [positions(FIXATIONS) for _ in range(pictures)]
    maps = [Density.of(FixationPoints(*positions(20), WIDTH, HEIGHT), 25).values * 1e6 for _ in range(pictures)]
    points = [FixationPoints(*both, WIDTH, HEIGHT) for both in fixations]
    densities = [Density.of(one, 20).values for one in points]
    everywhere = sum(densities)
    baselines = [(everywhere - density).clip(min=1e-12) / (pictures - 1) for density in densities]
    return fixations, maps, densities, baselines


def ours(fixations, maps, densities, baselines, convention):
    """`(pictures, metrics)`, fixation and density objects being made inside."""
    scores = []
    for index, (both, values, density, baseline) in enumerate(zip(fixations, maps, densities, baselines, strict=True)):
        others = np.concatenate(fixations[:index] + fixations[index + 1 :], axis=1)
        one = all_metrics(
            values,
            FixationPoints(*both, WIDTH, HEIGHT),
            Density(density),
            FixationPoints(*others, WIDTH, HEIGHT),
            Density(baseline),
            convention=convention,
        )
        scores.append([one[name] for name in METRICS])
    return np.array(scores)


def import_pysaliency():
    """The module, or `None` where it is not installed."""
    np.trapz = np.trapezoid  # noqa: NPY201  (pysaliency still asks for the old name)
    try:
        import pysaliency
        import pysaliency.models
    except ImportError:
        return None
    return pysaliency


def theirs(pysaliency, fixations, maps, densities, baselines):
    """The means over pictures of the same eight metrics through pysaliency's models."""

    class Maps(pysaliency.SaliencyMapModel):
        def __init__(self, arrays):
            super().__init__(caching=False)
            self.arrays = arrays

        def _saliency_map(self, stimulus):
            return self.arrays[int(stimulus[0, 0, 0])]

    stimuli = pysaliency.Stimuli([np.full((HEIGHT, WIDTH, 3), index, np.uint8) for index in range(len(maps))])
    points = pysaliency.Fixations.create_without_history(
        np.concatenate([x for x, _ in fixations]),
        np.concatenate([y for _, y in fixations]),
        np.repeat(np.arange(len(maps)), FIXATIONS),
    )
    model, gold = Maps(maps), Maps(densities)
    density_model, baseline_model = (
        pysaliency.models.SaliencyMapNormalizingModel(one, minimum_value=1e-20) for one in (model, Maps(baselines))
    )
    start = time.process_time()
    means = [
        model.AUC(stimuli, points, nonfixations="unfixated", average="fixation"),
        model.AUC(stimuli, points, nonfixations="uniform", average="fixation"),
        model.AUC(stimuli, points, nonfixations="shuffled", average="fixation"),
        model.NSS(stimuli, points, average="fixation"),
        model.CC(stimuli, gold),
        model.SIM(stimuli, gold),
        model.image_based_kl_divergence(stimuli, gold),
        density_model.information_gain(stimuli, points, baseline_model, average="fixation"),
    ]
    return np.array(means, float), time.process_time() - start


def main(arguments=None):
    """Parses, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--convention", choices=("standard", "mit"), default="standard")
    options = parser.parse_args(arguments)
    if not 2 <= options.pictures <= 256:
        parser.error(f"pictures are 2 to 256, not {options.pictures}")
    inputs = make_input(options.pictures)
    ours(*(part[:2] for part in inputs), options.convention)
    start = time.process_time()
    scores = ours(*inputs, options.convention)
    seconds = time.process_time() - start
    print(f"{options.pictures} pictures {WIDTH}x{HEIGHT}, {FIXATIONS} fixations each, one core, numpy {np.__version__}")
    print(f"saliency_keras ({options.convention}): {1e3 * seconds / options.pictures:.1f} ms a picture")
    pysaliency = import_pysaliency()
    if pysaliency is None:
        print("pysaliency is not installed; nothing to compare with")
        return
    theirs(pysaliency, *(part[:2] for part in inputs))
    # Every picture has equally many fixations, so a mean over fixations is a mean over pictures.
    means, their_seconds = theirs(pysaliency, *inputs)
    version = importlib.metadata.version("pysaliency")
    print(f"pysaliency {version}: {1e3 * their_seconds / options.pictures:.1f} ms a picture")
    print(f"ratio: {their_seconds / seconds:.1f}")
    if options.convention == "standard":
        for name, mine, other in zip(METRICS, scores.mean(axis=0), means, strict=True):
            print(f"{name:>10}  {mine:.9f}  {other:.9f}  difference {abs(mine - other):.1e}")


if __name__ == "__main__":
    from saliency_keras.console import run

    run(main)

"""python benchmarks/predictors.py [PREDICTOR ...] [--images FOLDER] [--pictures 20] [--rounds 3]

Pictures a second and core of the saliency predictors at 640 x 480, decoding aside, beside OpenCV's spectral residual
where opencv-contrib-python is installed. Prints a table; the ratio is to OpenCV (or to the first predictor).

Processor time on one thread is counted, not the clock, so that other programs on the machine matter little; the best
of the rounds is taken. Without a folder of pictures, smooth noise is looked at.
"""

import argparse
import os
import sys
import time
from pathlib import Path

# One thread, said before numpy loads its BLAS.
for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ[variable] = "1"
sys.path.insert(0, str(Path(__file__).parents[1]))

WIDTH, HEIGHT = 640, 480


def main(arguments=None):
    """Parses, measures, prints."""
    from saliency_keras.saliency import predictor

    parser = argparse.ArgumentParser(description="Pictures a second and core of the saliency predictors.")
    parser.add_argument("predictors", nargs="*", default=["gbvs", "itti", "aim", "sdlf", "center"])
    parser.add_argument("--images", type=Path, help="folder of pictures")
    parser.add_argument("--pictures", type=int, default=20, help="pictures a round")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, of which the best counts")
    options = parser.parse_args(arguments)

    pictures = pictures_of(options.images, options.pictures)
    contestants = {name: predictor(name) for name in options.predictors}
    spectral_residual = opencv_spectral_residual()
    if spectral_residual:
        contestants = {"OpenCV spectral residual": spectral_residual, **contestants}
    else:
        print("opencv-contrib-python is not installed: no comparison with its spectral residual")

    speeds = {name: pictures_a_second(predict, pictures, options.rounds) for name, predict in contestants.items()}
    first = next(iter(speeds.values()))
    print(f"{'predictor':26}{'pictures/s/core':>16}{'ms/picture':>12}{'ratio':>8}")
    for name, speed in speeds.items():
        print(f"{name:26}{speed:16.1f}{1000 / speed:12.2f}{speed / first:8.2f}")


def pictures_of(folder, count):
    """uint8 array `(count, 480, 640, 3)`: the folder's first pictures, resized, or smooth noise."""
    import numpy as np
    from PIL import Image

    from saliency_keras.data.pictures import pictures_in, read_picture

    if folder:
        found = [read_picture(os.path.join(folder, name)) for name in pictures_in(folder).names[:count]]
    else:
        generator = np.random.default_rng(0)
        found = [generator.integers(0, 256, (24, 32, 3), np.uint8) for _ in range(count)]
    resized = [Image.fromarray(picture).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC) for picture in found]
    return np.stack([np.asarray(picture) for picture in resized])


def opencv_spectral_residual():
    """OpenCV's static saliency by spectral residual as a function of a batch, or `None` without opencv-contrib."""
    try:
        import cv2

        make = cv2.saliency.StaticSaliencySpectralResidual_create
    except (ImportError, AttributeError):
        return None
    import numpy as np

    cv2.setNumThreads(1)
    detector = make()
    return lambda pictures: np.stack([detector.computeSaliency(picture)[1] for picture in pictures])


def pictures_a_second(predict, pictures, rounds):
    """Pictures a second of processor time, the best of some rounds after one picture to warm up."""
    predict(pictures[:1])
    seconds = []
    for _ in range(rounds):
        start = time.process_time()
        predict(pictures)
        seconds.append(time.process_time() - start)
    return len(pictures) / min(seconds)


if __name__ == "__main__":
    from saliency_keras.console import run

    run(main)

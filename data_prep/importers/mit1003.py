"""MIT1003 (Judd et al. 2009): `ALLSTIMULI/*.jpeg` and `DATA/SUBJECT/*.mat`, the eye's position 240 times a second.

A .mat has one struct with `DATA.eyeData`, rows of `[x, y]` in pixels of the picture, negative where the eye was lost.
Fixations are found in them as the authors' `checkFixations.m` finds them (`fixations_of`), written from its rules; it
was not compared with what MATLAB computes. The first fixation of each viewing is left out, as in the paper: it began
before the picture came.
"""

import numpy as np

from data_prep.importers.gathered import Gathered, PictureFolder, field, files_called, first_folder, read_mat
from saliency_keras.console import UserError, progress

PIXELS_PER_DEGREE = 35  # of pictures whose longer side has 1024 pixels
RATE = 240  # samples a second
ACCELERATION = 34 * 6  # pixels a second between neighbouring windows: 6 degrees of 34 pixels
WINDOW = 4  # samples
SHORTEST = 12  # samples between two saccades that are no fixation: 50 ms
SEARCH = 25  # samples within which a saccade slows down


def gather(source, choices):
    """Gathers the fixations of MIT1003; SOURCE has `DATA/` and `ALLSTIMULI/`, or is `DATA` beside it."""
    data = source / "DATA" if (source / "DATA").is_dir() else source
    files = files_called(data, "*.mat", "the folder with MIT1003's DATA/SUBJECT/*.mat and ALLSTIMULI/")
    around = source if source.is_dir() else source.parent
    pictures = PictureFolder(first_folder(choices, around / "ALLSTIMULI", data.parent / "ALLSTIMULI", around))
    gathered = Gathered(pictures, source, PIXELS_PER_DEGREE)
    for path in progress(files, label="reading", unit="file"):
        for variable in read_mat(path).values():
            try:
                samples = np.asarray(field(variable, "DATA", "eyeData"), np.float64)
            except (KeyError, AttributeError):
                continue  # the order of the pictures, the calibration
            if samples.ndim != 2 or samples.shape[1] < 2:
                raise UserError(f"{path}: eyeData has the shape {samples.shape}, not (samples, 2).")
            x, y, durations = fixations_of(samples[:, :2])
            seen = ~((x < 0) | (y < 0))
            seen[:1] = False
            subject = path.relative_to(data).parts[0] if path != data else path.parent.name
            gathered.add(path.stem, subject, x[seen], y[seen], durations[seen])
    return gathered


def fixations_of(samples):
    """Finds fixations between saccades, and saccades by acceleration and deceleration.

    A saccade begins where the speed, over 4 samples, grows by more than `ACCELERATION` for 3 samples or more, and ends
    with the deceleration that follows. Saccades less than 50 ms apart are one. What is between them is a fixation.

    Args:
        samples: Array `(samples, 2)`, x and y in pixels, `RATE` a second.

    Returns:
        x, y (medians) and durations in milliseconds: arrays `(fixations,)`.
    """
    count = len(samples)
    saccades = _saccades(_acceleration(samples), count) if count > WINDOW + 2 else []
    edges = [0, *(edge for start, end in saccades for edge in (start, end + 1)), count]
    spans = [(start, end) for start, end in zip(edges[::2], edges[1::2], strict=True) if end > start]
    medians = np.array([_median(samples[start:end]) for start, end in spans]).reshape(-1, 2)
    return *medians.T, np.array([1000 * (end - start) / RATE for start, end in spans])


def _acceleration(samples):
    steps = np.concatenate([[0.0], np.hypot(*np.diff(samples, axis=0).T)])
    smooth = np.convolve(steps, np.full(WINDOW, 1 / WINDOW))[: len(steps)]
    speeds = np.lib.stride_tricks.sliding_window_view(smooth, WINDOW + 1).sum(-1) * RATE / WINDOW
    found = np.zeros(len(samples))
    found[1 : len(speeds) - 1] = speeds[2:] - speeds[1:-1]
    return found


def _saccades(acceleration, count):
    """First and last sample of each saccade."""
    quicker, slower = acceleration > ACCELERATION, acceleration < -ACCELERATION
    fast = np.flatnonzero(quicker)
    runs = [run for run in np.split(fast, np.flatnonzero(np.diff(fast) > 1) + 1) if len(run) > 2]
    moving = np.flatnonzero(acceleration)
    found = []
    for run in runs:
        search = range(run[-1] + 1, min(run[-1] + SEARCH, count - 1))
        end = next((at for at in search if slower[at] and not slower[at + 1]), None)
        if end is None and run[-1] == moving[-1]:
            end = count - 1  # the picture went before the eye stopped
        if end is None:
            continue
        if found and run[0] - found[-1][1] <= SHORTEST:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((run[0], end))
    if found and count - (found[-1][1] + 1) <= SHORTEST:
        found[-1] = found[-1][0], count - 1
    return found


def _median(samples):
    kept = samples[~np.isnan(samples).any(-1)]
    return np.median(kept, 0) if len(kept) else (np.nan, np.nan)

"""The order of an epoch: a pure function of seed and epoch, the same for every reader.

Pictures were shuffled globally when the set was written. An epoch permutes the shards, reads them one after another
and permutes the records within each window of the stream: a disk reads ahead, memory stays bounded, and a set no
larger than the window is permuted entirely. Picture and map share one draw of crop and flip: a crop begins at any row
and column (`"random"`), or is one of the four corners and the centre (`"five"`), both mirrored or not; or it is always
the centre, never mirrored (`"center"`). Draws come from the Philox counter generator's raw words, keyed by (seed,
epoch), so resuming at any epoch replays the stream and no later numpy can change it.
"""

import dataclasses

import numpy as np

WINDOW = 2048


@dataclasses.dataclass(frozen=True)
class EpochPlan:
    """One epoch, picture by picture in the order of training.

    Attributes:
        index: int64 `(pictures,)`, the place of each picture in the split as it lies on disk.
        top: int64 `(pictures,)`, first row of the crop.
        left: int64 `(pictures,)`, first column of the crop.
        flip: bool `(pictures,)`, whether the crop is mirrored.
    """

    index: np.ndarray
    top: np.ndarray
    left: np.ndarray
    flip: np.ndarray


def epoch_plan(records, seed, epoch, margin, window=WINDOW, crops="random"):
    """Plans one epoch of training.

    Args:
        records: Number of records of each shard.
        seed: The run's seed.
        epoch: The epoch, the first being 1.
        margin: Stored side less cropped side, in pixels; crops start at 0 to `margin`.
        window: Number of records that are permuted together.
        crops: `"random"`, every row and column of the margin alike; `"five"`, the four corners and the centre alike;
            or `"center"`, the centre without flips. The order is the same for all, flips for the first two.

    Returns:
        The `EpochPlan`.

    Raises:
        ValueError: If `crops` is none of these.
    """
    if crops not in CROPS:
        raise ValueError(f"crops is one of {', '.join(CROPS)}. Received: {crops}")
    draw = np.random.Philox(key=[seed, epoch]).random_raw
    records = np.asarray(records, np.int64)
    shards = np.argsort(draw(len(records)), kind="stable")
    starts = np.cumsum(records) - records
    stream = np.concatenate([np.arange(starts[shard], starts[shard] + records[shard]) for shard in shards])
    within = np.concatenate(
        [np.argsort(draw(min(window, len(stream) - first)), kind="stable") for first in range(0, len(stream), window)]
    )
    window_start = np.arange(len(stream)) // window * window
    words = draw(len(stream))
    top, left = CROPS[crops](words, margin)
    flip = (words >> 63).astype(bool) & (crops != "center")
    return EpochPlan(stream[window_start + within], top, left, flip)


def _random(words, margin):
    """First rows and columns, any of the margin's."""
    # 20 bits each for row and column: their remainders are even to one part in a thousand for margins up to a thousand.
    return tuple((part & 0xFFFFF).astype(np.int64) % (margin + 1) for part in (words, words >> 20))


def _five(words, margin):
    """First rows and columns of the four corners or the centre."""
    middle = margin // 2  # as in validation
    places = np.array([(0, 0), (0, margin), (margin, 0), (margin, margin), (middle, middle)], np.int64)
    return tuple(places[(words & 0xFFFFF).astype(np.int64) % len(places)].T)


def _center(words, margin):
    """First rows and columns of the centre, as in validation."""
    middle = np.full(len(words), margin // 2)
    return middle, middle


CROPS = {"random": _random, "five": _five, "center": _center}

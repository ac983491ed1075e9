"""What fixation metrics compare: fixation points, densities made of them, and saliency maps.

A fixation metric takes points, a distribution metric takes a density. These are two types, so that the wrong one is
refused. The conventions are those of the MIT saliency benchmark's code. A fixation at `x, y` (0-based, pixel centres at
integers, origin top left) belongs to the pixel `(floor(x + 0.5), floor(y + 0.5))`. A density is a Gaussian blur of the
fixation counts, divided by its sum. The metrics themselves are in `saliency_keras.metrics.fixation_metrics`.
"""

import dataclasses
import functools
import math

import numpy as np

from saliency_keras.blas import one_thread
from saliency_keras.metrics.roc import CountedValues

# Added to a map before its logarithm is taken in the standard convention, as pysaliency does.
MINIMUM_VALUE = 1e-20
BLOCK = 2**14


def inside_picture(x, y, width, height):
    """Which fixations have their pixel inside the picture, as a bool array; sizes may be one an entry."""
    columns, rows = np.floor(x + 0.5), np.floor(y + 0.5)
    return (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)


def block_sum(function, *arrays):
    """Sums what a function makes of several 1-D arrays of one length, block by block.

    Blocks stay in the processor's cache, and no array of the picture's size is made on the way: that takes a fraction
    of the time, above all on a busy machine.

    Args:
        function: Takes one block of each array, returns an array.
        *arrays: 1-D arrays of one length.

    Returns:
        The sum, a float.
    """
    starts = range(0, len(arrays[0]), BLOCK)
    return math.fsum(function(*(array[start : start + BLOCK] for array in arrays)).sum() for start in starts)


@dataclasses.dataclass(frozen=True, eq=False)
class FixationPoints:
    """Fixations on one picture.

    Points whose pixel lies outside the picture are left out and counted; they take part in no metric.

    Args:
        x: Horizontal positions in pixels, 1-D, finite; the left column's centre is 0.
        y: Vertical positions in pixels, of the same length; the top row's centre is 0.
        width: Width of the picture in pixels.
        height: Height of the picture in pixels.

    Attributes:
        x: float64 `(points,)`, the positions inside the picture.
        y: float64 `(points,)`.
        outside: Number of points that were left out.

    Raises:
        ValueError: If the positions are not two finite 1-D arrays of one length, or the size is not positive.
    """

    x: np.ndarray
    y: np.ndarray
    width: int
    height: int
    outside: int = dataclasses.field(init=False, default=0)

    def __post_init__(self):
        x, y = np.asarray(self.x, np.float64), np.asarray(self.y, np.float64)
        if x.ndim != 1 or x.shape != y.shape:
            raise ValueError(f"Fixations are two 1-D arrays of one length. Received: x of {x.shape}, y of {y.shape}")
        if self.width < 1 or self.height < 1:
            raise ValueError(f"A picture has a positive size. Received: width={self.width}, height={self.height}")
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            place = np.flatnonzero(~(np.isfinite(x) & np.isfinite(y)))[0]
            raise ValueError(f"Fixations are finite. Received: x={x[place]}, y={y[place]} at index {place}")
        inside = inside_picture(x, y, self.width, self.height)
        object.__setattr__(self, "outside", int(len(x) - inside.sum()))
        object.__setattr__(self, "x", x if inside.all() else x[inside])
        object.__setattr__(self, "y", y if inside.all() else y[inside])

    def __len__(self):
        return len(self.x)

    @property
    def shape(self):
        """`(height, width)` of the picture."""
        return self.height, self.width

    @functools.cached_property
    def pixels(self):
        """int64 `(points,)`: the flat (row-major) index of each fixation's pixel, repeated where fixated repeatedly."""
        columns = np.floor(self.x + 0.5).astype(np.int64)
        return np.floor(self.y + 0.5).astype(np.int64) * self.width + columns

    @functools.cached_property
    def fixated(self):
        """int64 `(fixated pixels,)`: the flat indices of fixated pixels, ascending, each once."""
        return np.unique(self.pixels)

    def counts(self):
        """int64 `(height, width)`: how many fixations each pixel has."""
        return np.bincount(self.pixels, minlength=self.height * self.width).reshape(self.shape)

    def counts_in_cells(self, height, width):
        """int64 `(height, width)`: how many fixations fall into each cell of a grid of that size over the picture."""
        rows = np.clip(((self.y + 0.5) * height / self.height).astype(int), 0, height - 1)
        columns = np.clip(((self.x + 0.5) * width / self.width).astype(int), 0, width - 1)
        return np.bincount(rows * width + columns, minlength=height * width).reshape(height, width)


class PixelValues:
    """One number a pixel, with what several metrics need of it, each worked out once and kept.

    Attributes:
        values: float64 `(height, width)`.
    """

    @property
    def shape(self):
        """`(height, width)`."""
        return self.values.shape

    @functools.cached_property
    def flat(self):
        """The values, `(pixels,)`."""
        return self.values.reshape(-1)

    @functools.cached_property
    def total(self):
        """Sum of the values."""
        return float(self.flat.sum())

    @property
    def finite(self):
        """Whether the values, and so their sum, are finite."""
        return math.isfinite(self.total)

    @functools.cached_property
    def range(self):
        """Least and greatest value, NaN left out."""
        return float(np.fmin.reduce(self.flat)), float(np.fmax.reduce(self.flat))

    @property
    def varies(self):
        """Whether there are different values, all of them finite or NaN."""
        low, high = self.range
        return low < high and math.isfinite(high - low)

    @property
    def mean(self):
        """Mean of the values."""
        return self.total / self.flat.size

    @functools.cached_property
    def spread(self):
        """Root of the summed squared differences from the mean."""
        # In units of the range, so that no square leaves the range of doubles.
        low, high = self.range
        return math.sqrt(block_sum(lambda part: ((part - self.mean) / (high - low)) ** 2, self.flat)) * (high - low)

    @functools.cached_property
    def unit(self):
        """The values stretched to [0, 1], `(pixels,)`, as the MIT code does."""
        low, high = self.range
        return (self.flat - low) / (high - low)

    @functools.cached_property
    def unit_total(self):
        """Sum of `unit`."""
        return float(self.unit.sum())

    @functools.cached_property
    def shifted(self):
        """The values, a negative minimum subtracted, `(pixels,)`: not negative, not yet divided by their sum."""
        return self.flat - self.range[0] if self.range[0] < 0 else self.flat

    @functools.cached_property
    def shifted_total(self):
        """Sum of `shifted`."""
        return float(self.shifted.sum()) if self.range[0] < 0 else self.total

    @functools.cached_property
    def log_total(self):
        """Logarithm of the sum of `shifted` with 1e-20 added to each value."""
        return math.log(self.shifted_total + MINIMUM_VALUE * self.flat.size)

    @functools.cached_property
    def negative_entropy(self):
        """Sum of q log q over the values as a distribution q, in nats."""
        return self.cross_entropy(self)

    def cross_entropy(self, other):
        """Sum of q log p, in nats.

        Args:
            other: `PixelValues` of the same size.

        Returns:
            The sum, these values divided by their sum being q, those of `other`, 1e-20 added, being p.
        """
        logarithms = block_sum(lambda q, p: q * np.log(p + MINIMUM_VALUE), self.shifted, other.shifted)
        return logarithms / self.shifted_total - other.log_total

    @functools.cached_property
    def counted(self):
        """The values, ready to be counted against thresholds."""
        return CountedValues(self.flat)


@dataclasses.dataclass(frozen=True, eq=False)
class SaliencyMap(PixelValues):
    """A saliency map. Metrics take plain arrays as well; with several metrics of one map, this saves time.

    Args:
        values: `(height, width)`, any real dtype; computed with in double precision.

    Raises:
        ValueError: If it is not a 2-D array of real numbers.
    """

    values: np.ndarray

    def __post_init__(self):
        values = np.asarray(self.values)
        if values.ndim != 2 or not values.size or values.dtype.kind not in "fiub":
            raise ValueError(
                f"A saliency map is (height, width), real numbers. Received: shape {values.shape}, dtype {values.dtype}"
            )
        object.__setattr__(self, "values", np.ascontiguousarray(values, np.float64))


@dataclasses.dataclass(frozen=True, eq=False)
class Density(PixelValues):
    """A distribution over the pixels of one picture.

    Args:
        values: `(height, width)`, finite and not negative; the sum may be anything, the metrics divide by it. All
            zeros means that there is nothing to compare with.

    Raises:
        ValueError: If the values are not 2-D, not finite or negative.
    """

    values: np.ndarray

    def __post_init__(self):
        values = np.ascontiguousarray(self.values, np.float64)
        if values.ndim != 2 or not values.size:
            raise ValueError(f"A density is (height, width). Received: shape {values.shape}")
        if not (np.isfinite(values).all() and values.min() >= 0):
            raise ValueError(f"A density is finite and not negative. Received: {values.min()} to {values.max()}")
        object.__setattr__(self, "values", values)

    @classmethod
    def of(cls, points, sigma):
        """Blurs fixation counts with a Gaussian and divides by the sum.

        Nothing lies beyond the picture's border (the blur neither wraps round nor mirrors), and the Gaussian is not cut
        off, so every pixel of a picture with fixations is positive as far as double precision reaches.

        Args:
            points: `FixationPoints`.
            sigma: Standard deviation of the Gaussian in pixels.

        Returns:
            The `Density`, of sum 1; all zeros if there is no point.

        Raises:
            TypeError: If `points` are no `FixationPoints`.
            ValueError: If sigma is not positive and finite.
        """
        if not isinstance(points, FixationPoints):
            raise TypeError(f"A density is made of FixationPoints. Received: {type(points).__name__}")
        if not 0 < sigma < math.inf:
            raise ValueError(f"Sigma is a positive number of pixels. Received: sigma={sigma}")
        counts = points.counts().astype(np.float64)
        rows, columns = np.flatnonzero(counts.any(axis=1)), np.flatnonzero(counts.any(axis=0))
        along_x, along_y = _gaussians(points.width, float(sigma)), _gaussians(points.height, float(sigma))
        with one_thread:
            values = along_y[:, rows] @ (counts[np.ix_(rows, columns)] @ along_x[columns])
        total = values.sum()
        return cls(values / total if total > 0 else values)


@functools.lru_cache(maxsize=16)
def _gaussians(length, sigma):
    places = np.arange(length, dtype=np.float64)
    return np.exp(-0.5 * ((places[:, None] - places[None, :]) / sigma) ** 2)

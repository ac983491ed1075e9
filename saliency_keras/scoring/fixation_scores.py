"""Scores saliency on a fixation set: every predictor, every picture, every metric, and what people themselves reach.

The MIT benchmark's code leaves some choices to its caller. They are made here and stated in the caption. The shuffled
AUC takes the fixations of all other pictures, at the same relative positions. The baseline of IG is the Gaussian kernel
density of the other pictures' fixations. The human bound predicts each observer by the blurred fixations of the others.
The metrics are in `saliency_keras.metrics.fixation_metrics`; reading the set is in
`saliency_keras.data.fixation_set`; the command is `saliency_keras.score`.
"""

import dataclasses
import itertools
import math

import numpy as np

from saliency_keras.console import UserError, check_seed, progress
from saliency_keras.data.fixation_set import pictures_left_out
from saliency_keras.data.fixation_split import is_held_out
from saliency_keras.data.listing import shown
from saliency_keras.data.pictures import UnreadablePicture
from saliency_keras.metrics.fixation_metrics import CONVENTIONS, METRICS, all_metrics
from saliency_keras.metrics.points import Density
from saliency_keras.metrics.statistics import seeds_interval

HUMAN = "human"
BATCH = 8


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How saliency is scored.

    Attributes:
        convention: `"standard"` or `"mit"` (`saliency_keras.metrics.fixation_metrics`).
        sigma: Standard deviation in pixels of the Gaussian that makes densities, or `None`: one degree of visual angle
            where the set says what that is, else 3 % of the picture's width.
        other_images: Number of other pictures, drawn by seed, whose fixations sAUC takes, or `None` for all.
        baseline: What IG is measured against: `"others"`, the kernel density of the other pictures' fixations, or
            `"center"`, the isotropic Gaussian of the predictor `center`.
        seed: Seed of that draw.

    Raises:
        UserError: If one of them is unknown or out of range.
    """

    convention: str = "standard"
    sigma: float | None = None
    other_images: int | None = None
    baseline: str = "others"
    seed: int = 0

    def __post_init__(self):
        if self.convention not in CONVENTIONS:
            raise UserError(f"the convention is one of {', '.join(CONVENTIONS)}, not {self.convention!r}.")
        if self.sigma is not None and not 0 < self.sigma < math.inf:
            raise UserError(f"sigma is a positive number of pixels, not {self.sigma}.")
        if self.other_images is not None and self.other_images < 1:
            raise UserError(f"the number of other pictures is 1 or more, not {self.other_images}.")
        if self.baseline not in ("others", "center"):
            raise UserError(f"the baseline of IG is others or center, not {self.baseline!r}.")
        check_seed(self.seed)


@dataclasses.dataclass(frozen=True, eq=False)
class Scores:
    """What `score_set` found.

    Attributes:
        set_name: Name of the fixation set.
        images: Names of the scored pictures, sorted.
        rows: From each predictor's name to float64 `(pictures, 8)`, metrics in the order of `METRICS`, NaN where a
            metric has no answer. The key `"human"` is the bound; it is absent where no picture has two observers.
        protocol: The `Protocol`.
        notes: Sentences for the caption about what this set and these maps were like.
    """

    set_name: str
    images: tuple[str, ...]
    rows: dict[str, np.ndarray]
    protocol: Protocol
    notes: tuple[str, ...]

    def mean(self, row):
        """Mean over the pictures that have a number, `(8,)`; NaN where none has."""
        values, counted = self.rows[row], self.counted(row)
        return np.nansum(values, axis=0) / np.where(counted, counted, np.nan)

    def standard_error(self, row):
        """Standard error of that mean over pictures, `(8,)`; NaN with less than two pictures."""
        squares = np.nansum((self.rows[row] - self.mean(row)) ** 2, axis=0)
        counted = np.where(self.counted(row) > 1, self.counted(row), np.nan)
        return np.sqrt(squares / (counted - 1) / counted)

    def counted(self, row):
        """How many pictures have a number, int64 `(8,)`."""
        return (~np.isnan(self.rows[row])).sum(axis=0)

    def caption(self):
        """What the table shows and how it was computed, a paragraph."""
        protocol = self.protocol
        meaning = {
            "standard": "AUCs are Mann-Whitney, ties one half, every fixation counted, all non-fixations used once",
            "mit": "the MIT benchmark code's definitions, Borji's and the shuffled AUC in closed form, no jitter",
        }[protocol.convention]
        others = "all other pictures"
        if protocol.other_images is not None:
            others = f"{protocol.other_images} other pictures (seed {protocol.seed})"
        baseline = {
            "others": "the Gaussian kernel density of all other pictures' fixations, carried over likewise, same sigma",
            "center": "the isotropic Gaussian of the predictor center",
        }[protocol.baseline]
        sentences = [
            f"Fixation metrics on {self.set_name}, {len(self.images)} pictures: mean ± standard error over pictures.",
            f"Convention {protocol.convention} ({meaning}).",
            f"sAUC: non-fixations are the fixations on {others}, carried over by relative position.",
            f"IG in bits over {baseline}. KL in nats, lower is better; of all others, higher is better.",
            *self.notes,
        ]
        return " ".join(sentences)

    def conclusion(self):
        """What came out, in a sentence: who has the highest NSS, and by how much, paired over pictures.

        The interval is Student's t of the difference to the next one, over the pictures that both have a number for.
        """
        nss = list(METRICS).index("NSS")
        names = sorted((name for name in self.rows if name != HUMAN), key=lambda name: -self.mean(name)[nss])
        best, *others = names
        told = f"{best}{' has the highest NSS,' if others else ': NSS'} {self.mean(best)[nss]:.3f}"
        if others:
            apart = self.rows[best][:, nss] - self.rows[others[0]][:, nss]
            apart = apart[~np.isnan(apart)]
            if len(apart) > 2:
                low, high = seeds_interval(apart)
                told += f", {apart.mean():.3f} above {others[0]} (95 % interval {low:+.3f} to {high:+.3f})"
        return f"{told} on {self.counted(best)[nss]:,} pictures."

    def table_rows(self):
        """Rows of `scores.csv`: predictor, image and the eight scores, NaN where there is none."""
        return [
            [row, image, *map(float, values)]
            for row, scores in self.rows.items()
            for image, values in zip(self.images, scores, strict=True)
        ]


def check_names(names):
    """Refuses, as a `UserError`, rows of one name, and one that is called as the bound is."""
    if repeated := [name for name in names if names.count(name) > 1 or name == HUMAN]:
        raise UserError(f"two rows would be named {repeated[0]!r}; name predictors and folders of maps apart.")


def score_set(fixation_set, sources, protocol=None, images=None):
    """Scores sources of saliency maps on a fixation set.

    Args:
        fixation_set: `FixationSet`.
        sources: What makes maps. A predictor (`saliency_keras.saliency.predictor(name)`: a name, called with pictures),
            or an object that knows maps by the picture's name (`Fixations`, `MapFolder`). Names must differ.
        protocol: `Protocol`, the default one if `None`.
        images: Names of the pictures to score, sorted; `None` for all. The fixations of the others still count as other
            pictures' fixations.

    Returns:
        `Scores`. A picture without fixations has a row of NaN and takes no part in the means; no map is made of it.

    Raises:
        UserError: If names are not unique, no picture has a fixation, or a picture or map cannot be read.
    """
    protocol = protocol or Protocol()
    names = [source.name for source in sources]
    check_names(names)
    images = fixation_set.images if images is None else tuple(images)
    rows = {name: np.full((len(images), len(METRICS)), math.nan) for name in [*names, HUMAN]}
    fixated = [image for image in images if len(fixation_set.points(image))]
    if not fixated:
        outside = f"; {fixation_set.outside} fixations lie outside their pictures" * bool(fixation_set.outside)
        raise UserError(f"no picture to be scored has a fixation in {fixation_set.folder}{outside}.")
    place = {image: index for index, image in enumerate(images)}
    refused = {}
    with progress(total=len(fixated), label="score") as bar:
        for batch in _batches(fixated, fixation_set):
            batch, pictures = _readable(fixation_set, sources, batch, refused)
            if not batch:
                continue
            maps = make_maps(fixation_set, sources, batch, pictures)
            for index, image in enumerate(batch):
                targets = _targets(fixation_set, image, protocol)
                for name in names:
                    scores = all_metrics(maps[name][index], *targets, convention=protocol.convention)
                    rows[name][place[image]] = list(scores.values())
                rows[HUMAN][place[image]] = _human_bound(fixation_set, image, targets, protocol)
                bar.update()
    if len(refused) == len(fixated):
        raise UserError(f"none of the {len(fixated)} pictures can be read: {next(iter(refused.values()))}")
    scored = [image for image in fixated if image not in refused]
    notes = _notes(fixation_set, images, fixated, scored, sources, protocol, rows)
    if refused:
        notes = (*notes, f"{pictures_left_out(refused, len(images))}.")
    if np.isnan(rows[HUMAN]).all():
        del rows[HUMAN]
    return Scores(fixation_set.folder.resolve().name, tuple(images), rows, protocol, notes)


def make_maps(fixation_set, sources, images, pictures=None):
    """The maps of some pictures of one size.

    Args:
        fixation_set: `FixationSet`.
        sources: As for `score_set`.
        images: Names of pictures that have the same size.
        pictures: The pictures, or `None`: then they are read here.

    Returns:
        A dict from each source's name to a list of arrays `(height, width)`, one a picture.

    Raises:
        UserError: If a picture or map cannot be read, or a picture's size is not what its header says.
    """
    maps = {}
    for source in sources:
        if not callable(source):  # it knows its maps by the names of the pictures
            maps[source.name] = [source.map_of(image) for image in images]
            continue
        if pictures is None:
            pictures = np.stack([fixation_set.read(image) for image in images])
        maps[source.name] = list(source(pictures))
    return maps


def human_density(fixation_set, image, protocol):
    """The `Density` of everybody's fixations on one picture."""
    return Density.of(fixation_set.points(image), protocol.sigma or fixation_set.sigma(image))


def _readable(fixation_set, sources, images, refused):
    """Those of some pictures that can be decoded, and their pixels; `None` for the pixels if no source needs them.

    The errors of the others are added to `refused`, by their names.
    """
    if not any(map(callable, sources)):
        return images, None
    pictures = {}
    for image in images:
        try:
            pictures[image] = fixation_set.read(image)
        except UnreadablePicture as error:
            refused[image] = error
    return list(pictures), np.stack(list(pictures.values())) if pictures else None


def _batches(images, fixation_set):
    """Lists of up to `BATCH` successive pictures of one size."""
    for _, same_size in itertools.groupby(images, key=fixation_set.size):
        same_size = list(same_size)
        yield from (same_size[first : first + BATCH] for first in range(0, len(same_size), BATCH))


def _targets(fixation_set, image, protocol):
    """What maps of a picture are compared with: points, density, others' points, baseline."""
    sigma = protocol.sigma or fixation_set.sigma(image)
    everybody = fixation_set.others(image)
    others = everybody
    if protocol.other_images is not None:
        others = fixation_set.others(image, sample=protocol.other_images, seed=protocol.seed)
    if protocol.baseline == "center":
        from saliency_keras.saliency.controls import Center

        width, height = fixation_set.size(image)
        baseline = Density(Center()(np.empty((1, height, width, 3), np.uint8))[0])
    else:
        baseline = Density.of(everybody, sigma) if len(everybody) else None
    return fixation_set.points(image), human_density(fixation_set, image, protocol), others, baseline


def _human_bound(fixation_set, image, targets, protocol):
    """Mean over observers of the scores of the others' density; NaN with a single observer."""
    observers = fixation_set.observers(image)
    if len(observers) < 2:
        return np.full(len(METRICS), math.nan)
    sigma = protocol.sigma or fixation_set.sigma(image)
    scores = []
    for observer in observers:
        own = fixation_set.points(image, only=observer)
        prediction = Density.of(fixation_set.points(image, without=observer), sigma).values
        target = (own, Density.of(own, sigma), *targets[2:])
        scores.append(list(all_metrics(prediction, *target, convention=protocol.convention).values()))
    scores = np.array(scores)
    counted = (~np.isnan(scores)).sum(axis=0)
    return np.nansum(scores, axis=0) / np.where(counted, counted, np.nan)


def _notes(fixation_set, images, fixated, scored, sources, protocol, rows):
    sigmas = sorted({protocol.sigma or fixation_set.sigma(image) for image in images})
    pixels = f"{sigmas[0]:.4g}" + (f" to {sigmas[-1]:.4g}" if sigmas[0] < sigmas[-1] else "")
    reason = "one degree of visual angle, as the set says" if fixation_set.pixels_per_degree else "3 % of the width"
    notes = [f"Densities: fixation counts blurred by a Gaussian of sigma {pixels} px"]
    notes[0] += "." if protocol.sigma else f" ({reason})."
    if np.isnan(rows[HUMAN]).all():
        notes.append("No picture has two observers, so there is no human bound.")
    else:
        notes.append(
            "human: each observer predicted by the blurred fixations of the others, averaged; its CC, SIM and KL "
            "compare with one observer's density and are no bound for rows that compare with everybody's."
        )
    if len(images) < len(fixation_set.images):
        which = "held out from training, " if all(map(is_held_out, images)) else ""
        notes.append(
            f"Scored are {len(images)} of the set's {len(fixation_set.images)} pictures, {which}with the fixations on "
            "all others for sAUC and IG."
        )
    if len(fixated) < len(images):
        notes.append(f"Pictures without fixations have no scores ({len(images) - len(fixated)} of {len(images)}).")
    notes += [f"{note}." for note in fixation_set.notes]
    if len(fixation_set.images) < 2 or (fixated and not len(fixation_set.others(fixated[0]))):
        notes.append("No other picture has fixations, so there is no sAUC and no centre bias for IG.")
    for source in sources:
        if getattr(source, "resized", 0):
            notes.append(f"{source.resized} maps of {source.name} had another size and were resized (bicubic).")
        if flat := getattr(source, "flat", ()):
            black = f", {source.black} of them black" if source.black else ""
            notes.append(
                f"{len(flat)} of {len(fixated)} maps of {source.name} are the same everywhere{black}: {shown(flat)}."
            )
    for name, scores in rows.items():
        short = [m for m, n in zip(METRICS, (~np.isnan(scores)).sum(axis=0), strict=True) if 0 < n < len(scored)]
        if short:
            notes.append(f"{name}: some pictures have no {', '.join(short)}.")
    return tuple(notes)

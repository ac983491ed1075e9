"""What the saliency networks are trained with, and how their linear outputs become saliency maps.

    name           loss of one picture                                             used by
    euclidean      mean of (output - (2 t - 1))^2, t in 0..1                       SalNet, JuntingNet (Pan et al. 2016)
    squared        mean of (output - t)^2                                          SalClassNet's detector (§3.3)
    cross_entropy  mean over pixels of the cross-entropy of sigmoid(output), t     SALICON, read-outs (our choice)
    divergence     KL(q || softmax over the positions), nats                       read-outs (our choice)
    likelihood     minus the mean log-likelihood of the fixations, nats            the predictor `readout`

    of guided classifiers (`GUIDING`), with o for the output:
    spanned        mean of (output scaled to 0..1 - t)^2                           guided_cam, guided_attention
    outside        share of the output where t is small: sum (1 - t) o / sum o     guided_gradient (ours)
    right_reasons  mean of (1 - t) output                                          guided_gradient (Ross et al. 2017)
    transfer       sum of (o / |o| - t / |t|)^2, norms over positions              attention_transfer

`likelihood` is for maps that count the fixations at each position (`COUNTED`), all others are for blurred ones. `t` is
the blurred fixation map divided by its maximum, `q` the same divided by its sum. A loss takes the fixation
map at any size and in any scale, reduces it to the output's size (bilinear, anti-aliased) and returns one
number a picture. `saliency_of` is the way from a network's output to a map that is not negative: which one belongs to
the loss, because the loss decides what the output means. A `.keras` file needs nothing from here: networks are saved
uncompiled.
"""

from keras import ops


def euclidean(fixation_maps, outputs):
    """Squared error against a target from -1 (nobody looks) to 1 (the peak), mean over pixels.

    Pan et al. 2016 minimise the Euclidean distance to maps scaled to -1..1 (the authors' preprocessing: map / 127.5 -
    1).

    Args:
        fixation_maps: Blurred fixation maps `(pictures, height, width, 1)`, not negative, any scale.
        outputs: The network's linear outputs `(pictures, h, w, 1)`.

    Returns:
        float32 tensor `(pictures,)`.
    """
    target, outputs = _fitted(fixation_maps, outputs)
    return ops.mean(ops.square(outputs - (2.0 * _peak_one(target) - 1.0)), axis=(1, 2, 3))


def squared(fixation_maps, outputs):
    """Squared error against a target from 0 to 1, mean over pixels (SalClassNet §3.3); arguments as in `euclidean`."""
    target, outputs = _fitted(fixation_maps, outputs)
    return ops.mean(ops.square(outputs - _peak_one(target)), axis=(1, 2, 3))


def cross_entropy(fixation_maps, outputs):
    """Cross-entropy of each pixel's sigmoid against a target from 0 to 1, mean over pixels, nats; arguments as in
    `euclidean`.

    It does not fall to 0 where the target is neither 0 nor 1: its minimum is the target's own entropy.
    """
    target, outputs = _fitted(fixation_maps, outputs)
    target = _peak_one(target)
    # log(1 + exp(x)) - t x, in the form that does not overflow.
    pixelwise = ops.maximum(outputs, 0.0) - outputs * target + ops.log1p(ops.exp(-ops.abs(outputs)))
    return ops.mean(pixelwise, axis=(1, 2, 3))


def divergence(fixation_maps, outputs):
    """Kullback-Leibler divergence of the fixation density from the softmax over all positions, nats.

    With unblurred counts of fixations it is, up to a constant, the negative log-likelihood of a fixation. Arguments
    as in `euclidean`.
    """
    density, outputs = _fitted(fixation_maps, outputs)
    density = density / ops.maximum(ops.sum(density, axis=(1, 2, 3), keepdims=True), TINY)
    logarithm = log_probabilities(outputs)
    return ops.sum(density * (ops.log(ops.maximum(density, TINY)) - logarithm), axis=(1, 2, 3))


def likelihood(fixation_counts, outputs):
    """Negative log-likelihood of a fixation under the softmax over all positions, mean over the fixations, nats.

    It is the divergence from the counts plus their entropy, which no network changes (DeepGaze II, Kümmerer et al.
    2016).

    Args:
        fixation_counts: How many fixations each position has, `(pictures, height, width, 1)`.
        outputs: The network's linear outputs `(pictures, h, w, 1)`.

    Returns:
        float32 tensor `(pictures,)`; 0 for a picture without fixations.
    """
    counts, outputs = _fitted(fixation_counts, outputs)
    shares = counts / ops.maximum(ops.sum(counts, axis=(1, 2, 3), keepdims=True), TINY)
    return -ops.sum(shares * log_probabilities(outputs), axis=(1, 2, 3))


def spanned(fixation_maps, outputs):
    """Squared error of an output that is scaled to 0..1, each picture's by its own minimum and maximum, mean over
    positions; arguments as in `euclidean`.

    A class activation map has no scale of its own, so that only where it is high counts (Boyd et al. 2021). An output
    that is the same everywhere counts as 0, and has no gradient.
    """
    target, outputs = _fitted(fixation_maps, outputs)
    low = ops.min(outputs, axis=(1, 2, 3), keepdims=True)
    span = ops.max(outputs, axis=(1, 2, 3), keepdims=True) - low
    scaled = (outputs - low) / ops.where(ops.greater(span, 0.0), span, 1.0)
    return ops.mean(ops.square(scaled - _peak_one(target)), axis=(1, 2, 3))


def outside(fixation_maps, outputs):
    """Share of the output that lies outside of the map, 0 to 1; outputs are not negative, other arguments as in
    `euclidean`.

    0 where all lies at the map's peak. Unlike in `right_reasons`, smaller gradients alone make it no smaller.
    """
    target, outputs = _fitted(fixation_maps, outputs)
    missed = ops.sum((1.0 - _peak_one(target)) * outputs, axis=(1, 2, 3))
    return missed / ops.maximum(ops.sum(outputs, axis=(1, 2, 3)), TINY)


def right_reasons(fixation_maps, outputs):
    """Mean of the output where nobody looks (Ross et al. 2017, Eq. 1, with 1 - t as the mask and the mean over
    positions for the sum); outputs are squared gradients, other arguments as in `euclidean`.
    """
    target, outputs = _fitted(fixation_maps, outputs)
    return ops.mean((1.0 - _peak_one(target)) * outputs, axis=(1, 2, 3))


def transfer(fixation_maps, outputs):
    """Squared distance of both maps, each divided by its Euclidean norm over the positions, 0 to 2 for maps that are
    not negative; arguments as in `euclidean`.

    Zagoruyko and Komodakis 2017, Eq. 2, has the distance itself, which has no gradient where it is 0, and their program
    the mean of the squares, which depends on the number of positions.
    """
    target, outputs = _fitted(fixation_maps, outputs)
    return ops.sum(ops.square(_norm_one(outputs) - _norm_one(target)), axis=(1, 2, 3))


def log_probabilities(outputs):
    """Logarithm of the softmax over all positions: `(pictures, h, w, 1)`, whose exponentials sum to 1 a picture."""
    outputs = ops.convert_to_tensor(outputs)
    return outputs - ops.logsumexp(outputs, axis=(1, 2, 3), keepdims=True)


def saliency_of(loss, outputs):
    """Saliency maps from the outputs of a network that was trained with that loss.

    Args:
        loss: Name of a loss in `LOSSES`, or in `GUIDING`.
        outputs: Linear outputs `(pictures, h, w, 1)`.

    Returns:
        Maps `(pictures, h, w, 1)`, not negative: 0..1 and beyond for the squared errors (negative values are cut), a
        sigmoid, or probabilities that sum to 1 a picture.

    Raises:
        ValueError: If the loss is unknown.
    """
    if loss in GUIDING:
        return ops.relu(outputs)
    if loss not in LOSSES:
        raise ValueError(f"loss must be one of {', '.join(LOSSES)}. Received: {loss!r}")
    if loss == "euclidean":
        return ops.relu(outputs + 1.0) / 2.0
    if loss == "cross_entropy":
        return ops.sigmoid(outputs)
    return ops.exp(log_probabilities(outputs))


LOSSES = {
    "euclidean": euclidean,
    "squared": squared,
    "cross_entropy": cross_entropy,
    "divergence": divergence,
    "likelihood": likelihood,
}
# Of maps of a classifier that are guided: they say where, and leave the scale of the output open.
GUIDING = {
    "squared": squared,
    "spanned": spanned,
    "outside": outside,
    "right_reasons": right_reasons,
    "transfer": transfer,
}
COUNTED = ("likelihood",)  # their maps count the fixations at each position; those of the others are blurred
TINY = 1e-30


def _fitted(fixation_maps, outputs):
    maps, outputs = ops.cast(fixation_maps, "float32"), ops.cast(outputs, "float32")
    size = tuple(outputs.shape[1:3])
    # Where a size is open until the graph runs, the maps must come in the outputs' size.
    if None not in size and tuple(maps.shape[1:3]) != size:
        maps = ops.image.resize(maps, size, interpolation="bilinear", antialias=True)
    return maps, outputs


def _peak_one(maps):
    return maps / ops.maximum(ops.max(maps, axis=(1, 2, 3), keepdims=True), TINY)


def _norm_one(maps):
    squares = ops.sum(ops.square(maps), axis=(1, 2, 3), keepdims=True)
    return maps / ops.sqrt(ops.maximum(squares, TINY))

"""Linear filters on small planes, as products with banded matrices: resizing, Gaussian blur, Gabor filters.

The classical predictors share them. A separable filter on a plane of some tens of pixels a side is two small matrix
products. BLAS computes these faster than numpy a sliding window. The matrices depend on sizes alone and are kept. All
functions process one picture at a time, with shapes that depend on its size alone, so that the result is the same to
the last bit in every batch.
"""

import functools

import numpy as np

GAUSSIAN_REACH = 3.5


def fitted_size(height, width, longer):
    """Height and width scaled so that the longer one is `longer`, each at least 1; small pictures are not enlarged."""
    scale = min(1.0, longer / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


@functools.lru_cache(maxsize=64)
def resize_matrix(size, new_size):
    """Weights that take `size` samples to `new_size`.

    Args:
        size: Number of samples.
        new_size: Number of samples wanted.

    Returns:
        float32 array `(new_size, size)`, rows sum to 1. Pixel centres lie at halves; a triangle as wide as the larger
        of the two pixels interpolates linearly when enlarging and averages (anti-aliased) when shrinking, as
        Pillow's `BILINEAR` does.
    """
    scale = size / new_size
    centres = (np.arange(new_size) + 0.5) * scale - 0.5
    distances = np.abs(np.arange(size)[None, :] - centres[:, None]) / max(scale, 1.0)
    weights = np.maximum(0.0, 1.0 - distances)
    return _frozen(weights / weights.sum(axis=1, keepdims=True))


@functools.lru_cache(maxsize=64)
def gaussian_matrix(size, sigma):
    """Weights `(size, size)` of a Gaussian blur of `sigma` samples, reflected at the borders; rows sum to 1."""
    return _frozen(_filter_matrix(size, sigma, 0).real)


@functools.lru_cache(maxsize=64)
def enlarge_matrix(size, new_size, sigma):
    """Weights that take `size` samples of a map to `new_size` and blur it.

    Args:
        size: Number of samples of the small map.
        new_size: Number of samples wanted.
        sigma: Standard deviation of the blur, in samples of the small map.

    Returns:
        float32 array `(new_size, size)`, rows sum to 1: the Gaussian that has the variance of linear
        interpolation and of the blur together.
    """
    places = (np.arange(new_size) + 0.5) * (size / new_size) - 0.5
    weights = np.exp(-0.5 * (np.arange(size)[None, :] - places[:, None]) ** 2 / (sigma**2 + 1 / 6))
    return _frozen(weights / weights.sum(axis=1, keepdims=True))


@functools.lru_cache(maxsize=256)
def gabor_matrices(size, sigma, frequency):
    """Weights of the two one-dimensional Gabor filters of a Gaussian envelope, reflected at the borders.

    Args:
        size: Number of samples.
        sigma: Standard deviation of the envelope, in samples.
        frequency: Cycles a sample; 0 gives the blur and zeros.

    Returns:
        float32 array `(2, size, size)`: the real and the imaginary filter.
    """
    weights = _filter_matrix(size, sigma, frequency)
    return _frozen(np.stack([weights.real, weights.imag]))


def _filter_matrix(size, sigma, frequency):
    reach = max(1, round(GAUSSIAN_REACH * sigma))
    offsets = np.arange(-reach, reach + 1)
    kernel = np.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = kernel / kernel.sum() * np.exp(2j * np.pi * frequency * offsets)
    # Sample -1 is sample 0 again, sample -2 is sample 1, and so on: the signal and its mirror image, repeated.
    places = (np.arange(size)[:, None] + offsets[None, :]) % (2 * size)
    places = np.minimum(places, 2 * size - 1 - places)
    weights = np.zeros((size, size), complex)
    np.add.at(weights, (np.arange(size)[:, None], places), kernel[None, :])
    return weights


def _frozen(weights):
    weights = np.ascontiguousarray(weights, dtype=np.float32)
    weights.setflags(write=False)
    return weights


def separable(planes, rows, columns):
    """`rows @ plane @ columns.T` for every plane: `(..., h, w)` to `(..., new_h, new_w)`."""
    return np.matmul(np.matmul(rows, planes), columns.T)


def resize(planes, height, width):
    """Planes `(..., h, w)` at another size, by `resize_matrix`."""
    return separable(planes, resize_matrix(planes.shape[-2], height), resize_matrix(planes.shape[-1], width))


def enlarge(planes, height, width, sigma):
    """Small maps `(..., h, w)` brought to the picture's size, smooth, by `enlarge_matrix`; `sigma` in small pixels."""
    rows = enlarge_matrix(planes.shape[-2], height, sigma)
    return separable(planes, rows, enlarge_matrix(planes.shape[-1], width, sigma))


def blur(planes, sigma):
    """Planes `(..., h, w)` blurred by a Gaussian of `sigma` pixels."""
    return separable(planes, gaussian_matrix(planes.shape[-2], sigma), gaussian_matrix(planes.shape[-1], sigma))


def small_planes(image, height, width):
    """A picture reduced to three small planes.

    Args:
        image: uint8 array `(h, w, 3)`.
        height: Rows wanted, at most `h`.
        width: Columns wanted, at most `w`.

    Returns:
        float32 array `(3, height, width)`: red, green and blue, 0 to 1, anti-aliased.
    """
    image_height, image_width, channels = image.shape
    pixels = image.reshape(image_height, image_width * channels).astype(np.float32)
    rows = resize_matrix(image_height, height) @ pixels  # (height, w * 3)
    planes = np.ascontiguousarray(rows.reshape(height, image_width, channels).transpose(2, 0, 1))  # (3, height, w)
    return planes @ (resize_matrix(image_width, width).T * np.float32(1 / 255))


def gabor_responses(planes, wavelength, orientations=4):
    """Complex Gabor responses in several orientations, evenly spaced over half a turn from horizontal waves on.

    Args:
        planes: float32 array `(n, h, w)`.
        wavelength: Pixels a cycle; the envelope's standard deviation is 0.56 of it (a bandwidth of one octave).
        orientations: Number of orientations.

    Returns:
        float32 array `(2, orientations, n, h, w)`: the real (even) and the imaginary (odd) responses. A constant plane
        has none.
    """
    count, height, width = planes.shape
    sigma = 0.56 * wavelength
    # What a wave under a Gaussian envelope still passes of a constant, to be taken off.
    constant = np.float32(np.exp(-2 * (np.pi * sigma / wavelength) ** 2)) * blur(planes, sigma)
    responses = np.empty((2, orientations, count, height, width), np.float32)
    for number in range(orientations):
        angle = np.pi * number / orientations
        # Rounded, so that filters of mirrored orientations share their matrices.
        along_x, along_y = (round(float(wave(angle)) / wavelength, 9) for wave in (np.cos, np.sin))
        across_real, across_imaginary = (planes @ matrix.T for matrix in gabor_matrices(width, sigma, along_x))
        real_rows, imaginary_rows = gabor_matrices(height, sigma, along_y)
        responses[0, number] = real_rows @ across_real - imaginary_rows @ across_imaginary - constant
        responses[1, number] = real_rows @ across_imaginary + imaginary_rows @ across_real
    return responses


def gabor_energy(plane, wavelength, orientations=4):
    """Modulus of the complex `gabor_responses` of one plane `(h, w)`: float32 array `(orientations, h, w)`."""
    real, imaginary = gabor_responses(plane[None], wavelength, orientations)[:, :, 0]
    return np.sqrt(real * real + imaginary * imaginary)

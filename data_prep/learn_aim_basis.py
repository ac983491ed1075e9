"""Learns the basis of the predictor `aim` from photographs.

    python -m data_prep.learn_aim_basis PHOTOGRAPHS [--out FILE] [--side 11] [--components 25] [--seed 0]

The basis is what `aim` looks through: independent components of patches of photographs, by FastICA (Hyvarinen,
IEEE Trans. Neural Networks 10(3), 1999). PHOTOGRAPHS is a folder of pictures, in folders of their own or not. Prints
how much of the patches' variance the components hold and writes one small .npz file. The basis that comes with the
program was learned with the defaults from 2,000 of the training photographs of Imagenette at 160 pixels.
"""

from pathlib import Path

import numpy as np

from saliency_keras import console
from saliency_keras.blas import one_thread
from saliency_keras.console import UserError, check_seed, progress
from saliency_keras.files import check_file, whole_file
from saliency_keras.saliency.aim import BASIS

PICTURES = 2000
PATCHES_PER_PICTURE = 30
FASTICA_STEPS = 200
TOLERANCE = 1e-5


def main(arguments=None):
    """Parses, learns, writes."""
    parser = console.parser(__spec__.name, __doc__)
    parser.add_argument("photographs", help="folder of pictures; folders inside it are entered")
    parser.add_argument("--out", default=BASIS, type=Path, help="file to write (default: where `aim` reads it)")
    parser.add_argument("--side", type=int, default=11, help="side of a patch, in pixels")
    parser.add_argument("--components", type=int, default=25, help="number of components")
    parser.add_argument("--seed", type=int, default=0, help="seed of the patches and of the start")
    options = parser.parse_args(arguments)

    check_seed(options.seed)
    check_file(options.out)
    generator = np.random.default_rng(options.seed)
    patches = sample_patches(options.photographs, options.side, generator)
    if not 1 <= options.components <= patches.shape[1]:
        raise UserError(f"a patch has {patches.shape[1]} values, so there are no {options.components} components.")
    filters, share = independent_components(patches, options.components, generator)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(options.out) as file:
        np.savez(file, filters=filters.reshape(-1, options.side, options.side, 3).astype(np.float32))
    print(f"{len(patches)} patches; {options.components} components hold {share:.1%} of their variance: {options.out}")


@one_thread
def sample_patches(folder, side, generator):
    """Draws patches from a folder's pictures, at the size at which `aim` looks at pictures.

    At most `PICTURES` are read, evenly spaced by name, so that every class has its share.

    Args:
        folder: Folder of pictures; folders inside it are entered.
        side: Side of a patch, in pixels.
        generator: `numpy.random.Generator`.

    Returns:
        float32 array `(patches, side * side * 3)`, values 0 to 1.

    Raises:
        UserError: If no picture of the folder is large enough.
    """
    from saliency_keras.data.pictures import UnreadablePicture, pictures_in, read_picture
    from saliency_keras.saliency.aim import WORKING_SIDE
    from saliency_keras.saliency.filtering import fitted_size, small_planes

    files = [Path(folder) / name for name in pictures_in(folder).names]
    chosen = [files[number] for number in np.linspace(0, len(files) - 1, min(PICTURES, len(files))).astype(int)]
    patches = []
    for path in progress(chosen, label="patches"):
        try:
            image = read_picture(path)
        except UnreadablePicture:
            continue
        height, width = fitted_size(*image.shape[:2], WORKING_SIDE)
        if min(height, width) < side:
            continue
        pixels = small_planes(image, height, width).transpose(1, 2, 0)
        corners = generator.integers(0, (height - side + 1, width - side + 1), (PATCHES_PER_PICTURE, 2))
        patches += [pixels[row : row + side, column : column + side].ravel() for row, column in corners]
    if not patches:
        raise UserError(f"{folder} has no picture of at least {side} pixels a side.")
    return np.stack(patches)


@one_thread
def independent_components(patches, components, generator):
    """FastICA with the contrast log cosh and symmetric decorrelation, after whitening by principal components.

    Args:
        patches: float array `(patches, values)`.
        components: Number of components kept, those of greatest variance.
        generator: `numpy.random.Generator`, for the start.

    Returns:
        The filters, float array `(components, values)`: `filters @ (patch - mean)` has uncorrelated entries of variance
        1, as independent as a rotation makes them. And the share of variance that the components hold.
    """
    centred = (patches - patches.mean(axis=0)).astype(np.float64)
    variances, directions = np.linalg.eigh(centred.T @ centred / len(centred))
    kept = slice(-1, -components - 1, -1)
    whitening = directions[:, kept].T / np.sqrt(variances[kept])[:, None]
    white = centred @ whitening.T
    rotation = _decorrelated(generator.standard_normal((components, components)))
    for _ in progress(range(FASTICA_STEPS), label="FastICA", unit="step"):
        response = np.tanh(white @ rotation.T)
        step = response.T @ white / len(white) - (1 - response**2).mean(axis=0)[:, None] * rotation
        former, rotation = rotation, _decorrelated(step)
        if np.abs(np.abs(np.einsum("ij,ij->i", former, rotation)) - 1).max() < TOLERANCE:
            break
    return rotation @ whitening, variances[kept].sum() / variances.sum()


def _decorrelated(matrix):
    left, _, right = np.linalg.svd(matrix)
    return left @ right


if __name__ == "__main__":
    console.run(main)

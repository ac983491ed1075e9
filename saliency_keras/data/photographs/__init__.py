"""Twelve small photographs, free for any use: what a saliency map looks like on more than drawings.

LICENCES.md beside this file says for each who took it, under which licence, and where it came from.
"""

from pathlib import Path

import numpy as np

from saliency_keras.data.pictures import read_picture

FOLDER = Path(__file__).parent


def photographs():
    """Reads the photographs of the package.

    They are too few for training and no evidence about saliency; they are there to be looked at.

    Returns:
        uint8 array `(12, 160, 160, 3)`, RGB, and the list of what each shows, such as `"castle"`, by alphabet.
    """
    paths = sorted(FOLDER.glob("*.jpg"))
    return np.stack([read_picture(path) for path in paths]), [path.stem for path in paths]

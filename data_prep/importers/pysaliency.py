"""HDF5 files of pysaliency (Kümmerer): `fixations.hdf5` with `stimuli.hdf5` beside it; h5py reads them.

Fixations are `Fixations` (`x`, `y`, `n`, `subject` or `subjects`), `FixationTrains` (`train_xs`, `train_ys`,
`train_ns`, `train_subjects`: one row a viewing, padded with NaN) or `Scanpaths` (`xs`, `ys`, `n`, `lengths`,
`scanpath_attributes/subject`). `n` is the picture's number in the stimuli: `FileStimuli` (`filenames`, `shapes`), whose
files lie where the file says, or `Stimuli` (the pixels themselves). Durations are seconds. Positions are taken as they
are, the first pixel being 0.
"""

import os
import tempfile
from pathlib import Path

import numpy as np

from data_prep.importers.gathered import Gathered, PictureFolder
from saliency_keras.console import UserError
from saliency_keras.data.bounded import check_hdf5
from saliency_keras.data.listing import shown

WHAT = "pysaliency's fixations.hdf5, or the folder of it"


def gather(source, choices):
    """Gathers the fixations of a file of pysaliency; `stimuli….hdf5` of the same ending lies beside it."""
    import h5py

    path = _fixations_file(source)
    stimuli = _stimuli_file(path)
    try:
        with h5py.File(stimuli) as file:
            check_hdf5(file, stimuli.stat().st_size)
            pictures, names, sizes = _stimuli(file, stimuli, choices)
        with h5py.File(path) as file:
            check_hdf5(file, path.stat().st_size)
            gathered = Gathered(pictures, path)
            for n, subject, x, y, durations in _viewings(file, path):
                if not 0 <= n < len(names):
                    raise UserError(f"{path} has fixations on picture {n}, {stimuli} has {len(names):,} pictures.")
                gathered.add(names[n], subject, x, y, durations, measured=sizes[n])
    except KeyError as error:
        raise UserError(f"{path} with {stimuli} is not what pysaliency writes: {error.args[0]}.") from None
    except (OSError, RuntimeError, ValueError) as error:
        if isinstance(error, UserError) or getattr(error, "errno", None) is not None:
            raise
        raise UserError(f"{path} or {stimuli} is no HDF5 file: {error}.") from None
    return gathered


def _fixations_file(source):
    if source.is_file():
        return source
    found = sorted(source.glob("*fixation*.hdf5")) if source.is_dir() else []
    if not found:
        raise UserError(f"{source} has no fixations.hdf5; SOURCE is {WHAT}.")
    if len(found) > 1:
        raise UserError(f"{source} has {shown([one.name for one in found])}; name one of them as SOURCE.")
    return found[0]


def _stimuli_file(path):
    for name in (path.name.replace("fixations", "stimuli"), "stimuli.hdf5"):
        if name != path.name and (path.parent / name).is_file():
            return path.parent / name
    raise UserError(
        f"{path.parent} has no stimuli.hdf5, so that nobody knows which picture has which number; put the file that "
        f"pysaliency wrote beside {path.name}."
    )


class _StoredPictures:
    """Pictures whose pixels are in the file: written as PNG where they are asked for."""

    temporary = True

    def __init__(self, path, pixels):
        self.folder, self._pixels, self._scratch = path, pixels, tempfile.TemporaryDirectory()
        self.sizes = {name: (one.shape[1], one.shape[0]) for name, one in pixels.items()}

    def find(self, name):
        """The picture of that name, or `None`."""
        return name if name in self.sizes else None

    def path(self, name):
        """The path of a PNG with the picture."""
        from PIL import Image

        path = Path(self._scratch.name) / name
        Image.fromarray(np.asarray(self._pixels[name], np.uint8)).save(path)
        return path


def _stimuli(file, path, choices):
    """The pictures, the name of each by its number, and its size."""
    kind = _text(file.attrs["type"])
    if kind == "Stimuli":
        names = [f"{number}.png" for number in range(int(file.attrs["size"]))]
        pixels = {name: file[name.removesuffix(".png")][...] for name in names}
        return _StoredPictures(path, pixels), names, [None] * len(names)
    if kind != "FileStimuli":
        raise UserError(f"{path} has {kind}; only Stimuli and FileStimuli can be read.")
    names = [_text(one) for one in file["filenames"][...]]
    sizes = [(int(shape[1]), int(shape[0])) for shape in file["shapes"][...]]
    if choices.pictures is not None:
        return PictureFolder(choices.pictures), names, sizes
    paths = [path.parent / one for one in names]
    folder = Path(os.path.commonpath([one.parent for one in paths]))
    if not folder.is_dir():
        raise UserError(f"the pictures of {path} are not in {folder}; --pictures DIR says where they are.")
    return PictureFolder(folder), [one.relative_to(folder).as_posix() for one in paths], sizes


def _viewings(file, path):
    """Yields picture's number, subject, x, y and durations in milliseconds (or `None`)."""
    kind = _text(file.attrs["type"])
    if kind == "ScanpathFixations" and "scanpaths" in file:
        file, kind = file["scanpaths"], "Scanpaths"
    if kind == "Fixations":
        subjects = next((file[name][...] for name in ("subject", "subjects") if name in file), None)
        x, y, n = (file[name][...] for name in ("x", "y", "n"))
        subjects = np.zeros(len(x), int) if subjects is None else subjects
        seconds = file["duration"][...] if "duration" in file else None
        for at in range(len(x)):
            duration = None if seconds is None else seconds[at : at + 1] * 1000
            yield int(n[at]), _text(subjects[at]), x[at : at + 1], y[at : at + 1], duration
    elif kind in ("FixationTrains", "Scanpaths"):
        trains = kind == "FixationTrains"
        xs, ys = file["train_xs" if trains else "xs"][...], file["train_ys" if trains else "ys"][...]
        numbers = file["train_ns" if trains else "n"][...]
        subjects = file["train_subjects"][...] if trains else file["scanpath_attributes"]["subject"][...]
        of_fixations = file.get("scanpath_fixation_attributes" if trains else "fixation_attributes", {})
        seconds = of_fixations["durations"][...] if "durations" in of_fixations else None
        lengths = next((file[name][...] for name in ("train_lengths", "lengths") if name in file), None)
        for at, n in enumerate(numbers):
            length = int(lengths[at]) if lengths is not None else int((~np.isnan(xs[at])).sum())
            duration = None if seconds is None else seconds[at, :length] * 1000
            yield int(n), _text(subjects[at]), xs[at, :length], ys[at, :length], duration
    else:
        raise UserError(f"{path} has {kind}; only Fixations, FixationTrains and Scanpaths can be read.")


def _text(value):
    if isinstance(value, bytes):
        return value.decode("utf-8")
    return str(value)

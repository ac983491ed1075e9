"""Pictures in, compact data sets out: what `saliency_keras.data` reads."""

import os

from saliency_keras.console import UserError


def open_source(name, upright=False, hold_out=None):
    """Finds the source of that name and lists what it has.

    Args:
        name: A folder with `train/CLASS/*` and `val/CLASS/*`, a list (`LIST.csv`), a zip or tar of class folders,
            `"tfds:NAME"`, `"imagenet:DIR"`, `"popout"`, or a published set as downloaded (`"cub:DIR"` and others).
        upright: Whether pictures are turned as their orientation tags say.
        hold_out: Share of each class to hold out as `val`, for a folder, list or archive that has no such split.

    Returns:
        The source.

    Raises:
        UserError: If there is no such source or it is no data set of at least two classes.
    """
    source = _open(str(name), hold_out)
    if upright:
        source.upright = True
        source.description = {**source.description, "upright": True}
    return source


def _open(name, hold_out):
    kind, _, rest = name.partition(":")
    fixed = _open_fixed(name, kind, rest)
    if fixed is not None:
        if hold_out is not None:
            raise UserError(f"{name} says which pictures are for validation; --hold-out is for sources that do not.")
        return fixed
    if os.path.isfile(name):
        from saliency_keras.data.archive import is_archive

        if is_archive(name):
            from data_prep.sources.archived import ArchiveSource

            return ArchiveSource(name, hold_out)
        from data_prep.sources.listed import CsvSource

        return CsvSource(name, hold_out)
    from data_prep.sources.source import FolderSource

    return FolderSource(name, hold_out)


def _open_fixed(name, kind, rest):
    """A source with splits of its own; `None` for a folder or file."""
    if name == "popout":
        from data_prep.sources.popout import PopoutSource

        return PopoutSource()
    if kind == "imagenet" and rest:
        from data_prep.sources.imagenet import ImagenetSource

        return ImagenetSource(rest)
    if kind == "tfds" and rest:
        from data_prep.sources.tfds import TfdsSource

        return TfdsSource(rest)
    if rest:
        from data_prep.sources.published import SETS, PublishedSource

        return PublishedSource(kind, rest) if kind in SETS else None
    return None

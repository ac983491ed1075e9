"""Pictures in, compact data sets out: what `saliency_keras.data` reads."""

import os

from data_prep.sources.hub import ParquetSource, WebdatasetSource, hub_files, is_parquet, is_webdataset, way_out
from saliency_keras.console import UserError


def open_source(name, upright=False, hold_out=None, label=None):
    """Finds the source of that name and lists what it has.

    Args:
        name: A folder with `train/CLASS/*` and `val/CLASS/*`, a list (`LIST.csv`), a zip or tar of class folders,
            parquet files or webdataset tars of the Hugging Face hub, `"tfds:NAME"`, `"imagenet:DIR"`, `"popout"`, or a
            published set as downloaded (`"cub:DIR"` and others).
        upright: Whether pictures are turned as their orientation tags say.
        hold_out: Share of each class to hold out as `val`, for a folder, list or archive that has no such split.
        label: Column with the classes, for a list or parquet files that call it otherwise than `label` or have several.

    Returns:
        The source.

    Raises:
        UserError: If there is no such source or it is no data set of at least two classes.
    """
    source = _open(str(name), hold_out, label)
    if upright:
        source.upright = True
        source.description = {**source.description, "upright": True}
    return source


def _open(name, hold_out, label):
    kind, _, rest = name.partition(":")
    fixed = _open_fixed(name, kind, rest)
    if fixed is not None:
        if hold_out is not None:
            raise UserError(f"{name} says which pictures are for validation; --hold-out is for sources that do not.")
        source = fixed
    elif os.path.isfile(name):
        source = _open_file(name, hold_out, label)
    elif os.path.isdir(name) and hub_files(name, "parquet"):
        source = ParquetSource(name, hold_out, label)
    elif os.path.isdir(name) and (tars := hub_files(name, "tar")) and is_webdataset(tars[0]):
        source = WebdatasetSource(name, hold_out)
    else:
        from data_prep.sources.source import FolderSource

        try:
            source = FolderSource(name, hold_out)
        except UserError as error:
            raise UserError(f"{error}{way_out(name)}") from None
    if label is not None and source.description["kind"] not in ("list", "parquet"):
        raise UserError(f"{name} has no columns; --label is for a list or parquet files.")
    return source


def _open_file(name, hold_out, label):
    from data_prep.sources.listed import CsvSource
    from saliency_keras.data.archive import is_archive

    if is_parquet(name):
        return ParquetSource(name, hold_out, label)
    if is_webdataset(name):
        return WebdatasetSource(name, hold_out)
    if is_archive(name):
        from data_prep.sources.archived import ArchiveSource

        return ArchiveSource(name, hold_out)
    return CsvSource(name, hold_out, label)


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

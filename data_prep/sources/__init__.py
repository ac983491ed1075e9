"""Pictures in, compact data sets out: what `saliency_keras.data` reads."""


def open_source(name, upright=False):
    """Finds the source of that name and lists what it has.

    Args:
        name: A folder with `train/CLASS/*` and `val/CLASS/*`, `"tfds:NAME"`, `"imagenet:DIR"` or `"popout"`.
        upright: Whether pictures are turned as their orientation tags say.

    Returns:
        The source.

    Raises:
        UserError: If there is no such source or it is no data set of at least two classes.
    """
    source = _open(str(name))
    if upright:
        source.upright = True
        source.description = {**source.description, "upright": True}
    return source


def _open(name):
    kind, _, rest = name.partition(":")
    if name == "popout":
        from data_prep.sources.popout import PopoutSource

        return PopoutSource()
    if kind == "imagenet" and rest:
        from data_prep.sources.imagenet import ImagenetSource

        return ImagenetSource(rest)
    if kind == "tfds" and rest:
        from data_prep.sources.tfds import TfdsSource

        return TfdsSource(rest)
    from data_prep.sources.source import FolderSource

    return FolderSource(name)

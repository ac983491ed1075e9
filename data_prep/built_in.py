"""The built-in pictures as a data set, made once and kept in the user's cache folder."""

import os
from pathlib import Path

from data_prep.compaction import compact
from data_prep.plan import make_plan
from data_prep.sources.popout import PopoutSource
from saliency_keras.data.manifest import Manifest


def cached_set(workers=None):
    """Makes the built-in data set, once, with `gbvs` maps and the true masks as the further map `mask`.

    It is kept in `saliency_keras/` of the user's cache folder: `SALIENCY_KERAS_CACHE`, else `XDG_CACHE_HOME`, else
    `~/.cache`. The folder's name changes with whatever would change its contents.

    Args:
        workers: Number of worker processes, as for `data_prep.compaction.compact`.

    Returns:
        The folder of the finished set.
    """
    cache = os.environ.get("SALIENCY_KERAS_CACHE") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    source = PopoutSource()
    folder = Path(cache) / "saliency_keras" / f"popout-{make_plan(source).digest[:12]}"
    if not (folder / "manifest.json").is_file():
        print(f"making the built-in pictures, once, in {folder}", flush=True)
        compact(source, folder, workers=workers)
    Manifest.load(folder)
    return folder

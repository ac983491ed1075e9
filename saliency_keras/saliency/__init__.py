"""Where people look: saliency predictors by name.

A predictor is an object with `name`, `version` and `parameters` (what a manifest records of it) and one method:
called with a uint8 batch `(pictures, height, width, 3)` it returns float32 maps `(pictures, height, width)`, not
negative, in any scale. One with `on_device` is a network: compaction's worker processes leave it to their parent, so
that one process has the device and the memory of its weights. A further predictor is one small file here and one line
in `PREDICTORS`.
"""

from saliency_keras.console import UserError

PREDICTORS = {
    "gbvs": "saliency_keras.saliency.gbvs:GBVS",
    "itti": "saliency_keras.saliency.itti:Itti",
    "aim": "saliency_keras.saliency.aim:AIM",
    "sdlf": "saliency_keras.saliency.sdlf:SDLF",
    "readout": "saliency_keras.saliency.readout:Readout",
    "center": "saliency_keras.saliency.controls:Center",
    "uniform": "saliency_keras.saliency.controls:Uniform",
}


def predictor(name):
    """Makes the predictor of that name.

    Args:
        name: One of `PREDICTORS`, or a run whose network makes maps: its folder or its `Run`; a predictor is returned
            as it is.

    Returns:
        The predictor.

    Raises:
        UserError: If there is none of that name; the sentence lists them.
    """
    import importlib
    from pathlib import Path

    if callable(name):
        return name
    name = str(getattr(name, "folder", name))
    if name not in PREDICTORS and Path(name).is_dir():
        from saliency_keras.saliency.run import RunPredictor

        return RunPredictor(name)
    if name not in PREDICTORS:
        choices = ", ".join(PREDICTORS)
        raise UserError(f"there is no saliency predictor {name!r}; choose one of {choices}, or a run folder.")
    module, kind = PREDICTORS[name].split(":")
    return getattr(importlib.import_module(module), kind)()

"""Saliency-guided image classification: does telling a network where people look make it classify better?

The flow, in the order of the tree: pictures -> `data_prep` -> compact data set -> `data` (reader) ->
`models` (networks) -> `training` (run folder) -> `figures`. The commands beside this file parse, call and print.

`import saliency_keras as sk` is the Python face: `sk.fit`, `sk.compare` and the other names of `FACE` below. Each is
the function that a command calls, and is imported when it is first used, so that the import itself is quick.
docs/python.md shows all of them.
"""

import importlib
import operator
import os
import sys
import types

__version__ = "0.1.0"

# TensorFlow takes oneDNN's kernels by itself on processors with AVX-512 only. With AVX2 alone they train AlexNet almost
# twice as fast. TensorFlow reads this when it is loaded.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

# Names of the face by the modules that have them; `popout=cached_set` is called otherwise there.
FACE = {
    "data_prep.add_map": "add_map",
    "data_prep.compact": "compact",
    "data_prep.export_squares": "export_squares",
    "data_prep.built_in": "popout=cached_set",
    "data_prep.sources": "source=open_source",
    "data_prep.sources.simulated_fixations": "simulated_fixations=write_simulated_fixations",
    "saliency_keras.console": "UserError",
    "saliency_keras.data.fixation_set": "fixations=read_fixation_set",
    "saliency_keras.data.geometry": "Framing shrink square stored_map",
    "saliency_keras.data.manifest": "data_set=Manifest.load",
    "saliency_keras.data.photographs": "photographs",
    "saliency_keras.data.shown": "control_map",
    "saliency_keras.evaluate": "evaluate",
    "saliency_keras.experiments": "experiment",
    "saliency_keras.experiments.tables.row": "Row",
    "saliency_keras.face": "network read",
    "saliency_keras.figures.cases": "best_and_worst probability_of_true",
    "saliency_keras.figures.comparison": "compare",
    "saliency_keras.figures.document": "Table",
    "saliency_keras.figures.looks": "looks_figure=scales_figure",
    "saliency_keras.figures.overlay": "contact_sheet",
    "saliency_keras.figures.photograph": "photograph_figure",
    "saliency_keras.metrics.digits": "percent points",
    "saliency_keras.models.alexnet": "Layers pool",
    "saliency_keras.models.count": "multiply_adds parameters",
    "saliency_keras.models.grad_cam": "grad_cam",
    "saliency_keras.notebook": "show small_runs",
    "saliency_keras.plot": "plot",
    "saliency_keras.report": "report",
    "saliency_keras.runs.classifier": "Classifier",
    "saliency_keras.runs.ensemble": "together=classifier_of",
    "saliency_keras.runs.looks": "looks=scales_of",
    "saliency_keras.runs.run": "load=Run.load",
    "saliency_keras.saliency": "predictor",
    "saliency_keras.score": "score",
    "saliency_keras.tables.attribution": "attribution_figure attribution_table",
    "saliency_keras.tables.few_shot": "few_shot_figure",
    "saliency_keras.train": "fit",
}
_PLACES = {}  # from a name of the face to its module, and what it is called there
for _module, _names in FACE.items():
    for _name in _names.split():
        _PLACES[_name.partition("=")[0]] = _module, _name.rpartition("=")[2]


class _Face(types.ModuleType):
    """The package. A command's module has its verb's name (`plot.py`): the verb, not the module, is the attribute."""

    def __setattr__(self, name, value):
        if name not in _PLACES or not isinstance(value, types.ModuleType):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Face


def __getattr__(name):
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from saliency_keras.console import quiet_tensorflow

    quiet_tensorflow()
    module, place = _PLACES[name]
    value = globals()[name] = operator.attrgetter(place)(importlib.import_module(module))
    return value


def __dir__():
    return sorted({"__doc__", "__version__", *_PLACES})

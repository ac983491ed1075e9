"""What is trained, by name: one module a task. A new one is a module here and an entry in `TASKS`."""

import importlib

TASKS = {
    "classification": "saliency_keras.training.tasks.classification:Classification",
    "joint": "saliency_keras.training.tasks.joint:Joint",
    "guided": "saliency_keras.training.tasks.guided:Guided",
    "maps": "saliency_keras.training.tasks.maps:Maps",
    "classifier_attention": "saliency_keras.training.tasks.attention:ClassifierAttention",
    "fixation_maps": "saliency_keras.training.tasks.fixation_maps:FixationMaps",
}


def task_named(name):
    """The class of the task of that name."""
    module, kind = TASKS[name].split(":")
    return getattr(importlib.import_module(module), kind)

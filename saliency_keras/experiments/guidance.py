"""Guidance by loss: maps that teach a classifier where to look, and are shown to none of them.

Each method is an experiment over AlexNet as the thesis trains it (`rgb`), or over any backbone of the list:

    python -m saliency_keras.train guided_cam --data DIR [--maps shuffled|…] [--set guidance_weight=0.5]
    python -m saliency_keras.train guided_cam --data DIR --set backbone=ResNet50 --set weights=imagenet

`--maps` chooses what is taught. `unguided`, and each of them with `--set guidance_weight=0`, is the plain network, to
the bit. Losses are those of `models.losses`: `--set loss=right_reasons` is Ross et al.'s own, whose weight must be much
larger. The papers have other networks and sets, so that nothing is published here. The weights of the losses, all 1,
are our choice: each of these losses lies between 0 and 2.

The rest of the thesis's outlook (ch. 6): branches that meet anywhere, and one that is added to a trained network.

    python -m saliency_keras.train merged --data DIR --set at=[3]
    python -m saliency_keras.train branch_added --data DIR --init runs/rgb
"""

from saliency_keras.data.shown import OWN, Shown
from saliency_keras.experiments.experiment import WHOLE, Experiment, Guidance, Schedule, Start
from saliency_keras.experiments.thesis import LAYERS, POPOUT

HEADING = "Networks that a map teaches where to look, and the rest of the thesis's outlook"
AS_TARGET = Shown(as_="target")
CLASSIFIER = {"backbone": "alexnet", "attention_branch": False, **LAYERS}
MERGED = {"at": (1,), "merge": "multiply", "branch": "identical", "branch_stages": 2, "doubled": False, **LAYERS}
FEW = Schedule(epochs=10, learning_rate=0.001, drops=(6,))  # a trained network is tuned


def _guided(name, what, row, guidance=None, loss="", attention_branch=False):
    return Experiment(
        name,
        "guidance",
        row,
        what,
        "classifier",
        arguments={**CLASSIFIER, "attention_branch": attention_branch},
        task="guided",
        loss=loss,
        shown=AS_TARGET if guidance else OWN,
        guidance=guidance,
        popout=POPOUT,
    )


def _merged(name, what, row, arguments=None, **fields):
    return Experiment(name, "thesis", row, what, "merged", {}, {**MERGED, **(arguments or {})}, popout=POPOUT, **fields)


_added = {"at": (2,), "merge": "gain", "branch": "fixed"}
EXPERIMENTS = (
    _guided("unguided", "AlexNet that no map teaches, the baseline", "the plain network"),
    _guided("unguided_attention", "AlexNet with an attention branch that no map teaches, a baseline",
            "the network with an attention branch that is taught nothing", attention_branch=True),
    _guided("guided_cam", "the map teaches the class activation map", "class activation map towards the map",
            Guidance("cam"), "spanned"),
    _guided("guided_gradient", "the map teaches which pixels the class may depend on",
            "gradient at the picture towards the map", Guidance("gradient"), "outside"),
    _guided("guided_attention", "the map teaches an attention branch", "map of an attention branch towards the map",
            Guidance("branch"), "squared", attention_branch=True),
    _guided("attention_transfer", "the map teaches where conv2 and conv5 are active",
            "ch. 6 of the thesis: the map as a teacher of stages", Guidance("activation", ("relu2", "relu5")),
            "transfer"),
    _merged("merged", "picture and map meet after any stage or several, --set at=[1,3]",
            "ch. 6: branches that meet at any stage"),
    _merged("branch_added", "a trained rgb to which a branch for the map is added",
            "ch. 6: a branch added to a trained network", _added, start=Start({WHOLE: "rgb"}), schedule=FEW),
    # As long without a branch: what tuning alone brings.
    Experiment("rgb_tuned", "thesis", "control: a trained network, tuned as long without a branch",
               "a trained rgb, trained further without a branch, its control", "alexnet", arguments=LAYERS,
               start=Start({WHOLE: "rgb"}), schedule=FEW, popout=POPOUT),
)  # fmt: skip

"""Arazo Sánchez 2017, *The Impact of Visual Saliency Prediction in Image Classification*.

AlexNet on ILSVRC2012 at 128 px (from 144): SGD, momentum 0.9, batch 128, 90 epochs, rate 0.01 divided by ten after
epochs 24, 45 and 62, L2 of 5e-4 (§3.3.3, §3.5). Top-1 and Top-5 are Table 4.1's, in 0..1. Nine days a network at full
size, five at 128 px on the thesis's GPU; one command for any of them:

    python -m saliency_keras.train fanin3 --data DIR
"""

from saliency_keras.experiments.experiment import WHOLE, Experiment, Pictures, Schedule, Start

LAYERS = {
    "conv2_padding": "valid",
    "batch_norm_before_relu": False,
    "batch_norm_momentum": 0.9,
    "dropout": 0.0,
    "dense_units": 4096,
    "width_multiplier": 1.0,
    "weight_decay": 5e-4,
    "kernel_initializer": "glorot_uniform",
}
HEADING = "The thesis: Arazo Sánchez 2017"
SMALL = {"dense_units": 512, "width_multiplier": 0.25}  # what a processor trains in minutes
POPOUT = {"epochs": 7, "batch": 32, "drops": (5,), **SMALL}
PRETRAINED = {
    "start": Start({WHOLE: "rgb"}),
    "schedule": Schedule(epochs=30, drops=(8, 15, 21)),  # the drops of 90 epochs in proportion; the thesis states none
}
MEAN = Pictures(subtract_mean=True)


def _row(name, what, row, network="alexnet", top1=None, top5=None, arguments=None, **fields):
    published = {"top1": top1, "top5": top5} if top1 else {}
    arguments = {**LAYERS, **(arguments or {})}
    fields = {"popout": POPOUT, **fields}
    return Experiment(name, "thesis", row, what, network, published, arguments, **fields)


def _pretrained(name, what, at_input, at_convolutions):
    strategy = {"at_input": at_input, "at_convolutions": at_convolutions}
    return _row(name, f"{what}; begun from a trained rgb", "Fig. 4.2", arguments=strategy, **PRETRAINED)


def _narrow(name, what, share):
    popout = {**POPOUT, "width_multiplier": share}  # narrow as it is
    row = f"the thesis's baseline, {name} as wide"
    return _row(f"rgb_{name}", f"rgb with {what} the filters", row, arguments={"width_multiplier": share},
                popout=popout)  # fmt: skip


EXPERIMENTS = (
    # Baselines: `rgb` is the thesis's RGB*, `rgb_mean` its RGB (caption of Table 4.1).
    _row("rgb", "the picture alone: AlexNet, the baseline", "Table 4.1, RGB*", top1=0.3660, top5=0.6091),
    _row("rgb_mean", "rgb with the training mean subtracted, baseline of rgbs and rgb_1s2s", "Table 4.1, RGB",
         top1=0.3600, top5=0.6021, pictures=MEAN),
    # Maps concatenated, from scratch, to be compared with `rgb_mean`.
    _row("rgbs", "the map is a fourth channel of the picture", "Table 4.1, RGBS", top1=0.3660, top5=0.6035,
         pictures=MEAN, arguments={"at_input": "concatenate", "at_convolutions": None}),
    _row("rgb_1s2s", "the map is a further channel after conv1 and after conv2", "Table 4.1, RGB_1S2S",
         top1=0.3625, top5=0.6062, pictures=MEAN, arguments={"at_input": None, "at_convolutions": "concatenate"}),
    # Maps concatenated or multiplied, from the weights of a run of `rgb`.
    _pretrained("rgbs_pretrained", "the map is a fourth channel", "concatenate", None),
    _pretrained("rgb_1s2s_pretrained", "the map is a channel after conv1 and conv2", None, "concatenate"),
    _pretrained("rgbs_1s2s_pretrained", "the map is a channel in all three places", "concatenate", "concatenate"),
    _pretrained("rgbxs_pretrained", "the picture times the map", "multiply", None),
    _pretrained("rgb_1xs2xs_pretrained", "conv1 and conv2 times the map", None, "multiply"),
    _pretrained("rgbxs_1xs2xs_pretrained", "picture, conv1 and conv2 times the map", "multiply", "multiply"),
    # Ours: as many epochs more without a map, to be compared with the six above.
    _row("rgb_pretrained", "a trained rgb, trained further without a map; control of the others",
         "control of Fig. 4.2: trained on without a map", **PRETRAINED),
    # Two branches, to be compared with `rgb`.
    _row("fanin1", "picture and map, a branch each, are multiplied after pool2", "Table 4.1, Fan-in1", "fanin1",
         top1=0.3832, top5=0.6269),
    _row("fanin2", "picture and map, a branch each, are multiplied after pool1", "Table 4.1, Fan-in2", "fanin2",
         top1=0.3660, top5=0.6140),
    _row("fanin3", "picture and map, a branch each, are multiplied after pool1; no conv2", "Table 4.1, Fan-in3",
         "fanin3", top1=0.4899, top5=0.7280, arguments={"keep_pool2": False}),
    # Controls that the thesis left as future work (§4.4.3, ch. 6).
    _row("noconv2", "Fan-in3 without its branch for the map, a control", "ch. 6: Fan-in3 without saliency", "noconv2",
         arguments={"pool5_to_one": False}),
    _row("noconv2_pooled", "noconv2 with dense layers as small as AlexNet's, a control",
         "the same, dense layers as in AlexNet", "noconv2", arguments={"pool5_to_one": True}),
    # Ours: the picture in both branches, which keeps layers and parameters (but conv1's two more input channels).
    *(_row(f"fanin{number}_doubled", f"Fan-in{number} with the picture in both branches and no map, a control",
           f"control: Fan-in{number}, both branches RGB", f"fanin{number}", arguments={"doubled": True})
      for number in (1, 2, 3)),
    # Backbones of different worth for `reproduce accuracy-vs-saliency`.
    _narrow("half", "half", 0.5),
    _narrow("quarter", "a quarter of", 0.25),
)  # fmt: skip

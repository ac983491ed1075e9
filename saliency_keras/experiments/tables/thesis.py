"""The thesis's tables and curves."""

import dataclasses

from saliency_keras.experiments.tables.row import PaperTable, Row

FAN_INS = ("fanin1", "fanin2", "fanin3")
FULL_SIZE = ("side=227",)
FULL_SIZE_ROWS = (
    Row("rgb", settings=FULL_SIZE),
    Row("fanin1", settings=FULL_SIZE, baseline="rgb-side227", published_gain=0.0135),
    Row("rgb_mean", settings=FULL_SIZE, baseline="rgb-side227"),
    Row("rgbs", settings=FULL_SIZE, baseline="rgb_mean-side227"),
)
PRETRAINED = ("rgb_1s2s", "rgbs", "rgbs_1s2s", "rgb_1xs2xs", "rgbxs", "rgbxs_1xs2xs")
PRETRAINED_ROWS = tuple(f"{name}_pretrained" for name in PRETRAINED)


def _rows(*rgb_rows, mean=True):
    mean_rows = (Row("rgb_mean"), Row("rgbs", baseline="rgb_mean"), Row("rgb_1s2s", baseline="rgb_mean"))
    return (*(Row(name, baseline="" if name == "rgb" else "rgb") for name in rgb_rows), *(mean_rows if mean else ()))


TABLES = {
    "thesis-4.1": PaperTable(
        "Thesis, Table 4.1: concatenation and Fan-in from scratch, 128 px",
        "accuracy",
        _rows("fanin3", "rgb", "fanin1", "fanin2"),
        {
            "figure-4.1-128px.png": ("rgb",),
            "figure-4.3.png": ("rgbs",),
            "figure-4.4.png": ("rgb_1s2s",),
            "figure-4.5.png": ("rgb_mean", "rgbs", "rgb_1s2s"),
            "figure-4.6.png": ("fanin1",),
            "figure-4.7.png": ("rgb", "fanin1"),
            "figure-4.8.png": ("fanin2",),
            "figure-4.9.png": ("rgb", "fanin2"),
            "figure-4.10.png": ("fanin3",),
            "figure-4.11.png": ("rgb", "fanin3"),
            "figure-4.12.png": FAN_INS,
            "figure-4.13.png": ("rgb", *FAN_INS),
        },
        note="Fan-in3 lacks the second convolution and its pooling, so its first dense layer is 36 times as wide; "
        "`controls` tells what that does without any saliency.",
    ),
    "thesis-4.2": PaperTable(
        "Thesis, Table 4.2: classes that gain most, 128 px", "classes", _rows("rgb", *FAN_INS)
    ),
    "thesis-pretrained": PaperTable(
        "Thesis, Fig. 4.2: maps put into a trained network, 30 epochs",
        "accuracy",
        (
            Row("rgb"),
            Row("rgb_pretrained", init="rgb", baseline="rgb"),
            *(Row(name, init="rgb", baseline="rgb_pretrained") for name in PRETRAINED_ROWS),
        ),
        {"figure-4.2.png": PRETRAINED_ROWS},
        note="Published are only the curves, and the order: RGB-1S-2S best, then RGBS, then RGBS-1S-2S, and "
        "concatenation before multiplication throughout. Gains are over `rgb_pretrained`, our control: the "
        "same network trained on as long without a map.",
    ),
    "thesis-mean": PaperTable(
        "Thesis, Fig. 4.14: with and without mean subtraction",
        "accuracy",
        tuple(
            dataclasses.replace(row, baseline="rgb") if row.name == "rgb_mean" else row
            for row in _rows("rgb", "fanin1")
        ),
        {"figure-4.14.png": ("rgb_mean", "rgbs", "rgb_1s2s", "rgb", "fanin1")},
        note="Subtracted: rgb_mean, rgbs, rgb_1s2s. Not subtracted: rgb, fanin1.",
    ),
    "thesis-227": PaperTable(
        "Thesis, Figs. 4.15 and 4.16: full size, 227 px",
        "accuracy",
        FULL_SIZE_ROWS,
        {
            "figure-4.1-227px.png": ("rgb-side227",),
            "figure-4.15-rgbs.png": ("rgbs-side227",),
            "figure-4.15-fanin1.png": ("fanin1-side227",),
            "figure-4.16.png": ("rgb-side227", "rgbs-side227", "fanin1-side227"),
        },
        note="No accuracy is printed at 227 px, only Fan-in1's gain of 1.35 points (§4.6). `rgbs` is mean subtracted, "
        "and so is its baseline; the thesis's Fig. 4.16 shows it beside `rgb`, from which it differs in both.",
    ),
    "thesis-4.2-227": PaperTable(
        "Thesis, Table 4.2: classes that gain most, 227 px", "classes", FULL_SIZE_ROWS
    ),
}

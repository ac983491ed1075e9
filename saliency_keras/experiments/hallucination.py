"""Figueroa-Flores et al. 2020, *Hallucinating Saliency Maps for Fine-Grained Image Classification for Limited Data*.

The five methods of Table I on AlexNet (227 px, padded conv2, no batch normalisation) and on a ResNet of
`keras.applications`: 70 epochs, rate 1e-4, L2 of 5e-3 (§IV-A). Optimiser, batch, augmentation, dropout and mean
subtraction are not stated: SGD with momentum 0.9 as in the thesis, batches of 32, random crops and flips, AlexNet's own
dropout and mean. Step 1 trains the saliency branch alone, on a *val* split: pictures that the frozen network has
memorised leave the branch nothing to learn. Keras has no weights of AlexNet, so there all begins with pre-training:

    train() { python -m saliency_keras.train "$@"; }
    train pretrain_alexnet --data LARGE
    train hallucination_step1_alexnet --data LARGE --init runs/pretrain_alexnet
    train approach_a_alexnet --data DIR --init runs/hallucination_step1_alexnet --set few_shot=5

A ResNet begins with `--set weights=imagenet` (the default), a weights file, or `--init RUN`; unless the large set has
ImageNet's thousand classes in the order of their wnids, its step 1 starts from a run of `baseline_rgb_resnet` on it.
On pictures that the frozen network is overconfident about, which a small LARGE makes likely, l (s + 1) drives s to zero
and kills the branch: `docs/hallucination.md` has the measurements, and the settings that keep it alive (`skip=false`).
The published tables are below, in percent and as printed; `SUSPECT` and `SUSPECT_III` say which of their figures do not
fit the others. The L2 is Keras', whose gradient is 0.01 w; the paper does not say whether it is that or half of it.
"""

from saliency_keras.experiments.experiment import Experiment
from saliency_keras.experiments.thesis import SMALL

ALEXNET = {
    "saliency_branch": "rgb",
    "fuse_at": "conv2",
    "skip": True,
    "saliency_activation": "relu",
    "saliency_bias": 0.1,  # not 0, with which a branch may be born dead
    "conv2_padding": "same",
    "batch_norm": False,
    "batch_norm_momentum": 0.9,
    "dropout": 0.5,
    "dense_units": 4096,
    "width_multiplier": 1.0,
    "weight_decay": 5e-3,
    "kernel_initializer": "glorot_uniform",  # "Xavier" in the paper
}
RESNET = {
    "backbone": "ResNet152",
    "saliency_branch": "rgb",
    "fuse_at": "conv4",
    "skip": True,
    "saliency_activation": "relu",
    "saliency_bias": 0.1,  # not 0, with which a branch may be born dead
    "conv2_padding": "same",
    "batch_norm": False,
    "weight_decay": 5e-3,
}
SCHEDULE = {"epochs": 70, "batch": 32, "learning_rate": 1e-4, "drops": (), "side": 227}
POPOUT = {"side": 128, "epochs": 12, "batch": 32, "drops": (), "learning_rate": 1e-3, "arguments": SMALL}


def _row(name, row, network, arguments, branch="rgb", **fields):
    base = {"alexnet": ALEXNET, "resnet": RESNET}[network]
    arguments = {**base, "saliency_branch": branch, **arguments}
    settings = {"subtract_mean": network == "alexnet", "popout": POPOUT, **SCHEDULE, **fields}
    return Experiment(f"{name}_{network}", "hallucination", row, f"modulated_{network}", {}, arguments, **settings)


def _methods(network, row, base, step1):
    """The rows of a table, all begun alike: the network's weights from `base`, the branch's from `step1` or random."""
    begin = {"new_top": True, **({"weights": "imagenet"} if network == "resnet" else {"starts_from": base})}
    taught = {"new_top": True, "starts_from": step1}
    return (
        _row("baseline_rgb", f"{row}, Baseline-RGB", network, {}, branch="", **begin),
        _row("scratch_sal", f"{row}, Baseline-RGB + scratch SAL", network, {}, **begin),
        _row("smic", f"{row}, SMIC", network, {}, branch="map", **begin),
        _row("approach_a", f"{row}, Approach A", network, {}, freeze="saliency_branch", **taught),
        _row("approach_b", f"{row}, Approach B", network, {}, **taught),
    )


STEP1 = {"freeze": "all_but_saliency_branch", "train_on": "val"}
EXPERIMENTS = (
    # AlexNet's ImageNet weights, by Krizhevsky's schedule; He's initialiser, for there is no batch normalisation.
    _row("pretrain", "§III-D, ImageNet weights", "alexnet", {"weight_decay": 5e-4, "kernel_initializer": "he_normal"},
         branch="", epochs=90, batch=128, learning_rate=0.01, drops=(24, 45, 62)),
    _row("hallucination_step1", "§III-D, Step 1", "alexnet", {}, starts_from="pretrain_alexnet", **STEP1),
    _row("hallucination_step1", "§III-D, Step 1", "resnet", {}, weights="imagenet", **STEP1),
    *_methods("alexnet", "Table I", "pretrain_alexnet", "hallucination_step1_alexnet"),
    *_methods("resnet", "Table II", "", "hallucination_step1_resnet"),
)  # fmt: skip

METHODS = {
    "baseline_rgb": "Baseline-RGB",
    "scratch_sal": "Baseline-RGB + scratch SAL",
    "smic": "SMIC",
    "approach_a": "Approach A",
    "approach_b": "Approach B",
}
# Table I, Top-1 in percent by k as in `data.few_shot.SHOTS`; AlexNet, mean of several runs.
TABLE_I = {
    "Flowers": {
        "Baseline-RGB": (31.8, 45.8, 53.1, 63.6, 72.4, 76.9, 81.2, 85.1, 87.2, 87.8),
        "Baseline-RGB + scratch SAL": (34.3, 48.9, 54.3, 65.9, 73.1, 77.4, 82.3, 85.9, 88.9, 89.1),
        "SMIC": (37.6, 51.9, 57.1, 68.5, 75.2, 79.7, 84.9, 88.2, 91.2, 92.3),
        "Approach A": (36.9, 51.3, 56.9, 67.8, 74.9, 78.4, 82.9, 88.1, 90.9, 92.0),
        "Approach B": (37.3, 51.7, 57.2, 68.7, 75.6, 78.7, 83.8, 88.4, 91.7, 92.5),
    },
    "Cars": {
        "Baseline-RGB": (4.1, 7.8, 11.7, 17.3, 25.5, 31.1, 38.5, 42.2, 47.2, 60.0),
        "Baseline-RGB + scratch SAL": (5.9, 10.7, 14.4, 19.1, 27.4, 32.9, 38.5, 44.0, 48.7, 61.5),
        "SMIC": (9.3, 14.0, 18.0, 22.8, 30.0, 34.7, 40.4, 46.0, 50.0, 61.4),
        "Approach A": (9.3, 14.3, 17.4, 22.3, 28.4, 35.3, 39.7, 45.7, 50.1, 61.9),
        "Approach B": (9.8, 15.1, 18.4, 22.9, 28.8, 35.1, 39.9, 45.8, 49.7, 62.9),
    },
    "Birds": {
        "Baseline-RGB": (9.1, 13.6, 19.4, 27.7, 37.8, 44.3, 48.0, 50.0, 54.2, 57.0),
        "Baseline-RGB + scratch SAL": (10.4, 14.9, 20.3, 28.3, 38.6, 43.9, 46.9, 48.4, 50.7, 55.7),
        "SMIC": (13.1, 18.9, 22.2, 30.2, 38.7, 44.3, 48.0, 50.0, 54.2, 57.0),
        "Approach A": (11.8, 18.3, 22.1, 29.3, 39.1, 44.4, 47.8, 49.7, 53.1, 56.5),
        "Approach B": (12.9, 18.7, 22.7, 29.7, 39.4, 44.1, 48.2, 49.9, 53.9, 57.7),
    },
}
# These cells of Table I are a copy of SMIC's and do not fit the row's own average (34.8): no gain is told over them.
SUSPECT = {("Birds", "Baseline-RGB", shots) for shots in ("15", "20", "25", "30", "K")}
# Table II, Top-1 in percent on the standard splits; ResNet-152 where a method is the paper's own.
TABLE_II = {
    "Krause et al.": {"Birds": 82.0, "Cars": 92.6},
    "Bilinear-CNN": {"Birds": 84.1, "Cars": 91.3},
    "Compact Bilinear Pooling": {"Birds": 84.3, "Cars": 91.2},
    "Low-rank Bilinear Pooling": {"Birds": 84.2, "Cars": 90.9},
    "Cui et al. (with Imagenet)": {"Flowers": 96.3, "Birds": 82.8, "Cars": 91.3},
    "MA-CNN": {"Birds": 86.5, "Cars": 92.8},
    "Ge-Yu": {"Flowers": 90.3},
    "DLA": {"Birds": 85.1, "Cars": 94.1},
    "SMIC": {"Flowers": 97.8, "Birds": 86.1, "Cars": 92.4},
    "Approach A": {"Flowers": 97.3, "Birds": 84.8, "Cars": 91.7},
    "Approach B": {"Flowers": 97.9, "Birds": 85.1, "Cars": 92.1},
}
# Table III by set: AUC (its kind is not stated), KL (nats, lower is better), SIM, sAUC, InfoGain (bits).
# InfoGain + KL / ln 2 is nearly the same for all predictors of a set, except where KL is clipped and for two rows.
SUSPECT_III = "KL and InfoGain of SalGAN on Toronto, and of DeepGazeII on SID4VAM, do not fit each other"
TABLE_III_METRICS = ("AUC", "KL", "SIM", "sAUC", "InfoGain")
TABLE_III = {
    "Toronto": {
        "IKN": (0.782, 1.249, 0.366, 0.65, -0.024),
        "AIM": (0.716, 1.612, 0.314, 0.663, -0.58),
        "SDLF": (0.703, 1.518, 0.304, 0.664, -0.398),
        "GBVS": (0.803, 1.168, 0.397, 0.632, 0.077),
        "DeepGazeII": (0.838, 1.367, 0.325, 0.763, -0.2),
        "SAM-ResNet": (0.725, 2.42, 0.516, 0.666, -1.555),
        "OpenSALICON": (0.771, 1.113, 0.429, 0.716, 0.232),
        "SalGAN": (0.818, 1.272, 0.435, 0.715, 0.392),
        "Our Approach (Step I)": (0.731, 1.513, 0.394, 0.589, -0.418),
        "GroundTruth (Humans)": (0.954, 0.0, 1.0, 0.902, 2.425),
    },
    "SID4VAM": {
        "IKN": (0.678, 1.748, 0.38, 0.608, -0.233),
        "AIM": (0.566, 14.472, 0.224, 0.557, -18.181),
        "SDLF": (0.607, 3.954, 0.322, 0.596, -3.244),
        "GBVS": (0.718, 1.363, 0.413, 0.628, 0.331),
        "DeepGazeII": (0.61, 1.434, 0.335, 0.571, -0.964),
        "SAM-ResNet": (0.673, 2.61, 0.388, 0.6, -1.475),
        "OpenSALICON": (0.673, 1.549, 0.375, 0.615, 0.052),
        "SalGAN": (0.662, 2.506, 0.373, 0.593, -1.35),
        "Our Approach (Step I)": (0.721, 1.663, 0.409, 0.627, -0.125),
        "GroundTruth (Humans)": (0.882, 0.0, 1.0, 0.86, 2.802),
    },
}

"""Networks that learn where people look: Pan et al. 2016, SALICON (Huang et al. 2015), and the read-outs of the notes.

They are trained on a fixation set, a folder with `images/` and `fixations.csv`; a fixed fifth of its pictures is held
out (`data.fixation_split`). No paper of ours prints all that a training needs; where a value comes from:

    juntingnet   the authors' script: batches of 128, 1,200 epochs, rate 0.05 falling to 1e-4 (there in a line, here by
                 tens), mirrored pictures. Its momentum rises to 0.999 there; here it stays.
    salnet       euclidean loss, batches of two. 86 epochs of OSIE's 561 pictures are 24,000 steps. Rate: our choice.
    salicon      OpenSALICON's solver: batches of one, momentum 0.9, the rate divided by ten every 4,000 steps (7 epochs
                 of OSIE). Its rate of 1e-6 is for a sum over 38x50 positions, ours for their mean. VGG-16's weights.
    readout_*    the notes: batches of one, rate 1e-5. Adam, the loss (cross-entropy) and the epochs are our choice
                 (FACTS §5.2). The whole network is trained.
    readout_pointwise   ours, after DeepGaze II (Kümmerer et al. 2016): the head of the predictor `readout`
                 (docs/readout.md), over three levels of a frozen ResNet-50.

On a processor, a frozen backbone, whose features are computed once, and a larger rate are the practical choice:

    python -m saliency_keras.train readout_bi --data FIXATIONS --epochs 20 --batch 8
           --set frozen=backbone --set loss=divergence --set learning_rate=0.001
"""

from saliency_keras.experiments.experiment import Experiment, Schedule, Start

HEADING = "Networks that predict saliency"
BACKBONE = {"backbone": "ResNet50", "levels": "", "scales": (1.0,), "normalised": False, "backbones": ""}


def _network(name, what, paper, row, height, width, loss, arguments=None, weights="", **schedule):
    return Experiment(
        name,
        paper,
        row,
        what,
        network=name,
        arguments={"height": height, "width": width, **(arguments or {})},
        task="fixation_maps",
        loss=loss,
        pictures=None,
        shown=None,
        start=Start(weights=weights),
        schedule=Schedule(**schedule),
    )


def _readout(name, kind):
    schedule = {"epochs": 20, "batch": 1, "optimizer": "adam", "learning_rate": 1e-5, "drops": ()}
    row = f"read-out by {kind}"
    return _network(name, f"a map from the features of any backbone, by {kind}", "accuracy-notes", row, 384, 512,
                    "cross_entropy", BACKBONE, weights="imagenet", **schedule)


LEVELS = "conv3_block4_out,conv4_block6_out,conv5_block3_out"  # strides 8, 16, 32


def _pointwise():
    schedule = {"epochs": 6, "batch": 8, "optimizer": "adamw", "learning_rate": 0.002, "drops": (), "cosine": True,
                "decay": 0.001, "clip_norm": 1.0}  # fmt: skip
    arguments = {"backbone": "ResNet50", "levels": LEVELS}
    row, what = "the head of the predictor readout", "the head of the predictor `readout`, on a frozen ResNet-50"
    made = _network("readout_pointwise", what, "ours", row, 384, 512, "likelihood", arguments, weights="imagenet",
                    **schedule)
    return made.replace(frozen=("backbone",))


EXPERIMENTS = (
    _network("salnet", "the deep network of Pan et al. 2016", "pan", "deep network", 240, 320, "euclidean",
             epochs=86, batch=2, learning_rate=0.005, drops=(43, 69)),
    _network("juntingnet", "the shallow network of Pan et al. 2016", "pan", "shallow network", 96, 96, "euclidean",
             {"units": 4608},
             epochs=1200, batch=128, learning_rate=0.05, drops=(600, 1000)),
    _network("salicon", "two columns of VGG-16: the picture, and the picture at half its size", "salicon",
             "OpenSALICON", 1200, 1600, "cross_entropy", weights="imagenet",
             epochs=24, batch=1, learning_rate=0.0019, drops=(7, 14, 21)),
    _readout("readout_dc", "transposed convolution"),
    _readout("readout_spc", "sub-pixel convolution"),
    _readout("readout_bi", "bilinear interpolation"),
    _pointwise(),
)  # fmt: skip

"""The notes on accuracy and saliency: read-outs over backbones of different worth."""

from saliency_keras.experiments.tables.row import PaperTable, Row

# Backbones of different worth: stages of one training, each going on from the one before, and narrower networks.
BACKBONES = (
    Row("rgb", settings=("epochs=1",), called="rgb-stage1"),
    Row("rgb", settings=("epochs=1",), init="rgb-stage1", called="rgb-stage2"),
    Row("rgb", settings=("epochs=2",), init="rgb-stage2", called="rgb-stage3"),
    Row("rgb", settings=("epochs=4",), init="rgb-stage3", called="rgb-stage4"),
    Row("rgb_half", settings=("epochs=4",), called="rgb_half"),
    Row("rgb_quarter", settings=("epochs=4",), called="rgb_quarter"),
)
# Equal for all backbones and read-outs. Normalised features make one learning rate fit all.
READOUT = ("frozen=backbone", "normalised=true", "loss=divergence", "learning_rate=0.001", "batch=8", "epochs=10")


TABLES = {
    "accuracy-vs-saliency": PaperTable(
        "Notes on accuracy and saliency: what a classifier's accuracy says of the saliency read out of it",
        "correlation",
        BACKBONES,
        readouts=tuple(Row(name, settings=READOUT) for name in ("readout_bi", "readout_spc", "readout_dc")),
        whole=Row("readout_bi"),
        note="Stages of `rgb` go on from each other: 1, 2, 4 and 8 epochs in all, unless `--set` says otherwise. Such "
        "stages, and networks trained on the same pictures, are not independent; the intervals take them for it and "
        "are too narrow.",
    ),
}

"""Tables of hallucinated saliency."""

from saliency_keras.experiments.hallucination import METHODS
from saliency_keras.experiments.tables.row import PaperTable, Row

ALIKE = (
    "All methods begin with ImageNet's weights (§III-D), which are those of Keras or of a file (`--set weights=FILE`). "
    "The saliency branch of Approach A and B has learned on the large set."
)


def _rows(base, *, step1_only=False):
    """Preparation on the large set, and the five methods on the target.

    A ResNet begins with ImageNet's weights (§III-D). Keras has none of AlexNet, which is trained on the large set
    before, unless a file gives them (`tables.few_shot.begun_with_weights`).
    """
    begin, step1 = {"alexnet": "pretrain_alexnet", "resnet": ""}[base], f"hallucination_step1_{base}"
    rows = (Row(begin, large=True, preparation=True),) if begin else ()
    rows += (Row(step1, init=begin, large=True, preparation=True),)
    if step1_only:
        return rows
    taught = ("approach_a", "approach_b")
    return rows + tuple(
        Row(
            f"{method}_{base}",
            baseline="" if method == "baseline_rgb" else f"baseline_rgb_{base}",
            init=step1 if method in taught else begin,
        )
        for method in METHODS
    )


TABLES = {
    "hallucination-1": PaperTable(
        "Hallucination, Table I: accuracy by training pictures per class, AlexNet",
        "few_shot",
        _rows("alexnet"),
        repeats=5,
    ),
    "hallucination-1-resnet": PaperTable(
        "Hallucination, Table I's protocol on a ResNet",
        "few_shot",
        _rows("resnet"),
        repeats=5,
        note=ALIKE,
    ),
    "hallucination-2": PaperTable(
        "Hallucination, Table II: standard splits, ResNet", "standard", _rows("resnet"), note=ALIKE
    ),
    "hallucination-2-alexnet": PaperTable(
        "Hallucination, Table II's protocol on AlexNet", "standard", _rows("alexnet")
    ),
    "hallucination-3": PaperTable(
        "Hallucination, Table III: the map of step 1 against fixations",
        "fixations",
        _rows("alexnet", step1_only=True),
    ),
}

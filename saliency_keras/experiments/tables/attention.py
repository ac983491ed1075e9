"""Tables of attention from classifier activations."""

from saliency_keras.experiments.published import ATTENTION_2, ATTENTION_5, ATTENTION_6
from saliency_keras.experiments.tables.row import PaperTable, Row


def _scales(experiment, name, crops="", baseline=""):
    """An experiment at three scales, each on what the networks of the rows `crops1` and `crops2` attend to."""
    crops = crops or name
    looks = ("", f"{crops}1", f"{crops}1+{crops}2")
    return tuple(
        Row(experiment, called=f"{name}{scale}", zoom=zoom, baseline=f"{baseline}{scale}" if baseline else "")
        for scale, zoom in enumerate(looks, 1)
    )


def _together(rows, against):
    """Rows that are judged as one, and what they are compared with, as `PaperTable.together` has it."""
    return {f"{rows[0].name} to {rows[-1].name}": (tuple(row.name for row in rows), against)}


SCALES = _scales("classifier_attention", "scale")
SCALES_BESIDE_PLAIN = _scales("classifier_attention", "scale", baseline="max_pooled")
PLAIN_SCALES = _scales("max_pooled", "max_pooled", crops="scale")
LOCAL_SCALES = _scales("classifier_attention_local", "local")
OBJECT_SCALES = _scales("classifier_attention_object", "object")
SECOND_LOOKS = (
    Row("classifier_attention", called="scale1_again", baseline="scale1", other_seed=1000),
    *(
        Row("classifier_attention", called=name, zoom=zoom, baseline="scale1")
        for name, zoom in {
            "scale2": "scale1", "crop_center": "center=scale1", "crop_gbvs": "gbvs", "crop_gaze": "gaze",
            "crop_boxes": "boxes",
        }.items()
    ),
)  # fmt: skip
SQUARES = "All pictures are the squares of a compact set; the paper tests whole pictures of any shape."


TABLES = {
    "attention-2": PaperTable(
        "Classifier activations, Tables 2 to 4: three scales, and the ResNet-50 on the same crops",
        "attention",
        (PLAIN_SCALES[0], *SCALES_BESIDE_PLAIN, *PLAIN_SCALES[1:]),
        beside=ATTENTION_2,
        note=SQUARES,
        together=_together(PLAIN_SCALES, "max_pooled1") | _together(SCALES, "max_pooled1 to max_pooled3"),
    ),
    "attention-5": PaperTable(
        "Classifier activations, Table 5: trained with one of the two losses",
        "attention",
        (*SCALES, *LOCAL_SCALES, *OBJECT_SCALES),
        beside=ATTENTION_5,
        note="With the object loss alone the mask comes from local classifiers that were never trained; "
        "`--set classifier_attention_object:mask=none` uses all of the features. " + SQUARES,
        together=_together(SCALES, "scale1")
        | _together(LOCAL_SCALES, "scale1 to scale3")
        | _together(OBJECT_SCALES, "scale1 to scale3"),
    ),
    "attention-6": PaperTable(
        "Classifier activations, Table 6: accuracy by scale and level",
        "attention",
        SCALES,
        beside=ATTENTION_6,
        note=SQUARES,
        together=_together(SCALES, "scale1"),
    ),
    "attention-8": PaperTable(
        "Classifier activations, Fig. 8: the number of local classifiers",
        "attention",
        tuple(
            Row("classifier_attention", settings=(f"classifiers={number}",), called=f"classifiers{number}",
                baseline="classifiers1" if number > 1 else "")
            for number in (1, 2, 4, 8, 16)
        ),
        note="The paper prints a curve without numbers: it rises, then levels. " + SQUARES,
    ),
    "attention-controls": PaperTable(
        "What the second look is worth, and how much of it is this attention",
        "attention",
        (SCALES[0], *SECOND_LOOKS),
        note="`scale1_again` is a second network at scale 1 with another seed: what averaging two networks brings "
        "without a second look. `crop_center` crops a box of the attended size at the centre, `crop_gaze` what people "
        "looked at, `crop_boxes` the object itself.",
        together={f"scale1 + {row.name}": (("scale1", row.name), "scale1") for row in SECOND_LOOKS},
    ),
}  # fmt: skip

"""Tables of guidance by loss, and of the thesis's outlook (ch. 6)."""

import dataclasses

from saliency_keras.experiments.tables.row import CONTROL_MAPS, PaperTable, Row
from saliency_keras.experiments.tables.thesis import FAN_INS, FULL_SIZE

GUIDED = {
    "guided_cam": "unguided",
    "guided_gradient": "unguided",
    "attention_transfer": "unguided",
    "guided_attention": "unguided_attention",
}


def _guidance():
    """Every method under every map; one that is nobody's answer to the picture is what the own map must beat."""
    rows = [Row("unguided"), Row("unguided_attention", baseline="unguided")]
    for method, baseline in GUIDED.items():
        rows += [Row(method, baseline=baseline, twins=(f"{method}-shuffled",))]
        rows += [Row(method, maps, baseline) for maps in reversed(CONTROL_MAPS) if maps != "own"]
    return tuple(rows)


def with_further_maps(table, names):
    """The table with each method taught further maps of the data set as well: pictures' own, and other pictures'."""
    rows = []
    for name in names:
        for method, baseline in GUIDED.items():
            shuffled = Row(method, f"{name}:shuffled", baseline)
            rows += [Row(method, name, baseline, twins=(shuffled.name,)), shuffled]
    return dataclasses.replace(table, rows=(*table.rows, *rows))


def _depth(at, branch="identical", **fields):
    """Branches that meet at some stages, and the same with the picture in both."""
    settings = (f"at={list(at)}", f"branch={branch}")
    fixed = "_fixed" if branch == "fixed" else ""
    called = f"merged{fixed}-{'+'.join(map(str, at))}"
    doubled = Row("merged", settings=(*settings, "doubled=true"), called=f"{called}-doubled", baseline="rgb")
    return Row("merged", settings=settings, called=called, baseline="rgb", twins=(doubled.name,)), doubled


DEPTHS = (
    *(row for stage in range(1, 8) for row in _depth((stage,))),
    *(row for stage in range(1, 6) for row in _depth((stage,), "fixed")),
    *(row for at in ((1, 2), (1, 2, 3, 4, 5)) for row in _depth(at)),
)
OUTLOOK = (
    Row("rgb"),
    *(Row(name, baseline="rgb", twins=(f"{name}_doubled",)) for name in FAN_INS),
    *(Row(f"{name}_doubled", baseline="rgb") for name in FAN_INS),
    Row("noconv2", baseline="rgb"),
    Row("attention_transfer", baseline="rgb", twins=("attention_transfer-shuffled",)),
    Row("attention_transfer", "shuffled", "rgb"),
    *_depth((1, 2)),
    Row("rgb_tuned", init="rgb", baseline="rgb"),
    Row("branch_added", init="rgb", baseline="rgb_tuned", twins=("branch_added-doubled",)),
    Row("branch_added", "shuffled", "rgb_tuned", "rgb"),
    Row("branch_added", settings=("doubled=true",), init="rgb", baseline="rgb_tuned", called="branch_added-doubled"),
    *(Row(name, settings=FULL_SIZE, baseline="" if name == "rgb" else "rgb-side227")
      for name in ("rgb", "noconv2", "fanin3")),
)  # fmt: skip


TABLES = {
    "guidance": PaperTable(
        "Guidance by loss: what maps teach a network that does not see them",
        "guidance",
        _guidance(),
        repeats=3,
        note="At test time every network sees the picture alone, so that maps of other pictures of the class, too, are "
        "a fair control. `unguided` is the plain network, `unguided_attention` the one with an attention branch.",
    ),
    "thesis-outlook": PaperTable(
        "Thesis, chapter 6: attention transfer, a branch added to a trained network, meeting twice, and 227 px",
        "outlook",
        OUTLOOK,
        {"branch_added.png": ("rgb_tuned", "branch_added", "branch_added-doubled")},
        note="Published are proposals, no figures. Rows called `doubled` have the picture in the place of the map: the "
        "layers and parameters of the branch without a map. `attention_transfer` sees no map at test time. "
        "`branch_added` and `rgb_tuned` begin with the trained `rgb`, and their minutes are those of the tuning.",
    ),
    "thesis-depth": PaperTable(
        "Thesis, chapter 6: accuracy against the stage where two branches meet, and against parameters",
        "outlook",
        (Row("rgb"), *DEPTHS),
        note="`merged-1` is Fan-in2 and `merged-2` Fan-in1. The branch of `merged_fixed` has two stages wherever it "
        "meets; of several stages, branches meet after each.",
    ),
}

"""The papers' tables and figures as data: which runs make one, what is compared with what, what was published.

`tables/plan.py` trains the runs, the kinds of `tables/kind.py` write tables and draw figures. The published accuracies
of a row are those of its experiment; what a paper prints beyond them is in `published`. To add a table, add an entry to
`TABLES`.
"""

import dataclasses

from saliency_keras.console import UserError
from saliency_keras.experiments.hallucination import METHODS
from saliency_keras.experiments.published import ATTENTION_2, ATTENTION_5, ATTENTION_6
from saliency_keras.experiments.salclassnet import JOINT

CONTROL_MAPS = ("uniform", "center", "shuffled", "shuffled_in_class", "own")


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of a table: an experiment, trained once for each repeat.

    Attributes:
        experiment: Name of the experiment.
        maps: Which maps the network is shown, as `train --maps`.
        baseline: Name of the row that it is compared with.
        init: Name of the row whose run it starts from: of the same seed, unless that row only prepares.
        parents: Pairs of a part of the network and the row whose run it takes that part from, as `init`.
        twins: Names of further rows that it is compared with.
        settings: `KEY=VALUE` settings.
        published_gain: Published difference to the baseline at Top-1, 0 to 1, where it does not follow from the
            published accuracies.
        large: Whether it is trained on the large set instead of the target set.
        preparation: Whether it only prepares others: trained once, no row of its own.
        called: What it is called, where that does not follow from the other fields.
        zoom: Who looks at its pictures first, as `compact --zoom` takes it, with names of rows in place of runs: it is
            trained on a set of what they attend to.
        other_seed: What is added to the seed of each repeat.
    """

    experiment: str
    maps: str = "own"
    baseline: str = ""
    init: str = ""
    parents: tuple[tuple[str, str], ...] = ()
    twins: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    published_gain: float | None = None
    large: bool = False
    preparation: bool = False
    called: str = ""
    zoom: str = ""
    other_seed: int = 0

    @property
    def name(self):
        """What the row and its run folders are called: `fanin3`, `fanin3-shuffled`, `rgb-side227`."""
        changed = "".join("-" + setting.replace("=", "") for setting in self.settings)
        maps = "" if self.maps == "own" else "-" + self.maps.replace(":", "-")
        return self.called or self.experiment + maps + changed

    @property
    def begins_with(self):
        """Names of the rows whose runs it starts from."""
        return (*filter(None, [self.init]), *(name for _, name in self.parents))

    @property
    def lookers(self):
        """Who looks at its pictures first, one after another: names of rows, and others who can look."""
        return tuple(word.removeprefix("center=") for word in self.zoom.split("+")) if self.zoom else ()


@dataclasses.dataclass(frozen=True)
class PaperTable:
    """A table or a figure of a paper.

    Attributes:
        title: What it is and where it is printed.
        kind: How it is planned and written, a name in `tables.kind.KINDS`.
        rows: Its `Row`s, in the order of training: an interrupted reproduction has the first ones.
        figures: From a figure's file name to the names of the rows whose curves it shows; of a single row, also in
            training.
        beside: Further published rows: from a name to `{column: percent}`.
        repeats: Runs of each row by default.
        note: A sentence under the table.
        readouts: Of a correlation, the rows of the read-outs that are trained over each row's frozen network.
        whole: Of a correlation, the row of a read-out that is trained with its whole network, from two beginnings.
        further_maps: Of an attribution, names of maps that are controlled besides the interleaved one.
        together: From a name to the names of rows that are judged as one classifier, and the name of the row, or of
            the rows together, that they are compared with.
    """

    title: str
    kind: str
    rows: tuple[Row, ...]
    figures: dict = dataclasses.field(default_factory=dict)
    beside: dict = dataclasses.field(default_factory=dict)
    repeats: int = 1
    note: str = ""
    readouts: tuple[Row, ...] = ()
    whole: Row | None = None
    further_maps: tuple[str, ...] = ()
    together: dict = dataclasses.field(default_factory=dict)

    def row(self, name):
        """The row of that name."""
        return next(row for row in self.rows if row.name == name)


def _thesis_rows(*rgb_rows, mean=True):
    mean_rows = (Row("rgb_mean"), Row("rgbs", baseline="rgb_mean"), Row("rgb_1s2s", baseline="rgb_mean"))
    return (*(Row(name, baseline="" if name == "rgb" else "rgb") for name in rgb_rows), *(mean_rows if mean else ()))


FULL_SIZE = ("side=227",)
FULL_SIZE_ROWS = (
    Row("rgb", settings=FULL_SIZE),
    Row("fanin1", settings=FULL_SIZE, baseline="rgb-side227", published_gain=0.0135),
    Row("rgb_mean", settings=FULL_SIZE, baseline="rgb-side227"),
    Row("rgbs", settings=FULL_SIZE, baseline="rgb_mean-side227"),
)
PRETRAINED = ("rgb_1s2s", "rgbs", "rgbs_1s2s", "rgb_1xs2xs", "rgbxs", "rgbxs_1xs2xs")
PRETRAINED_ROWS = tuple(f"{name}_pretrained" for name in PRETRAINED)

# Of each strategy: its baseline, and the network of equal layers that sees no map.
STRATEGIES = {
    "fanin3": ("rgb", "fanin3_doubled"),
    "fanin1": ("rgb", "fanin1_doubled"),
    "fanin2": ("rgb", "fanin2_doubled"),
    "rgbs": ("rgb_mean", "rgb_mean"),
    "rgb_1s2s": ("rgb_mean", "rgb_mean"),
}


FANIN3_TWINS = ("noconv2", "noconv2_pooled", "fanin3_pool2")


def _strategy(name, maps="own"):
    baseline, twin = STRATEGIES[name]
    twins = (twin, *(FANIN3_TWINS if name == "fanin3" else ()))
    return Row(name, maps, baseline, twins=twins if maps == "own" else ())


def _controls():
    rows = [
        _strategy("fanin3"),
        Row("noconv2", baseline="rgb"),
        Row("noconv2_pooled", baseline="rgb"),
        _strategy("fanin3", "shuffled"),
        Row("rgb"),
        Row("fanin3", baseline="rgb", settings=("keep_pool2=true",), called="fanin3_pool2"),
    ]
    for strategy, (baseline, twin) in STRATEGIES.items():
        rows += [_strategy(strategy, maps) for maps in reversed(CONTROL_MAPS)]
        rows += [Row(twin, baseline=baseline if twin != baseline else "")]
    return tuple(dict.fromkeys(rows))


def _hallucination(base, *, step1_only=False):
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

ALIKE = (
    "All methods begin with ImageNet's weights (§III-D), which are those of Keras or of a file (`--set weights=FILE`). "
    "The saliency branch of Approach A and B has learned on the large set."
)
FAN_INS = ("fanin1", "fanin2", "fanin3")


def _prepared(*trunks, large=False):
    """What SalClassNet's stages begin with: detectors on free-viewing and the set's maps, classifiers on a large set.

    The kind leaves out what no data are given for; what begins with it begins with weights of `keras.applications`.
    """
    return (
        Row("salclassnet_osie", preparation=True),
        Row("salclassnet_detector", init="salclassnet_osie", preparation=True, large=large,
            called="salclassnet_detector-large" if large else ""),
        *(Row(f"{trunk}_pretrain", preparation=True, large=True) for trunk in trunks if not large),
    )  # fmt: skip


def _table_5(trunk):
    rgb, rgbs, pretrain = f"{trunk}_rgb", f"{trunk}_rgbs", f"{trunk}_pretrain"
    return (
        Row(rgb, init=pretrain),
        Row(rgbs, init=pretrain, baseline=rgb),
        Row(JOINT[trunk], init=rgbs, parents=DETECTED, baseline=rgb, twins=(rgbs,)),
    )


def _chain(trunk):
    """The joined network and what it starts from, without anything to be compared with."""
    return tuple(dataclasses.replace(row, baseline="", twins=()) for row in _table_5(trunk)[1:])


DETECTED = (("saliency", "salclassnet_detector"),)
JOINED = JOINT["resnet"]
TARGETS = ("shuffled", "center", "uniform")  # maps that are nobody's answer to the picture


def _weights(alpha, maps=1.0):
    return (f'loss_weights={{"logits": {alpha}, "map": {maps}}}',)


def _joined(called, settings=(), maps="own", stages=""):
    """The joined network as a control: its detector and its classifier were taught the maps that `stages` names."""
    begin, of_detector = f"resnet_rgbs{stages}", f"salclassnet_detector{stages}"
    return Row(JOINED, maps, "resnet_rgb", begin, (("saliency", of_detector),), settings=settings, called=called)


def _salclassnet_controls():
    first = _prepared("resnet")
    detectors = (Row("salclassnet_detector", maps, init="salclassnet_osie", preparation=True) for maps in TARGETS)
    shown = (Row("resnet_rgbs", maps, "resnet_rgb", "resnet_pretrain") for maps in TARGETS)
    taught = (_joined(f"{JOINED}-{maps}", maps=maps, stages=f"-{maps}") for maps in TARGETS)
    return (
        *first,
        *detectors,
        *_table_5("resnet"),
        *shown,
        *taught,
        Row(
            "resnet_rgb",
            init="resnet_rgb",
            baseline="resnet_rgb",
            settings=("fresh=[]", "factors={}"),
            called="resnet_rgb-on",
        ),
        _joined(f"{JOINED}-untaught", _weights(0.2, 0.0)),
        _joined(f"{JOINED}-never_taught", _weights(0.2, 0.0), stages="-uniform"),
        _joined(f"{JOINED}-frozen", ("frozen=saliency",)),
    )


ALPHAS = (0.05, 0.1, 0.2, 0.4, 0.8)


def _features(name, trunk, *frozen, joined=False):
    """A network that was fine-tuned on a large set, and its features under a new last layer on the target set."""
    taught = f"{name}-large"
    settings = (f"frozen={','.join((*trunk, *frozen))}", "fresh=top", *(_weights(1.0, 0.0) if joined else ()))
    parents = (("saliency", taught),) if joined else ()
    return Row(name, init=taught, parents=parents, settings=settings, called=f"{name}-features")


def _table_6():
    large = {"large": True, "preparation": True}
    fine_tuned = [Row(name, called=f"{name}-large", **large) for name in ("vgg_rgb", "inception_rgb", "resnet_rgb")]
    rows = [
        _features("vgg_rgb", ("trunk", "dense")),
        *(_features(f"{one}_rgb", ("trunk",)) for one in ("inception", "resnet")),
    ]
    for trunk in ("inception", "resnet"):
        rgbs = Row(f"{trunk}_rgbs", called=f"{trunk}_rgbs-large", **large)
        detected = (("saliency", "salclassnet_detector-large"),)
        joined = Row(JOINT[trunk], init=rgbs.name, parents=detected, called=f"{JOINT[trunk]}-large", **large)
        fine_tuned += [rgbs, joined]
        rows.append(_features(JOINT[trunk], ("trunk", "saliency", "new_channel"), joined=True))
    baselines = {JOINT[trunk]: f"{trunk}_rgb-features" for trunk in ("inception", "resnet")}
    rows = [dataclasses.replace(row, baseline=baselines.get(row.experiment, "")) for row in rows]
    return (*_prepared(large=True), *fine_tuned, *rows)


SALCLASSNET = (
    "Without `--free-viewing` the detector begins with ImageNet's weights, and without `--large` so do the "
    "classifiers, which the paper trains from scratch on ImageNet without the classes of the set. The detector "
    "prepares: it is trained once, for all seeds."
)


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
    Row("attention_transfer", baseline="rgb"),
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
    "thesis-4.1": PaperTable(
        "Thesis, Table 4.1: concatenation and Fan-in from scratch, 128 px",
        "accuracy",
        _thesis_rows("fanin3", "rgb", "fanin1", "fanin2"),
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
        "Thesis, Table 4.2: classes that gain most, 128 px", "classes", _thesis_rows("rgb", *FAN_INS)
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
            for row in _thesis_rows("rgb", "fanin1")
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
    "controls": PaperTable(
        "What the gain of each strategy is due to",
        "attribution",
        _controls(),
        {"curves.png": ("rgb", "noconv2", "fanin3")},
        note="Parts add up to the whole gain. A map that multiplies features can also do harm: where other pictures' "
        "maps are worse than none, what the own map repairs is counted as its gain, and the harm stands in the line of "
        "other pictures' maps. Read those lines together, beside the one that compares the own map with none.",
    ),
    "map-information": PaperTable(
        "What the maps alone say about the class",
        "map_information",
        (),
        note="`center` is one map for all and says nothing. A map above chance tells something of the class, and so "
        "the map of another picture of the class (`shuffled_in_class`) gives part of the label away.",
    ),
    "hallucination-1": PaperTable(
        "Hallucination, Table I: accuracy by training pictures per class, AlexNet",
        "few_shot",
        _hallucination("alexnet"),
        repeats=5,
    ),
    "hallucination-1-resnet": PaperTable(
        "Hallucination, Table I's protocol on a ResNet",
        "few_shot",
        _hallucination("resnet"),
        repeats=5,
        note=ALIKE,
    ),
    "hallucination-2": PaperTable(
        "Hallucination, Table II: standard splits, ResNet", "standard", _hallucination("resnet"), note=ALIKE
    ),
    "hallucination-2-alexnet": PaperTable(
        "Hallucination, Table II's protocol on AlexNet", "standard", _hallucination("alexnet")
    ),
    "hallucination-3": PaperTable(
        "Hallucination, Table III: the map of step 1 against fixations",
        "fixations",
        _hallucination("alexnet", step1_only=True),
    ),
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
    "salclassnet-4": PaperTable(
        "SalClassNet, Table 4: its maps and its detector's against where people looked",
        "top_down",
        (*_prepared("inception"), *_chain("inception")),
        note=SALCLASSNET,
    ),
    "salclassnet-5": PaperTable(
        "SalClassNet, Table 5: mean class accuracy with three channels, with true maps, and with its own",
        "class_accuracy",
        (*_prepared(*JOINT), *(row for trunk in JOINT for row in _table_5(trunk))),
        note=SALCLASSNET,
    ),
    "salclassnet-6": PaperTable(
        "SalClassNet, Table 6: features of networks that were fine-tuned on one set, on another",
        "class_accuracy",
        _table_6(),
        note="Networks are fine-tuned on the large set; on the target set only a new last layer is trained.",
    ),
    "salclassnet-alpha": PaperTable(
        "SalClassNet, Fig. 4: accuracy and error of the map against alpha, the weight of the classification loss",
        "class_accuracy",
        (
            *_prepared("resnet"),
            *_table_5("resnet")[:2],
            *(_joined(f"{JOINED}-alpha{alpha}", _weights(alpha)) for alpha in ALPHAS),
            _joined(f"{JOINED}-untaught", _weights(0.2, 0.0)),
        ),
        note=SALCLASSNET,
    ),
    "salclassnet-regions": PaperTable(
        "SalClassNet, Table 7: the regions of pictures that activate chosen feature maps most",
        "regions",
        (*_prepared("resnet"), *_chain("resnet")),
        note=SALCLASSNET,
    ),
    "salclassnet-shift": PaperTable(
        "SalClassNet, Fig. 3: how the map moves when the classification loss joins in",
        "shift",
        (*_prepared("resnet"), *_chain("resnet")),
        note=SALCLASSNET,
    ),
    "salclassnet-controls": PaperTable(
        "SalClassNet: what its gain is due to",
        "class_accuracy",
        _salclassnet_controls(),
        repeats=3,
        note="Of `-shuffled`, `-center` and `-uniform`, all stages were taught other pictures' maps, one centred "
        "spot, or no place at all. `-untaught` drops the map's loss when the networks are joined, `-never_taught` has "
        "no map of anybody in any stage, `-frozen` keeps the detector, and `resnet_rgb-on` is the plain classifier "
        "trained as much longer. " + SALCLASSNET,
    ),
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
}  # fmt: skip


def with_further_maps(table, names):
    """The table with each strategy shown further maps of the data set as well: pictures' own, in-class, others'."""
    rows = [
        Row(strategy, name + swap, baseline)
        for name in names
        for strategy, (baseline, _) in STRATEGIES.items()
        for swap in ("", ":shuffled_in_class", ":shuffled")
    ]
    return dataclasses.replace(table, rows=(*table.rows, *rows), further_maps=tuple(names))


def baseline_of(name):
    """Name of the experiment that an experiment is compared with in the first table that does so, or `""`."""
    compared = ((one, row) for one in TABLES.values() for row in one.rows if row.experiment == name and row.baseline)
    return next((one.row(row.baseline).experiment for one, row in compared), "")


def table(name):
    """The `PaperTable` of that name; a `UserError` that lists the names if there is none."""
    if name not in TABLES:
        raise UserError(f"there is no table {name!r}; choose one of {', '.join(TABLES)}.")
    return TABLES[name]

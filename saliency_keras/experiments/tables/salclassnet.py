"""Tables and figures of SalClassNet."""

import dataclasses

from saliency_keras.experiments.salclassnet import JOINT
from saliency_keras.experiments.tables.row import PaperTable, Row

DETECTED = (("saliency", "salclassnet_detector"),)
JOINED = JOINT["resnet"]
TARGETS = ("shuffled", "center", "uniform")  # maps that are nobody's answer to the picture
ALPHAS = (0.05, 0.1, 0.2, 0.4, 0.8)
AT_THE_PAPERS = (f"{JOINED}-alpha0.2",)  # what the others are held against
SALCLASSNET = (
    "Without `--free-viewing` the detector begins with ImageNet's weights, and without `--large` so do the "
    "classifiers, which the paper trains from scratch on ImageNet without the classes of the set. The detector "
    "prepares: it is trained once, for all seeds."
)


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


def _weights(alpha, maps=1.0):
    return (f'loss_weights={{"logits": {alpha}, "map": {maps}}}',)


def _joined(called, settings=(), maps="own", stages="", twins=()):
    """The joined network as a control: its detector and its classifier were taught the maps that `stages` names."""
    begin, of_detector = f"resnet_rgbs{stages}", f"salclassnet_detector{stages}"
    parents = (("saliency", of_detector),)
    return Row(JOINED, maps, "resnet_rgb", begin, parents, twins, settings, called=called)


def _controls():
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


def _features(name, trunk, *frozen, joined=False):
    """A network that was fine-tuned on a large set, and its features under a new last layer on the target set."""
    taught = f"{name}-large"
    # All last layers learn as fast: a classifier's own factors differ from a joined network's.
    settings = (f"frozen={','.join((*trunk, *frozen))}", "fresh=top", 'factors={"top": 50}')
    settings += _weights(1.0, 0.0) if joined else ()
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


TABLES = {
    "salclassnet-4": PaperTable(
        "SalClassNet, Table 4: its maps and its detector's against where people looked",
        "top_down",
        (*_prepared("inception", "resnet"), *_chain("inception"), *_chain("resnet")),
        note="Joined networks over ResNet-50 are ours. " + SALCLASSNET,
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
            *(_joined(f"{JOINED}-alpha{alpha}", _weights(alpha), twins=AT_THE_PAPERS) for alpha in ALPHAS),
            _joined(f"{JOINED}-untaught", _weights(0.2, 0.0), twins=AT_THE_PAPERS),
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
        _controls(),
        repeats=3,
        note="Of `-shuffled`, `-center` and `-uniform`, all stages were taught other pictures' maps, one centred "
        "spot, or no place at all. `-untaught` drops the map's loss when the networks are joined, `-never_taught` has "
        "no map of anybody in any stage, `-frozen` keeps the detector, and `resnet_rgb-on` is the plain classifier "
        "trained as much longer. " + SALCLASSNET,
    ),
}

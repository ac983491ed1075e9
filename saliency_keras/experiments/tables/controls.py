"""What the gain of each strategy of the thesis is due to, and what maps alone say: no paper has these tables."""

import dataclasses

from saliency_keras.experiments.tables.row import CONTROL_MAPS, PaperTable, Row

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


def with_further_maps(table, names):
    """The table with each strategy shown further maps of the data set as well: pictures' own, in-class, others'."""
    rows = [
        Row(strategy, name + swap, baseline)
        for name in names
        for strategy, (baseline, _) in STRATEGIES.items()
        for swap in ("", ":shuffled_in_class", ":shuffled")
    ]
    return dataclasses.replace(table, rows=(*table.rows, *rows), further_maps=tuple(names))


TABLES = {
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
}

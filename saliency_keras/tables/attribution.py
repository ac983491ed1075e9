"""What the gain of each strategy is due to: architecture, a map at all, class information, place of the own map.

Controls show the same network other maps; each part of a gain is the difference of two of them, so that the parts add
up to the whole. The class part leaks: `shuffled_in_class` gives the label away at test time (`LABEL_GIVEN_AWAY`).
"""

import dataclasses

from saliency_keras.data.shown import SHUFFLES
from saliency_keras.experiments.tables.controls import STRATEGIES
from saliency_keras.experiments.tables.row import CONTROL_MAPS, Row
from saliency_keras.figures.document import Table
from saliency_keras.figures.intervals import intervals_figure
from saliency_keras.metrics.digits import points
from saliency_keras.tables import further_maps
from saliency_keras.tables.plan import plan
from saliency_keras.tables.results import INTERVALS, write_files

PARTS = (
    ("architecture, parameters", "uniform", None),
    ("a map at all: any picture's (centre bias, or harm)", "shuffled", "uniform"),
    ("class: same-class less any map (label given away)", "shuffled_in_class", "shuffled"),
    ("place: own less same-class map", "own", "shuffled_in_class"),
)
WHOLE = "the whole gain"
LABEL_GIVEN_AWAY = (
    "`shuffled_in_class` gives the label away: in testing too, a picture is shown the map of another picture of its "
    "true class. The accuracy of these rows is no fair test accuracy. The class part is rather an upper bound, and the "
    "place part rather a lower one. The fair twin is a map whose predictor learned no labels (`gbvs`), or none of "
    "these classes: a read-out over a run of `train --exclude-classes`, added by `data_prep.add_map --saliency RUN`. "
    "`reproduce map-information` says what each map of a set tells of the class by itself."
)


@dataclasses.dataclass(frozen=True)
class Attribution:
    """Strategies with their controls.

    Attributes:
        maps: Names of further maps of the set that are taken apart beside the interleaved one.
    """

    maps: tuple[str, ...] = ()
    keep_models = True

    @staticmethod
    def options(add):
        """`--maps`."""
        further_maps.add_option(add)

    def plan(self, table, choices):
        """As `TableKind.plan`; refuses names that are not of further maps of the set."""
        further_maps.check(self.maps, choices.data)
        return plan(further_maps.extended(table, self), choices)

    def write(self, results, folder):
        """As `TableKind.write`."""
        notes = [*in_words(attribution(results)), LABEL_GIVEN_AWAY, *results.head(), INTERVALS]
        figures = results.curves()
        header, rows, csv_header, csv_rows = attribution_table(results)
        if drawn := attribution_figure(results):
            figures["attribution.png"] = drawn
        return write_files(folder, results.table, notes, [Table(header, rows, keys=2)], (csv_header, csv_rows), figures)


def attribution(results):
    """What the gain of each strategy is due to.

    Args:
        results: `Results` of the table `controls`.

    Returns:
        A list of `(strategy, what, row, other row, Estimate)`. Of each strategy the `PARTS` add up to the whole gain;
        the lines after it compare further twins. With further maps, strategies are called `fanin3, gbvs` and so on.
    """
    found = []
    for strategy, (baseline, twin) in STRATEGIES.items():
        names = _row_names(strategy)
        lines = _gain_and_parts(names, baseline)
        lines += [("the own map instead of none", names["own"], names["uniform"])]
        lines += [("a centred spot instead of none", names["center"], names["uniform"])]
        if twin != baseline:
            lines += [("the map instead of a second RGB branch", names["own"], twin)]
        if strategy == "fanin3":
            lines += [
                ("no second convolution, no saliency", "noconv2", baseline),
                ("the same with AlexNet's dense layers", "noconv2_pooled", baseline),
                ("Fan-in3 with the second pooling kept", "fanin3_pool2", baseline),
                ("saliency, beside the missing convolution", names["own"], "noconv2"),
            ]
        panels = {f"{strategy}, {_interleaved(results)}" if results.table.further_maps else strategy: lines}
        for source in results.table.further_maps:
            further = _row_names(strategy, source)
            instead = (f"instead of the maps of {_interleaved(results)}", further["own"], names["own"])
            panels[f"{strategy}, {source}"] = [*_gain_and_parts(further, baseline), instead]
        for panel, lines in panels.items():
            for what, name, other in lines:
                figure = results.difference(name, other)
                if figure is not None:
                    found.append((panel, what, name, other, figure))
    return found


def in_words(found):
    """How each gain divides, in words.

    Args:
        found: Lines of `attribution`.

    Returns:
        A list of sentences, one a strategy whose parts are all there: `"rgbs, readout: +2.97 (+1.43 to +4.51) points
        over rgb_mean. It divides into +1.10 (-0.39 to +2.60) place: own less same-class map; …"`.
    """
    panels = {}
    for panel, what, _, other, estimate in found:
        panels.setdefault(panel, {}).setdefault(what, (other, estimate))
    told = []
    for panel, lines in panels.items():
        if all(what in lines for what in (WHOLE, *(what for what, _, _ in PARTS))):
            parts = "; ".join(f"{_in_points(lines[what][1])} {what}" for what, _, _ in reversed(PARTS))
            baseline, whole = lines[WHOLE]
            told.append(f"{panel}: {_in_points(whole)} points over {baseline}. It divides into {parts}.")
    return told


def _in_points(estimate):
    value, ends = estimate.text(points)
    return f"{value} ({ends})"


def _row_names(strategy, source=""):
    """From each of `CONTROL_MAPS` to the row of a strategy that is shown it, with the maps of a further source."""
    maps = {one: one for one in CONTROL_MAPS}
    if source:
        maps |= {"own": source, **{one: f"{source}:{one}" for one in SHUFFLES}}
    return {one: Row(strategy, shown).name for one, shown in maps.items()}


def _gain_and_parts(names, baseline):
    parts = [(what, names[maps], names[other] if other else baseline) for what, maps, other in PARTS]
    return [(WHOLE, names["own"], baseline), *parts]


def attribution_table(results):
    """`attribution` as a table."""
    found = attribution(results)
    header = ["strategy", "due to", "is", "less", "points at Top-1", "95 % interval"]
    rows = [[*line[:4], *line[4].text(points)] for line in found]
    numbers = ["strategy", "due_to", "row", "less", "difference", "low", "high"]
    return header, rows, numbers, [[*line[:4], *line[4].numbers()] for line in found]


def attribution_figure(results):
    """The parts of each strategy's gain, with their intervals: one panel a strategy, the whole gain filled."""
    panels = {}
    for strategy, what, _, _, estimate in attribution(results):
        panels.setdefault(strategy, []).append((what, estimate, None))
    return intervals_figure(panels, parts=True) if panels else None


def _interleaved(results):
    """Name of the map that is interleaved with the pictures."""
    return results.first.config["data"]["maps"][0]

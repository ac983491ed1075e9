"""The diagram of a network, drawn from its Keras graph: layers, sizes, and where the saliency map enters.

The thesis draws its networks by hand (Figs. 3.1 to 3.4); here they follow from the model, so that a drawing cannot say
other than the network does. A box is a layer with the layers after it that only reshape, rectify, normalise or pool.
Where that leaves more boxes than a page holds, layers of one size are folded into stages. The way of the map is dashed,
and the layer in which it meets the picture's features has a thick frame, so that both are seen in grey too.
"""

import dataclasses
import textwrap

import keras
from keras import layers

from saliency_keras.figures import style

ROWS = 13  # boxes one below the other; with more of them, stages are drawn
WIDTH, GAP = 2.25, 0.22  # of a box, and between two columns, in inches
LINE, PADDING, BETWEEN = 0.155, 0.12, 0.24  # of a line of text, of a box, and between two rows, in inches
SIZE = 8.5  # of the text, in points: about ten pixels where the figure is as wide as a phone
LETTERS, BOLD_LETTERS = 28, 25  # in a line of a box
EXPLAINED = "A box: a layer and what follows it; height×width×channels, parameters in thousands (k) or millions (M)."
MAP_COLOUR, FRAME = "#b34700", "#333333"
FILLS = {"input": "#ffffff", "features": "#dbe9f6", "join": "#ffd9a8", "dense": "#e4e4e4", "map": "#fff3e2"}

POOLING = (layers.MaxPooling2D, layers.AveragePooling2D)
GLOBAL_POOLING = (layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D)
UNSAID = (layers.ZeroPadding2D, layers.Flatten, layers.Rescaling, layers.Reshape, layers.Identity)
# Layers that stand in the box of the layer before them.
MINOR = (
    *UNSAID, *POOLING, *GLOBAL_POOLING, layers.ReLU, layers.Activation, layers.Softmax, layers.BatchNormalization,
    layers.LayerNormalization, layers.Dropout,
)  # fmt: skip
MERGES = {
    layers.Concatenate: "concatenate",
    layers.Multiply: "multiply",
    layers.Add: "add",
    layers.Subtract: "subtract",
    layers.Average: "average",
    layers.Maximum: "maximum",
}
UNSAID_SIZES = (layers.ZeroPadding2D, layers.Flatten)  # after these, a size says nothing new
CONVOLUTIONS = (layers.Conv2D, layers.Conv2DTranspose, layers.DepthwiseConv2D, layers.SeparableConv2D)
INPUTS = {"image": "picture", "saliency": "saliency map"}


@dataclasses.dataclass(eq=False)
class Box:
    """One box of a diagram.

    Attributes:
        operations: The Keras operations in it, in their order.
        shapes: The shape of each one's output, without the batch.
        sources: From a `Box` that it takes from to what happens on the way, `"resized to 30×30"` or `""`.
        sees: Names of the inputs that it depends on.
        branch: Whether it belongs to the network's saliency branch.
        makes_map: Whether that branch makes a map of the picture.
        row: Place from the top.
        column: Place from the left; the way from the picture to the answer is column 0.
    """

    operations: list
    shapes: list
    sources: dict
    sees: frozenset
    branch: bool = False
    makes_map: bool = False
    row: int = 0
    column: int = 0

    @property
    def first(self):
        """The operation that the box is named after."""
        return self.operations[0]

    @property
    def of_map(self):
        """Whether it deals with the map alone, given or made."""
        return self.sees == {"saliency"} or (self.branch and self.makes_map)

    @property
    def joins(self):
        """Whether the map, or the second branch, meets the picture's features here."""
        return not self.of_map and not self.branch and any(source.of_map or source.branch for source in self.sources)

    @property
    def meets_map(self):
        """Whether what meets the picture's features here is the map."""
        return self.joins and any(source.of_map for source in self.sources)

    @property
    def kind(self):
        """Which fill it has, a key of `FILLS`."""
        if isinstance(self.first, layers.InputLayer):
            return "input"
        if self.joins:
            return "join"
        if self.of_map:
            return "map"
        return "dense" if len(self.shapes[0]) == 1 else "features"


def network_diagram(network, title, caption=""):
    """Draws a network.

    Args:
        network: A `models.network.Network`.
        title: What it is called.
        caption: What else stands above it, in a line.

    Returns:
        A `matplotlib.figure.Figure`, the picture at the top and the answer at the bottom.
    """
    boxes = boxes_of(network)
    columns = 1 + max(box.column for box in boxes)
    heights = [0.0] * (1 + max(box.row for box in boxes))
    for box in boxes:
        heights[box.row] = max(heights[box.row], LINE * len(_lines(box)) + PADDING)
    tops = [sum(heights[:row]) + BETWEEN * row for row in range(len(heights))]
    wide, tall = columns * (WIDTH + GAP) + GAP, tops[-1] + heights[-1] + BETWEEN / 2
    letters = int(1.2 * LETTERS * columns)
    above = [line for text in (caption, EXPLAINED) if text for line in textwrap.wrap(style.one_line(text), letters)]
    head = 0.42 + LINE * len(above)
    with style.look():
        figure = style.new_figure(wide, tall + head)
        figure.set_layout_engine("none")
        figure.set_label(f"The network {title}: {diagram_in_words(network)}.")
        ax = figure.add_axes((0, 0, 1, 1))
        ax.set_axis_off()
        ax.set_xlim(0, wide)
        ax.set_ylim(tall, -head)
        ax.text(GAP, 0.1 - head, style.one_line(title), fontsize=11, fontweight="bold", va="top")
        for number, line in enumerate(above):
            ax.text(GAP, 0.34 - head + LINE * number, line, fontsize=SIZE - 1, va="top", color="#444444")
        places = {box: _Place(box, tops[box.row], heights[box.row]) for box in boxes}
        for box in boxes:
            for source, told in box.sources.items():
                _arrow(ax, places[source], places[box], told, boxes)
        for box in boxes:
            _draw(ax, box, places[box])
    return figure


def diagram_in_words(network):
    """The same in a sentence, for those who do not see the figure.

    Args:
        network: A `models.network.Network`.

    Returns:
        The boxes from the top, and what meets in each: text in one line.
    """
    told, name = [], {}
    for box in sorted(boxes_of(network), key=lambda one: (one.row, one.column)):
        first, *more = _lines(box)
        name[box] = f"{first} of the branch" if box.branch else first
        sources = [name[source] for source in box.sources]
        meets = f" of {' and '.join(sources)}" if len(sources) > 1 else ""
        told.append(f"{name[box]}{meets} ({', '.join(more)})")
    return "; ".join(told)


def boxes_of(network):
    """The boxes of a network's diagram, laid out in rows and columns.

    Args:
        network: A `models.network.Network`.

    Returns:
        A list of `Box`es, each after those that it takes from.
    """
    boxes = _graph(network)
    boxes = _contracted(boxes, _is_minor)
    boxes = _resizings_on_the_way(boxes)
    boxes = _contracted(boxes, _arithmetic)
    if _rows(boxes) > ROWS:
        boxes = _contracted(boxes, _same_stage)
    if _rows(boxes) > ROWS:
        boxes = _contracted(boxes, _without_weights)
    return _in_columns(boxes)


def _graph(network):
    """A box for each call of an operation, in topological order."""
    branch = set(network.parts.get("saliency", ()))
    makes_map = network.map is not None
    made_by, boxes = {}, []
    nodes = [node for _, nodes in sorted(network.model._nodes_by_depth.items(), reverse=True) for node in nodes]
    for node in nodes:
        sources = [made_by[id(tensor)] for tensor in node.input_tensors if id(tensor) in made_by]
        name = node.operation.name
        sees = frozenset().union(*(source.sees for source in sources)) if sources else frozenset({name})
        of_branch = name in branch or (bool(sources) and all(source.branch for source in sources))
        shape = tuple(keras.tree.flatten(node.outputs)[0].shape[1:])
        box = Box([node.operation], [shape], dict.fromkeys(sources, ""), sees, of_branch, makes_map)
        boxes.append(box)
        made_by |= {id(tensor): box for tensor in node.outputs}
    return boxes


def _contracted(boxes, together):
    """Unites each box with a source of it where `together(source, box, consumers)` says so and no circle results."""
    consumers, before = _consumers(boxes), None
    while len(boxes) != before:
        before, kept = len(boxes), []
        for box in boxes:
            found = next((one for one in box.sources if together(one, box, consumers) and _only_way(one, box)), None)
            if found is None:
                kept.append(box)
            else:
                _unite(found, box, consumers)
        boxes = _sorted(kept)
    return boxes


def _unite(source, box, consumers):
    """Takes a box into one of its sources."""
    source.operations += box.operations
    source.shapes += box.shapes
    source.sees |= box.sees
    for other, told in box.sources.items():
        consumers[other].remove(box)
        if other is not source and other not in source.sources:
            source.sources[other] = told
            consumers[other].append(source)
    for user in consumers.pop(box):
        told = user.sources.pop(box)
        if source not in user.sources:
            user.sources[source] = told
            consumers[source].append(user)


def _consumers(boxes):
    found = {box: [] for box in boxes}
    for box in boxes:
        for source in box.sources:
            found[source].append(box)
    return found


def _only_way(source, box):
    """Whether no second way leads from a source to a box, through others."""
    seen, left = set(), [one for one in box.sources if one is not source]
    while left:
        one = left.pop()
        if one is source:
            return False
        if one not in seen:
            seen.add(one)
            left += one.sources
    return True


def _sorted(boxes):
    """Boxes, each after its sources, otherwise in their order."""
    done, order = set(), []

    def visit(box):
        if box not in done:
            done.add(box)
            for source in box.sources:
                visit(source)
            order.append(box)

    for box in boxes:
        visit(box)
    return order


def _is_minor(source, box, consumers):
    """Whether a box says so little that it stands in the one before it."""
    if len(box.operations) > 1 or len(box.sources) > 1 or len(consumers[source]) > 1:
        return False
    as_it_was = not _weights(box.first) and box.shapes[0] == source.shapes[-1]
    if isinstance(source.first, layers.InputLayer):
        return as_it_was or isinstance(box.first, UNSAID)
    return as_it_was or _says_little(box.first)


def _says_little(operation):
    """Whether an operation goes with the layer before it: by its kind, or because it is none of Keras' layers."""
    return isinstance(operation, MINOR) or not isinstance(operation, layers.Layer)


def _resizings_on_the_way(boxes):
    """Takes out boxes that only resize what a join takes: the size is told on the way to it."""
    consumers, kept = _consumers(boxes), []
    for box in boxes:
        users = consumers[box]
        resizes = len(box.operations) == 1 and isinstance(box.first, layers.Resizing)
        if not resizes or not users or any(len(user.sources) < 2 for user in users):
            kept.append(box)
            continue
        (source,) = box.sources
        for user in users:
            del user.sources[box]
            user.sources.setdefault(source, f"resized to {_size(box.shapes[0][:2])}")
    return kept


def _same_stage(source, box, consumers):
    """Whether two boxes belong to one stage: one size, one branch, and no input, join of the map or answer."""
    alike = source.shapes[0][:-1] == box.shapes[0][:-1] and source.sees == box.sees and source.branch == box.branch
    bare = not isinstance(source.first, layers.InputLayer) and len(source.shapes[0]) > 1
    return alike and bare and not source.joins and not box.joins


def _arithmetic(source, box, consumers):
    """Whether two boxes are operations that are no layers, such as sums and comparisons."""
    return not any(isinstance(one, layers.Layer) for one in (*source.operations, *box.operations))


def _without_weights(source, box, consumers):
    """Whether two boxes compute without weights, and neither is an input or a join of the map."""
    bare = not any(_weights(one) for one in (*source.operations, *box.operations))
    return bare and not isinstance(source.first, layers.InputLayer) and not source.joins and not box.joins


def _rows(boxes):
    """Numbers the rows, each box below all its sources; returns how many there are."""
    for box in boxes:
        box.row = 1 + max((source.row for source in box.sources), default=-1)
    return 1 + max(box.row for box in boxes)


def _in_columns(boxes):
    """Sets rows and columns: the longest way to the last box is the first column, what is beside it the next ones."""
    _rows(boxes)
    consumers, taken = _consumers(boxes), {}

    def way_to(box, left):
        """The longest way that ends in a box."""
        way = [box]
        while before := [one for one in way[-1].sources if one in left]:
            way.append(max(before, key=lambda one: ("image" in one.sees and not one.of_map, one.row)))
        return way

    left, column = set(boxes), 0
    while left:
        ends = [box for box in boxes if box in left]
        way = way_to(max(ends, key=lambda box: (not box.of_map, box.row)), left)
        top, bottom = way[-1].row, max([way[0].row, *(user.row - 1 for user in consumers[way[0]])])
        column = next(
            place
            for place in range(len(boxes))
            if all(bottom < start or top > end for start, end in taken.get(place, ()))
        )
        taken.setdefault(column, []).append((top, bottom))
        for box in way:
            box.column = column
        left -= set(way)
    return boxes


def _lines(box):
    """The texts in a box: what it is, what else happens in it, and its sizes."""
    first, weights = box.first, sum(_weights(one) for one in dict.fromkeys(box.operations))
    if isinstance(first, layers.InputLayer):
        return [INPUTS.get(first.name, first.name), _size(box.shapes[0])]
    named = [one for one in box.operations if not _says_little(one)]
    if not weights and len(box.operations) > 1 and not isinstance(first, layers.Layer):
        name, more = f"{len(box.operations)} operations", []
    elif len(named) > 1:
        convolutions = sum(isinstance(one, CONVOLUTIONS) for one in named)
        counted = convolutions or len(box.operations)
        name = _stage_name(named)
        more = [f"{counted} {'convolution' if convolutions else 'layer'}{'s' * (counted > 1)}"]
    else:
        name, more = _name(box), [told for operation in box.operations[1:] if (told := _short(operation))]
    sizes = [shape for one, shape in zip(box.operations, box.shapes, strict=True) if not isinstance(one, UNSAID_SIZES)]
    sizes = [_size(shape) for shape in sizes or box.shapes]
    told = [sizes[0] if sizes[0] == sizes[-1] else f"{sizes[0]} → {sizes[-1]}", *([_count(weights)] if weights else [])]
    return [style.shortened(name, BOLD_LETTERS), *_filled(dict.fromkeys(more), ", "), *_filled(told, " · ")]


def _filled(words, between):
    """Words in lines of a box."""
    lines = []
    for word in words:
        if lines and len(lines[-1] + between + word) <= LETTERS:
            lines[-1] += between + word
        else:
            lines.append(word)
    return lines


def _name(box):
    """What the first line of a box says of the operation that it is named after."""
    operation, name = box.first, box.first.name.removesuffix("_saliency")
    if isinstance(operation, keras.Model):
        return f"{name}, {_layers_in(operation)} layers"
    for kind, told in MERGES.items():
        if isinstance(operation, kind):
            return f"{told} with the map" if box.meets_map else told
    if isinstance(operation, CONVOLUTIONS):
        return f"{name} {_window(operation.kernel_size, operation.strides)}"
    if isinstance(operation, POOLING):
        return f"{name} {_window(operation.pool_size, operation.strides)}"
    if isinstance(operation, (layers.Resizing, layers.UpSampling2D)):
        return "resized"
    return name


def _layers_in(model):
    return sum(_layers_in(one) if isinstance(one, keras.Model) else 1 for one in model.layers)


def _short(operation):
    """What a box says of a further operation, in a word or two; `""` for nothing."""
    if isinstance(operation, layers.Rescaling) and (operation.scale, operation.offset) == (1, 1):
        return "plus 1"
    if isinstance(operation, UNSAID) or not isinstance(operation, layers.Layer):
        return ""
    if isinstance(operation, POOLING):
        return f"pool {_window(operation.pool_size, operation.strides)}"
    if isinstance(operation, GLOBAL_POOLING):
        return "mean over all places" if isinstance(operation, GLOBAL_POOLING[0]) else "maximum over all places"
    if isinstance(operation, layers.BatchNormalization):
        return "BN"
    if isinstance(operation, layers.Dropout):
        return f"dropout {operation.rate:g}"
    if isinstance(operation, layers.ReLU):
        return "ReLU"
    if isinstance(operation, layers.Activation):
        name = operation.activation.__name__
        return "ReLU" if name == "relu" else name
    return type(operation).__name__


def _stage_name(operations):
    """What a stage is called: what the names of its layers begin with, or the first and the last of them."""
    names = [one.name.removesuffix("_saliency") for one in operations]
    shared = []
    for words in zip(*(name.split("_") for name in names), strict=False):
        if len(set(words)) > 1:
            break
        shared.append(words[0])
    return "_".join(shared) or f"{names[0]} … {names[-1]}"


def _window(size, strides):
    size, strides = (pair if isinstance(pair, tuple) else (pair, pair) for pair in (size, strides))
    return "×".join(map(str, size)) + (f" / {strides[0]}" if strides[0] > 1 else "")


def _size(shape):
    return "×".join("?" if length is None else f"{length}" for length in shape)


def _weights(operation):
    """How many parameters an operation has."""
    return operation.count_params() if isinstance(operation, layers.Layer) else 0


def _count(number):
    """A count as a reader remembers it: `"35 k"`, `"37.8 M"`."""
    for factor, letter in ((1e6, " M"), (1e3, " k")):
        if number >= factor:
            return f"{number / factor:.3g}{letter}"
    return str(number)


@dataclasses.dataclass(frozen=True)
class _Place:
    """Where a box lies, in inches from the left and from the top."""

    box: Box
    top: float
    height: float

    @property
    def left(self):
        return GAP + self.box.column * (WIDTH + GAP)

    @property
    def middle(self):
        return self.left + WIDTH / 2

    @property
    def bottom(self):
        return self.top + self.height


def _draw(ax, box, place):
    from matplotlib.patches import Rectangle

    dashed = box.of_map
    look = {"linestyle": (0, (4, 2)) if dashed else "solid", "linewidth": 2 if box.joins else 0.9}
    edge = MAP_COLOUR if dashed or box.meets_map else FRAME
    ax.add_patch(
        Rectangle((place.left, place.top), WIDTH, place.height, facecolor=FILLS[box.kind], edgecolor=edge, **look)
    )
    lines = _lines(box)
    start = place.top + (place.height - LINE * (len(lines) - 1)) / 2
    for number, line in enumerate(lines):
        weight = "bold" if number == 0 else "normal"
        ax.text(place.middle, start + LINE * number, line, ha="center", va="center", fontsize=SIZE, fontweight=weight)


def _arrow(ax, source, box, told, boxes):
    """The way from one box to another: straight down, or round a corner between columns."""
    of_map = source.box.of_map
    colour = MAP_COLOUR if of_map else FRAME
    look = {"color": colour, "linewidth": 1.1, "linestyle": (0, (4, 2)) if of_map else "solid", "zorder": 1}
    head = {"arrowstyle": "-|>", "color": colour, "linewidth": 1.1, "shrinkA": 0, "shrinkB": 0}
    between = range(source.box.row + 1, box.box.row)
    same = source.box.column == box.box.column

    def blocked(column):
        return any(other.column == column and other.row in between for other in boxes)

    if same and not blocked(box.box.column):
        points = [(source.middle, source.bottom), (box.middle, box.top)]
    elif same:  # past the boxes between, on their right
        side = source.left + WIDTH + GAP / 2
        down, up = source.bottom - PADDING, box.top + PADDING
        points = [(source.left + WIDTH, down), (side, down), (side, up), (box.left + WIDTH, up)]
    elif source.box.column > box.box.column:  # joins from the right
        at = box.top + box.height / 2
        across = source.middle if not blocked(source.box.column) else source.left - GAP / 2
        if source.box.row == box.box.row - 1 or not blocked(source.box.column):
            points = [(across, source.bottom), (across, at), (box.left + WIDTH, at)]
        else:
            down = source.bottom + BETWEEN / 2
            points = [(source.middle, source.bottom), (source.middle, down), (across, down), (across, at)]
            points.append((box.left + WIDTH, at))
    else:  # branches off to the right
        at = source.top + source.height / 2
        points = [(source.left + WIDTH, at), (box.middle, at), (box.middle, box.top)]
        if blocked(box.box.column):
            side, above = box.left - GAP / 2, box.top - BETWEEN / 2
            points = [(source.left + WIDTH, at), (side, at), (side, above), (box.middle, above), (box.middle, box.top)]
    if len(points) > 2:
        ax.plot(*zip(*points[:-1], strict=True), **look)
    ax.annotate("", points[-1], points[-2], arrowprops={**head, "linestyle": look["linestyle"]}, zorder=1)
    if told:
        x, y = points[-1] if source.box.column != box.box.column else points[0]
        right = x + 0.06 if source.box.column != box.box.column else x + 0.08
        ax.text(right, y - 0.05, told, fontsize=SIZE - 1, color=colour, va="bottom")

"""Rows and tables as data: which runs make a table, and what each is compared with."""

import dataclasses

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
    def twin(self):
        """The first of its twins, which a table shows it beside; `None` if it has none."""
        return next(iter(self.twins), None)

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

"""All runs of a paper's table, one after another, from whatever an earlier attempt left.

A reproduction folder holds `runs/NAME`, shared by all tables that are made there: a run that another table has trained
is not trained again. A finished run is passed over, an unfinished one resumed, so that a reproduction can be stopped
and started at any moment. What a table consists of is `experiments/tables/`; each kind of table (`tables/kind.py`)
plans its runs through `plan` here and writes what came out.
"""

import dataclasses
import json
import shlex
from pathlib import Path

from saliency_keras import run_folder
from saliency_keras.console import UserError, tell
from saliency_keras.data.few_shot import OFFICIAL, check_counts, read_list
from saliency_keras.data.manifest import SPLITS, Manifest
from saliency_keras.data.stored import Records
from saliency_keras.experiments import experiment
from saliency_keras.experiments.experiment import WHOLE, flat_settings
from saliency_keras.experiments.tables.row import Row
from saliency_keras.files import read_json
from saliency_keras.runs.run import Run
from saliency_keras.training.start import check_kind, check_weights


class Unfit(UserError):
    """A run of a table cannot be trained, which leaves the others as they are."""


@dataclasses.dataclass(frozen=True)
class Choices:
    """What the user chooses about a reproduction.

    Attributes:
        data: Compact set of the table's rows.
        out: The reproduction folder.
        large: Compact set of the rows that are trained on a large one, or `None`.
        epochs: Epochs of the last row, or `None` for the paper's; all others are shortened in proportion.
        repeats: Runs of each row, by seed 0, 1, …, or `None` for the table's own.
        only: Names of experiments or single rows to confine the table to, with what they need; empty for all. A row
            that is called like its experiment is asked for alone by `EXPERIMENT-own`.
        settings: `KEY=VALUE` settings for every experiment that has the key, or `ROW:KEY=VALUE` for one row, or
            `EXPERIMENT:KEY=VALUE` for all rows of one experiment.
        precision: `"float32"` or `"bfloat16"`.
        compact: Function that makes compact sets, as `data_prep.compact.compact` does, for tables that need some.
    """

    data: Path
    out: Path
    large: Path | None = None
    epochs: int | None = None
    repeats: int | None = None
    only: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    precision: str = "float32"
    compact: object = None


@dataclasses.dataclass(frozen=True)
class PlannedRun:
    """One run of a reproduction.

    Attributes:
        row: The `Row` it belongs to.
        experiment: The `Experiment`, final.
        data: Its compact set.
        folder: Its run folder.
        seed: Its seed.
        init: Folder of the run it starts from, or `None`.
        of_parts: Pairs of a part of the network and the folder of the run it takes that part from.
        shots: Training pictures per class, or `""`.
        precision: `"float32"` or `"bfloat16"`.
        reads: Folder of the run whose features it reads, or of the set it is trained on, where the same plan makes
            that, or `None`.
    """

    row: Row
    experiment: object
    data: Path
    folder: Path
    seed: int
    init: Path | None = None
    shots: str = ""
    precision: str = "float32"
    reads: Path | None = None
    of_parts: tuple[tuple[str, Path], ...] = ()
    trains = True  # whether it takes training pictures
    makes_set = False  # whether it makes a compact set instead of training

    @property
    def parents(self):
        """The runs that it starts from, by part."""
        return ({WHOLE: self.init} if self.init else {}) | dict(self.of_parts)

    @property
    def finished(self):
        """Whether the run folder says so."""
        return run_folder.is_finished(self.folder)

    @property
    def needs(self):
        """Folders of the runs whose networks it starts from or reads."""
        return (*self.parents.values(), *filter(None, [self.reads]))

    def train(self, features=None):
        """Trains it, or goes on with what an earlier attempt left; `features` as for `training.train.train`."""
        from saliency_keras.training.train import forget_networks, train

        try:
            train(
                self.experiment,
                self.data,
                self.folder,
                seed=self.seed,
                precision=self.precision,
                parents=self.parents,
                resume=True,
                features=features,
            )
        finally:
            forget_networks()

    def as_long_as_it_was(self):
        """This run, lasting as long as the finished one in its folder did, if there is one."""
        if not self.finished:
            return self
        there = Run.load(self.folder).settings
        schedule = {"epochs": there["epochs"], "drops": tuple(there["drops"])}
        return dataclasses.replace(self, experiment=self.experiment.replace(**schedule))

    def __str__(self):
        maps = "" if self.row.maps == "own" else f", {self.row.maps} maps"
        shots = f", {self.shots} pictures per class" if self.shots else ""
        length = self.experiment.schedule.epochs
        epochs = f"{length} epoch{'s' * (length > 1)}"
        return f"{self.row.called or self.row.experiment}{maps}{shots}, seed {self.seed}, {epochs}"


def words_of(text):
    """The words between the commas of an option, each once: a tuple of strings."""
    return tuple(dict.fromkeys(filter(None, text.split(","))))


def plan(table, choices, shots=("",)):
    """Lists the runs of a table, in the order of training.

    Args:
        table: A `PaperTable`.
        choices: The `Choices`.
        shots: Numbers of training pictures per class; every row is run with each of them.

    Returns:
        A list of `PlannedRun`s. A finished preparation keeps the length that it has.

    Raises:
        UserError: If a choice does not fit the table.
    """
    rows = _chosen_rows(table, choices.only)
    wanted = [row for row in table.rows if not row.preparation] or table.rows[-1:]
    if not set(wanted) & set(rows):
        raise UserError(f"--only {','.join(choices.only)} leaves no row of the table but what prepares for it.")
    if choices.large is None and any(row.large for row in rows):
        raise UserError("this table begins on a large set of pictures; give one: --large DIR.")
    check_settings([*table.rows, *table.readouts], choices.settings)
    repeats = choices.repeats or table.repeats
    runs = [_run(table, row, 0, "", choices).as_long_as_it_was() for row in rows if row.preparation]
    measured = [row for row in rows if not row.preparation]
    for seed in range(repeats):
        for number in shots:
            runs += [_run(table, row, seed, number, choices) for row in measured]
    return runs


class AsPlanned:
    """What the kinds of table share that train their rows as `plan` lists them."""

    keep_models = True

    @staticmethod
    def options(add):
        """None of its own."""

    def plan(self, table, choices):
        """As `TableKind.plan`."""
        return plan(table, choices)


def check_settings(rows, settings):
    """Refuses a `KEY=VALUE` or `ROW:KEY=VALUE` that fits none of these rows or has a value that its key cannot have.

    All settings of a row are tried at once: some values fit each other only, `keep_features=true` and `crops=center`.
    """
    for setting in settings:
        name, change = _addressed(setting)
        addressed = [row for row in rows if not name or name in (row.name, row.experiment)]
        if not any(_knows(experiment(row.experiment), change) for row in addressed):
            known = ", ".join(dict.fromkeys(row.name for row in rows))
            what = f"{name} has no such setting" if addressed else f"its rows are {known}"
            raise UserError(f"--set {setting!r} fits no experiment of this table; {what}.")
    for row in rows:
        with_choices(experiment(row.experiment), row, Choices(Path(), Path(), settings=tuple(settings)))


def _addressed(setting):
    """The row or experiment that a setting is for, `""` for all, and the `KEY=VALUE`."""
    key, equals, value = setting.partition("=")
    name, _, key = key.rpartition(":")
    return name, f"{key}{equals}{value}"


def carry_out(runs, keep_models=True, jobs=1, features=None):
    """Trains whatever is not finished.

    A run that diverges would do so again, so the others go on without it and without those that start from it.

    Args:
        runs: `PlannedRun`s, those that others start from first.
        keep_models: Whether finished runs keep their networks; those that others start from always do.
        jobs: How many runs are trained at once.
        features: Folder of `training.features.shared`, or `None` for one in each run.

    Returns:
        The runs that are missing, and of each why: `[(PlannedRun, sentence)]`.

    Raises:
        UserError: If a run cannot be trained, or was begun with other choices.
    """
    from saliency_keras.tables.side_by_side import train_side_by_side
    from saliency_keras.training.loop import Diverged
    from saliency_keras.training.state import drop_state

    _check_data(runs)
    for run in runs:
        if run.reads is None or run_folder.has_network(run.reads):
            _check_begun(run)
    if cost := cost_of(runs):
        tell(cost)
    missing, needed = {}, {folder for run in runs for folder in run.needs}

    def ready(run):
        if run.reads:
            _check_begun(run)

    def finish(run):
        if run.finished:
            drop_state(run.folder / run_folder.STATE)  # of a run that was killed before it had cleared up
        if not (keep_models or run.folder in needed):
            for name in run_folder.MODEL, run_folder.BEST:
                (run.folder / name).unlink(missing_ok=True)

    if jobs > 1:
        for run in runs:
            if run.finished:
                ready(run)
                finish(run)
        train_side_by_side([run for run in runs if not run.finished], jobs, missing, ready, finish, features)
        return list(missing.values())
    for number, run in enumerate(runs, 1):
        if gone := [folder for folder in run.needs if folder in missing]:
            missing[run.folder] = run, f"{gone[0]} is missing"
            continue
        ready(run)
        if not run.finished:
            left = sum(not other.finished for other in runs[number:])
            tell(f"[{number}/{len(runs)}] {run}; {left} runs left after it")
            try:
                run.train(features)
            except (Diverged, Unfit) as error:
                tell(f"{run}: {error}")
                missing[run.folder] = run, str(error)
        finish(run)
    return list(missing.values())


def _check_begun(run):
    """Refuses a run with other settings, or one that started from a run that is gone and would be trained again."""
    from saliency_keras.training.train import check_begun

    if not run_folder.is_begun(run.folder):
        return
    gone = [folder for folder in run.parents.values() if not run_folder.has_network(folder)]
    if not gone:
        try:
            check_begun(
                run.experiment,
                run.data,
                run.folder,
                seed=run.seed,
                precision=run.precision,
                parents=run.parents,
                parents_may_differ=run.finished and run.row.preparation and not run.parents,
            )
        except UserError as error:
            raise UserError(f"{str(error).rstrip('.')}; {_way_out(run)}.") from None
    elif trained_again := [folder for folder in gone if not run_folder.is_finished(folder)]:
        raise UserError(
            f"{run.folder} started from {trained_again[0]}, which is gone and would be trained again; bring it back, "
            f"or delete {run.folder} too."
        )


def _way_out(run):
    """What to do where a run's folder holds one with other choices, which another table may have made."""
    there = flat_settings(read_json(run.folder / run_folder.CONFIG)["experiment"])
    here = json.loads(json.dumps(run.experiment.settings))
    words = [
        f"--set {shlex.quote(f'{run.row.name}:{name}={value if isinstance(value, str) else json.dumps(value)}')}"
        for name, value in there.items()
        if name in here and here[name] != value
    ]
    way = "give this table another --out"
    return f"{way}, or take that run into it: {' '.join(words)}" if words else way


def cost_of(runs):
    """What the classifiers of a plan that are not finished cost, in words; `""` where there are none.

    Args:
        runs: `PlannedRun`s.

    Returns:
        A sentence with the pictures that they are trained on in all epochs together, and the multiply-adds of
        `training_cost`.
    """
    from saliency_keras.training.cost import training_cost

    left = [run for run in runs if run.trains and run.experiment.pictures and not run.finished]
    made_of = {run.folder: run.data for run in runs if run.makes_set}  # as many pictures, perhaps not there yet
    data_of = {run.data: made_of.get(run.data, run.data) for run in left}
    manifests = {data: Manifest.load(there) for data, there in data_of.items()}
    networks = {}
    costs = [training_cost(run.experiment, manifests[run.data], networks) for run in left]
    pictures, work = (sum(one) for one in zip(*costs, strict=True)) if costs else (0, 0)
    if not pictures:
        return ""
    trillions = f"{work / 1e12:,.0f}" if work > 1e14 else f"{work / 1e12:.2g}"
    uncounted = any(run.experiment.learns_from_fixations and not run.finished for run in runs)
    aside = " (what learns from fixations is not counted)" * uncounted
    told = f"{pictures:,} pictures, all epochs together: {trillions} trillion multiply-adds"
    return f"what is left trains on {told}{aside}"


def check_missing(missing, name):
    """Raises a `UserError` that says what `carry_out` could not train for the table of that name, if anything."""
    if missing:
        runs = "; ".join(f"{run}: {sentence.rstrip('.')}" for run, sentence in missing)
        raise UserError(f"{name} lacks what could not be trained: {runs}.")


def _check_data(runs):
    """Refuses, before the first run, what some run cannot be trained with or on, the last one's too."""
    from saliency_keras.training.initial_weights import check_same_layers
    from saliency_keras.training.tasks import task_named

    experiments = {run.folder: run.experiment for run in runs}
    for run in runs:
        check_kind(run.experiment, run.data)
        task_named(run.experiment.task).check(run.experiment)
        for part, folder in run.parents.items():
            if folder in experiments:
                check_same_layers(run.experiment, part, folder, flat_settings(experiments[folder].as_json()))
    classifiers = [run for run in runs if not run.experiment.learns_from_fixations]
    made_first = {run.folder for run in runs if run.makes_set and not run.finished}
    classifiers = [run for run in classifiers if run.data not in made_first]
    manifests = {data: Manifest.load(data) for data in dict.fromkeys(run.data for run in classifiers)}
    for run in runs:
        check_weights(run.experiment)
    for data, side in dict.fromkeys((run.data, run.experiment.pictures.side) for run in classifiers):
        manifests[data].check_side(side)
    for data, excluded in dict.fromkeys((run.data, run.experiment.pictures.exclude_classes) for run in classifiers):
        manifests[data].classes_without(excluded)
    for data, pictures, seed in dict.fromkeys((run.data, run.experiment.pictures, run.seed) for run in classifiers):
        if path := pictures.list_of(seed):
            drawn = read_list(path, manifests[data], pictures.few_shot_splits)
            drawn.taking(pictures.few_shot, manifests[data].classes)
        elif pictures.few_shot:
            check_counts(manifests[data], pictures.few_shot, pictures.few_shot_splits)
    prepared = [run for run in classifiers if run.row.large or run.experiment.pictures.train_on == "val"]
    tested = {}  # the first run on each set: ids are read once a set
    for run in classifiers:
        if run.experiment.pictures.train_on == "train" and not run.row.large:
            tested.setdefault(run.data, run)
    for run in tested.values():
        for other in prepared:
            _check_apart(run, other, manifests[run.data], manifests[other.data])


def _check_apart(run, preparation, tested, prepared):
    """Refuses a preparation that learns from pictures which a later run is tested on."""
    pictures, learned = run.experiment.pictures, preparation.experiment.pictures.train_on
    pooled = bool(pictures.few_shot) and pictures.few_shot_splits != OFFICIAL
    if not _share_pictures(tested, prepared, SPLITS if pooled else ("val",), learned):
        return
    what = "step 1" if learned == "val" else preparation.row.experiment
    ways = ["give another set to --large"]
    if learned == "val":
        ways.append("have step 1 learn from the train split: --set train_on=train")
    if pooled:
        ways[1:] = ["keep the official splits: --set few_shot_splits=official --set train_on=train"]
    raise UserError(
        f"{what} would learn from pictures of {run.data} that {run.row.experiment} is tested on; {', or '.join(ways)}."
    )


def _share_pictures(one, other, splits, split_of_other):
    """Whether some splits of a set and a split of another, however compacted, have pictures of one source in common."""
    but = ("plan", "maps", "zoom")
    ours, theirs = (
        ({name: value for name, value in manifest.source.items() if name not in but}, manifest.classes)
        for manifest in (one, other)
    )
    learned = _ids(other, split_of_other) if ours == theirs and split_of_other in splits else set()
    return not learned.isdisjoint(_ids(one, split_of_other))


def _ids(manifest, split):
    return set(Records(manifest, split).ids(range(manifest.split(split).records)))


def _asked_by(row):
    """What asks for a row: its experiment, which asks for others too, its name, and `…-own` where that is the same."""
    return row.experiment, row.name, *([f"{row.name}-own"] if row.name == row.experiment else [])


def _chosen_rows(table, only):
    """The rows asked for, with the rows they start from and are compared with, directly or not."""
    names = {name for row in table.rows for name in _asked_by(row)}
    unknown = [name for name in only if name not in names]
    if unknown:
        raise UserError(f"this table has no row {unknown[0]!r}; it has {', '.join(sorted(names))}.")
    if not only:
        return table.rows
    wanted = {row.name for row in table.rows if set(_asked_by(row)) & set(only)}
    while True:
        beside = [
            (*row.begins_with, row.baseline, *row.twins, *row.lookers) for row in table.rows if row.name in wanted
        ]
        more = {other for names in beside for other in names if other}
        if more <= wanted:
            return tuple(row for row in table.rows if row.name in wanted)
        wanted |= more


def _run(table, row, seed, shots, choices):
    chosen = experiment(row.experiment)
    if choices.epochs is not None:
        length = experiment(table.rows[-1].experiment).schedule.epochs
        chosen = chosen.lasting(max(1, round(chosen.schedule.epochs * choices.epochs / length)))
    chosen = with_choices(chosen, row, choices, [f"few_shot={shots}"] if shots else [])
    of_seed = f"-seed{seed}" if seed else ""
    repeated = {one.name for one in table.rows if not one.preparation}

    def made_by(name):
        return choices.out / "runs" / (name + of_seed * (name in repeated))

    init = made_by(row.init) if row.init else None
    of_parts = tuple((part, made_by(name)) for part, name in row.parents)
    name = row.name + (f"-k{shots}" if shots else "") + of_seed
    data = choices.large if row.large else choices.data
    folder = choices.out / "runs" / name
    return PlannedRun(row, chosen, data, folder, seed, init, shots, choices.precision, of_parts=of_parts)


def with_choices(chosen, row, choices, further=()):
    """An experiment with the settings of its row, then the user's (for all, for it, for the row), then further ones."""
    found = chosen.with_settings([*row.settings, *_for_row(row, choices.settings), *further])
    return found if row.maps == "own" else found.showing(row.maps)


def _for_row(row, settings):
    """The `KEY=VALUE` changes of a row: those for all rows that know the key, for its experiment, for itself."""
    given, known = [_addressed(setting) for setting in settings], experiment(row.experiment)
    shared = [change for name, change in given if not name and _knows(known, change)]
    own = [change for name, change in given if name == row.experiment]
    return [*shared, *own, *(change for name, change in given if name == row.name != row.experiment)]


def _knows(one, setting):
    return setting.partition("=")[0] in one.settings

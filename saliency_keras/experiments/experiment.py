"""What an experiment is: every choice that a paper states or leaves open, as plain data.

An `Experiment` names a network and a task and holds small records: `Pictures` (how a compact set's pictures are shown),
`Shown` (which saliency maps, as an input or as a target), `Start` (what the weights begin as) and `Schedule` (how long
and how fast). Their fields have unique names, so that `--set KEY=VALUE` needs the field's name alone.
"""

import dataclasses
import json
import math

from saliency_keras.console import UserError, did_you_mean
from saliency_keras.data.few_shot import SPLITS as FEW_SHOT_SPLITS
from saliency_keras.data.shown import OWN, Shown

WHOLE = "network"  # the part that is all of a network
WORDS = ("paper", "row", "what", "published", "popout")  # fields that no training depends on and a version may reword
STEP = 10.0  # by which the learning rate is divided at a drop
# The greatest numbers that are taken: what is beyond is a slip, and would be found out hours later or not at all.
MOST_EPOCHS, MOST_PICTURES, GREATEST_SIDE, GREATEST = 99_999, 2**20, 8192, 2**16
SHARES = ("dropout", "batch_norm_momentum")  # arguments of networks that are at least 0 and below 1


@dataclasses.dataclass(frozen=True)
class Pictures:
    """How the pictures of a compact set are used.

    Attributes:
        side: Width and height that the network sees, in pixels.
        subtract_mean: Whether the means of the training pictures and maps are subtracted after scaling.
        crops: Where training crops lie: `"random"`, or `"five"` (the four corners and the centre), both mirrored at
            random; or `"center"`, as in validation, never mirrored.
        keep_features: Whether what frozen layers make of each picture is computed once and kept on disk during the
            training (`training.features`); it needs `crops="center"` and frozen parts that see the pictures.
        train_on: The split to train on. With `"val"`, a fifth of it is held out for validation.
        few_shot: Training pictures per class, a number or `"K"` for all, by the protocol of `data.few_shot`; `""` for
            the whole split.
        few_shot_splits: What a few-shot draw takes its pictures from: `"pooled"` for both splits together,
            `"official"` for training pictures of train and all others of val.
        few_shot_list: A CSV file with the drawn pictures, in place of a draw by seed; `{seed}` in it stands for the
            seed of the run.
        exclude_classes: Names of classes whose pictures are kept out of training and validation
            (`--exclude-classes`); the network has no output for them.
    """

    side: int = 128
    subtract_mean: bool = False
    crops: str = "random"
    keep_features: bool = False
    train_on: str = "train"
    few_shot: str = ""
    few_shot_splits: str = "pooled"
    few_shot_list: str = ""

    def list_of(self, seed):
        """Path of the list of drawn pictures for a run of that seed, or `""`."""
        return self.few_shot_list.replace("{seed}", str(seed))

    exclude_classes: tuple[str, ...] = ()

    def check(self):
        """Refuses, in one sentence, values that cannot be trained with."""
        if not 1 <= self.side <= GREATEST_SIDE:
            raise UserError(f"side must be from 1 to {GREATEST_SIDE}. Received: side={self.side}")
        _check_choice("train_on", self.train_on, ("train", "val"))
        _check_choice("crops", self.crops, ("random", "five", "center"))
        if self.keep_features and self.crops != "center":
            raise UserError(
                "keep_features keeps one set of features for each picture, and pictures are cropped and mirrored at "
                "random here: --set crops=center shows each as in validation."
            )
        if self.few_shot not in ("", "K") and not (self.few_shot.isdecimal() and int(self.few_shot)):
            raise UserError(f"few_shot is a number of pictures per class, K or empty. Received: {self.few_shot}")
        _check_choice("few_shot_splits", self.few_shot_splits, FEW_SHOT_SPLITS)
        if self.few_shot_list and not self.few_shot:
            raise UserError("few_shot_list is for few_shot: say how many pictures of each class, few_shot=5 or K.")
        if self.few_shot and self.train_on != "train":
            raise UserError("the few-shot protocol trains on pictures of train; leave train_on as it is.")
        if self.few_shot and self.exclude_classes:
            raise UserError("the few-shot protocol takes pictures of all classes; leave exclude_classes out.")


@dataclasses.dataclass(frozen=True)
class Start:
    """The weights that a network begins with. Parts are those of `models.network.Network`.

    Attributes:
        parents: From a part of the network to the experiment whose run it takes its weights from (`--init PART=RUN`);
            `{"network": "rgb"}` for all parts from one run (`--init RUN`).
        weights: Weights for what no run gives: `"imagenet"` for those of `keras.applications`, or the path of a file,
            also of AlexNet's in Caffe's or torchvision's layout; `""` (or `"none"`) for random ones.
        fresh: Parts that get new weights although a parent has them.
        frozen: Parts that keep the weights that they begin with.
        frozen_statistics: Whether batch normalisation keeps the means and variances that it begins with and uses them
            in training too, as for batches of few pictures; its scales and offsets are still trained.
        new_weights: What widened kernels and batch-normalisation vectors get for their new channel: `"uniform01"`
            (thesis, §3.4), `"glorot"` or `"zeros"`.
    """

    parents: dict = dataclasses.field(default_factory=dict)
    weights: str = ""
    fresh: tuple[str, ...] = ()
    frozen: tuple[str, ...] = ()
    frozen_statistics: bool = False
    new_weights: str = "uniform01"

    def check(self):
        """Refuses, in one sentence, values that cannot be trained with."""
        _check_choice("new_weights", self.new_weights, ("uniform01", "glorot", "zeros"))


@dataclasses.dataclass(frozen=True)
class Schedule:
    """How long, with which optimizer and at which rates a network is trained.

    Attributes:
        epochs: Passes over the training pictures.
        batch: Pictures in a batch.
        optimizer: `"sgd"`, `"adam"` or `"adamw"`.
        learning_rate: The first one.
        momentum: SGD's momentum.
        drops: Epochs after which the learning rate is divided by ten.
        steps: Pairs of an epoch and the learning rate from that epoch on, in place of `drops`.
        inverse_time: k of the rate `learning_rate / (1 + k i)`, i counting training steps from 0.
        cosine: Whether the rate falls to zero as half a cosine over all training steps.
        factors: From a part of the network to the factor of its learning rate.
        decay: Weight decay: SGD's and Adam's gradient of a kernel w grows by `decay * w`; AdamW's is decoupled. The
            thesis's penalty is not this but Keras' `L2` (argument `weight_decay` of the networks).
        decay_until: The last epoch with `decay`; 0 for all, as it must be with `"adamw"`.
        clip_norm: Largest norm of a variable's gradient; 0 for none.
        patience: Training ends after so many epochs without a better one; 0 for never.
        keep: The epoch whose weights the run keeps as its result: `"last"` or `"best"`.
    """

    epochs: int = 90
    batch: int = 128
    optimizer: str = "sgd"
    learning_rate: float = 0.01
    momentum: float = 0.9
    drops: tuple[int, ...] = (24, 45, 62)
    steps: tuple[tuple[float, ...], ...] = ()
    inverse_time: float = 0.0
    cosine: bool = False
    factors: dict = dataclasses.field(default_factory=dict)
    decay: float = 0.0
    decay_until: int = 0
    clip_norm: float = 0.0
    patience: int = 0
    keep: str = "last"

    def lasting(self, epochs):
        """A copy of `epochs` epochs; drops, steps and the end of `decay` keep their share of it, from epoch 1 on."""
        _check_count("epochs", epochs, MOST_EPOCHS)

        def moved(epoch):
            return max(1, round(epoch * epochs / self.epochs))

        return dataclasses.replace(
            self,
            epochs=epochs,
            drops=tuple(moved(drop) for drop in self.drops),
            steps=tuple((moved(epoch), rate) for epoch, rate in self.steps),
            decay_until=moved(self.decay_until) if self.decay_until else 0,
        )

    def rate(self, epoch):
        """The learning rate at the beginning of an epoch, the first being 1, before `inverse_time` and `cosine`."""
        if self.steps:
            return next((rate for start, rate in reversed(self.steps) if epoch >= start), self.learning_rate)
        return self.learning_rate / STEP ** sum(epoch > drop for drop in self.drops)

    def check(self):
        """Refuses, in one sentence, values that cannot be trained with."""
        _check_count("epochs", self.epochs, MOST_EPOCHS)
        _check_count("batch", self.batch, MOST_PICTURES)
        if not 0 < self.learning_rate < math.inf:
            raise UserError(f"learning_rate must be positive. Received: learning_rate={self.learning_rate}")
        if not 0 <= self.momentum < 1:
            raise UserError(f"momentum must be at least 0 and below 1. Received: momentum={self.momentum}")
        for name in ("inverse_time", "decay", "decay_until", "clip_norm", "patience"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UserError(f"{name} must be 0 or more. Received: {name}={getattr(self, name)}")
        if any(drop < 1 for drop in self.drops):
            raise UserError(f"drops are epochs, from 1 on. Received: drops={list(self.drops)}")
        for step in self.steps:
            if len(step) != 2 or step[0] < 1 or not 0 < step[1] < math.inf:
                raise UserError(f"steps are pairs of an epoch and a rate. Received: {list(step)}")
        for part, factor in self.factors.items():
            if isinstance(factor, bool) or not isinstance(factor, int | float) or not 0 < factor < math.inf:
                raise UserError(f"the factor of a learning rate is positive. Received: {part}={factor}")
        _check_choice("optimizer", self.optimizer, ("sgd", "adam", "adamw"))
        if self.optimizer == "adamw" and self.decay_until:
            raise UserError(f"decay_until needs sgd or adam: adamw decays in all epochs. Received: {self.decay_until}")
        _check_choice("keep", self.keep, ("last", "best"))


@dataclasses.dataclass(frozen=True)
class Guidance:
    """What in a classifier a loss pulls towards the maps, which it is not shown (`models.guidance`).

    Attributes:
        method: `"cam"`, `"gradient"`, `"activation"` or `"branch"`.
        stages: Names of the layers whose maps are guided; empty for the last features.
        guidance_weight: λ, the weight of the maps' loss beside the cross-entropy of the classes; 0 for none.
        teacher: Of `"activation"`, the folder of a run whose network's activations teach in place of maps; `""` for
            none.
        teacher_stages: Names of the teacher's layers, one for each of `stages`; empty for its last features.
    """

    method: str = "cam"
    stages: tuple[str, ...] = ()
    guidance_weight: float = 1.0
    teacher: str = ""
    teacher_stages: tuple[str, ...] = ()

    def check(self):
        """Refuses, in one sentence, values that cannot be trained with."""
        _check_choice("method", self.method, ("cam", "gradient", "activation", "branch"))
        if not 0 <= self.guidance_weight < math.inf:
            raise UserError(f"guidance_weight must be 0 or more. Received: guidance_weight={self.guidance_weight}")


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One row of a paper's table.

    Attributes:
        name: What the user types.
        paper: Key of the paper.
        row: Table and row (or figure) it reproduces.
        what: What the network is, in a line of plain English, as `train --list` and docs/networks.md say it.
        network: Name of the network in `models.registry`.
        published: The paper's figures, for example `{"top1": 0.366, "top5": 0.6091}`; empty where none is printed.
        arguments: The network's keyword arguments.
        task: Name of the task in `training.tasks`: what it learns from, and how it is judged.
        loss: Name of the loss of its map in `models.losses`; `""` for a network that is taught no map.
        loss_weights: From an output of the network to the weight of its loss in the sum; 1 where none is given.
        pictures: How the pictures of a compact set are used; `None` for a task on a fixation set.
        shown: Which saliency map goes with each picture; `None` for a task on a fixation set.
        start: The weights that it begins with.
        schedule: How long and how fast it is trained.
        guidance: What in it is guided by maps; `None` for nothing.
        popout: The short schedule and the small network for the built-in pictures, as overrides of settings; those that
            the experiment does not have are passed over.
    """

    name: str
    paper: str
    row: str
    what: str
    network: str
    published: dict = dataclasses.field(default_factory=dict)
    arguments: dict = dataclasses.field(default_factory=dict)
    task: str = "classification"
    loss: str = ""
    loss_weights: dict = dataclasses.field(default_factory=dict)
    pictures: Pictures | None = Pictures()
    shown: Shown | None = OWN
    start: Start = Start()
    schedule: Schedule = Schedule()
    guidance: Guidance | None = None
    popout: dict = dataclasses.field(default_factory=dict)

    @property
    def records(self):
        """The nested records that can be set, by the name of their field."""
        named = {name: getattr(self, name) for name in ("pictures", "start", "schedule", "guidance")}
        return {name: record for name, record in named.items() if record is not None}

    @property
    def settings(self):
        """What `--set` can change, with its present value: the records' fields, `loss`, and the network's arguments."""
        fields = {"loss": self.loss} if self.loss else {}
        if self.loss_weights:
            fields["loss_weights"] = self.loss_weights
        for record in self.records.values():
            fields |= {one.name: getattr(record, one.name) for one in dataclasses.fields(record)}
        del fields["parents"]
        return {**dict(sorted(fields.items())), **self.arguments}

    def as_json(self):
        """All fields as `config.json` has them."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    @property
    def learns_from_fixations(self):
        """Whether it is trained on a fixation set, not on a compact data set."""
        return self.pictures is None

    @property
    def size(self):
        """What the network sees, for a reader: `"128 px"`, `"384x512 px"`."""
        if self.pictures:
            return f"{self.pictures.side} px"
        if "height" in self.arguments:
            return f"{self.arguments['height']}x{self.arguments['width']} px"
        return f"{self.arguments['longer_side']} px"

    def on_popout(self):
        """The copy that is trained on the built-in pictures unless other settings are given."""
        return self.replace(**{name: value for name, value in self.popout.items() if name in self.settings})

    @property
    def smaller_on_popout(self):
        """The network's arguments that make it smaller on the built-in pictures, with their values there."""
        return {name: value for name, value in self.popout.items() if name in self.arguments}

    def replace(self, **values):
        """A copy with other values.

        Args:
            **values: Fields of the experiment or of its records, or arguments of its network:
                `replace(epochs=3, side=64)`.

        Returns:
            The changed `Experiment`, checked.

        Raises:
            UserError: If a name is none of these, or a value cannot be trained with.
        """
        own = {field.name for field in dataclasses.fields(self)}
        changed = {}
        for name, value in values.items():
            if name in own:
                changed[name] = value
            elif home := next((key for key, record in self.records.items() if hasattr(record, name)), None):
                changed[home] = dataclasses.replace(changed.get(home, getattr(self, home)), **{name: value})
            elif name in self.arguments:
                changed["arguments"] = {**changed.get("arguments", self.arguments), name: value}
            else:
                meant = did_you_mean(name, self.settings)
                raise UserError(f"{self.name} has no setting {name!r}{meant} It has {', '.join(self.settings)}.")
        found = dataclasses.replace(self, **changed)
        found.check()
        return found

    def lasting(self, epochs):
        """A copy whose schedule lasts `epochs` epochs, in the same proportions."""
        return self.replace(schedule=self.schedule.lasting(epochs))

    def showing(self, maps):
        """A copy that is shown other maps.

        Args:
            maps: As `--maps` says it (see `Shown.parse`).

        Returns:
            The changed `Experiment`.

        Raises:
            UserError: If the text is no choice of maps.
        """
        return dataclasses.replace(self, shown=Shown.parse(maps, self.shown.as_ if self.shown else "input"))

    def with_settings(self, settings):
        """A copy with `KEY=VALUE` settings, as `--set` takes them.

        Args:
            settings: Strings such as `"batch=64"`, `"keep_pool2=true"` or `"fresh=top"`. The value is read as the type
                that the key has (JSON for lists, objects and `null`).

        Returns:
            The changed `Experiment`.

        Raises:
            UserError: If a setting has no `=`, the key is unknown or the value has another type.
        """
        values, known = {}, self.settings
        for setting in settings:
            key, equals, text = setting.partition("=")
            if not equals:
                raise UserError(f"--set {setting!r} has no value; write --set {setting}=VALUE.")
            if key not in known:
                meant = did_you_mean(key, known)
                raise UserError(f"--set {setting!r} fits no setting of {self.name}{meant} It has {', '.join(known)}.")
            text = "" if (key, text) == ("weights", "none") else text
            values[key] = _typed(key, text, known[key])
        return self.replace(**values) if values else self

    def check(self):
        """Refuses, in one sentence, values that cannot be trained with."""
        for record in self.records.values():
            record.check()
        for name, value in {**self.arguments, **self.loss_weights}.items():
            _check_argument(name, value)
        for output, weight in self.loss_weights.items():
            if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < math.inf:
                raise UserError(f"the weight of a loss is 0 or more. Received: loss_weights {output}={weight}")


def flat_settings(fields):
    """An experiment as `config.json` has it, without its records: from the name of each field to its value.

    Args:
        fields: Dictionary of `dataclasses.asdict`, perhaps read back from JSON.

    Returns:
        Dictionary with the fields of the records and the network's arguments beside the experiment's own.
    """
    flat = {}
    for name, value in fields.items():
        if name in ("pictures", "shown", "start", "schedule", "guidance", "arguments"):
            flat |= value or {}
        else:
            flat[name] = value
    return flat


def changes(there, here, but=()):
    """What differs between two experiments as `config.json` has them, apart from the words that describe them.

    A setting that the earlier one's version did not have was off.

    Args:
        there: The earlier experiment, a dictionary.
        here: The other one.
        but: Names of settings that may differ.

    Returns:
        A list such as `["epochs (12, now 3)"]`.
    """
    there, here = flat_settings(there), flat_settings(here)
    return [
        f"{name} ({there.get(name)}, now {here.get(name)})"
        for name in {**here, **there}
        if name not in (*but, *WORDS) and there.get(name) != here.get(name) and (name in there or here[name])
    ]


def _check_choice(name, value, choices):
    if value not in choices:
        raise UserError(f"{name} is one of {', '.join(choices)}. Received: {name}={value}")


def _check_count(name, value, most):
    if not 1 <= value <= most:
        bounds = "at least 1" if value < 1 else f"{most:,} at most"
        raise UserError(f"{name} must be {bounds}. Received: {name}={_short(value)}")


def _check_argument(name, value):
    """Refuses a number, or one of several, that no network can be built with."""
    for one in value if isinstance(value, tuple | list) else ():
        _check_argument(name, one)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    if name in SHARES and not 0 <= value < 1:
        raise UserError(f"{name} must be at least 0 and below 1. Received: {name}={_short(value)}")
    if not abs(value) <= GREATEST:  # nor is it a number that is none
        raise UserError(f"{name} must be {GREATEST:,} at most. Received: {name}={_short(value)}")


def _short(value):
    """A number as it was typed, or how many digits it has."""
    if isinstance(value, int) and abs(value) >= 10**20:
        return f"a number of {len(str(abs(value)))} digits"
    return value


def _typed(key, text, example):
    if isinstance(example, str):
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = text if example is None else None
    if isinstance(example, float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(min(value, 10**300))
    if isinstance(example, tuple):
        value = _tuple(key, text, value)
    if example is not None and type(value) is not type(example):
        received = text if len(text) <= 80 else f"{text[:80]}…"
        raise UserError(f"{key} takes a value like {json.dumps(EXAMPLES.get(key, example))}. Received: {received}")
    return value


# What a list looks like whose default is empty.
EXAMPLES = {
    "fresh": ["top"],
    "frozen": ["saliency"],
    "stages": ["relu2", "relu5"],
    "teacher_stages": ["conv3", "conv5"],
    "exclude_classes": ["cat", "dog"],
    "steps": [[1, 0.01], [30, 0.001]],
    "factors": {"top": 10},
}


def _tuple(key, text, value):
    """A list as a tuple; names may stand without brackets, separated by commas."""
    if key in ("fresh", "frozen", "exclude_classes", "stages", "teacher_stages"):
        value = value if isinstance(value, list) else [word for word in text.split(",") if word]
        return tuple(value) if all(isinstance(one, str) for one in value) else None
    if not isinstance(value, list):
        return None
    if key == "steps":
        return tuple(tuple(one) for one in value) if all(isinstance(one, list) for one in value) else None
    kinds = int if key == "drops" else (int, float)
    return tuple(value) if all(isinstance(one, kinds) and not isinstance(one, bool) for one in value) else None

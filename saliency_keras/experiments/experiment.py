"""What an experiment is: every choice that a paper states or leaves open, as plain data."""

import dataclasses
import json

from saliency_keras.console import UserError


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One row of a paper's table.

    Attributes:
        name: What the user types.
        paper: Key of the paper.
        row: Table and row (or figure) it reproduces.
        published: The paper's figures, for example `{"top1": 0.366, "top5": 0.6091}`; empty where none is printed.
        network: Name of the network in `models.registry.NETWORKS`, or in `SALIENCY_NETWORKS` there.
        arguments: The network's keyword arguments.
        task: `"classification"`, of a compact data set, or `"saliency"`, of a fixation set.
        loss: Name of the loss in `models.losses.LOSSES`; `""` for the classifiers' cross-entropy.
        subtract_mean: Whether the means of the training pictures and maps are subtracted after scaling.
        side: Width and height the network sees, in pixels; 0 where `arguments` hold `height` and `width`.
        epochs: Passes over the training pictures.
        batch: Pictures in a batch.
        optimizer: `"sgd"` or `"adam"`.
        learning_rate: The first one.
        momentum: SGD's momentum.
        drops: Epochs after which the learning rate is divided by ten.
        starts_from: The experiment whose run `--init` expects, or `""` for random weights.
        weights: Without `--init`: weights of `keras.applications` to start from, `"imagenet"` or the path of a file;
            `""` (or `"none"`) for random ones.
        freeze: What keeps its weights: `"saliency_branch"`, `"all_but_saliency_branch"`, or `""` for nothing.
        train_on: The split whose pictures are trained on. With `"val"`, a fifth of it is held out for validation.
        few_shot: Training pictures per class, a number or `"K"` for all, by the protocol of `data.few_shot`; `""` for
            the whole split.
        new_top: With `--init`: draw a new last layer instead of carrying it over.
        new_dense: The same for all dense layers, whose shapes belong to one side of the pictures.
        new_weights: With `--init`: what widened kernels and batch-normalisation vectors get for their new channel,
            `"uniform01"` (§3.4), `"glorot"` or `"zeros"`.
        popout: The short schedule and the small network for the built-in pictures, as overrides of the fields above;
            its `arguments` are overrides of those arguments that the network has.
    """

    name: str
    paper: str
    row: str
    network: str
    published: dict = dataclasses.field(default_factory=dict)
    arguments: dict = dataclasses.field(default_factory=dict)
    task: str = "classification"
    loss: str = ""
    subtract_mean: bool = False
    side: int = 128
    epochs: int = 90
    batch: int = 128
    optimizer: str = "sgd"
    learning_rate: float = 0.01
    momentum: float = 0.9
    drops: tuple[int, ...] = (24, 45, 62)
    starts_from: str = ""
    weights: str = ""
    freeze: str = ""
    train_on: str = "train"
    few_shot: str = ""
    new_top: bool = False
    new_dense: bool = False
    new_weights: str = "uniform01"
    popout: dict = dataclasses.field(default_factory=dict)

    @property
    def settable(self):
        """Names of the fields and of the network's arguments that `--set` can change."""
        return [*sorted(FIELDS_OF_TASK[self.task]), *self.arguments]

    @property
    def size(self):
        """What the network sees, for a reader: `"128 px"`, `"384x512 px"`."""
        return f"{self.side} px" if self.side else f"{self.arguments['height']}x{self.arguments['width']} px"

    def replace(self, **fields):
        """A copy with other values."""
        return dataclasses.replace(self, **fields)

    def on_popout(self):
        """The copy that is trained on the built-in pictures unless other settings are given."""
        return self.replace(**{**self.popout, "arguments": {**self.arguments, **self.popout_arguments}})

    @property
    def popout_arguments(self):
        """The network's arguments that make it smaller on the built-in pictures, with their values there."""
        return {name: value for name, value in self.popout.get("arguments", {}).items() if name in self.arguments}

    def with_epochs(self, epochs):
        """A copy that lasts `epochs` epochs, its learning-rate drops in the same proportions, none before an epoch."""
        drops = tuple(max(1, round(drop * epochs / self.epochs)) for drop in self.drops)
        return self.replace(epochs=epochs, drops=drops)

    def learning_rate_of(self, epoch):
        """The learning rate of an epoch, the first being 1."""
        return self.learning_rate / 10 ** sum(epoch > drop for drop in self.drops)

    def with_settings(self, settings):
        """A copy with `KEY=VALUE` settings, as `--set` takes them.

        Args:
            settings: Strings such as `"batch=64"` or `"keep_pool2=true"`. A key is a field of the experiment or one of
                its network's arguments; the value is read as the type the key has (JSON for lists and `null`).

        Returns:
            The changed `Experiment`.

        Raises:
            UserError: If a setting has no `=`, the key is unknown or the value has another type.
        """
        experiment = self
        for setting in settings:
            key, equals, text = setting.partition("=")
            if not equals or key not in self.settable:
                known = ", ".join(self.settable)
                raise UserError(f"--set {setting!r} fits no setting of {self.name}; it has {known}.")
            if key in experiment.arguments:
                value = _typed(key, text, experiment.arguments[key])
                experiment = experiment.replace(arguments={**experiment.arguments, key: value})
            else:
                text = "" if (key, text) == ("weights", "none") else text
                experiment = experiment.replace(**{key: _typed(key, text, getattr(experiment, key))})
        experiment.check()
        return experiment

    def check(self):
        """Refuses, in one sentence, values that cannot be trained with."""
        for name in ("epochs", "batch", *(["side"] if self.task == "classification" else [])):
            if getattr(self, name) < 1:
                raise UserError(f"{name} must be at least 1. Received: {name}={getattr(self, name)}")
        if not 0 < self.learning_rate < float("inf"):
            raise UserError(f"learning_rate must be positive. Received: learning_rate={self.learning_rate}")
        if not 0 <= self.momentum < 1:
            raise UserError(f"momentum must be at least 0 and below 1. Received: momentum={self.momentum}")
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                names = ", ".join(choice or "empty" for choice in choices)
                raise UserError(f"{name} is one of {names}. Received: {name}={getattr(self, name)}")
        if self.few_shot not in ("", "K") and not (self.few_shot.isdecimal() and int(self.few_shot)):
            raise UserError(f"few_shot is a number of pictures per class, K or empty. Received: {self.few_shot}")
        if self.few_shot and self.train_on != "train":
            raise UserError("the few-shot protocol trains on pictures of train; leave train_on as it is.")


CHOICES = {
    "new_weights": ("uniform01", "glorot", "zeros"),
    "optimizer": ("sgd", "adam"),
    "freeze": ("", "saliency_branch", "all_but_saliency_branch"),
    "train_on": ("train", "val"),
}
FIELDS_OF_TASK = {
    "classification": {field.name for field in dataclasses.fields(Experiment)} - {
        "name", "paper", "row", "published", "network", "arguments", "popout", "starts_from", "task", "loss",
    },
    "saliency": {"epochs", "batch", "optimizer", "learning_rate", "momentum", "drops", "loss", "weights"},
}  # fmt: skip


def _typed(key, text, example):
    if isinstance(example, str):
        return text
    try:
        value = json.loads(text)
    except ValueError:
        value = text if example is None else None
    if isinstance(example, float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if isinstance(example, tuple) and isinstance(value, list):
        numbers = (int, float) if float in map(type, example) else int
        value = tuple(value) if all(isinstance(one, numbers) for one in value) else value
    if example is not None and type(value) is not type(example):
        raise UserError(f"{key} takes a value like {json.dumps(example)}. Received: {text}")
    return value

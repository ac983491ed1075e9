"""Trains one experiment of the papers into a run folder.

python -m saliency_keras.train fanin3 --data DIR        on a compact data set
python -m saliency_keras.train fanin3                   on the built-in pictures
python -m saliency_keras.train readout_bi --data DIR    a network that predicts saliency, on a fixation set
python -m saliency_keras.train my_module:build          a network of your own (docs/own_network.md)
python -m saliency_keras.train --list                   what there is to train
python -m saliency_keras.train --list fanin3            everything that this training would do, and its layers
"""

import json
from pathlib import Path

from saliency_keras import console, run_folder
from saliency_keras.console import UserError, check_seed
from saliency_keras.data.manifest import Manifest
from saliency_keras.experiments import PAPERS, experiment
from saliency_keras.experiments.experiment import WHOLE, Experiment
from saliency_keras.experiments.tables import baseline_of
from saliency_keras.experiments.tables.row import Row
from saliency_keras.files import not_there
from saliency_keras.training.start import WHOLE_PICTURES, check_kind, check_start, classes_named, parents_of
from saliency_keras.training.tensorboard import check_tensorboard

MAPS = "own, shuffled, shuffled_in_class, center, uniform, a further map of the set by name, or NAME:shuffled and so on"
OF_A_CORE = 40e9 * 3600  # multiply-adds of training in an hour: 20 to 70 billion a second, by instructions and network
DATA = "compact data set, by default the built-in pictures `popout`; for a network that predicts saliency, fixations"


def _parser():
    parser = console.parser(__spec__.name, __doc__)
    parser.add_argument("experiment", nargs="?", help="its name; --list shows all; or my_module:build")
    parser.add_argument("--list", action="store_true", help="print every experiment; of EXPERIMENT, all that it does")
    parser.add_argument("--data", metavar="DIR", help=DATA)
    parser.add_argument("--out", metavar="DIR", help="run folder (default: runs/SET-EXPERIMENT)")
    parser.add_argument("--epochs", type=int, metavar="N", help="epochs; the schedule keeps its proportions")
    parser.add_argument("--batch", type=int, metavar="N", help="pictures in a batch")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of everything random (default: 0)")
    parser.add_argument("--maps", default="own", help=f"saliency shown to the network: {MAPS} (default: own)")
    init = "run folder whose weights to start from; PART=RUN for one part of the network, repeatable"
    parser.add_argument("--init", action="append", default=[], metavar="RUN", help=init)
    excluded = "classes to keep out of the training: names separated by commas, or a file with one name a line"
    parser.add_argument("--exclude-classes", metavar="NAMES", help=excluded)
    precision = "auto: bfloat16 where this device is faster in it, else float32 (default: auto)"
    parser.add_argument("--precision", choices=["auto", "float32", "bfloat16"], default="auto", help=precision)
    parser.add_argument("--augment", choices=["host", "device"], default="host", help="where to crop (default: host)")
    together = "training steps in one call of the device (default: 1 on a processor, up to 32 on a GPU)"
    parser.add_argument("--steps-per-execution", type=int, metavar="K", help=together)
    parser.add_argument("--devices", type=int, default=1, metavar="N", help="GPUs that share each batch (default: 1)")
    parser.add_argument("--tensorboard", action="store_true", help="also write event files for TensorBoard")
    parser.add_argument("--resume", action="store_true", help="continue the run in --out, if one was begun")
    change = "change a setting; may be repeated"
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=change)
    return parser


def main(arguments=None):
    """Parses the command line, trains, and prints the figures."""
    from saliency_keras.runs.learned import warnings

    parser = _parser()
    options = parser.parse_args(arguments)
    if options.list:
        _print_specification(options) if options.experiment else _print_experiments()
        return
    if not options.experiment:
        parser.error("say which experiment to train; --list shows them")
    with console.resumable("go on with --resume"):
        run = _fit(options)
    if run is None:  # another process than the first
        return
    console.say(str(run))
    for warning in warnings(run):
        console.say(f"caution: {warning}")
    print(f"{run.folder}: see curves.png and summary.json")
    print(_next_step(run))


def _next_step(run):
    """The command that this run is for: the comparison with its baseline, or the training of that one."""
    from saliency_keras.runs.labels import set_name

    data = run.config["data"]
    if run.config["experiment"]["task"] == "fixation_maps":
        return console.next_step("score", data["folder"], "--predictors", f"{run.folder},center",
                                 "--held-out", why="its maps against fixations")  # fmt: skip
    if run.config["experiment"]["task"] == "maps":
        return console.next_step("predict", run.folder, "PICTURES", "MAPS", why="its maps of a folder of pictures")
    baseline = baseline_of(run.name)
    name_of_set = set_name(run.config)
    folder = default_out(baseline, "own", run.seed, name_of_set)
    if not baseline:
        return console.next_step("evaluate", run.folder, why="the accuracy of each class")
    if run_folder.is_finished(folder):
        return console.next_step("evaluate", run.folder, "--against", folder, why="is it better than its baseline?")
    built_in = name_of_set == "popout"
    words = [] if built_in else ["--data", data["folder"]]
    words += ["--seed", run.seed] if run.seed else []
    like = _before_joined(run)
    words += _changed(like, experiment(baseline), built_in)
    begun = _whole_parent(like)
    if begun and not experiment(like.name).start.parents:  # chosen freely, and so for the baseline too
        words += ["--init", begun]
    return console.next_step("train", baseline, *words, why="its baseline")


def _before_joined(run):
    """The classifier that a joined run began with, while its folder is there: its baseline begins alike."""
    from saliency_keras.runs.run import Run

    parent = _whole_parent(run)
    joined = run.config["experiment"]["task"] == "joint"
    return Run.load(parent) if joined and parent and run_folder.is_finished(parent) else run


def _whole_parent(run):
    return (run.config.get("init") or {}).get(WHOLE)


def _changed(run, other, built_in):
    """The words that change another experiment as a run's own was changed: its length, its batches, its settings."""
    own, there = experiment(run.name), run.settings
    own, epochs = own.on_popout() if built_in else own, there["epochs"]
    words = [] if epochs == own.schedule.epochs else ["--epochs", epochs]
    for name, value in own.lasting(epochs).settings.items():
        found = there.get(name, value)
        if name != "epochs" and name in other.settings and found != _plain(value):
            text = found if isinstance(found, str) else json.dumps(found)
            words += ["--batch", found] if name == "batch" else ["--set", f"{name}={text}"]
    return words


def _plain(value):
    """A setting as `config.json` has it."""
    return json.loads(json.dumps(value))


def _fit(options):
    """Trains an experiment into a run folder, as the command `train` does.

    All arguments but the first are the command's options, by keyword: `data`, `out`, `epochs`, `batch`, `seed`, `maps`,
    `init`, `exclude_classes`, `precision`, `augment`, `devices`, `tensorboard`, `steps_per_execution`, `resume` and
    `set`.

    Args:
        experiment: Name of an experiment, an `Experiment`, or a function that builds a network of your own, of which
            docs/own_network.md says more.
        data: Folder of a compact data set, or `None` or `"popout"` for the built-in pictures.
        out: The run folder, `runs/SET-EXPERIMENT` by default.
        init: The run to start from, a `Run` or its folder, or a dictionary of runs by part of the network.
        set: Fields to change: a dictionary, `{"dense_units": 512}`, or `KEY=VALUE` strings.

    Returns:
        The finished `Run`; `None` in another process than the first of several.

    Raises:
        UserError: For any mistake that the user can correct; nothing is written then, or the run can be resumed.
    """
    check_seed(options.seed)
    paper, parents = _experiment(options.experiment), _parents(options.init)
    data = None if _is_popout(options.data) else options.data
    name_of_set, data_given = Path(data).resolve().name if data else "popout", data is not None
    out = Path(options.out) if options.out else default_out(paper.name, options.maps, options.seed, name_of_set)
    if data is None and paper.learns_from_fixations:
        raise UserError(f"{paper.name} learns from fixations: --data DIR, a folder with images/ and fixations.csv.")
    chosen = _chosen(paper if data else paper.on_popout(), options)
    if options.devices < 1:
        raise UserError(f"--devices must be at least 1. Received: {options.devices}")
    if options.steps_per_execution is not None and options.steps_per_execution < 1:
        raise UserError(f"--steps-per-execution must be at least 1. Received: {options.steps_per_execution}")
    if data:
        _check_data(chosen, data)
    check_start(chosen, out, parents, options.resume)
    if options.tensorboard:
        check_tensorboard()
    if data is None:
        console.tell(f"no --data: training on the built-in pictures `popout` for {chosen.schedule.epochs} epochs")
        _print_small(chosen, paper)
        from data_prep.built_in import cached_set

        data = cached_set()
        print(f"popout is at {data}")
        _check_data(chosen, data)

    from saliency_keras.runs.run import Run
    from saliency_keras.saliency.per_picture import accelerators
    from saliency_keras.training.devices import several_processes
    from saliency_keras.training.train import train

    if data_given and not several_processes() and not accelerators():
        _print_large(chosen, paper, data)
    chosen_options = ("seed", "precision", "resume", "augment", "tensorboard", "devices", "steps_per_execution")
    summary = train(chosen, data, out, parents=parents, **{name: getattr(options, name) for name in chosen_options})
    return None if summary is None else Run.load(out)


def _check_data(one, data):
    """Refuses, at once, a set that is not there or is not of the kind that an experiment learns from."""
    if not Path(data).is_dir():
        raise UserError(not_there(data, "data set"))
    check_kind(one, data)
    if not one.learns_from_fixations:
        Manifest.load(data)


def _is_popout(data):
    return data is None or (data == "popout" and not Path(data).exists())


def _chosen(one, options):
    """An experiment with the maps, epochs, batch and settings that are asked for."""
    if options.maps != "own":
        if one.learns_from_fixations:
            raise UserError(WHOLE_PICTURES.format(one.name))
        one = one.showing(options.maps)
    if options.epochs is not None:
        one = one.lasting(options.epochs)
    if options.batch is not None:
        one = one.replace(batch=options.batch)
    if options.exclude_classes:
        one = one.replace(exclude_classes=classes_named(options.exclude_classes))
    return one.with_settings(_settings(options.set))


def _print_specification(options):
    """Prints all that a training would do; without --data as the paper has it."""
    from saliency_keras.figures.document import terminal
    from saliency_keras.training.specification import specification

    one, manifest = _experiment(options.experiment), None
    if options.data and _is_popout(options.data):
        one = one.on_popout()
    elif options.data and not one.learns_from_fixations:
        check_kind(one, options.data)
        manifest = Manifest.load(options.data)
    print(terminal(specification(_chosen(one, options), manifest)))


def _experiment(given):
    """The `Experiment` of that name, the one given, or that of a network of one's own."""
    if isinstance(given, Experiment) or (isinstance(given, str) and ":" not in given):
        return experiment(given)
    from saliency_keras.training.own import own_experiment

    return own_experiment(given)


def _print_small(chosen, paper):
    """Says what makes the network smaller than the paper's, and which settings give the paper's."""
    names = [name for name in chosen.smaller_on_popout if chosen.arguments[name] != paper.arguments[name]]
    if changed := {name: chosen.arguments[name] for name in names}:
        small = ", ".join(f"{name}={value}" for name, value in changed.items())
        whole = " ".join(f"--set {name}={paper.arguments[name]}" for name in changed)
        console.say(f"this is the small {chosen.name} ({small}), quick on a processor; {whole} gives the paper's")


def _print_large(chosen, paper, data):
    """Says on a processor how the paper's network becomes a small one, unless it is that already or takes minutes."""
    from saliency_keras.data.stream import CORES
    from saliency_keras.training.cost import training_cost

    small = chosen.smaller_on_popout
    if not small or any(chosen.arguments[name] != paper.arguments[name] for name in small):
        return
    _, work = training_cost(chosen, Manifest.load(data))
    if (hours := round(work / CORES / OF_A_CORE)) > 1:
        settings = " ".join(f"--set {name}={value}" for name, value in small.items())
        length = f"{chosen.schedule.epochs} epochs of the paper's whole network may take about {hours:,} hours here"
        console.say(f"{length}; --epochs 10 {settings} trains a small {chosen.name}")


fit = console.in_python(_fit, _parser, "experiment", without=("list",))


def _parents(given):
    """Runs to start from by part of the network, of `--init`'s words or of what Python gives."""
    if isinstance(given, dict):
        return {part: Path(getattr(run, "folder", run)) for part, run in given.items()}
    words = given if isinstance(given, list | tuple) else [given]
    return parents_of([str(getattr(word, "folder", word)) for word in words if word])


def _settings(given):
    """Settings as `--set` takes them, of a dictionary too."""
    if not isinstance(given, dict):
        return given
    return [f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in given.items()]


def default_out(name, maps, seed, name_of_set):
    """The default run folder: `runs/popout-fanin3`, `runs/photos-fanin3-shuffled-seed1`."""
    return Path("runs") / (f"{name_of_set}-{Row(name, maps).name}" + (f"-seed{seed}" if seed else ""))


def _print_experiments():
    for paper in PAPERS:
        print(f"{paper.HEADING}\n")
        for one in paper.EXPERIMENTS:
            print(console.in_lines(one.what, f"  {one.name:28}", 30))
        print()
    console.say("`train --list NAME` prints all that NAME does: the paper's figures, epochs, layers, settings.")


if __name__ == "__main__":
    console.run(main)

"""Makes a compact data set as an Apache Beam pipeline.

    python -m data_prep.beam SOURCE OUT [options of data_prep.compact, --workers aside] [Apache Beam's own options] …

Makes the data set that `data_prep.compact` makes, byte for byte, as an Apache Beam pipeline: on this machine by the
DirectRunner, one shard per core at a time (`--direct_num_workers N`), on a cluster by Beam's own options (`--runner
FlinkRunner --flink_master HOST:PORT`, `--runner SparkRunner`, …). SOURCE and OUT must lie on storage that every worker
sees under the same path. Prints what `compact` prints. Stopped and run again, it goes on where it was; `compact` may
finish what this has begun, and the other way round.

The unit of work is a shard. One worker lists SOURCE and makes the plan, the same function of the same arguments as
here, and each element that goes from there to the others is one shard's task. A runner may do an element twice, at the
same time even, so each attempt writes into a folder of its own inside OUT and moves what is finished out of it. The
pictures are decoded in a process started for the shard, with the environment that local workers have.
"""

import contextlib
import functools
import io
import json
import logging
import os
import re
import shutil
import socket
import threading
import uuid
from pathlib import Path

from data_prep.compact import options_parser, print_set, settings
from data_prep.workers import WORKER_ENVIRONMENT, cores, in_workers
from saliency_keras import console
from saliency_keras.console import UserError

QUIET = "WARNING"  # what workers log where nobody asks for another level


def main(arguments=None):
    """Parses the command line, runs the pipeline and prints what was made.

    Args:
        arguments: The command line's words, or `None` for the program's own.

    Raises:
        UserError: For any mistake that the user can correct.
    """
    parser = options_parser(__spec__.name, __doc__)
    parser.epilog = "All other options are Apache Beam's own, such as --runner FlinkRunner --flink_master HOST:PORT."
    options, for_beam = parser.parse_known_args(arguments)
    if (Path(options.source) / "manifest.json").is_file():
        raise UserError(f"{options.source} is a compact data set; data_prep.compact writes it in another --codec.")
    options.source = _absolute(options.source)
    options.saliency = [
        (one[0], os.path.abspath(one[1])) if isinstance(one, tuple) else one for one in options.saliency or ()
    ]
    pipeline = _pipeline(for_beam)
    from data_prep.compaction import compact

    asked = settings(options)
    print_set(compact(**asked, do_tasks=functools.partial(in_pipeline, pipeline=pipeline, asked=asked)))


def _absolute(source):
    """A source as every worker can find it, wherever it was started."""
    kind, colon, place = source.rpartition(":")
    return kind + colon + os.path.abspath(place) if kind in ("", "imagenet") and os.path.isdir(place) else source


def _pipeline(words):
    """An empty pipeline with Beam's own options; any other word is refused, because Beam would drop it."""
    logging.disable(logging.WARNING)  # it complains of client libraries for services that nobody asked for
    try:
        import apache_beam
        from apache_beam.options.pipeline_options import PipelineOptions
    except ModuleNotFoundError:
        raise UserError(
            "data_prep.beam needs Apache Beam, which is not installed: `pip install .[beam]`; "
            "data_prep.compact makes the same set on this machine without it."
        ) from None
    finally:
        logging.disable(logging.NOTSET)
    known = PipelineOptions([]).get_all_options()
    given = PipelineOptions(words).get_all_options(retain_unknown_options=True)
    if unknown := sorted(given.keys() - known.keys()):
        raise UserError(f"neither data_prep.beam nor Apache Beam has an option --{unknown[0]}.")
    if given["direct_running_mode"] == "multi_processing":
        raise UserError(
            "leave --direct_running_mode multi_processing out: Beam waits for ever if such a worker is killed; "
            "shards are written by processes of their own anyway, as many as --direct_num_workers says."
        )
    defaults = {
        "default_sdk_harness_log_level": QUIET,
        "direct_running_mode": "multi_threading",
        "direct_num_workers": cores(),
    }
    asked = [word.partition("=")[0] for word in words]
    words = [*words, *(f"--{name}={value}" for name, value in defaults.items() if f"--{name}" not in asked)]
    try:
        return apache_beam.Pipeline(options=PipelineOptions(words))
    except ValueError as error:
        raise UserError(f"Apache Beam refuses its options: {' '.join(str(error).split())}") from None


def in_pipeline(work, todo, bar, pipeline, asked):
    """Does tasks in an Apache Beam pipeline, as `workers.in_workers` does them in processes of its own.

    Args:
        work: `shards.write_shard` with everything but the task.
        todo: Tasks by number.
        bar: Progress bar; Beam's counters `pictures` and `skipped` say more while the pipeline runs.
        pipeline: Beam's `Pipeline`, empty.
        asked: The arguments of `compaction.compact`.

    Returns:
        The tasks' results, by number.

    Raises:
        UserError: If the pipeline fails; what the worker said is in the sentence.
    """
    import apache_beam

    from data_prep.compaction import PLAN
    from data_prep.shards import finished_results

    out = Path(asked["out"]).absolute()
    mark = (out / PLAN).read_text(encoding="utf-8")
    asked = {name: value for name, value in asked.items() if name != "out"}
    work = functools.partial(work.func, **{**work.keywords, "folder": None})
    with _sentences(), _watched(bar, todo, out), _quiet(pipeline):
        (
            pipeline
            | "start" >> apache_beam.Create([sorted(todo)])
            | "plan" >> apache_beam.FlatMap(planned, asked, out, mark)
            | "spread" >> apache_beam.Reshuffle()
            | "write" >> apache_beam.Map(write, work, out, mark)
        )
        pipeline.run().wait_until_finish()
    results = {number: finished_results(task, out) for number, task in todo.items()}
    if missing := [todo[number].files[0] for number, found in results.items() if found is None]:
        raise UserError(
            f"the pipeline has ended, but {len(missing)} shards are not in {out} (the first: {missing[0]}); "
            "OUT must lie on storage that this machine and all workers share."
        )
    return results


@contextlib.contextmanager
def _quiet(pipeline):
    """Keeps the tracebacks of workers in this process to itself, unless Beam's option asks for them."""
    if pipeline.options.get_all_options()["default_sdk_harness_log_level"] != QUIET:
        yield
        return
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
    with contextlib.redirect_stderr(io.StringIO()):  # Beam prints them besides
        yield


@contextlib.contextmanager
def _watched(bar, todo, out):
    """Moves the progress bar as shards appear, whoever writes them."""
    ended = threading.Event()

    def watch():
        while not ended.wait(1):
            done = (len(task.pictures) for task in todo.values() if (out / task.results_file).exists())
            bar.update(sum(done) - bar.n)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def planned(numbers, asked, out, mark):
    """Makes the plan on a worker.

    Args:
        numbers: Numbers of the tasks that are wanted.
        asked: The arguments of `compaction.make_plan`.
        out: Folder of the data set.
        mark: What the plan's file in it holds: the plan's digest, the versions of the libraries and the kernels.

    Returns:
        The tasks.

    Raises:
        UserError: If this worker sees other pictures, another folder, other libraries or other kernels than who started
            the pipeline.
    """
    from data_prep.plan import make_plan

    check_mark(out, mark)
    plan = make_plan(**asked)
    if plan.digest != json.loads(mark)["plan"]:
        raise UserError(
            f"the worker {socket.gethostname()} sees other pictures in SOURCE than the machine that started the "
            "pipeline; SOURCE must lie on storage that all workers share."
        )
    return [plan.tasks[number] for number in numbers]


def write(task, work, out, mark):
    """Has one shard written, by a process of its own on the worker's machine.

    Args:
        task: The `shards.Task`.
        work: `shards.write_shard` with everything but the task and the folder.
        out: Folder of the data set.
        mark: As for `planned`.

    Raises:
        UserError: As for `planned`, or if the process was killed.
    """
    check_mark(out, mark)
    # Elsewhere than in the worker's own process: there, numpy may be loaded with several threads already.
    os.environ.update(WORKER_ENVIRONMENT)
    attempt = out / f".{task.files[0]}.{uuid.uuid4().hex}.incomplete"
    attempt.mkdir()
    try:
        in_workers(functools.partial(work, folder=attempt), {0: task}, 1, _Counters())
        # An attempt that outlived its pipeline must not put its shard into another data set.
        check_mark(out, mark)
        for name in (*task.files, task.results_file):
            with contextlib.suppress(FileNotFoundError):  # of a shard without records, only the results are there
                os.replace(attempt / name, out / name)
    finally:
        shutil.rmtree(attempt, ignore_errors=True)


class _Counters:
    """Beam's counters in the place of a progress bar: what a cluster's page shows."""

    def __init__(self):
        from apache_beam.metrics import Metrics

        self.n, self.skipped = 0, 0
        self._pictures, self._skipped = (Metrics.counter("compaction", name) for name in ("pictures", "skipped"))

    def update(self, pictures):
        self.n += pictures
        self._pictures.inc(pictures)

    def set_postfix(self, skipped):
        self._skipped.inc(skipped - self.skipped)
        self.skipped = skipped


def check_mark(out, mark):
    """Refuses to work on a folder that is not, or no longer, the one the pipeline was started for."""
    from data_prep.compaction import PLAN, versions
    from saliency_keras.blas import kernels

    host = socket.gethostname()
    try:
        found = (out / PLAN).read_text(encoding="utf-8")
    except OSError:
        raise UserError(
            f"the worker {host} finds no unfinished data set in {out}; OUT must lie on storage that all workers share."
        ) from None
    if found != mark:
        raise UserError(f"the worker {host} finds another data set in {out} than the one the pipeline was started for.")
    expected = json.loads(mark)["libraries"]
    if differing := [f"{name} {versions().get(name)}" for name in expected if versions().get(name) != expected[name]]:
        raise UserError(
            f"the worker {host} has {', '.join(differing)}, the machine that started the pipeline "
            f"{', '.join(f'{name} {version}' for name, version in expected.items())}; install the same on both."
        )
    if (there := json.loads(mark).get("kernels", kernels())) != kernels():
        raise UserError(
            f"the worker {host} has a processor with other kernels ({kernels()}) than the machine that started the "
            f"pipeline ({there}), whose maps may differ by grey levels; use workers with the same kernels."
        )


@contextlib.contextmanager
def _sentences():
    """Turns what a runner raises into one sentence: the last line of what the worker said."""
    from data_prep.sources.source import UnusableBox, UnusableMap

    told = {one.__name__: one for one in (UserError, UnusableBox, UnusableMap)}
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        kind, reason = last_words(str(error), type(error).__name__)
        if kind in told:
            raise told[kind](reason) from None
        raise UserError(
            f"the pipeline failed ({kind}: {reason.rstrip('.')}); finished shards are kept: run the same command again "
            "to go on, with --default_sdk_harness_log_level ERROR to see all that the workers say."
        ) from None


def last_words(text, kind):
    """Finds what a worker's exception said in what a runner made of it, which may be a whole traceback.

    Args:
        text: The runner's message.
        kind: Name of the runner's exception, for a message that names none.

    Returns:
        The name of the worker's exception and its message, in one line.
    """
    text = re.sub(r"\s*\[while running '[^']*'\]", "", text)
    named = re.findall(r"^(?:[\w.]*\.)?(\w+(?:Error|Map|Box|Exception|Interrupt)): (.+)$", text, re.MULTILINE)
    if named:
        return named[-1]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return kind, lines[-1] if lines else "it did not say why"


if __name__ == "__main__":
    # The functions of a pipeline are known to its workers by their module's name, which `__main__` is not.
    from data_prep import beam

    console.run(beam.main)

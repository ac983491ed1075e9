"""Several runs of a plan at once, each in a process with its share of the cores and of the device's memory.

A GPU that one small network leaves idle trains several in little more time than one. Runs that others start from
come first. A run is the same run, to the bit, whatever is trained beside it on a machine with as many threads.
"""

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import sys

from saliency_keras.console import UserError, quiet_tensorflow, tell

PATIENCE = 30  # seconds that runs are given to end after their step
MEMORY = 0.9  # of the device's memory, what all runs together may take


def train_side_by_side(runs, jobs, unfit, ready, finish, features=None):
    """Trains runs, several at once.

    Args:
        runs: `PlannedRun`s that are not finished, those that others start from first.
        jobs: How many at once.
        unfit: From a run's folder to the run and why it is missing; runs that need it are left out and added.
        ready: Function that is called with each run before it is trained; what it raises ends all.
        finish: Function that is called with each run that is finished.
        features: As for `tables.plan.carry_out`.

    Raises:
        UserError: If a run cannot be trained for another reason than that it diverges. The others end after their step,
            and go on with the same command.
    """
    context, waiting, running, number = multiprocessing.get_context("spawn"), list(runs), {}, len(runs)
    try:
        while waiting or running:
            for run in _startable(waiting, running, unfit)[: jobs - len(running)]:
                waiting.remove(run)
                ready(run)
                tell(f"{run.folder.name}: {run}; {len(waiting)} of {number} runs left after it")
                running[run.folder] = run, *_started(context, run, features, _free_cores(running, jobs), jobs)
            for run, process, answers, _ in _ended(running):
                del running[run.folder]
                kind, sentence = _answer(run, process, answers)
                if kind == "finished":
                    finish(run)
                elif kind == "unfit":
                    tell(f"{run.folder.name}: {sentence}")
                    unfit[run.folder] = run, sentence
                else:
                    raise UserError(sentence)
    finally:
        for _, process, *_ in running.values():
            process.terminate()
        for _, process, *_ in running.values():
            process.join(PATIENCE)
            process.kill()


def _startable(waiting, running, unfit):
    """The waiting runs that need no other one; those that need a missing one are moved to `unfit`."""
    startable, coming = [], {run.folder for run in waiting} | running.keys()
    for run in list(waiting):
        if gone := [folder for folder in run.needs if folder in unfit]:
            unfit[run.folder] = run, f"{gone[0]} is missing"
            waiting.remove(run)
        elif not coming.intersection(run.needs):
            startable.append(run)
    return startable


def _free_cores(running, jobs):
    """The cores of one of `jobs` shares that no running process has."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    cores = sorted(os.sched_getaffinity(0))
    shares = [set(cores[number::jobs]) or set(cores) for number in range(jobs)]
    taken = [share for *_, share in running.values()]
    return next(share for share in shares if shares.count(share) > taken.count(share))


def _started(context, run, features, cores, jobs):
    answers, given = context.Pipe(duplex=False)
    process = context.Process(target=_train, args=(run, features, cores, given), name=run.folder.name)
    with _environment(XLA_PYTHON_CLIENT_MEM_FRACTION=f"{MEMORY / jobs:.3f}", TF_FORCE_GPU_ALLOW_GROWTH="true"):
        process.start()
    given.close()
    return process, answers, cores


def _ended(running):
    if running:
        multiprocessing.connection.wait([process.sentinel for _, process, *_ in running.values()])
    return [one for one in running.values() if not one[1].is_alive()]


def _answer(run, process, answers):
    try:
        return answers.recv()
    except EOFError:  # it said nothing
        return "failed", f"{run}: its process ended with {process.exitcode}; give the same command to go on."


def _train(run, features, cores, answers):
    """Trains a run in a process of its own, and answers how it went."""
    quiet_tensorflow()
    from saliency_keras.tables.plan import Unfit
    from saliency_keras.training.loop import Diverged

    if cores:
        os.sched_setaffinity(0, cores)
    sys.stdout = _Prefixed(sys.stdout, run.folder.name)
    try:
        run.train(features)
        answers.send(("finished", ""))
    except (Diverged, Unfit) as error:
        answers.send(("unfit", str(error)))
    except UserError as error:
        answers.send(("failed", str(error)))


class _Prefixed:
    """Standard output whose lines begin with a run's name."""

    def __init__(self, stream, name):
        self._stream, self._name, self._line = stream, name, ""

    def write(self, text):
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            self._stream.write(f"{self._name}: {line}\n")
        return len(text)

    def flush(self):
        self._stream.flush()

    def __getattr__(self, name):
        return getattr(self._stream, name)


@contextlib.contextmanager
def _environment(**values):
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value

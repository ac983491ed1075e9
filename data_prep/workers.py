"""Worker processes that each take one shard at a time, show how far they are, and end when their parent does."""

import concurrent.futures
import contextlib
import multiprocessing
import os
import signal
import threading
from concurrent.futures.process import BrokenProcessPool

from saliency_keras.console import UserError, quiet_tensorflow
from saliency_keras.data.memory import keep_freed_memory
from saliency_keras.files import claims, share_claims

# Several workers with several threads each would only get in each other's way. Bytes do not rest on this: whatever
# claims the same bytes multiplies inside `saliency_keras.blas.one_thread`, in a worker or not.
WORKER_ENVIRONMENT = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def cores():
    """Number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def check_workers(number):
    """Refuses an impossible number of worker processes; `None`, one per core, is fine."""
    if number is not None and number < 0:
        raise UserError(f"the number of workers must be 0 or more; received {number}.")


def in_workers(work, todo, workers, bar):
    """Does tasks in worker processes.

    Args:
        work: Function that can be pickled, called as `work(task, advance=advance)`; it calls `advance` with the
            numbers of pictures read and skipped since the last call.
        todo: Tasks by number.
        workers: Number of processes, or `None` for one per core; no more than there are tasks are started. With 0 the
            tasks are done in this process, one after the other.
        bar: Progress bar that is moved.

    Returns:
        What `work` returned, by the task's number.

    Raises:
        UserError: If a worker was killed. Whatever `work` raises is raised here; all workers are gone then.
    """
    if workers == 0:
        return {number: work(task, advance=lambda *counts: bar.update(sum(counts))) for number, task in todo.items()}
    workers = cores() if workers is None else workers
    context = multiprocessing.get_context("spawn")
    # One cell a task, written by one worker only: no lock that a killed worker could take along.
    read, skipped = (context.RawArray("q", max(todo) + 1) for _ in range(2))
    results = {}
    with (
        _environment(**WORKER_ENVIRONMENT),
        concurrent.futures.ProcessPoolExecutor(
            min(workers, len(todo)), context, _start_worker, (work, read, skipped, claims())
        ) as pool,
    ):
        with _starting:
            others = multiprocessing.active_children()
            waiting = {pool.submit(_work, task, number): number for number, task in todo.items()}
            started = set(multiprocessing.active_children()) - set(others)
        try:
            while waiting:
                done, _ = concurrent.futures.wait(waiting, 0.5, concurrent.futures.FIRST_COMPLETED)
                for future in done:
                    results[waiting.pop(future)] = future.result()
                bar.update(sum(read) + sum(skipped) - bar.n)
                if any(skipped):
                    bar.set_postfix(skipped=sum(skipped))
        except BaseException as error:
            for child in started:
                child.terminate()
                child.join()
            if isinstance(error, BrokenProcessPool):
                raise UserError(
                    "a worker process was killed (too little memory?); finished shards are kept: run the same command "
                    "again, with fewer workers if need be."
                ) from None
            raise
    return results


@contextlib.contextmanager
def _environment(**variables):
    """Sets environment variables for the processes that are started inside the block."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


_worker = {}
_starting = threading.Lock()  # several threads may have workers of their own, and each must end no other's


def _start_worker(work, read, skipped, held):
    """Keeps what all tasks share, and ends the worker when the parent process is gone, however it went."""
    # Ctrl-C reaches the whole group; the parent ends its workers itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _worker.update(work=work, read=read, skipped=skipped)
    share_claims(held)

    def follow_parent():
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=follow_parent, daemon=True).start()
    quiet_tensorflow()
    keep_freed_memory()


def _work(task, number):
    def advance(read, skipped):
        _worker["read"][number] += read
        _worker["skipped"][number] += skipped

    return _worker["work"](task, advance=advance)

"""Worker processes that each take one shard at a time, show how far they are, and end when their parent does.

Networks stay in the parent: one process has the device and the memory of the weights, and workers ask it for maps.
"""

import concurrent.futures
import contextlib
import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures.process import BrokenProcessPool

from saliency_keras.console import UserError, progress, quiet_tensorflow
from saliency_keras.data.memory import keep_freed_memory
from saliency_keras.files import claims, share_claims

SLICE = 8  # pictures of one call, so that no worker waits long for the others and Ctrl-C not long for a network
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


def completed(parts, found, work_on, do_tasks, label, what):
    """Has those parts of a folder made that are not finished, and says how many there were and how fast it went.

    Args:
        parts: All parts, each with its `pictures`.
        found: The result of each part that is finished, `None` of each that is not.
        work_on: Function from a list of parts to the function that makes one of them; not called without any.
        do_tasks: Function that does tasks, called and answering as `in_workers` without its `workers`.
        label: What the progress line says.
        what: What the parts are called, as a plural.

    Returns:
        The results of all parts, in their order.
    """
    results = dict(enumerate(found))
    todo = {number: parts[number] for number, result in results.items() if result is None}
    if len(todo) < len(parts):
        print(f"{len(parts) - len(todo)} of {len(parts)} {what} are finished already.", flush=True)
    pictures = sum(len(part.pictures) for part in todo.values())
    started = time.monotonic()
    with progress(total=pictures, label=label) as bar:
        if todo:
            results |= do_tasks(work_on(list(todo.values())), todo, bar=bar)
    seconds = time.monotonic() - started
    print(f"{pictures:,} pictures in {seconds:.0f} s, {pictures / max(seconds, 1e-9):.0f} pictures/s")
    return list(results.values())


class AskOwner:
    """Stands in a worker for a function that the parent process keeps, `uint8 (n, h, w, 3) -> float32 (n, h, w)`.

    Args:
        name: The function's name among those that the parent keeps.
    """

    def __init__(self, name):
        self._name = name

    def __call__(self, images):
        """Has the parent call the function; `OwnerFailed` if it cannot."""
        import numpy as np

        connection = _worker["owner"]
        connection.send((self._name, images.shape))
        connection.send_bytes(_bytes_of(np.ascontiguousarray(images)))
        if not connection.recv():
            raise OwnerFailed
        maps = np.empty(images.shape[:3], np.float32)
        connection.recv_bytes_into(_bytes_of(maps))
        return maps


def _bytes_of(array):
    """An array's memory as a connection sends and receives it, which takes the first axis for all of it."""
    return memoryview(array).cast("B")


class OwnerFailed(Exception):
    """What a worker raises when the function that it asked for has raised in the parent, which raises that."""


def kept_here(predictors, workers):
    """Which predictors stay in this process, so that one process has the device and the network's memory.

    Args:
        predictors: Predictors by name.
        workers: Number of worker processes, as `in_workers` takes it.

    Returns:
        What workers get in their place, and those that stay, both by name: the predictors with `on_device`, unless all
        work is done here.
    """
    kept = {name: one for name, one in predictors.items() if workers != 0 and getattr(one, "on_device", False)}
    return {**predictors, **{name: AskOwner(name) for name in kept}}, kept


class _Owner:
    """Calls functions for workers: one call at a time, or several where the processor computes (`many_at_once`).

    Args:
        functions: The functions by name.
        context: The workers' `multiprocessing` context.
        workers: Their number.

    Attributes:
        connections: The workers' ends of the connections.
        taken: How many of these have been taken by a worker.
        failure: What a function has raised, or `None`.
    """

    def __init__(self, functions, context, workers):
        self._functions, self.failure = functions, None
        self._ready, self._alone = set(), threading.Lock()
        self._caller = concurrent.futures.ThreadPoolExecutor(workers)
        pairs = [context.Pipe() for _ in range(workers)] if functions else []
        self.connections, self.taken = [there for _, there in pairs], context.Value("i", 0)
        self._threads = [threading.Thread(target=self._serve, args=[here], daemon=True) for here, _ in pairs]

    def start(self):
        """Begins to serve, once all workers have been started."""
        for connection in self.connections:
            connection.close()  # so that a connection ends with the workers
        for thread in self._threads:
            thread.start()

    def end(self):
        """Stops serving, once the workers have ended."""
        self._caller.shutdown(cancel_futures=True)
        for thread in self._threads:
            thread.join()

    def _serve(self, connection):
        import numpy as np

        # The worker has ended or was killed, or all is over.
        over = (EOFError, OSError, RuntimeError, concurrent.futures.CancelledError)
        with contextlib.closing(connection), contextlib.suppress(*over):
            while True:
                name, shape = connection.recv()
                images = np.empty(shape, np.uint8)
                connection.recv_bytes_into(_bytes_of(images))
                slices = [images[first : first + SLICE] for first in range(0, len(images), SLICE)]
                calls = [self._caller.submit(self._call, name, one) for one in slices]
                maps = [call.result() for call in calls]
                connection.send(self.failure is None)
                if self.failure is not None:
                    return
                connection.send_bytes(_bytes_of(np.concatenate(maps)))

    def _call(self, name, images):
        import numpy as np

        from saliency_keras.saliency.per_picture import many_at_once

        if self.failure is None:
            try:
                # The first call builds and compiles the network.
                with contextlib.nullcontext() if name in self._ready and many_at_once() else self._alone:
                    maps = np.asarray(self._functions[name](images), np.float32)
                self._ready.add(name)
                return maps
            except Exception as error:
                self.failure = error
        return None


def in_workers(work, todo, workers, bar, kept=None):
    """Does tasks in worker processes.

    Args:
        work: Function that can be pickled, called as `work(task, advance=advance)`; it calls `advance` with the
            numbers of pictures read and skipped since the last call.
        todo: Tasks by number.
        workers: Number of processes, or `None` for one per core; no more than there are tasks are started. With 0 the
            tasks are done in this process, one after the other.
        bar: Progress bar that is moved.
        kept: Functions by name that stay in this process; `work` has `AskOwner(name)` in their place.

    Returns:
        What `work` returned, by the task's number.

    Raises:
        UserError: If a worker was killed. Whatever `work` raises is raised here; all workers are gone then.
    """
    if workers == 0:
        return {number: work(task, advance=lambda *counts: bar.update(sum(counts))) for number, task in todo.items()}
    workers = min(cores() if workers is None else workers, len(todo))
    context = multiprocessing.get_context("spawn")
    # One cell a task, written by one worker only: no lock that a killed worker could take along.
    read, skipped = (context.RawArray("q", max(todo) + 1) for _ in range(2))
    results = {}
    owner = _Owner(kept, context, workers)
    shared = (work, read, skipped, claims(), owner.connections, owner.taken)
    with (
        _environment(**WORKER_ENVIRONMENT),
        concurrent.futures.ProcessPoolExecutor(workers, context, _start_worker, shared) as pool,
    ):
        with _starting:
            others = multiprocessing.active_children()
            waiting = {pool.submit(_work, task, number): number for number, task in todo.items()}
            started = set(multiprocessing.active_children()) - set(others)
        owner.start()
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
            owner.end()
            if isinstance(error, OwnerFailed):
                raise owner.failure from None
            if isinstance(error, BrokenProcessPool):
                raise UserError(
                    "a worker process was killed (too little memory?); finished shards are kept: run the same command "
                    "again, with fewer workers if need be."
                ) from None
            raise
    owner.end()
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


def _start_worker(work, read, skipped, held, connections, taken):
    """Keeps what all tasks share, and ends the worker when the parent process is gone, however it went."""
    # Ctrl-C reaches the whole group; the parent ends its workers itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _worker.update(work=work, read=read, skipped=skipped)
    share_claims(held)
    if connections:
        with taken.get_lock():
            _worker["owner"] = connections[taken.value]
            taken.value += 1

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

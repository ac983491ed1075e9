"""Batches in order, prepared ahead by threads: what `model.fit` takes on every Keras backend, and an iterable.

What a batch holds is the reader's; here a batch is what a function returns for a step.
"""

import concurrent.futures
import os
import time

import keras

from saliency_keras.data.memory import keep_freed_memory

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
THREADS = min(8, CORES)  # a thread copies 25,000 crops a second: eight feed more than one accelerator


class Stream(keras.utils.PyDataset):
    """The batches of a range of steps.

    Attributes:
        waited: Seconds that whoever asks for batches has waited for one to be prepared. Keras asks ahead, so a device
            has stood still for want of pictures no longer than that.
    """

    def __init__(self, batch_of, steps):
        """Prepares nothing yet.

        Args:
            batch_of: Function from a step to a batch.
            steps: Range of steps.
        """
        super().__init__()
        keep_freed_memory()
        self._batch_of, self._steps = batch_of, steps
        self._pool = concurrent.futures.ThreadPoolExecutor(THREADS)
        self._coming = {}
        self.waited = 0.0

    def __len__(self):
        return len(self._steps)

    def __getitem__(self, place):
        if not 0 <= place < len(self):
            raise IndexError(place)
        for near in range(place, min(place + THREADS + 1, len(self))):
            if near not in self._coming:
                self._coming[near] = self._pool.submit(self._batch_of, self._steps[near])
        started = time.perf_counter()
        batch = self._coming.pop(place).result()
        self.waited += time.perf_counter() - started
        return batch

    def mapped(self, function):
        """A `Stream` of the same steps with what `function` makes of each batch."""
        return Stream(lambda step: function(self._batch_of(step)), self._steps)

    def __iter__(self):
        return (self[place] for place in range(len(self)))

"""Batches in order, prepared ahead by threads: what `model.fit` takes on every Keras backend, and an iterable.

What a batch holds is the reader's; here a batch is what a function returns for a step.
"""

import concurrent.futures
import os
import time

import keras
import numpy as np

from saliency_keras.data.memory import keep_freed_memory

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
THREADS = min(8, CORES)  # a thread copies 25,000 crops a second: eight feed more than one accelerator
STACKS = 3  # stacks of batches that are prepared ahead


class Stream(keras.utils.PyDataset):
    """The batches of a range of steps.

    Attributes:
        waited: Seconds that whoever asks for batches has waited for one to be prepared. Keras asks ahead, so a device
            has stood still for want of pictures no longer than that.
    """

    def __init__(self, batch_of, steps, ahead=THREADS + 1):
        """Prepares nothing yet.

        Args:
            batch_of: Function from a step to a batch.
            steps: Range of steps.
            ahead: Number of batches that are prepared ahead.
        """
        super().__init__()
        keep_freed_memory()
        self._batch_of, self._steps, self._ahead = batch_of, steps, ahead
        self._pool = concurrent.futures.ThreadPoolExecutor(THREADS)
        self._coming = {}
        self.waited = 0.0

    def __len__(self):
        return len(self._steps)

    def __getitem__(self, place):
        if not 0 <= place < len(self):
            raise IndexError(place)
        for near in range(place, min(place + self._ahead, len(self))):
            if near not in self._coming:
                self._coming[near] = self._pool.submit(self._batch_of, self._steps[near])
        started = time.perf_counter()
        batch = self._coming.pop(place).result()
        self.waited += time.perf_counter() - started
        return batch

    def mapped(self, function):
        """A `Stream` of the same steps with what `function` makes of each batch."""
        return Stream(lambda step: function(self._batch_of(step)), self._steps)

    def grouped(self, number, epoch):
        """The same batches, stacked: arrays `(batches, pictures, ...)`, for several steps in one call of the device.

        Args:
            number: Batches in a stack. The last one of an epoch has those that are left.
            epoch: Batches in an epoch; the stream begins with one and ends with one.

        Returns:
            A `Stream` of `ceil(epoch / number)` stacks an epoch.
        """
        of_epoch = -(-epoch // number)
        pool = concurrent.futures.ThreadPoolExecutor(THREADS)

        def stack_of(place):
            first = place // of_epoch * epoch
            part = place % of_epoch * number
            steps = self._steps[first + part : first + min(part + number, epoch)]
            return keras.tree.map_structure(lambda *arrays: np.stack(arrays), *pool.map(self._batch_of, steps))

        return Stream(stack_of, range(len(self) // epoch * of_epoch), STACKS)

    def __iter__(self):
        return (self[place] for place in range(len(self)))

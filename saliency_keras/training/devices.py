"""Several devices: each takes an equal part of every batch, and one step of them all is one step of the batch.

On TensorFlow `tf.distribute.MirroredStrategy` does it, on the devices of one machine. On JAX `keras.distribution` does,
on one machine or on several that were started with `KERAS_DISTRIBUTION_JOB_ADDRESSES`,
`KERAS_DISTRIBUTION_NUM_PROCESSES` and `KERAS_DISTRIBUTION_PROCESS_ID`. What Keras cannot do is refused: PyTorch, where
`keras.distribution` would do nothing and say nothing, and several machines on TensorFlow, where
`MultiWorkerMirroredStrategy` fails in `fit` (keras#20585).

What is spread is a copy of the network. The network itself stays on one device, is given the weights after each epoch,
and validates, predicts and is saved as in any other run. Batch normalisation is over a device's part of the batch on
TensorFlow, the moving averages being averaged over the devices after each epoch, and over the whole batch on JAX.
Dropout draws the same masks on every device on TensorFlow, and masks for the whole batch on JAX.
"""

import contextlib
import os

import keras

from saliency_keras.console import UserError
from saliency_keras.models.weights import give_weights

PROCESSES = "KERAS_DISTRIBUTION_NUM_PROCESSES"


def check_devices(number, one_machine=False):
    """Joins the other processes, where there are some, and refuses what cannot be trained on.

    Args:
        number: How many devices, those of all machines together.
        one_machine: Whether what is to be trained cannot use several machines.

    Raises:
        UserError: If there are fewer, or the backend cannot do it.
    """
    backend = keras.backend.backend()
    if several := several_processes():
        if backend != "jax":
            raise UserError(
                f"{PROCESSES} asks for several machines, which Keras trains on with JAX only: KERAS_BACKEND=jax."
            )
        if one_machine:
            raise UserError(f"networks that predict saliency are trained on one machine; leave {PROCESSES} out.")
        _join()
    if number > 1 and backend not in ("tensorflow", "jax"):
        raise UserError(
            f"Keras on {backend} trains on one device only; for --devices {number} use KERAS_BACKEND=tensorflow or jax."
        )
    there = devices() if number > 1 or several else [None]
    if number > len(there):
        raise UserError(f"--devices {number} is more than there are: {len(there)} ({', '.join(there)}).")
    if several and number != len(there):
        raise UserError(f"the machines have {len(there)} devices together; --devices must say so. Received: {number}")


def several_processes():
    """Whether this process is to train with others; before it has joined them, no device may be looked at."""
    return os.environ.get(PROCESSES, "1") != "1"


def _join():
    import jax

    if jax.distributed.is_initialized():
        return
    try:
        keras.distribution.initialize()
    except (ValueError, RuntimeError) as error:
        raise UserError(f"the processes of this run do not find each other: {str(error).splitlines()[0]}") from None


def check_batch(size, number):
    """Refuses a batch that several devices cannot share evenly.

    Args:
        size: Pictures in a training batch.
        number: Number of devices.

    Raises:
        UserError: If it cannot be shared.
    """
    if size % number:
        near = [n for n in (size // number * number, (size // number + 1) * number) if n]
        raise UserError(
            f"{number} devices cannot share a batch of {size} pictures evenly; use --batch "
            f"{' or '.join(map(str, near))}."
        )


def devices():
    """Names of the accelerators, or of the processors where there are none."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return [device.name.removeprefix("/device:") for device in found]
    return keras.distribution.list_devices()


def first_process():
    """Whether this process is the one that writes; `True` where there is no other."""
    return _process()[0] == 0


def _process():
    """This process's number and how many there are."""
    if keras.backend.backend() != "jax":
        return 0, 1
    import jax

    return jax.process_index(), jax.process_count()


class OneDevice:
    """The ordinary case: what is trained is the model itself, and Keras validates it on the way."""

    def __init__(self):
        self.training = self.alone = contextlib.nullcontext

    def copy_of(self, model, compiled):
        """The model itself, which is compiled already."""
        return model

    def part(self, batches):
        """What this process contributes to each batch: all of it."""
        return batches

    def validated(self, validation):
        """Further columns of the history: none."""
        return {}

    def bring_home(self):
        """Gives the model the weights that were trained, which it has here."""


class SeveralDevices:
    """Copies a model onto several devices.

    Attributes:
        training: Context that the copy's `fit` runs in.
        alone: Context, inside `training`, in which other models compute on one device.
    """

    def __init__(self, number):
        """Chooses the first `number` of the devices that there are."""
        names = devices()[:number]
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            self._building = tf.distribute.MirroredStrategy(names).scope
            self.training = self.alone = contextlib.nullcontext
        else:
            distribution = keras.distribution.DataParallel(devices=names, auto_shard_dataset=False)
            self._building = self.training = distribution.scope
            self.alone = _without_distribution

    def copy_of(self, model, compiled):
        """A copy of the model that trains on all devices.

        Args:
            model: A built and compiled model.
            compiled: Function that compiles the copy.

        Returns:
            The copy, with the model's weights.
        """
        weights = model.get_weights()
        with self._building():
            copy = keras.models.clone_model(model)
            give_weights(copy, weights)
            compiled(copy)
        self._model, self._copy = model, copy
        return copy

    def validated(self, validation):
        """Gives the model the weights that were trained, and validates it where it is, every picture once.

        Args:
            validation: Function that gives the validation batches, or gives `None`.

        Returns:
            Further columns of the history.
        """
        self.bring_home()
        if (batches := validation()) is None:
            return {}
        found = self._model.evaluate(batches, verbose=0, return_dict=True)
        return {f"val_{name}": value for name, value in found.items()}

    def bring_home(self):
        """Gives the model the weights that were trained."""
        for variable in self._copy.non_trainable_variables:
            # On TensorFlow each device keeps moving averages of its own, and a state would hold the first one's.
            if len(of_devices := getattr(variable.value, "values", ())) > 1 and "float" in variable.dtype:
                variable.assign(sum(one.numpy() for one in of_devices) / len(of_devices))
        self._model.set_weights(self._copy.get_weights())

    def part(self, batches):
        """What this process contributes to each batch, in the order of the processes.

        Args:
            batches: A `Stream` of whole batches.

        Returns:
            A `Stream` of this process's pictures of each; of all where there is one process only.
        """
        number, of = _process()
        if of == 1:
            return batches

        def rows(batch):
            size = len(keras.tree.flatten(batch)[0]) // of
            return keras.tree.map_structure(lambda values: values[number * size : (number + 1) * size], batch)

        return batches.mapped(rows)


@contextlib.contextmanager
def _without_distribution():
    distribution = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(distribution)

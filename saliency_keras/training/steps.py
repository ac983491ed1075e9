"""Several training steps in one call of the device, so that the device does not wait for the host after each step.

`model.fit` calls the device once a step and looks after each step in Python, which takes about a millisecond: as long
as a GPU needs for a step of AlexNet. Keras' own `steps_per_execution` loops in Python on JAX. Here the loop over the
steps is compiled: `lax.scan` on JAX, a loop in the graph on TensorFlow. A step is Keras' own `train_step`, so the
number of steps in a call changes no figure. Losses and metrics stay on the device and are looked at once a call.

On a processor, XLA computes convolutions inside a loop three times slower, and both backends round otherwise there. So a
processor is called once for each step of a stack, and computes the same bits for any number of steps in a call.
"""

import queue
import threading
import time

import keras
from keras import ops

MOST = 32  # steps in a call: the host's share of a step is small then, and so is the memory of the stacked batches
ROOM = 0.6  # of the device's free memory, what pictures may take


def steps_together(steps, asked=None):
    """Chooses how many steps one call of the device makes.

    Args:
        steps: Steps in an epoch.
        asked: A number, or `None` to choose: 1 on a processor, where a step takes long, and up to 32 on an accelerator.

    Returns:
        The number, at most `steps`. Where it is chosen, a number that divides the epoch is preferred, so that the
        device compiles one loop and not another one for the epoch's end.
    """
    if not can_loop():
        return 1
    if asked is not None:
        return min(asked, steps)
    if not has_accelerator():
        return 1
    if steps <= MOST:
        return steps
    return next((number for number in range(MOST, MOST // 2, -1) if steps % number == 0), MOST)


def can_loop():
    """Whether the backend makes several steps in a call: TensorFlow and JAX."""
    return keras.backend.backend() in ("tensorflow", "jax")


def has_accelerator():
    """Whether the backend computes on something else than the processor."""
    return any("cpu" not in name.lower() for name in keras.distribution.list_devices())


class Steps:
    """Makes a compiled model train on the stacked batches of `Stream.grouped`, or on single ones.

    Attributes:
        bad: Of the last call, an integer on the device: its first step after which the loss was not finite, counted
            from 0; the number of its steps where all were.
        busy: Seconds that the device was computing steps.
    """

    def __init__(self, model, batch, number, look_up=None, held=None, in_a_loop=None):
        """Prepares a model.

        Args:
            model: A compiled `keras.Model`. Its `train_function` is replaced, until it is compiled again.
            batch: One batch, `(inputs, targets)`, as the model takes it; metrics are built from it.
            number: Steps in a call.
            look_up: Function from `held` and a batch's inputs to the model's inputs, or `None`.
            held: Array on the device that `look_up` takes pictures from.
            in_a_loop: Whether the steps of a call are compiled as a loop; `None` where that is quicker.
        """
        self.bad, self.busy = None, 0.0
        model.test_on_batch(*batch)  # Keras builds metrics from a batch; a stack has another shape
        model.reset_metrics()
        look_up = look_up or (lambda held, inputs: inputs)
        on_jax = keras.backend.backend() == "jax"
        if in_a_loop is None:
            in_a_loop = has_accelerator()
        self._call = (_on_jax if on_jax else _on_tensorflow)(model, look_up, held, number, in_a_loop)
        self._calls = queue.SimpleQueue()
        model.train_function = self._with_state if on_jax else self._without_state

    def _with_state(self, state, iterator):
        batches = next(iterator)
        started = time.perf_counter()
        logs, state, self.bad = self._call(state, batches)
        self._calls.put((started, self.bad))
        return logs, state

    def _without_state(self, iterator):
        batches = next(iterator)
        started = time.perf_counter()
        logs, self.bad = self._call(batches)
        self._calls.put((started, self.bad))
        return logs

    def __enter__(self):
        """Begins to watch how long the device computes."""
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()
        return self

    def __exit__(self, *error):
        self._calls.put(None)
        self._watcher.join()

    def _watch(self):
        """A call's time begins when it is made or when the call before it has ended, whichever is later."""
        ended = 0.0
        while call := self._calls.get():
            started, result = call
            ops.convert_to_numpy(result)
            now = time.perf_counter()
            self.busy += now - max(started, ended)
            ended = now


def _on_jax(model, look_up, held, number, in_a_loop):
    import jax
    from jax import numpy as jnp

    def one_step(state, held, batch):
        inputs, targets = batch[:2]
        logs, state = model.train_step(state, (look_up(held, inputs), targets))
        return logs, state, jnp.where(jnp.isfinite(logs["loss"]), 1, 0)

    def loop(state, held, batches):
        steps = len(jax.tree.leaves(batches)[0])

        def step(carried, batch):
            state, bad, _ = carried
            place, batch = batch
            logs, state, fine = one_step(state, held, batch)
            return (state, jnp.where((bad == steps) & (fine == 0), place, bad), logs), None

        first = jax.tree.map(lambda array: array[0], batches)
        logs = jax.eval_shape(one_step, state, held, first)[0]
        nothing = jax.tree.map(lambda one: jnp.zeros(one.shape, one.dtype), logs)
        places = jnp.arange(steps, dtype="int32")
        (state, bad, logs), _ = jax.lax.scan(step, (state, jnp.int32(steps), nothing), (places, batches))
        return logs, state, bad

    compiled_step, compiled_loop = jax.jit(one_step, donate_argnums=0), jax.jit(loop, donate_argnums=0)

    def one_by_one(state, batches):
        bad = steps = len(jax.tree.leaves(batches)[0])
        for place in range(steps):
            logs, state, fine = compiled_step(state, held, jax.tree.map(lambda array: array[place], batches))
            bad = jnp.where((bad == steps) & (fine == 0), place, bad)
        return logs, state, bad

    if number == 1:
        return lambda state, batch: compiled_step(state, held, batch)
    return (lambda state, batches: compiled_loop(state, held, batches)) if in_a_loop else one_by_one


def _on_tensorflow(model, look_up, held, number, in_a_loop):
    import tensorflow as tf

    def train(batch):
        inputs, targets = batch[:2]
        logs = model.train_step((look_up(held, inputs), targets))
        return logs, tf.cast(tf.math.is_finite(logs["loss"]), "int32")

    one_step = tf.function(train, jit_compile=model.jit_compile, reduce_retracing=True)

    def of_stack(batches, place):
        return one_step(keras.tree.map_structure(lambda arrays: arrays[place], batches))

    def loop(batches):
        steps = tf.shape(keras.tree.flatten(batches)[0])[0]

        def step(place, bad, _):
            logs, fine = of_stack(batches, place)
            return place + 1, tf.where((bad == steps) & (fine == 0), place, bad), logs

        # The first step is outside the loop: its logs have the shapes and types that the loop carries.
        first = step(tf.constant(0), steps, None)
        _, bad, logs = tf.while_loop(lambda place, *_: place < steps, step, first, parallel_iterations=1)
        return logs, bad

    def compiled(function, unknown, *further):
        """Compiles for any number of pictures, as Keras' data sets have it: a known one would be rounded otherwise."""

        def call(batches, *places):
            spec = keras.tree.map_structure(
                lambda array: tf.TensorSpec([None] * unknown + list(array.shape[unknown:]), array.dtype), batches
            )
            if not made:
                made.append(tf.function(do_not_convert(function), input_signature=[spec, *further]))
            return made[0](batches, *places)

        made, do_not_convert = [], tf.autograph.experimental.do_not_convert
        return call

    place_of_stack = compiled(of_stack, 2, tf.TensorSpec([], "int32"))

    def one_by_one(batches):
        bad = steps = len(keras.tree.flatten(batches)[0])
        for place in range(steps):
            logs, fine = place_of_stack(batches, tf.constant(place))
            bad = tf.where((bad == steps) & (fine == 0), place, bad)
        return logs, bad

    if number == 1:
        return compiled(lambda batch: one_step(batch), 1)
    return compiled(loop, 2) if in_a_loop else one_by_one

"""Several training steps in one call of the device, so that the device does not wait for the host after each step.

`model.fit` calls the device once a step and looks after each step in Python, which takes about a millisecond: as long
as a GPU needs for a step of AlexNet. Keras' own `steps_per_execution` loops in Python on JAX. Here the loop over the
steps is compiled: `lax.scan` on JAX, a loop in the graph on TensorFlow. A step is Keras' own `train_step`, so the
number of steps in a call changes no figure. Losses and metrics stay on the device and are looked at once a call.

A processor is called once for each step of a stack instead, and computes the same bits for any number of steps: in a
loop, XLA computes convolutions three times slower there, and both backends round otherwise.
"""

import queue
import threading
import time

import keras
from keras import ops

from saliency_keras.saliency.per_picture import accelerators

MOST = 32  # steps in a call: the host's share of a step is small then, and so is the memory of the stacked batches


def steps_together(steps, asked=None):
    """Chooses how many steps one call of the device makes.

    Args:
        steps: Steps in an epoch.
        asked: A number, or `None` to choose: 1 on a processor, where a step takes long, and up to 32 on an accelerator.

    Returns:
        The number, at most `steps`; 1 on PyTorch. Where it is chosen, a number that divides the epoch is preferred, so
        that the device compiles one loop and not another one for the epoch's end.
    """
    if keras.backend.backend() not in ("tensorflow", "jax"):
        return 1
    if asked is not None:
        return min(asked, steps)
    if not has_accelerator():
        return 1
    if steps <= MOST:
        return steps
    return next((number for number in range(MOST, MOST // 2, -1) if steps % number == 0), MOST)


def has_accelerator():
    """Whether the backend computes on something else than the processor."""
    return bool(accelerators())


class Steps:
    """Makes a compiled model train on the stacked batches of `Stream.grouped`, or on single ones.

    Attributes:
        number: Steps in a call.
        bad: Of each call, an integer on the device: its first step after which the loss was not finite, counted from
            0; the number of its steps where all were. Whoever looks at them clears the list after each epoch.
        busy: Seconds that the device was computing steps.
    """

    def __init__(self, model, batch, number, resident=None, in_a_loop=None):
        """Prepares a model.

        Args:
            model: A compiled `keras.Model`. Its `train_function` is replaced, until it is compiled again.
            batch: One batch, `(inputs, targets)`, as the model takes it; metrics are built from it.
            number: Steps in a call.
            resident: The `Resident` whose pictures the batches name, or `None` where they hold the inputs themselves.
            in_a_loop: Whether the steps of a call are compiled as a loop; `None` where that is quicker.
        """
        self.number, self.bad, self.busy = number, [], 0.0
        model.test_on_batch(*batch)  # Keras builds metrics from a batch; a stack has another shape
        model.reset_metrics()
        held = resident and resident.pictures
        look_up = resident.look_up if resident else lambda held, inputs: inputs
        on_jax = keras.backend.backend() == "jax"
        if in_a_loop is None:
            in_a_loop = has_accelerator()
        self._call = (_on_jax if on_jax else _on_tensorflow)(model, look_up, held, number, in_a_loop)
        self._calls = queue.SimpleQueue()
        model.train_function = self._with_state if on_jax else self._without_state

    def _with_state(self, state, iterator):
        batches = next(iterator)
        started = time.perf_counter()
        logs, state, bad = self._call(state, batches)
        self._note(started, bad)
        return logs, state

    def _without_state(self, iterator):
        batches = next(iterator)
        started = time.perf_counter()
        logs, bad = self._call(batches)
        self._note(started, bad)
        return logs

    def _note(self, started, bad):
        self.bad.append(bad)
        self._calls.put((started, bad))

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
    """The function from a state and a stack of batches (of number 1, a batch) to logs, state and `Steps.bad`."""
    import jax
    from jax import numpy as jnp

    def step(state, held, batch):
        inputs, targets = batch[:2]
        logs, state = model.train_step(state, (look_up(held, inputs), targets))
        return logs, state, jnp.isfinite(logs["loss"])

    def first_bad(bad, steps, place, fine):
        return jnp.where((bad == steps) & ~fine, place, bad)

    def loop(state, held, stack):
        """All steps of a stack as one program."""
        steps = _length(stack)

        def body(carried, row):
            state, bad, _ = carried
            place, batch = row
            logs, state, fine = step(state, held, batch)
            return (state, first_bad(bad, steps, place, fine), logs), None

        logs = jax.eval_shape(step, state, held, _batch(stack, 0))[0]
        nothing = jax.tree.map(lambda one: jnp.zeros(one.shape, one.dtype), logs)
        rows = jnp.arange(steps, dtype="int32"), stack
        (state, bad, logs), _ = jax.lax.scan(body, (state, jnp.int32(steps), nothing), rows)
        return logs, state, bad

    compiled_step, compiled_loop = jax.jit(step, donate_argnums=0), jax.jit(loop, donate_argnums=0)

    def one_by_one(state, stack):
        bad = steps = _length(stack)
        for place in range(steps):
            logs, state, fine = compiled_step(state, held, _batch(stack, place))
            bad = first_bad(bad, steps, place, fine)
        return logs, state, bad

    if number == 1:
        return lambda state, batch: compiled_step(state, held, batch)
    return (lambda state, stack: compiled_loop(state, held, stack)) if in_a_loop else one_by_one


def _on_tensorflow(model, look_up, held, number, in_a_loop):
    """The function from a stack of batches (of number 1, a batch) to logs and `Steps.bad`."""
    import tensorflow as tf

    def train(batch):
        inputs, targets = batch[:2]
        logs = model.train_step((look_up(held, inputs), targets))
        return logs, tf.math.is_finite(logs["loss"])

    step = tf.function(train, jit_compile=model.jit_compile, reduce_retracing=True)

    def first_bad(bad, steps, place, fine):
        return tf.where((bad == steps) & ~fine, place, bad)

    def of_stack(stack, place):
        return step(_batch(stack, place))

    def loop(stack):
        """All steps of a stack as one program."""
        steps = tf.shape(keras.tree.flatten(stack)[0])[0]

        def body(place, bad, _):
            logs, fine = of_stack(stack, place)
            return place + 1, first_bad(bad, steps, place, fine), logs

        # The first step is outside the loop: its logs have the shapes and types that the loop carries.
        first = body(tf.constant(0), steps, None)
        _, bad, logs = tf.while_loop(lambda place, *_: place < steps, body, first, parallel_iterations=1)
        return logs, bad

    compiled_part = _compiled_for_any_size(of_stack, 2, tf.TensorSpec([], "int32"))

    def one_by_one(stack):
        bad = steps = _length(stack)
        for place in range(steps):
            logs, fine = compiled_part(stack, tf.constant(place))
            bad = first_bad(bad, steps, place, fine)
        return logs, bad

    if number == 1:
        return _compiled_for_any_size(lambda batch: step(batch), 1)
    return _compiled_for_any_size(loop, 2) if in_a_loop else one_by_one


def _compiled_for_any_size(function, unknown, *further):
    """Compiles a function of batches for any size of their first axes, as Keras' data sets have it.

    TensorFlow rounds otherwise where it knows the number of pictures in a batch.
    """
    import tensorflow as tf

    compiled = []

    def call(batches, *others):
        """Calls the function; the first batches say how many axes there are."""
        if not compiled:

            def spec(array):
                return tf.TensorSpec([None] * unknown + list(array.shape[unknown:]), array.dtype)

            specs = keras.tree.map_structure(spec, batches)
            do_not_convert = tf.autograph.experimental.do_not_convert
            compiled.append(tf.function(do_not_convert(function), input_signature=[specs, *further]))
        return compiled[0](batches, *others)

    return call


def _length(stack):
    return len(keras.tree.flatten(stack)[0])


def _batch(stack, place):
    return keras.tree.map_structure(lambda array: array[place], stack)

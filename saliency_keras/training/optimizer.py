"""Optimizers of a `Schedule`: rates that change from step to step, rates of their own for parts, decay that ends.

Plain schedules get Keras' own optimizers. The others get the same ones with one method changed: the learning rate that
an update step uses is multiplied by a factor of the variable and of the step, on every backend, so that a part with
factor 50 learns exactly as if it were alone with 50 times the rate.
"""

import math

import keras
from keras import ops

KINDS = {"sgd": keras.optimizers.SGD, "adam": keras.optimizers.Adam, "adamw": keras.optimizers.AdamW}


def optimizer_of(schedule, network, steps):
    """Makes the optimizer of a training.

    Args:
        schedule: The `experiments.experiment.Schedule`.
        network: The `Network` to train; its parts say which variables `schedule.factors` speaks of.
        steps: Training steps in an epoch.

    Returns:
        A Keras optimizer whose `learning_rate` the loop sets at the beginning of each epoch.

    Raises:
        UserError: If a factor is for a part that the network does not have.
    """
    options = {"learning_rate": schedule.learning_rate}
    if schedule.optimizer == "sgd":
        options["momentum"] = schedule.momentum
    if schedule.optimizer == "adamw":
        options["weight_decay"] = schedule.decay
    if schedule.clip_norm:
        options["clipnorm"] = schedule.clip_norm
    kind = KINDS[schedule.optimizer]
    decay = 0.0 if schedule.optimizer == "adamw" else schedule.decay
    if not (schedule.factors or schedule.inverse_time or schedule.cosine or decay):
        return kind(**options)
    changing = type(f"Changing{kind.__name__}", (_Changing, kind), {})
    optimizer = changing(**options)
    optimizer.follow(
        factors=network.factors(schedule.factors),
        inverse_time=schedule.inverse_time,
        all_steps=schedule.epochs * steps if schedule.cosine else 0,
        decay=decay,
        decay_steps=schedule.decay_until * steps,
    )
    return optimizer


class _Changing:
    """Mixed into a Keras optimizer: its update step with the factors of variable and step."""

    def follow(self, factors, inverse_time=0.0, all_steps=0, decay=0.0, decay_steps=0):
        """Says how rates change.

        Args:
            factors: From a variable's path to the factor of its rate.
            inverse_time: k of the factor 1 / (1 + k i), i counting steps from 0.
            all_steps: Steps of half a cosine; 0 for none.
            decay: Factor of a kernel's value that is added to its gradient.
            decay_steps: The number of first steps with `decay`; 0 for all.
        """
        self._factors, self._inverse_time, self._all_steps = factors, inverse_time, all_steps
        self._decay, self._decay_steps = decay, decay_steps

    def build(self, variables):
        """Makes the slots, and notes the factor of each variable."""
        super().build(variables)
        self._factor_of = [self._factors.get(variable.path, 1.0) for variable in variables]

    def update_step(self, gradient, variable, learning_rate):
        """One step of one variable, as Keras calls it; on TensorFlow `variable` is its own, which knows no path."""
        step = ops.cast(self.iterations, "float32")
        factor = self._factor_of[self._get_variable_index(variable)]
        if self._inverse_time:
            factor = factor / (1.0 + self._inverse_time * step)
        if self._all_steps:
            factor = factor * 0.5 * (1.0 + ops.cos(math.pi * ops.minimum(step / self._all_steps, 1.0)))
        if self._decay and is_kernel(variable):
            decay = self._decay * (ops.cast(step < self._decay_steps, "float32") if self._decay_steps else 1.0)
            gradient = gradient + ops.cast(decay, gradient.dtype) * ops.cast(variable, gradient.dtype)
        rate = ops.cast(learning_rate, "float32") * factor
        super().update_step(gradient, variable, ops.cast(rate, variable.dtype))


def is_kernel(variable):
    """Whether weight decay acts on a variable: kernels of layers, not biases or the vectors of normalisations."""
    return len(variable.shape) > 1


def rate_at(schedule, epoch, steps):
    """The learning rate of an epoch's first step, without the factors of parts.

    Args:
        schedule: The `Schedule`.
        epoch: The epoch, from 1.
        steps: Training steps in an epoch.

    Returns:
        A float.
    """
    done = (epoch - 1) * steps
    rate = schedule.rate(epoch) / (1.0 + schedule.inverse_time * done)
    return rate * 0.5 * (1.0 + math.cos(math.pi * done / (schedule.epochs * steps))) if schedule.cosine else rate

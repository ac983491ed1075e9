"""Optimizers of a schedule against plain numpy: factors of parts, rates that change with the step, decay that ends."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from saliency_keras.console import UserError
from saliency_keras.experiments.experiment import Schedule
from saliency_keras.models.network import Network
from saliency_keras.training.optimizer import optimizer_of, rate_at

STEPS = 4  # of an epoch
GRADIENTS = np.random.default_rng(0).normal(size=(3 * STEPS, 2, 3)).astype("float32")


def network():
    """Two dense layers without biases; the second is the part `new`."""
    x = keras.Input((2,))
    y = keras.layers.Dense(3, use_bias=False, name="old")(x)
    y = keras.layers.Dense(2, use_bias=False, name="new")(y)
    return Network(keras.Model(x, y), {"trunk": ("old",), "new": ("new",)})


def trained(schedule):
    """The kernels after all of `GRADIENTS`, the second one's transposed, and how they began."""
    keras.utils.set_random_seed(0)
    one = network()
    variables = one.model.trainable_variables
    began = [variable.numpy() for variable in variables]
    optimizer = optimizer_of(schedule, one, STEPS)
    optimizer.build(variables)
    for step, gradient in enumerate(GRADIENTS):
        optimizer.learning_rate = schedule.rate(step // STEPS + 1)
        optimizer.apply([keras.ops.convert_to_tensor(gradient), keras.ops.convert_to_tensor(gradient.T)], variables)
    return began, [variable.numpy() for variable in variables]


def by_hand(began, turned, rate, decay=lambda step: 0.0, momentum=0.9):
    """SGD with momentum in numpy; `rate` and `decay` are functions of the step."""
    weights, velocity = began.astype("float64"), 0.0
    for step, gradient in enumerate(GRADIENTS):
        gradient = (gradient.T if turned else gradient) + decay(step) * weights
        velocity = momentum * velocity - rate(step) * gradient
        weights = weights + velocity
    return weights


def check(schedule, rate, decay=lambda step: 0.0, factor=1.0):
    began, found = trained(schedule)
    np.testing.assert_allclose(found[0], by_hand(began[0], False, rate, decay), rtol=2e-5)
    of_new = by_hand(began[1], True, lambda step: factor * rate(step), decay)
    np.testing.assert_allclose(found[1], of_new, rtol=2e-5)


def test_a_part_with_a_factor_learns_as_if_alone_with_that_many_times_the_rate():
    check(Schedule(epochs=3, learning_rate=0.001, drops=(), factors={"new": 50}), lambda step: 0.001, factor=50)


def test_inverse_time_divides_the_rate_by_one_plus_k_times_the_step():
    schedule = Schedule(epochs=3, learning_rate=0.01, drops=(), inverse_time=0.3)
    check(schedule, lambda step: 0.01 / (1 + 0.3 * step))
    assert rate_at(schedule, 2, STEPS) == pytest.approx(0.01 / (1 + 0.3 * 4))


def test_cosine_ends_at_nothing_after_all_steps():
    schedule = Schedule(epochs=3, learning_rate=0.01, drops=(), cosine=True)
    check(schedule, lambda step: 0.005 * (1 + np.cos(np.pi * step / 12)))


def test_decay_is_added_to_the_gradient_and_ends_after_its_epoch():
    schedule = Schedule(epochs=3, learning_rate=0.01, drops=(), decay=0.2, decay_until=2)
    check(schedule, lambda step: 0.01, lambda step: 0.2 if step < 2 * STEPS else 0.0)


def test_steps_say_the_rate_from_an_epoch_on():
    schedule = Schedule(epochs=3, learning_rate=0.5, drops=(), steps=((1, 0.01), (3, 0.002)), inverse_time=1e-9)
    check(schedule, lambda step: 0.01 if step < 2 * STEPS else 0.002)


def test_all_of_it_together():
    schedule = Schedule(epochs=3, learning_rate=0.01, drops=(1,), factors={"new": 7}, inverse_time=0.1, decay=0.05)
    rate = lambda step: (0.01 if step < STEPS else 0.001) / (1 + 0.1 * step)  # noqa: E731
    check(schedule, rate, lambda step: 0.05, factor=7)


def test_a_plain_schedule_gets_keras_own_optimizer():
    assert type(optimizer_of(Schedule(), network(), STEPS)) is keras.optimizers.SGD
    assert type(optimizer_of(Schedule(optimizer="adam"), network(), STEPS)) is keras.optimizers.Adam


def test_adams_step_is_scaled_by_the_factor():
    began, found = trained(Schedule(epochs=3, optimizer="adam", learning_rate=0.01, drops=(), factors={"new": 10}))
    _, plain = trained(Schedule(epochs=3, optimizer="adam", learning_rate=0.01, drops=()))
    np.testing.assert_allclose(found[0], plain[0], rtol=1e-6)
    np.testing.assert_allclose(found[1] - began[1], 10 * (plain[1] - began[1]), rtol=1e-3, atol=1e-5)


def test_a_factor_for_a_part_that_is_not_there_is_told_with_those_that_are():
    with pytest.raises(UserError, match="has no part 'detector'; its parts are trunk, new"):
        optimizer_of(Schedule(factors={"detector": 2}), network(), STEPS)


@pytest.mark.backend
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_it_is_the_same_on_other_backends(backend):
    pytest.importorskip(backend)
    if keras.backend.backend() == backend:
        pytest.skip("this is the backend that the other tests run on")
    tests = "part_with_a_factor or inverse_time or decay_is_added or all_of_it"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", tests]
    done = subprocess.run(command, env={**os.environ, "KERAS_BACKEND": backend}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]

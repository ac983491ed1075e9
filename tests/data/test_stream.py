"""Batches ahead of time, and how long one had to wait for them."""

import time

import pytest

from saliency_keras.data.stream import Stream


def test_batches_come_in_order_and_again():
    stream = Stream(lambda step: step * step, range(3, 20))
    assert list(stream) == list(stream) == [step * step for step in range(3, 20)]


def test_mapped_batches_are_prepared_once_each():
    """However many threads ask ahead: what is made of a batch is made where the batch is."""
    prepared = []
    stream = Stream(lambda step: prepared.append(step) or step, range(200))
    assert list(stream.mapped(lambda batch: -batch)) == [-step for step in range(200)]
    assert sorted(prepared) == list(range(200))


def test_waiting_for_a_slow_batch_is_counted():
    stream = Stream(lambda step: time.sleep(0.2 if step == 0 else 0.0), range(4))
    list(stream)
    assert stream.waited == pytest.approx(0.2, abs=0.1)


def test_batch_that_was_prepared_meanwhile_is_not_waited_for():
    stream = Stream(lambda step: time.sleep(0.05), range(2))
    stream[0]
    waited = stream.waited
    time.sleep(0.3)
    stream[1]
    assert stream.waited - waited < 0.02


def test_error_in_a_batch_reaches_who_asked_for_it():
    stream = Stream(lambda step: 1 // step, range(-1, 1))
    assert stream[0] == -1
    with pytest.raises(ZeroDivisionError):
        stream[1]
    with pytest.raises(IndexError):
        stream[2]

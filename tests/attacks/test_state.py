"""Damages of the files that `--resume` goes on from: refused, or the same training."""

import keras
import numpy as np
import pytest

from saliency_keras.console import UserError
from saliency_keras.training.state import check_best, load_state, save_state, state_of
from tests.attacks.damages import damages, outcome

EACH = 400


@pytest.fixture
def model():
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3), keras.layers.Dropout(0.5)])
    model.compile("sgd", "mse")
    model.optimizer.build(model.trainable_variables)
    return model


def state(model):
    return [np.asarray(one).tobytes() for one in model.get_weights()]


def test_a_damaged_state_is_refused_with_the_way_on_or_is_what_was_written(model, tmp_path):
    folder = tmp_path / "state"
    for epoch in (1, 2):
        save_state(folder, state_of(model), [{"epoch": one} for one in range(1, epoch + 1)])
    before = load_state(folder, model), state(model)
    for name in ("epoch-00002.npz", "index.json"):
        path = folder / name
        content = path.read_bytes()
        for damaged in damages(content, EACH, seed=name, foreign=[(folder / "epoch-00001.npz").read_bytes()]):
            path.write_bytes(damaged)
            found = outcome(lambda: (load_state(folder, model), state(model)))
            assert found in (None, before)
        path.write_bytes(content)
    (folder / "epoch-00002.npz").write_bytes((folder / "epoch-00001.npz").read_bytes())
    with pytest.raises(UserError, match=r"epoch-00002.npz is damaged .*; remove it to resume from an earlier epoch"):
        load_state(folder, model)
    (folder / "epoch-00002.npz").unlink()
    assert load_state(folder, model) == [{"epoch": 1}]


def test_another_file_in_place_of_the_best_epoch_s_network_is_not_kept_as_the_result(model, tmp_path):
    (tmp_path / "best.keras").write_bytes(b"the best")
    save_state(tmp_path / "state", state_of(model), [{"epoch": 1}])
    assert check_best(tmp_path / "state").read_bytes() == b"the best"
    (tmp_path / "best.keras").write_bytes(b"the wors")
    with pytest.raises(UserError, match=r"best\.keras is damaged"):
        check_best(tmp_path / "state")

"""The learned predictor: its sizes, its head's file, what it says when something is missing, how well it predicts."""

import functools
import pickle

import keras
import numpy as np
import pytest

from saliency_keras.console import UserError
from saliency_keras.saliency import readout
from saliency_keras.saliency.per_picture import pictures_at_once
from saliency_keras.saliency.readout import HEAD, Readout, working_size


@pytest.fixture(scope="module")
def untrained_network():
    keras.utils.set_random_seed(0)
    return readout.readout_network(None)


@pytest.fixture
def weights(shared_data):
    path = shared_data.parent / "weights" / "resnet50_imagenet_float16.weights.h5"
    if not path.is_file():
        pytest.skip("the weights of ResNet-50 are absent")
    return path


@pytest.mark.parametrize(
    ("size", "expected"),
    [((384, 512), (384, 512)), ((160, 160), (512, 512)), ((640, 427), (512, 352)), ((40, 4000), (64, 512))],
)
def test_pictures_are_looked_at_in_their_own_aspect(size, expected):
    assert working_size(*size, 512) == expected


def test_the_shipped_head_is_small_float16_and_holds_no_pickle():
    assert HEAD.stat().st_size < 1_000_000
    with np.load(HEAD, allow_pickle=False) as arrays:
        assert {arrays[name].dtype for name in arrays} == {np.dtype(np.float16)}
        assert all(np.isfinite(arrays[name]).all() for name in arrays)


def test_the_shipped_head_fits_the_network(untrained_network):
    readout.load_head(untrained_network, HEAD)
    with np.load(HEAD, allow_pickle=False) as arrays:
        saved = {name: arrays[name] for name in arrays}
    found = {
        f"{layer.name}/{index}": values
        for layer in untrained_network.layers
        if not isinstance(layer, keras.Model)
        for index, values in enumerate(layer.get_weights())
    }
    assert found.keys() == saved.keys()
    for name, values in found.items():
        np.testing.assert_array_equal(values, saved[name])


def test_a_head_survives_its_file(untrained_network, tmp_path):
    levels = [keras.Input((None, None, channels)) for channels in (512, 1024, 2048)]
    from saliency_keras.models.readouts import pointwise_readout

    other = keras.Model(levels, pointwise_readout(levels))
    readout.save_head(other, tmp_path / "head.npz")
    readout.load_head(untrained_network, tmp_path / "head.npz")
    for name in "level1_conv", "conv2", "conv4", "norm1":
        for found, saved in zip(
            untrained_network.get_layer(name).get_weights(), other.get_layer(name).get_weights(), strict=True
        ):
            np.testing.assert_allclose(found, saved, rtol=1e-3, atol=1e-6)


def test_a_file_that_is_no_head_is_refused(untrained_network, tmp_path):
    np.savez(tmp_path / "other.npz", kernel=np.zeros(3))
    (tmp_path / "text.npz").write_text("no arrays")
    for name in "other.npz", "text.npz", "absent.npz":
        with pytest.raises(UserError, match=name.replace(".", r"\.")):
            readout.load_head(untrained_network, tmp_path / name)


@pytest.fixture
def untrained(untrained_network, monkeypatch, tmp_path):
    """Makes a `Readout` of that side with random weights."""
    monkeypatch.setattr(readout, "readout_network", lambda weights: untrained_network)
    (tmp_path / "weights.h5").touch()
    return functools.partial(Readout, weights=tmp_path / "weights.h5")


def test_maps_are_densities_with_their_peak_at_one(untrained):
    predictor = untrained(side=64)
    pictures = np.random.default_rng(0).integers(0, 256, (3, 50, 70, 3), np.uint8)
    maps = predictor(pictures)
    assert maps.shape == (3, 50, 70)
    assert maps.dtype == np.float32
    assert (maps > 0).all()
    np.testing.assert_allclose(maps.max(axis=(1, 2)), 1.0, rtol=1e-6)


def test_pictures_of_several_sizes_may_come_in_any_order(untrained):
    predictor = untrained(side=128)
    wide = np.random.default_rng(0).integers(0, 256, (2, 40, 80, 3), np.uint8)
    first = predictor(wide)
    high = predictor(wide.transpose(0, 2, 1, 3))
    assert high.shape == (2, 80, 40)
    np.testing.assert_array_equal(predictor(wide), first)
    np.testing.assert_allclose(predictor(wide[1:])[0], first[1], atol=1e-5)


@pytest.mark.skipif(pictures_at_once() > 1, reason="an accelerator takes pictures in batches, which round otherwise")
def test_on_a_processor_a_map_is_the_same_to_the_last_bit_in_every_batch(untrained):
    predictor = untrained(side=128)
    draw = np.random.default_rng(0)
    pictures = draw.integers(0, 256, (5, 8, 8, 3), np.uint8).repeat(16, axis=1).repeat(16, axis=2)
    together = predictor(pictures)
    np.testing.assert_array_equal(np.concatenate([predictor(pictures[:2]), predictor(pictures[2:])]), together)
    np.testing.assert_array_equal(predictor(pictures[::-1])[::-1], together)
    np.testing.assert_array_equal(predictor(pictures[4:])[0], together[4])


NAMED = {"one": b"weights", "copy": b"weights", "other": b"others"}


def test_the_backbones_file_comes_from_the_argument_or_the_environment(monkeypatch, tmp_path):
    for name, content in NAMED.items():
        (tmp_path / f"{name}.weights.h5").write_bytes(content)
    monkeypatch.setenv(readout.ENVIRONMENT, str(tmp_path / "absent.weights.h5"))
    told = [Readout(weights=tmp_path / f"{name}.weights.h5").parameters["backbone_weights"] for name in NAMED]
    assert told[0] == told[1] != told[2], "by content, not by name"
    with pytest.raises(UserError, match=r"absent\.weights\.h5"):
        Readout()
    monkeypatch.delenv(readout.ENVIRONMENT)
    assert Readout().parameters["backbone_weights"] == "imagenet"


def test_weights_that_cannot_be_fetched_are_told_in_a_sentence_that_names_the_way_out(monkeypatch):
    monkeypatch.delenv(readout.ENVIRONMENT, raising=False)

    def no_network(*arguments, **options):
        raise Exception("URL fetch failure")

    monkeypatch.setattr(keras.applications, "ResNet50", no_network)
    with pytest.raises(UserError, match=f"ResNet50.*{readout.ENVIRONMENT}"):
        Readout()(np.zeros((1, 64, 64, 3), np.uint8))


@pytest.mark.parametrize("side", [500, 32, 0])
def test_a_side_that_does_not_fit_the_grid_is_refused(side):
    with pytest.raises(UserError, match="multiple of 32"):
        Readout(side=side)


def test_a_predictor_travels_to_a_worker_without_its_network(untrained_network, monkeypatch):
    monkeypatch.delenv(readout.ENVIRONMENT, raising=False)
    predictor = Readout()
    predictor._network = untrained_network
    copy = pickle.loads(pickle.dumps(predictor))
    assert copy.parameters == predictor.parameters
    assert copy._network is None
    assert predictor._network is untrained_network


@pytest.mark.slow
@pytest.mark.shared_data
def test_it_predicts_held_out_pictures_far_better_than_the_centre(shared_data, weights):
    from saliency_keras.data.fixation_set import read_fixation_set
    from saliency_keras.data.fixation_split import split, subset
    from saliency_keras.metrics.fixation_metrics import METRICS
    from saliency_keras.saliency.controls import Center
    from saliency_keras.scoring.fixation_scores import score_set

    _, held_out = split(read_fixation_set(shared_data / "osie"))
    few = subset(held_out, held_out.images[:12])
    scores = score_set(few, [Readout(weights=weights), Center()])
    readout_scores = dict(zip(METRICS, scores.mean("readout"), strict=True))
    center_scores = dict(zip(METRICS, scores.mean("center"), strict=True))
    assert readout_scores["NSS"] > 2.2
    assert readout_scores["AUC-Judd"] > 0.87
    assert readout_scores["KL"] < center_scores["KL"]
    assert all(readout_scores[name] > center_scores[name] for name in METRICS if name != "KL")


@pytest.mark.slow
@pytest.mark.shared_data
def test_a_map_does_not_depend_on_its_batch(shared_data, weights):
    from saliency_keras.data.pictures import read_picture

    paths = sorted((shared_data / "osie" / "images").iterdir())[:3]
    pictures = np.stack([read_picture(path) for path in paths])
    predictor = Readout(side=256, weights=weights)
    together = predictor(pictures)
    for picture, one in zip(pictures, together, strict=True):
        np.testing.assert_allclose(predictor(picture[None])[0], one, atol=1e-4)


def test_it_is_had_by_its_name_before_any_weights_are_fetched():
    from saliency_keras.saliency import predictor

    assert isinstance(predictor("readout"), Readout)

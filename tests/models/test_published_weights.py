"""Weights as others publish them: made-up files of their layouts, against a plain numpy pass of the original."""

import json
import pickle
import struct

import h5py
import keras
import numpy as np
import pytest

from saliency_keras.console import UserError
from saliency_keras.models import dual_path
from saliency_keras.models.published_weights import CAFFE_MEAN, published_alexnet, published_dpn92
from saliency_keras.models.registry import build
from saliency_keras.models.weight_files import read_arrays
from tests.small_sets import write_small_set

FILTERS = (12, 32, 48, 48, 32)  # an eighth of AlexNet's
UNITS, CLASSES = 8, 5
NETWORK = {"batch_norm": False, "conv2_padding": "same", "dense_units": UNITS, "width_multiplier": 0.125}


def alexnet(grouped, seed=0):
    """Kernels `(out, in / groups, h, w)` and `(out, in)` and biases by Caffe's names; activations stay near 1."""
    draw = np.random.default_rng(seed)
    inputs = (3, *FILTERS[:-1])
    arrays = {}
    for number, (seen, made, size) in enumerate(zip(inputs, FILTERS, (11, 5, 3, 3, 3), strict=True), 1):
        seen = seen // 2 if grouped and number in (2, 4, 5) else seen
        scale = (0.01 if number == 1 else 1) * (2 / (seen * size * size)) ** 0.5
        arrays[f"conv{number}"] = draw.normal(0, scale, (made, seen, size, size)), draw.normal(0, 0.1, made)
    for name, seen, made in (("fc6", 36 * 32, UNITS), ("fc7", UNITS, UNITS), ("fc8", UNITS, CLASSES)):
        arrays[name] = draw.normal(0, (2 / seen) ** 0.5, (made, seen)), draw.normal(0, 0.1, made)
    return {name: tuple(one.astype("float32") for one in both) for name, both in arrays.items()}


def convolved(x, kernel, bias, stride=1, padding=0):
    """`(in, h, w)` by `(out, in / groups, kh, kw)`, group by group, as the layouts mean it."""
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
    groups, made = x.shape[0] // kernel.shape[1], kernel.shape[0]
    parts = []
    for number in range(groups):
        seen = x[number * kernel.shape[1] : (number + 1) * kernel.shape[1]]
        windows = np.lib.stride_tricks.sliding_window_view(seen, kernel.shape[2:], (1, 2))[:, ::stride, ::stride]
        own = kernel[number * made // groups : (number + 1) * made // groups]
        parts.append(np.einsum("chwyx,ocyx->ohw", windows, own, optimize=True))
    return np.concatenate(parts) + (0 if bias is None else bias[:, None, None])


def pooled(x):
    return np.lib.stride_tricks.sliding_window_view(x, (3, 3), (1, 2))[:, ::2, ::2].max((3, 4))


def caffe_pass(arrays, x):
    """The original network's logits of one input `(3, 227, 227)`, without its local response normalisation."""
    x = np.maximum(convolved(x, *arrays["conv1"], stride=4), 0)
    x = pooled(x)
    x = pooled(np.maximum(convolved(x, *arrays["conv2"], padding=2), 0))
    for number in 3, 4, 5:
        x = np.maximum(convolved(x, *arrays[f"conv{number}"], padding=1), 0)
    x = pooled(x).reshape(-1)
    for name in "fc6", "fc7", "fc8":
        kernel, bias = arrays[name]
        x = kernel @ x + bias
        x = x if name == "fc8" else np.maximum(x, 0)
    return x


def as_torchvision(arrays):
    """The same arrays under torchvision's names."""
    places = {"conv1": 0, "conv2": 3, "conv3": 6, "conv4": 8, "conv5": 10, "fc6": 1, "fc7": 4, "fc8": 6}
    named = {}
    for name, both in arrays.items():
        part = "features" if name.startswith("conv") else "classifier"
        for kind, one in zip(("weight", "bias"), both, strict=True):
            named[f"{part}.{places[name]}.{kind}"] = one
    return named


def as_tensorflow(arrays):
    """The layout of `bvlc_alexnet.npy`: channels last, and fc6's rows in the order of height, width, channels."""
    found = {}
    for name, (kernel, bias) in arrays.items():
        if name.startswith("conv"):
            kernel = kernel.transpose(2, 3, 1, 0)
        elif name == "fc6":
            kernel = kernel.reshape(UNITS, 32, 6, 6).transpose(2, 3, 1, 0).reshape(-1, UNITS)
        else:
            kernel = kernel.T
        found[name] = [kernel, bias]
    return found


def write_safetensors(path, arrays, dtype="F32"):
    header, body = {"__metadata__": {"format": "pt"}}, b""
    for name, one in arrays.items():
        data = one.astype("<f4").tobytes()
        if dtype == "BF16":
            data = (np.frombuffer(data, "<u4") >> 16).astype("<u2").tobytes()
        header[name] = {"dtype": dtype, "shape": list(one.shape), "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


def write(folder, layout, arrays):
    """A file of that layout; returns its path."""
    path = folder / f"alexnet{layout}"
    flat = {f"{name}_{kind}": one for name, both in arrays.items() for kind, one in zip("Wb", both, strict=True)}
    if layout == ".npy":  # as it is published
        np.save(path, as_tensorflow(arrays), allow_pickle=True)
    elif layout == ".npz":
        np.savez(path, **flat)
    elif layout == ".h5":  # Caffe's own HDF5
        with h5py.File(path, "w") as file:
            for name, both in arrays.items():
                for number, one in enumerate(both):
                    file[f"data/{name}/{number}"] = one[None, None] if one.ndim == 2 else one
    else:
        write_safetensors(path, as_torchvision(arrays))
    return path


def network_of(path, mean):
    """Our network at 227 px with the weights of a file."""
    network = build("alexnet", NETWORK, 227, CLASSES, mean)
    found = published_alexnet(read_arrays(path), mean and mean[:3])
    for name, values in found.layers.items():
        network.model.get_layer(name).set_weights(values)
    return network.model, found


PICTURE = np.random.default_rng(1).integers(0, 256, (227, 227, 3)).astype("uint8")
MEAN = (0.48, 0.45, 0.4, 0.2)


@pytest.mark.parametrize("grouped", [True, False])
@pytest.mark.parametrize("layout", [".npy", ".npz", ".h5"])
def test_caffe_s_alexnet_gives_the_logits_of_the_original(layout, grouped, tmp_path):
    arrays = alexnet(grouped)
    model, found = network_of(write(tmp_path, layout, arrays), MEAN)
    assert (found.layout, found.grouped) == ("Caffe's", ("conv2", "conv4", "conv5") if grouped else ())
    blue_green_red = (PICTURE.astype("float64") - CAFFE_MEAN)[..., ::-1].transpose(2, 0, 1)
    expected = caffe_pass(arrays, blue_green_red)
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(model.predict_on_batch({"image": PICTURE[None]})[0], expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("grouped", [True, False])
@pytest.mark.parametrize("mean", [None, MEAN])
def test_torchvision_s_layout_gives_the_logits_of_standardised_pictures(grouped, mean, tmp_path):
    arrays = alexnet(grouped, seed=3)
    arrays["conv1"] = 100 * arrays["conv1"][0], arrays["conv1"][1]
    model, found = network_of(write(tmp_path, ".safetensors", arrays), mean)
    assert found.layout == "torchvision's"
    standardised = (PICTURE / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    expected = caffe_pass(arrays, standardised.transpose(2, 0, 1))
    np.testing.assert_allclose(model.predict_on_batch({"image": PICTURE[None]})[0], expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", ["F32", "BF16"])
def test_safetensors_of_either_precision_are_read(kind, tmp_path):
    write_safetensors(tmp_path / "x.safetensors", {"a": np.array([[1.0, -2.5, 3.0]])}, kind)
    assert read_arrays(tmp_path / "x.safetensors")["a"].tolist() == [[1.0, -2.5, 3.0]]


def renamed(change):
    arrays = {}
    for name, (kernel, bias) in alexnet(True).items():
        arrays |= {f"{name}/W": kernel, f"{name}/b": bias}
    change(arrays)
    return arrays


def torchvision_s_own():
    shapes = [(64, 3, 11, 11), (192, 64, 5, 5), (384, 192, 3, 3), (256, 384, 3, 3), (256, 256, 3, 3)]
    arrays = {f"conv{number}": (np.zeros(one), np.zeros(one[0])) for number, one in enumerate(shapes, 1)}
    arrays |= {"fc6": (np.zeros((8, 9216)), np.zeros(8)), "fc7": (np.zeros((8, 8)), np.zeros(8))}
    return as_torchvision({**arrays, "fc8": (np.zeros((5, 8)), np.zeros(5))})


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({}, "no AlexNet in Caffe's or torchvision's layout: conv1 .* its arrays are none"),
        ({"stem.weight": np.zeros(3)}, "its arrays are stem.weight"),
        (renamed(lambda one: one.pop("fc8/b")), "fc3 has no kernel and bias"),
        (renamed(lambda one: one.update({"conv1/W": np.zeros((12, 3, 7, 7))})), "conv1 has the shape 12x3x7x7"),
        (renamed(lambda one: one.update({"conv3/W": np.zeros((48, 31, 3, 3))})), "conv3 sees 31 channels.* has 32"),
        (renamed(lambda one: one.update({"fc6/W": np.zeros((8, 33))})), "fc6 sees 33 values"),
        (torchvision_s_own(), r"64-192-384-256-256 filters \(torchvision's own\).* 96-256-384-384-256"),
    ],
)
def test_arrays_that_are_no_such_alexnet_are_one_sentence(arrays, says):
    with pytest.raises(UserError, match=says):
        published_alexnet(arrays)


class Opens:
    def __reduce__(self):
        return open, ("made_by_a_pickle", "w")


def bad_files(folder):
    """Files that are no weights, each with what is said."""
    (folder / "text.npz").write_text("no archive")
    (folder / "text.h5").write_text("no HDF5")
    (folder / "weights.pth").write_bytes(b"PK")
    np.save(folder / "array.npy", np.zeros(3))
    np.save(folder / "pickle.npy", {"conv1": Opens()}, allow_pickle=True)
    np.savez(folder / "pickle.npz", conv1=np.array({"a": 1}))
    (folder / "short.safetensors").write_bytes(b"\1\2")
    (folder / "long.safetensors").write_bytes(struct.pack("<Q", 1 << 60) + b"{}")
    text = json.dumps({"a": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 4]}}).encode()
    (folder / "shape.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + b"1234")
    return {
        "text.npz": "cannot be read",
        "text.h5": "cannot be read",
        "weights.pth": "of no kind that weights are read from",
        "array.npy": "an array, not a dictionary",
        "pickle.npy": "asks for .*open, and only arrays are made",
        "pickle.npz": "cannot be read",
        "short.safetensors": "cannot be read",
        "long.safetensors": "header would have",
        "shape.safetensors": "a has no 1099511627776 numbers",
        "nowhere.npz": "there is no weights file",
    }


def test_a_file_that_holds_no_weights_is_one_sentence_and_runs_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, says in bad_files(tmp_path).items():
        with pytest.raises(UserError, match=says):
            read_arrays(tmp_path / name)
    assert not (tmp_path / "made_by_a_pickle").exists()


def test_a_pickle_of_python_2_is_read(tmp_path):
    """Protocol 2, names and bytes as Python 2 wrote them: that is how the file was published."""
    array = np.arange(6, dtype="float32").reshape(2, 3)
    outer = np.empty((), object)
    outer[()] = {"conv1": [array, array[0]]}
    path = tmp_path / "old.npy"
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
        pickle.dump(outer, file, protocol=2)
    found = read_arrays(path)
    assert np.array_equal(found["conv1/0"], array)
    assert np.array_equal(found["conv1/1"], array[0])


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    folder = tmp_path_factory.mktemp("target")
    write_small_set(folder, side=227, classes=5, train=(10,), val=(10,))
    return folder


def train(name, data, out, *words):
    from saliency_keras.train import main

    small = ["--set", "dense_units=8", "--set", "width_multiplier=0.125", "--set", "learning_rate=1e-30"]
    small += ["--set", "weight_decay=0.0", "--epochs", "1", "--batch", "5"]
    main([name, "--data", str(data), "--out", str(out), *small, *words])
    return keras.saving.load_model(out / "model.keras", compile=False)


def test_training_starts_from_the_file_and_says_what_has_new_weights(target, tmp_path, capsys):
    """Step 1 over Caffe's AlexNet; no run has to be trained before."""
    arrays = alexnet(True)
    path = write(tmp_path, ".npy", arrays)
    model = train("hallucination_step1_alexnet", target, tmp_path / "step1", "--set", f"weights={path}")
    told = " ".join(capsys.readouterr().out.split())
    assert "AlexNet in Caffe's layout, two groups in conv2, conv4, conv5" in told
    assert "no weights there for conv1_saliency, conv2_saliency, conv3_saliency, conv4_saliency, score_saliency" in told
    assert "local response normalisation" in told
    np.testing.assert_array_equal(model.get_layer("conv3").get_weights()[0], arrays["conv3"][0].transpose(2, 3, 1, 0))
    kernel = model.get_layer("conv2").get_weights()[0]
    np.testing.assert_array_equal(kernel[:, :, :6, :16], arrays["conv2"][0][:16].transpose(2, 3, 1, 0))
    assert not kernel[:, :, 6:, :16].any()
    config = json.loads((tmp_path / "step1" / "config.json").read_text())
    assert set(config["frozen"]) == {*(f"conv{number}" for number in range(1, 6)), "fc1", "fc2", "fc3"}
    assert config["started_from"]["weights"]


def test_the_thesis_s_network_takes_what_fits_and_tells_that_batch_normalisation_is_new(target, tmp_path, capsys):
    path = write(tmp_path, ".npz", alexnet(False))
    with pytest.raises(UserError, match=r"'fc1' does not fit.*fresh=dense,top"):
        train("rgb", target, tmp_path / "rgb", "--set", "side=227", "--set", f"weights={path}")
    assert not (tmp_path / "rgb").exists()
    words = ("--set", "side=227", "--set", f"weights={path}", "--set", "fresh=dense,top")
    train("rgb", target, tmp_path / "rgb", *words)
    assert "no weights there for bn1, bn2: new ones" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "weights", "says"),
    [
        ("approach_b_alexnet", "FILE", "train hallucination_step1_alexnet first"),
        ("rgb", "imagenet", "Keras has no ImageNet weights of AlexNet; give a file"),
        ("rgb", "nowhere.npz", "there is no weights file nowhere.npz"),
        ("baseline_rgb_alexnet", "", "train pretrain_alexnet first"),
    ],
)
def test_weights_that_cannot_be_had_are_one_sentence(target, tmp_path, name, weights, says):
    weights = weights.replace("FILE", str(write(tmp_path, ".npz", alexnet(False))))
    with pytest.raises(UserError, match=says):
        train(name, target, tmp_path / "out", "--set", f"weights={weights}")
    assert not (tmp_path / "out").exists()


def test_dpn_92_of_pytorch_gives_the_logits_of_a_plain_pass(monkeypatch):
    """Its blocks, fewer and narrower, under the names of the published files."""
    monkeypatch.setattr(dual_path, "STAGES", ((2, 8, 12, 2), (2, 16, 20, 3)))
    monkeypatch.setattr(dual_path, "GROUPS", 4)
    model = dual_path.DPN92(input_shape=(32, 32, 3), classes=5)
    arrays = {f"module.{name}": one for name, one in torch_dpn().items()}
    arrays["module.features.conv1_1.bn.num_batches_tracked"] = np.array(7.0)
    layers = published_dpn92(arrays, model)
    for name, values in layers.items():
        model.get_layer(name).set_weights(values)
    pixels = np.random.default_rng(4).normal(size=(32, 32, 3))
    expected = dpn_pass(torch_dpn(), pixels.transpose(2, 0, 1))
    found = model.predict_on_batch(pixels[None].astype("float32"))[0]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    del arrays["module.features.conv2_2.c3x3_b.bn.running_var"]
    with pytest.raises(UserError, match=r"conv2_2.c3x3_b.bn.running_var is not there, and conv2_block2_2_bn"):
        published_dpn92(arrays, model)


DPN_UNITS = ("c1x1_a", "c3x3_b", "c1x1_c")


def torch_dpn():
    draw, arrays = np.random.default_rng(5), {}

    def norm(name, channels):
        arrays[f"{name}.weight"], arrays[f"{name}.bias"] = draw.uniform(0.5, 1.5, channels), draw.normal(size=channels)
        arrays[f"{name}.running_mean"] = draw.normal(size=channels)
        arrays[f"{name}.running_var"] = draw.uniform(0.5, 2, channels)

    def kernel(name, made, seen, size):
        arrays[f"{name}.weight"] = draw.normal(0, (1 / (seen * size * size)) ** 0.5, (made, seen, size, size))

    kernel("features.conv1_1.conv", 64, 3, 7)
    norm("features.conv1_1.bn", 64)
    seen = 64
    for stage, (width, residual, growth) in {2: (8, 12, 2), 3: (16, 20, 3)}.items():
        for block in 1, 2:
            name = f"features.conv{stage}_{block}"
            units = [("c1x1_a", width, seen, 1), ("c3x3_b", width, width // 4, 3)]
            units.append(("c1x1_c", residual + growth, width, 1))
            if block == 1:
                units.append((f"c1x1_w_s{stage - 1}", residual + 2 * growth, seen, 1))
            for unit, made, into, size in units:
                norm(f"{name}.{unit}.bn", into * (4 if unit == "c3x3_b" else 1))
                kernel(f"{name}.{unit}.conv", made, into, size)
            seen = residual + (block + 2) * growth
    norm("features.conv5_bn_ac.bn", seen)
    kernel("classifier", 5, seen, 1)
    arrays["classifier.bias"] = draw.normal(size=5)
    return {name: one.astype("float32") for name, one in arrays.items()}


def dpn_pass(arrays, x):
    """The block's published forward pass, with numpy alone: `(3, h, w)` to logits."""

    def rectified(x, name):
        mean, variance, scale, offset = (
            arrays[f"{name}.{kind}"][:, None, None] for kind in ("running_mean", "running_var", "weight", "bias")
        )
        return np.maximum((x - mean) / np.sqrt(variance + 1e-3) * scale + offset, 0)

    def unit(x, name, stride=1, padding=0):
        return convolved(rectified(x, f"{name}.bn"), arrays[f"{name}.conv.weight"], None, stride, padding)

    x = convolved(x, arrays["features.conv1_1.conv.weight"], None, 2, 3)
    x = pooled(np.pad(rectified(x, "features.conv1_1.bn"), ((0, 0), (1, 1), (1, 1))))
    kept = dense = None
    for stage, residual in {2: 12, 3: 20}.items():
        for block in 1, 2:
            name, stride = f"features.conv{stage}_{block}", 2 if (stage, block) == (3, 1) else 1
            seen = x if kept is None else np.concatenate([kept, dense])
            if block == 1:
                projected = unit(seen, f"{name}.c1x1_w_s{stage - 1}", stride)
                kept, dense = projected[:residual], projected[residual:]
            y = unit(unit(unit(seen, f"{name}.c1x1_a"), f"{name}.c3x3_b", stride, 1), f"{name}.c1x1_c")
            kept, dense = kept + y[:residual], np.concatenate([dense, y[residual:]])
    x = rectified(np.concatenate([kept, dense]), "features.conv5_bn_ac.bn").mean((1, 2))
    return arrays["classifier.weight"][:, :, 0, 0] @ x + arrays["classifier.bias"]


def test_frozen_statistics_normalise_in_training_with_what_they_began_with_and_scales_still_train(tmp_path):
    network = build("alexnet", {"dense_units": 8, "width_multiplier": 0.125}, 128, 3)
    network.freeze_statistics()
    norm = network.model.get_layer("bn1")
    assert {variable.name for variable in norm.variables if variable.trainable} == {"gamma", "beta"}
    trained = {variable.path for variable in network.model.trainable_variables}
    assert {norm.gamma.path, norm.beta.path} <= trained
    assert norm.moving_mean.path not in trained
    assert norm.gamma.path in network.factors({"trunk": 2.0})
    before = [variable.numpy() for variable in norm.variables]
    network.model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    images = np.random.default_rng(0).integers(0, 256, (6, 128, 128, 3), np.uint8)
    network.model.train_on_batch({"image": images}, np.arange(6) % 3)
    after = dict(zip((variable.name for variable in norm.variables), norm.variables, strict=True))
    for variable, value in zip(norm.variables, before, strict=True):
        same = np.array_equal(after[variable.name].numpy(), value)
        assert same == variable.name.startswith("moving")

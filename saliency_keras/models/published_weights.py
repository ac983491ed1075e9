"""ImageNet weights as others publish them, for networks that Keras has no weights of: AlexNet and DPN-92.

AlexNet comes in two layouts. Caffe's (`conv1` to `conv5`, `fc6` to `fc8`) sees blue, green, red pixels less a mean,
and has two groups in conv2, conv4 and conv5; torchvision's (`features.0.weight` …, `classifier.1.weight` …) sees
standardised red, green, blue. A grouped kernel becomes one whose blocks between the groups are zero, which is the same
function. What a network expects of pixels goes into conv1: with kernel K and bias b on a_c x_c + o_c, where x_c are
pixels 0..255, ours on x_c / 255 - m_c has 255 a_c K and b + sum K (255 a_c m_c + o_c). The first dense layer is
reordered, for Caffe and torch flatten channels first. Caffe's network has local response normalisation too; ours has
none.
"""

import dataclasses
import re

import numpy as np

from saliency_keras.console import UserError

FILTERS = (96, 256, 384, 384, 256)
CONVOLUTIONS = tuple(f"conv{number}" for number in range(1, 6))
DENSE = ("fc1", "fc2", "fc3")
CAFFE_MEAN = np.array([122.67891434, 116.66876762, 104.00698793])  # of ILSVRC2012, RGB
TORCH_MEAN, TORCH_DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])

OF_CAFFE = re.compile(r"(?:.*[/.])?(conv[1-5]|fc[678])[/._](\w+?)(?::0)?")
OF_TORCH = re.compile(r"(?:.*\.)?(features|classifier)\.(\d+)\.(weight|bias)")
KINDS = dict.fromkeys(("weight", "weights", "w", "kernel", "0"), "kernel")
KINDS |= dict.fromkeys(("bias", "biases", "b", "1"), "bias")


@dataclasses.dataclass(frozen=True)
class PublishedAlexNet:
    """AlexNet's weights as this program's layers want them.

    Attributes:
        layers: From `conv1` … `conv5`, `fc1` … `fc3` to `[kernel, bias]`, float32: `(h, w, in, out)` and `(in, out)`,
            the first dense layer's rows in the order of height, width, channels.
        layout: `"Caffe's"` or `"torchvision's"`.
        grouped: Names of the layers that have groups in the file.
        width: Its filters as a share of `FILTERS`.
    """

    layers: dict
    layout: str
    grouped: tuple[str, ...]
    width: float


def published_alexnet(arrays, mean=None):
    """AlexNet from arrays in Caffe's or torchvision's layout.

    Args:
        arrays: From a name to an array, as `weight_files.read_arrays`.
        mean: Means of red, green and blue, 0 to 1, that the network subtracts from its pixels; `None` for none.

    Returns:
        A `PublishedAlexNet`.

    Raises:
        UserError: If they are no AlexNet of this shape; the sentence does not name the file.
    """
    found, layout = _by_layer(arrays)
    first = found["conv1"]["kernel"]
    if first.ndim != 4 or 11 not in (first.shape[0], first.shape[-1]):
        raise UserError(f"conv1 has the shape {_shape(first)}, where AlexNet has kernels of 11x11.")
    channels_first = first.shape[-2:] == (11, 11)
    layers, grouped, before = {}, [], 3
    for name in CONVOLUTIONS:
        kernel = found[name]["kernel"]
        if kernel.ndim != 4:
            raise UserError(f"{name} has the shape {_shape(kernel)}, which is no convolution's.")
        kernel = kernel.transpose(2, 3, 1, 0) if channels_first else kernel
        groups, rest = divmod(before, kernel.shape[2])
        if rest or kernel.shape[3] % max(groups, 1):
            raise UserError(f"{name} sees {kernel.shape[2]} channels, and the layer before it has {before}.")
        if groups > 1:
            grouped.append(name)
        layers[name] = [_ungrouped(kernel, groups), found[name]["bias"].reshape(-1)]
        before = kernel.shape[3]
    width = _width(layers)
    layers["conv1"] = _on_our_pixels(*layers["conv1"], layout, mean)
    for name in DENSE:
        kernel = found[name]["kernel"]
        kernel = kernel.reshape(kernel.shape[-2:])  # Caffe's may have leading ones
        if channels_first:
            kernel = _channels_last(kernel, before) if name == "fc1" else kernel.T
        layers[name] = [kernel, found[name]["bias"].reshape(-1)]
    layers = {name: [np.ascontiguousarray(one, np.float32) for one in both] for name, both in layers.items()}
    return PublishedAlexNet(layers, layout, tuple(grouped), width)


def _by_layer(arrays):
    """Kernels and biases by our layers' names, and the layout."""
    found = {}
    for name, array in arrays.items():
        match = OF_CAFFE.fullmatch(name)
        if match and match[2].lower() in KINDS:
            layer = match[1] if match[1] in CONVOLUTIONS else DENSE["678".index(match[1][2])]
            found.setdefault(layer, {})[KINDS[match[2].lower()]] = array
    layout = "Caffe's"
    if not found:
        layout, numbered = "torchvision's", {}
        for name, array in arrays.items():
            if match := OF_TORCH.fullmatch(name):
                part = numbered.setdefault(match[1], {}).setdefault(int(match[2]), {})
                part[KINDS[match[3]]] = array
        for part, names in ("features", CONVOLUTIONS), ("classifier", DENSE):
            in_order = [one for _, one in sorted(numbered.get(part, {}).items()) if one["kernel"].ndim > 1]
            found |= dict(zip(names, in_order, strict=False))
    lacking = [name for name in (*CONVOLUTIONS, *DENSE) if found.get(name, {}).keys() != {"kernel", "bias"}]
    if lacking:
        names = ", ".join(sorted(arrays)[:6]) or "none"
        raise UserError(
            f"it is no AlexNet in Caffe's or torchvision's layout: {lacking[0]} has no kernel and bias; its arrays are "
            f"{names}{', …' if len(arrays) > 6 else ''}."
        )
    return found, layout


def _width(layers):
    filters = tuple(layers[name][0].shape[3] for name in CONVOLUTIONS)
    width = filters[0] / FILTERS[0]
    if filters != tuple(round(one * width) for one in FILTERS):
        of_torchvision = " (torchvision's own)" if filters == (64, 192, 384, 256, 256) else ""
        raise UserError(
            f"it is an AlexNet of {'-'.join(map(str, filters))} filters{of_torchvision}, and this program's has "
            f"{'-'.join(map(str, FILTERS))}: there is no place for its kernels."
        )
    return width


def _ungrouped(kernel, groups):
    """A kernel `(h, w, in / groups, out)` as `(h, w, in, out)`, with zeros between the groups."""
    height, width, of_group, filters = kernel.shape
    whole = np.zeros((height, width, of_group * groups, filters), kernel.dtype)
    for number in range(groups):
        seen = slice(number * of_group, (number + 1) * of_group)
        made = slice(number * filters // groups, (number + 1) * filters // groups)
        whole[:, :, seen, made] = kernel[..., made]
    return whole


def _on_our_pixels(kernel, bias, layout, mean):
    """conv1 for pixels that are divided by 255, less the network's means."""
    if layout == "Caffe's":
        kernel, scale, offset = kernel[:, :, ::-1], np.ones(3), -CAFFE_MEAN
    else:
        scale, offset = 1 / (255 * TORCH_DEVIATION), -TORCH_MEAN / TORCH_DEVIATION
    at_zero = 255 * scale * (np.zeros(3) if mean is None else np.asarray(mean)) + offset
    kernel = kernel.astype(np.float64)
    return [kernel * (255 * scale)[:, None], bias + np.einsum("hwco,c->o", kernel, at_zero)]


def _channels_last(kernel, channels):
    """The first dense layer `(out, channels * h * w)` as `(h * w * channels, out)`."""
    positions, rest = divmod(kernel.shape[1], channels)
    side = round(positions**0.5)
    if rest or side * side != positions:
        raise UserError(f"fc6 sees {kernel.shape[1]} values, which are no square of {channels} channels.")
    return kernel.reshape(-1, channels, side, side).transpose(2, 3, 1, 0).reshape(-1, kernel.shape[0])


def _shape(array):
    return "x".join(map(str, array.shape))


UNITS = {"0": ("c1x1_w_s1", "c1x1_w_s2"), "1": ("c1x1_a",), "2": ("c3x3_b",), "3": ("c1x1_c",)}


def published_dpn92(arrays, model):
    """Weights of DPN-92 from arrays in the layout of its PyTorch implementations (`features.conv2_1.c1x1_a.conv` …).

    Args:
        arrays: From a name to an array, as `weight_files.read_arrays`.
        model: A `models.dual_path.DPN92`, with or without its dense layer.

    Returns:
        From the name of each layer with weights to what its `set_weights` takes.

    Raises:
        UserError: If an array is not there or has another shape; the sentence does not name the file.
    """
    arrays = {name.removeprefix("module."): array for name, array in arrays.items()}
    found = {}
    for layer in model.layers:
        if not layer.weights:
            continue
        named = _torch_names(layer.name)
        there = next((name for name in named if any(one.startswith(f"{name}.") for one in arrays)), named[0])
        kinds = ("weight", "bias", "running_mean", "running_var") if layer.name.endswith("_bn") else ("weight", "bias")
        values = []
        for variable, kind in zip(layer.weights, kinds, strict=False):
            array = arrays.get(f"{there}.{kind}")
            if array is not None and array.ndim == 4:
                array = array.transpose(2, 3, 1, 0)
            if array is not None and len(variable.shape) == 2 and array.ndim == 4:
                array = array[0, 0]
            if array is None or array.shape != tuple(variable.shape):
                what = "is not there" if array is None else f"has the shape {_shape(array)}"
                wanted = "x".join(map(str, variable.shape))
                raise UserError(f"{there}.{kind} {what}, and {layer.name} of DPN92 wants {wanted}.")
            values.append(array)
        found[layer.name] = values
    return found


def _torch_names(layer):
    """What a layer of ours may be called there."""
    if layer == "predictions":
        return ["classifier", "last_linear", "fc"]
    if layer == "conv5_bn":
        return ["features.conv5_bn_ac.bn"]
    stage, *block, kind = layer.split("_")
    if not block:
        return [f"features.conv1_1.{kind}"]
    number, unit = block[0].removeprefix("block"), block[1]
    return [f"features.{stage}_{number}.{one}.{kind}" for one in UNITS[unit]]

"""Two branches that meet at any stage of AlexNet, once or several times: the rest of the thesis's outlook (ch. 6).

    stage    the picture's branch, 128 px     at 227 px
    1        conv1, bn1, pool1    14x14x96    27x27x96
    2        conv2, bn2, pool2     4x4x256   11x11x256
    3, 4     conv3, conv4          4x4x384   11x11x384
    5        conv5, pool5          1x1x256     5x5x256
    6, 7     fc1, fc2                 4096        4096

The map's branch has the same layers with weights of its own up to the last stage where they meet (`identical`), or a
fixed number of stages, whose features a 1x1 convolution fits to those that they meet (`fixed`). `at=[1]` is Fan-in2 and
`at=[2]` Fan-in1. After a meeting the picture's branch goes on with what came of it, the map's with its own features.

With `merge="gain"` features a become a (1 + g s): g, a number for each channel of the branch's features s, begins with
0, so that a branch that is added to a trained network leaves it as it was.
"""

import dataclasses

from keras import layers

from saliency_keras.models.alexnet import pool
from saliency_keras.models.network import BRANCH
from saliency_keras.models.resized import resized

STAGES = 7
WITH_POSITIONS = 5
MERGES = ("multiply", "add", "gain")
BRANCHES = ("identical", "fixed")


def merged(
    image, saliency, classes, layer, at=(1,), merge="multiply", branch="identical", branch_stages=2, doubled=False
):
    """A network whose branches for picture and map meet at chosen stages.

    Args:
        image: Tensor `(side, side, 3)`, 0 to 1.
        saliency: Tensor `(side, side, 1)`, 0 to 1.
        classes: Number of classes.
        layer: The `Layers` to build with.
        at: The stages after which they meet, 1 to 7.
        merge: `"multiply"`, `"add"` or `"gain"`, feature by feature; `"gain"` where there are positions.
        branch: `"identical"` or `"fixed"`.
        branch_stages: Stages of a fixed branch, 1 to 4.
        doubled: Whether the second branch sees the picture in place of the map, as a control.

    Returns:
        Logits `(classes,)`.

    Raises:
        ValueError: If an argument has a value that it cannot have.
    """
    at = _checked(at, merge, branch, branch_stages)
    x, s = image, image if doubled else saliency
    if branch == "fixed":
        for stage in range(1, branch_stages + 1):
            s = _stage(s, stage, layer, BRANCH)
    for stage in range(1, STAGES + 1):
        x = _stage(x, stage, layer)
        if branch == "identical" and stage <= at[-1]:
            s = _stage(s, stage, layer, BRANCH)
        if stage in at:
            x = _merge(x, s if branch == "identical" else _fitted(s, x, stage, layer), merge, stage)
    return layer.logits(x, classes)


def _checked(at, merge, branch, branch_stages):
    """The stages in their order."""
    if not at or any(stage not in range(1, STAGES + 1) for stage in at) or len(set(at)) < len(at):
        raise ValueError(f"at has stages from 1 to {STAGES}, each once. Received: {list(at)}")
    for name, value, choices in (("merge", merge, MERGES), ("branch", branch, BRANCHES)):
        if value not in choices:
            raise ValueError(f"{name} is one of {', '.join(choices)}. Received: {value}")
    if max(at) > WITH_POSITIONS and (merge == "gain" or branch == "fixed"):
        what = "merge=gain" if merge == "gain" else "branch=fixed"
        raise ValueError(f"{what} is for stages with positions, 1 to {WITH_POSITIONS}. Received: at={list(at)}")
    if not 1 <= branch_stages < WITH_POSITIONS:
        raise ValueError(f"branch_stages is from 1 to {WITH_POSITIONS - 1}. Received: {branch_stages}")
    return sorted(at)


def _stage(x, stage, layer, branch=""):
    """One stage of a branch."""
    if stage == 1:
        return layer.block1(x, branch=branch)
    if stage == 2:
        return layer.block2(x, branch=branch)
    if stage <= WITH_POSITIONS:
        x = layer.rectified(x, stage, branch)
        return pool(x, f"pool{stage}{branch}") if stage == WITH_POSITIONS else x
    if len(x.shape) == 4:
        x = layers.Flatten(name=f"flatten{branch}")(x)
    return layer.dense(x, f"fc{stage - WITH_POSITIONS}{branch}")


def _fitted(s, x, stage, layer):
    """A fixed branch's features in the size and with the channels of those that they meet."""
    if s.shape[1:3] != x.shape[1:3]:
        s = resized(s, *x.shape[1:3], f"fitted{stage}_resized")
    s = dataclasses.replace(layer, width_multiplier=1.0).convolution(s, f"fitted{stage}{BRANCH}", x.shape[-1], 1)
    return layers.ReLU(name=f"fitted{stage}_relu")(s)


def _merge(x, s, merge, stage):
    name = f"merged{stage}"
    if merge == "add":
        return layers.Add(name=name)([x, s])
    if merge == "gain":
        s = layers.DepthwiseConv2D(1, use_bias=False, depthwise_initializer="zeros", name=f"gain{stage}{BRANCH}")(s)
        s = layers.Rescaling(1.0, 1.0, name=f"gain{stage}_and_one")(s)
    return layers.Multiply(name=name)([x, s])

"""The thesis's Fan-in networks: a branch for the picture, a branch for the map, multiplied feature by feature.

Arazo Sánchez 2017, §3.6, Figs. 3.2 to 3.4. Both branches have AlexNet's layers with weights of their own, the map's
with one input channel. They meet after pool2 (Fan-in1), after pool1 (Fan-in2), or after pool1 with conv2, bn2 and
pool2 gone (Fan-in3). There are two controls. `noconv2` is Fan-in3 without its saliency branch, which the thesis left as
future work (§4.4.3). A `doubled` network has a second branch for the picture in place of the map's: it has the layers
and parameters of the branch, but no map.

Sizes at the right are those at 128 px. The thesis says that Fan-in3 has fewer parameters than AlexNet; without pool2
its fc1 sees 9216 values instead of 256, so it has 2.4 times as many (run the networks and read `summary.json`).
"""

from keras import layers

from saliency_keras.models.alexnet import pool
from saliency_keras.models.network import BRANCH


def multiply(rgb, saliency):
    """The fan-in: product of corresponding feature maps."""
    return layers.Multiply(name="fanin")([rgb, saliency])


def fanin1(image, saliency, classes, layer, doubled=False):
    """Fan-in1 (§3.6.1, Fig. 3.2): the branches meet after pool2. Logits `(classes,)`."""
    saliency = image if doubled else saliency
    rgb = layer.block2(layer.block1(image))  #                                            4x4x256
    where = layer.block2(layer.block1(saliency, branch=BRANCH), branch=BRANCH)  #     4x4x256
    x = multiply(rgb, where)  #                                                           4x4x256
    x = pool(layer.blocks345(x), "pool5")  #                                              1x1x256
    return layer.classifier(x, classes)


def fanin2(image, saliency, classes, layer, doubled=False):
    """Fan-in2 (§3.6.2, Fig. 3.3): the branches meet after pool1. Logits `(classes,)`."""
    saliency = image if doubled else saliency
    rgb = layer.block1(image)  #                          14x14x96
    where = layer.block1(saliency, branch=BRANCH)  #    14x14x96
    x = layer.block2(multiply(rgb, where))  #              4x4x256
    x = pool(layer.blocks345(x), "pool5")  #               1x1x256
    return layer.classifier(x, classes)


def fanin3(image, saliency, classes, layer, keep_pool2=False, doubled=False):
    """Fan-in3 (§3.6.3, Fig. 3.4): as Fan-in2, without conv2, bn2 and pool2. Logits `(classes,)`.

    `keep_pool2` keeps the pooling: the one reading under which the network is as small as the thesis says.
    """
    saliency = image if doubled else saliency
    rgb = layer.block1(image)  #                          14x14x96
    where = layer.block1(saliency, branch=BRANCH)  #    14x14x96
    x = multiply(rgb, where)  #                           14x14x96
    x = pool(x, "pool2") if keep_pool2 else x  #          14x14x96, 6x6x96 where kept
    x = pool(layer.blocks345(x), "pool5")  #               6x6x256, 2x2x256 where kept
    return layer.classifier(x, classes)


def noconv2(image, saliency, classes, layer, pool5_to_one=False):
    """Fan-in3 without its saliency branch: what the missing second block does on its own. Logits `(classes,)`.

    `pool5_to_one` takes the maximum over the whole of conv5's output, so that the dense layers keep AlexNet's size.
    """
    x = layer.block1(image)  #      14x14x96
    x = layer.blocks345(x)  #      14x14x256
    x = layers.MaxPooling2D(x.shape[1:3], name="pool5")(x) if pool5_to_one else pool(x, "pool5")  # 1x1x256 or 6x6x256
    return layer.classifier(x, classes)

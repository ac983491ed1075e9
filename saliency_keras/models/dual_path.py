"""DPN-92, the dual path network with which the read-out notes got their best saliency maps.

Chen et al. 2017, *Dual Path Networks* (NIPS), Table 1; Keras has none. A block's output is split in two: a residual
part that is added to what went before and a dense part that is appended to it, so that channels grow by `growth` each
block. Normalisation and ReLU come before each convolution. Layer names and counts follow the authors' published
network; `published_weights` reads the weights of its PyTorch implementations.

    stage                               224 px     residual + dense channels
    conv1   7x7 / 2, 64                112x112     64
    pool    3x3 / 2                      56x56     64
    conv2   3 blocks, width 96           56x56     256 + 80
    conv3   4 blocks, width 192          28x28     512 + 192
    conv4   20 blocks, width 384         14x14     1024 + 528
    conv5   3 blocks, width 768            7x7     2048 + 640
    mean over positions, dense                     classes

The 3x3 convolutions have 32 groups. With 1000 classes 37,668,392 weights train (the paper rounds to 37.8 million,
with 6.5 billion multiply-adds).
"""

import keras
from keras import layers

# Blocks, width of the grouped convolution, residual channels, growth of the dense path.
STAGES = ((3, 96, 256, 16), (4, 192, 512, 32), (20, 384, 1024, 24), (3, 768, 2048, 128))
GROUPS = 32
# The authors train on pixels in these units: (pixel - mean) / 60, RGB.
PIXEL_MEAN_RGB = (124.0, 117.0, 104.0)
PIXEL_SCALE = 0.0167


def DPN92(include_top=True, weights=None, input_shape=None, classes=1000, name="dpn92", input_tensor=None):
    """Builds DPN-92 with the signature of a network of `keras.applications`.

    Args:
        include_top: Whether the mean over positions and the dense layer are there.
        weights: `None`, or a `.weights.h5` file that this network wrote with the same `include_top`.
        input_shape: `(height, width, 3)`; `None` for any size.
        classes: Number of classes.
        name: Name of the model.
        input_tensor: Tensor `(height, width, 3)` of another graph to build upon, or `None` for an input of its own.

    Returns:
        A `keras.Model` from pixels that went through `preprocessed`, `(batch, height, width, 3)`, to logits `(batch,
        classes)` or to features `(batch, height / 32, width / 32, 2688)`.
    """
    pixels = keras.Input(input_shape or (None, None, 3), name="image") if input_tensor is None else input_tensor
    x = layers.ZeroPadding2D(3, name="conv1_pad")(pixels)
    x = layers.Conv2D(64, 7, 2, use_bias=False, name="conv1_conv")(x)  # (H/2, W/2, 64)
    x = _normalised_relu(x, "conv1")
    # The input is not negative here, so a border of zeros is no maximum anywhere.
    x = layers.ZeroPadding2D(1, name="pool1_pad")(x)
    x = layers.MaxPooling2D(3, 2, name="pool1_pool")(x)  # (H/4, W/4, 64)
    paths = [x]
    for stage, (blocks, width, residual, growth) in enumerate(STAGES, 2):
        for block in range(1, blocks + 1):
            first_strides = (1 if stage == 2 else 2) if block == 1 else None
            paths = dual_path_block(paths, width, residual, growth, first_strides, f"conv{stage}_block{block}")
    x = layers.Concatenate(name="conv5_out")(paths)  # (H/32, W/32, 2688)
    x = _normalised_relu(x, "conv5")
    if include_top:
        x = layers.GlobalAveragePooling2D(name="avg_pool")(x)  # (2688,)
        x = layers.Dense(classes, name="predictions")(x)
    model = keras.Model(keras.utils.get_source_inputs(pixels), x, name=name)
    if weights is not None:
        model.load_weights(weights)
    return model


def dual_path_block(paths, width, residual, growth, first_strides, name):
    """One block: 1x1, grouped 3x3, 1x1, then residual channels are added and dense ones appended.

    Args:
        paths: The residual and the dense tensor, or one tensor where a stage before has none of this width.
        width: Channels of the first two convolutions.
        residual: Channels of the residual path.
        growth: Channels that each block appends to the dense path.
        first_strides: For a stage's first block, the strides with which a projection makes the new residual path and
            the first `2 * growth` dense channels; `None` for a later block.
        name: Prefix of the layers' names.

    Returns:
        The new residual tensor `(h, w, residual)` and dense tensor.
    """
    strides = first_strides or 1
    x = layers.Concatenate(name=f"{name}_concat")(paths) if len(paths) > 1 else paths[0]
    kept, dense = paths if first_strides is None else (None, None)
    if first_strides is not None:
        projection = _normalised_convolution(x, f"{name}_0", residual + 2 * growth, 1, strides)
        kept, dense = projection[:, :, :, :residual], projection[:, :, :, residual:]
    y = _normalised_convolution(x, f"{name}_1", width, 1)
    y = _normalised_convolution(y, f"{name}_2", width, 3, strides, groups=GROUPS)
    y = _normalised_convolution(y, f"{name}_3", residual + growth, 1)
    added = layers.Add(name=f"{name}_add")([kept, y[:, :, :, :residual]])
    appended = layers.Concatenate(name=f"{name}_append")([dense, y[:, :, :, residual:]])
    return [added, appended]


def preprocessed(pixels):
    """RGB pixels 0..255 as the authors' network wants them, RGB and about -2..2: `(h, w, 3) -> (h, w, 3)`."""
    offset = [-PIXEL_SCALE * mean for mean in PIXEL_MEAN_RGB]
    return layers.Rescaling(PIXEL_SCALE, offset, name="preprocessed")(pixels)


def _normalised_relu(x, name):
    x = layers.BatchNormalization(epsilon=1e-3, momentum=0.9, name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def _normalised_convolution(x, name, filters, size, strides=1, groups=1):
    x = _normalised_relu(x, name)
    if size > 1:
        # Padding by hand: "same" with strides would pad one side only.
        x = layers.ZeroPadding2D(size // 2, name=f"{name}_pad")(x)
    return layers.Conv2D(filters, size, strides, groups=groups, use_bias=False, name=f"{name}_conv")(x)

"""Regions of pictures in rows, one row a feature map (SalClassNet, Table 7)."""

from saliency_keras.figures import style


def regions_figure(rows):
    """Draws the regions that activate feature maps most.

    Args:
        rows: Pairs of a feature map's name and uint8 arrays `(h, w, 3)`, the strongest first.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    columns = max(len(crops) for _, crops in rows)
    with style.look():
        figure = style.new_figure(1.1 * columns + 2.6, 1.1 * len(rows))
        grid = figure.subplots(len(rows), columns, squeeze=False)
        for axes, (name, crops) in zip(grid, rows, strict=True):
            for ax in axes:
                ax.set(xticks=[], yticks=[])
                ax.grid(False)
                ax.spines[:].set_visible(False)
            for ax, crop in zip(axes, crops, strict=False):
                ax.imshow(crop)
            axes[0].set_ylabel(style.shortened(name, 30), fontsize=7, rotation=0, ha="right", va="center")
    return figure

"""Accuracies in words: the one spelling of percent and of percentage points, with digits that the pictures bear out."""

import math


def percent(fraction, pictures):
    """A fraction of so many pictures as percent, without digits that one picture more or less would not change.

    Args:
        fraction: A number, or a difference of two; `None` or NaN where there are no pictures.
        pictures: How many pictures it was counted on.

    Returns:
        For example `"48.99"` (50,000 pictures), `"76.4"` (500) or `"46"` (50).
    """
    return "–" if is_missing(fraction) else f"{100 * fraction:.{_decimals(pictures)}f}"


def points(difference, pictures):
    """A difference of two fractions in percentage points with its sign, `"+12.39"`; digits as `percent`."""
    if is_missing(difference):
        return "–"
    decimals = _decimals(pictures)
    return f"{round(100 * difference, decimals) + 0.0:+.{decimals}f}"  # adding 0 makes a negative zero positive


def accuracy_in_words(value, low, high, pictures):
    """An accuracy with its interval, as a sentence has it: `"76.4 % (95 % interval 72.5 to 79.9)"`.

    Args:
        value: The accuracy, 0 to 1.
        low: Lower end of its interval.
        high: Upper end.
        pictures: How many pictures it was counted on.
    """
    return f"{percent(value, pictures)} % (95 % interval {percent(low, pictures)} to {percent(high, pictures)})"


def difference_in_words(value, low, high, pictures, other):
    """A difference of two accuracies with its interval, as a sentence has it.

    Args:
        value: The difference, -1 to 1.
        low: Lower end of its interval.
        high: Upper end.
        pictures: How many pictures it was counted on.
        other: What it is a difference to.

    Returns:
        `"3.5 points below noconv2 (95 % interval 2.0 to 5.1 below)"`. Where the interval holds zero, its ends have
        signs: `"0.6 points above noconv2 (95 % interval -0.8 to +2.0, which holds zero)"`.
    """
    where = "above" if value >= 0 else "below"
    size = points(abs(value), pictures).lstrip("+-")
    if low <= 0 <= high:
        ends = f"{points(low, pictures)} to {points(high, pictures)}, which holds zero"
    else:
        near, far = sorted((abs(low), abs(high)))
        ends = f"{points(near, pictures).lstrip('+')} to {points(far, pictures).lstrip('+')} {where}"
    return f"{size} points {where} {other} (95 % interval {ends})"


TITLES = {"top1": "Top-1", "top5": "Top-5", "cross_entropy": "cross-entropy", "nss": "NSS", "cc": "CC"}
WHILE_TRAINING = 1000  # pictures whose digits figures have while a training lasts: one decimal


def is_worth_telling(column, classes):
    """Whether a metric says something of so many classes: with five or fewer, Top-5 is always 100 %.

    Args:
        column: Name of the metric, or of a history's column.
        classes: Number of classes; `None` or 0 if there are none or the number is unknown.
    """
    return not (column.endswith("top5") and classes and classes <= 5)


def figure_in_words(column, value):
    """A figure of a history while a training lasts: `"Top-1 45.2 %"`, `"loss 1.23"`.

    Args:
        column: Name of the history's column, `val_` aside.
        value: The figure.
    """
    output, _, metric = column.rpartition("_")
    if metric in ("top1", "top5"):
        return f"{f'{output} {TITLES[metric]}'.lstrip()} {percent(value, WHILE_TRAINING)} %"
    return f"{TITLES.get(column, column.replace('_', ' '))} {value:#.3g}".rstrip(".")


def published_in_words(figures):
    """What a paper prints, `{"top1": 0.4899, "top5": 0.728}`, as `"Top-1 48.99 %, Top-5 72.80 %"`."""
    named = {TITLES.get(metric, metric.replace("_", " ")): value for metric, value in figures.items()}
    return ", ".join(f"{title} {100 * value:.2f} %" for title, value in named.items())


def is_missing(value):
    """Whether a cell has no value: `None` or NaN."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def _decimals(pictures):
    """Decimals of a percentage such that one picture changes the last one, two at most."""
    return min(2, max(0, math.ceil(math.log10(max(1, pictures) / 100))))

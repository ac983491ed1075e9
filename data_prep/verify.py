"""Checks every checksum and record of a compact data set and draws a contact sheet.

    python -m data_prep.verify OUT [--sheet FILE]

Checks the set from end to end: the checksum of every shard; then every record, decoded as networks get it:
its size, that its id is there once in its split, that its label is a class; that side shards have as many maps as the
shards they belong to (a side record has no id: that it is the right one rests on the checksum); and that counts per
class and means are those of the manifest. Prints what it checked and which kernels made the maps, and draws a contact
sheet, the first pictures of both splits (a random draw, since the order on disk is shuffled) with all their maps,
beside the set: `compact/photos` gets `compact/photos-contact_sheet.png`. Lists pictures of val that are in train too,
to the pixel. Ends with exit code 2 and one sentence at the first thing that does not fit.
"""

import hashlib
import itertools
from pathlib import Path

from saliency_keras import console
from saliency_keras.console import UserError, progress

# JPEG changes means a little; raw pixels are those the manifest's means were added up from.
MEAN_TOLERANCE = {"raw": 1e-6, "npy": 1e-6, "jpeg": 0.02}
SHOWN = 12


def main(arguments=None):
    """Parses the command line, checks the set, prints what was checked and draws the contact sheet.

    Args:
        arguments: The command line's words, or `None` for the program's own.

    Raises:
        UserError: At the first thing that does not fit.
    """
    parser = console.parser(__spec__.name, __doc__)
    parser.add_argument("out", metavar="OUT", type=Path, help="folder of the compact data set")
    sheet_help = "where to draw pictures with their maps, .png, .pdf or .svg (default: OUT-contact_sheet.png)"
    parser.add_argument("--sheet", metavar="FILE", type=Path, help=sheet_help)
    options = parser.parse_args(arguments)

    from saliency_keras.data.manifest import Manifest
    from saliency_keras.figures import style

    out = options.out.resolve()
    sheet = options.sheet or out.with_name(f"{out.name}-contact_sheet.png")
    style.check_path(sheet)
    if out in sheet.resolve().parents:
        raise UserError(f"{sheet} lies in the data set; draw the contact sheet (--sheet FILE) elsewhere.")
    manifest = Manifest.load(options.out)
    manifest.check_sums()
    twins = check_records(manifest)
    for name, split in manifest.splits.items():
        size = sum(path.stat().st_size for path in manifest.shard_files(name)) / 1e6
        print(f"{name}: {split.records:,} pictures of {sum(n > 0 for n in split.per_class)} classes, ", end="")
        print(f"{len(split.shards)} shards, {size:,.1f} MB")
    print(f"pictures: {manifest.framing}")
    first, *further = manifest.map_names
    console.tell(f"maps: {first} (interleaved)" + "".join(f", {name} (side shards)" for name in further))
    print_kernels(manifest)
    print("checksums, records, ids, labels, counts per class and means are as the manifest says")
    if twins:
        records = manifest.splits["val"].records
        console.tell(f"{len(twins):,} of {records:,} val pictures are duplicates of pictures in train:")
        for own, other, labels in twins:
            told = f"{own} is in train as {other}" + (f", of another class ({labels})" if labels else "")
            print(console.in_lines(told, "    ", 8))
    style.save(contact_sheet(manifest), sheet)
    print(f"contact sheet: {sheet}")
    print(console.next_step("train", "fanin3", "--data", options.out))


def print_kernels(manifest):
    """Prints which kernels made the maps, and whether those of this processor would make the same bytes."""
    from saliency_keras.blas import kernels

    for made_by in dict.fromkeys(one.kernels for one in manifest.maps if one.kernels):
        names = ", ".join(one.name for one in manifest.maps if one.kernels == made_by)
        other = f"; this processor has other ones ({kernels()}), whose maps may differ by grey levels"
        console.tell(f"kernels: {made_by} made {names}{other if made_by != kernels() else ''}")


def check_records(manifest):
    """Decodes every record of a set and compares what is there with the manifest.

    Args:
        manifest: The loaded `Manifest`.

    Returns:
        Pictures of val whose stored pixels are those of one in train, too: its id, the other's, and the two classes'
        names where they differ, else an empty text.

    Raises:
        UserError: At the first record, count or mean that does not fit.
    """
    in_train, twins = {}, []
    values = 255 * manifest.splits["train"].records * manifest.side**2
    with progress(total=sum(split.records for split in manifest.splits.values()), label="reading") as bar:
        for split in manifest.splits:
            rgb_sums, map_sum = _check_pictures(manifest, split, bar, in_train, twins)
            map_sums = [map_sum, *(_check_side_maps(manifest, split, one) for one in manifest.maps[1:])]
            if split == "train":
                _check_mean(manifest, "the mean RGB", manifest.mean_rgb, rgb_sums / values)
                for one, total in zip(manifest.maps, map_sums, strict=True):
                    _check_mean(manifest, f"the mean of the map {one.name}", one.mean, total / values)
    return twins


def _check_pictures(manifest, split, bar, in_train, twins):
    """Checks the records of a split's shards; returns the sums of red, green and blue, and of the maps.

    `in_train` is filled with a digest of each picture of train, `twins` with what `check_records` returns.
    """
    import numpy as np

    from saliency_keras.data.stored import Records, check_pictures

    stored, sums = Records(manifest, split), np.zeros(4, np.int64)
    check_pictures(manifest, split, stored)
    for of_shard in _places_by_shard(stored):
        rows = zip(stored.words(of_shard), stored.ids(of_shard), stored.labels(of_shard), strict=True)
        for words, identifier, label in rows:
            rgbs = words.view(np.uint8).reshape(-1, 4)
            sums += rgbs.sum(0, dtype=np.int64)
            pixels = hashlib.blake2b(np.ascontiguousarray(rgbs[:, :3]).data, digest_size=16).digest()
            if split == "train":
                in_train.setdefault(pixels, (identifier, label))
            elif pixels in in_train:
                other, of_other = in_train[pixels]
                classes = f"{manifest.classes[label]}, {manifest.classes[of_other]}" if label != of_other else ""
                twins.append((identifier, other, classes))
            bar.update()
    return sums[:3], sums[3]


def _check_side_maps(manifest, split, one):
    """Checks the records of a split's side shards of one map; returns the sum of the maps."""
    import numpy as np

    from saliency_keras.data.stored import Records

    stored = Records(manifest, split, one.name)
    return sum(int(saliency.sum(dtype=np.int64)) for saliency in stored.maps(np.arange(len(stored))))


def _places_by_shard(stored):
    """Places of the records of each shard: memory is bounded by a shard, not by the set."""
    import numpy as np

    return [np.arange(first, end) for first, end in itertools.pairwise(stored.first)]


def _check_mean(manifest, what, said, there):
    import numpy as np

    # "Not close" instead of "far": a mean that is no number is refused too.
    if not (np.abs(np.subtract(said, there)) <= MEAN_TOLERANCE[manifest.codec]).all():
        raise UserError(
            f"the manifest of {manifest.folder} says that {what} over train is {_rounded(said)}, "
            f"the records have {_rounded(there)}; run data_prep.compact again."
        )


def _rounded(values):
    import numpy as np

    return ", ".join(f"{value:.6f}" for value in np.atleast_1d(values))


def contact_sheet(manifest):
    """The first pictures of both splits, each beside all of its maps.

    Args:
        manifest: The loaded `Manifest`.

    Returns:
        A `matplotlib.figure.Figure`: with one map several pictures in a row, with more one picture in a row.
    """
    import numpy as np

    from saliency_keras.data.stored import Records
    from saliency_keras.figures import overlay

    each = max(1, SHOWN // (2 * len(manifest.maps)))
    pictures, maps, captions = [], [], []
    for split in manifest.splits:
        stored = Records(manifest, split)
        shown = np.arange(min(each, len(stored)))
        columns = [list(Records(manifest, split, name).maps(shown)) for name in manifest.map_names]
        rows = zip(stored.words(shown), stored.labels(shown), stored.ids(shown), *columns, strict=True)
        for words, label, identifier, *of_picture in rows:
            for name, saliency in zip(manifest.map_names, of_picture, strict=True):
                pictures.append(words.view(np.uint8).reshape(stored.side, stored.side, 4)[..., :3].copy())
                maps.append(saliency)
                captions.append(f"{name}: {_named(manifest.classes[label], identifier)} ({split})")
    return overlay.contact_sheet(pictures, maps, captions, len(manifest.maps) if len(manifest.maps) > 1 else 3)


def _named(label, identifier):
    """A picture's id with its class, unless the id begins with it."""
    return identifier if identifier.startswith(f"{label}/") else f"{label}, {identifier}"


if __name__ == "__main__":
    console.run(main)

"""Small data sets for tests: compact ones, written record by record without any predictor, and fixation sets."""

import hashlib
import json

import numpy as np

from saliency_keras.data.geometry import Framing
from saliency_keras.data.manifest import Manifest, SaliencyMap, Shard, Split, shard_name, shard_suffix
from saliency_keras.data.records import encode_record, encode_side_record, record_dtype, record_writer


def write_small_set(
    folder, side=36, codec="raw", classes=3, train=(8, 7, 9), val=(5, 4), seed=0, separable=False, labels_of=None,
    blank=(),
):  # fmt: skip
    """Writes a set of random pictures, shard by shard.

    Args:
        folder: An existing folder.
        side: Stored side.
        codec: `"raw"`, `"jpeg"` or `"npy"`.
        classes: Number of classes; picture `i` of a split has the label `i % classes`.
        train: Records of each train shard.
        val: Records of each val shard.
        seed: Seed of the pixels.
        separable: Whether a picture's brightness tells its class.
        blank: Splits whose maps are zero everywhere, those named `other` aside.
        labels_of: `{"train": labels, "val": labels}` in the order on disk, in place of that rule.

    Returns:
        The loaded `Manifest`, and `{"train": arrays, "val": arrays}` with what was written: `image`, `saliency`,
        `other` (a further map, named `other`), `label`, `id`.
    """
    rng = np.random.default_rng(seed)
    written, splits, side_shards = {}, {}, {}
    for split, counts in {"train": train, "val": val}.items():
        pictures = sum(counts)
        labels = np.arange(pictures) % classes if labels_of is None else np.asarray(labels_of[split])
        images = rng.integers(0, 256, (pictures, side, side, 3), np.uint8)
        if separable:
            images = (images // 4 + (labels * (190 // classes))[:, None, None, None]).astype(np.uint8)
        arrays = {
            "image": images,
            "saliency": rng.integers(0, 256, (pictures, side, side), np.uint8),
            "other": rng.integers(0, 256, (pictures, side, side), np.uint8),
            "label": labels,
            "id": np.array([f"class{label}/{split}{place}.png" for place, label in enumerate(labels)]),
        }
        if split in blank:
            arrays["saliency"][:] = 0
        written[split] = arrays
        shards, sides, first = [], [], 0
        for number, count in enumerate(counts):
            rows = range(first, first + count)
            pictures_name = shard_name(split, number, len(counts), suffix=shard_suffix(codec))
            dtype = record_dtype(side, arrays["id"].dtype.itemsize)
            with record_writer(folder / pictures_name, codec, dtype) as writer:
                for row in rows:
                    fields = (arrays[name][row] for name in ("image", "saliency", "label", "id"))
                    writer.write(encode_record(codec, *fields, dtype))
            side_name = shard_name(split, number, len(counts), "other", shard_suffix(codec))
            with record_writer(folder / side_name, codec, ("u1", (side, side))) as writer:
                for row in rows:
                    writer.write(encode_side_record(codec, arrays["other"][row]))
            shards.append(_shard(folder, pictures_name, count))
            sides.append(_shard(folder, side_name, count))
            first += count
        splits[split] = Split(tuple(shards), tuple(np.bincount(labels, minlength=classes).tolist()))
        side_shards[split] = tuple(sides)
    mean = written["train"]["image"].mean(axis=(0, 1, 2)) / 255
    maps = (
        SaliencyMap("first", {"name": "random"}, written["train"]["saliency"].mean() / 255),
        SaliencyMap("other", {"name": "random"}, written["train"]["other"].mean() / 255, side_shards),
    )
    names = tuple(f"class{label}" for label in range(classes))
    source = {"made": "by a test", "seed": seed}
    Manifest(Framing(stored=side), codec, names, splits, maps, tuple(mean.tolist()), seed, source, {}).save(folder)
    return Manifest.load(folder), written


def as_version_1(folder):
    """Writes a set's manifest as the first version of the program did: no framing, no word on what a map is made of."""
    path = folder / "manifest.json"
    fields = json.loads(path.read_text(encoding="utf-8"))
    side = fields.pop("framing")["stored"]
    for one in fields["maps"]:
        del one["made_of"]
    head = {"format": fields.pop("format"), "version": 1, "side": side}
    del fields["version"]
    path.write_text(json.dumps({**head, **fields}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return folder


def write_fixation_set(folder, pictures=20, size=(48, 32), observers=3, seed=0):
    """Writes a fixation set: pictures of noise with one bright spot each, which everybody looks at.

    Args:
        folder: A folder that is not there yet.
        pictures: Number of pictures, named `0.png` and so on.
        size: Width and height in pixels.
        observers: Number of people; each has two fixations near the spot.
        seed: Seed of everything.
    """
    from PIL import Image

    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    width, height = size
    lines = ["image,subject,x,y"]
    for number in range(pictures):
        pixels = rng.integers(0, 60, (height, width, 3), np.uint8)
        x, y = rng.integers(6, width - 6), rng.integers(6, height - 6)
        pixels[y - 5 : y + 5, x - 5 : x + 5] += 180
        Image.fromarray(pixels).save(folder / "images" / f"{number}.png")
        for place in range(2 * observers):
            near = np.array([x, y]) + rng.normal(0, 1.5, 2)
            lines.append(f"{number}.png,{place // 2},{near[0]:.2f},{near[1]:.2f}")
    (folder / "fixations.csv").write_text("\n".join(lines) + "\n")


def _shard(folder, name, records):
    content = (folder / name).read_bytes()
    return Shard(name, records, len(content), hashlib.sha256(content).hexdigest())

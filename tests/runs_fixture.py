"""Run folders as training writes them, small and made up, for the tests of everything that reads one."""

import csv
import json

import h5py
import numpy as np

CLASSES = ("cat", "dog", "French bulldog", "gar, garfish", "price | $5 to $9", "<b>bold</b>", "鳥")
DIGEST = "d1" * 32


def write_run(
    folder,
    name="fanin3",
    *,
    seed=0,
    maps="own",
    epochs=12,
    classes=CLASSES,
    pictures=210,
    skill=1.0,
    published=None,
    side=128,
    data=DIGEST,
    data_folder="compact/imagenette",
    extra=None,
    **config,
):
    """Writes a finished run whose scores are noise plus `skill` for the true class.

    The same `seed` gives the same noise, whatever the skill. `extra` adds columns to the history; further keywords
    are entries of `config.json`. Returns the folder.
    """
    folder.mkdir(parents=True)
    draw = np.random.default_rng(seed)
    labels = np.arange(pictures) % len(classes)
    scores = draw.normal(size=(pictures, len(classes))) + skill * np.eye(len(classes))[labels]
    write_predictions(folder / "predictions.h5", scores, labels, classes, data=data)
    rows = _history(epochs, top1=float(np.mean(scores.argmax(axis=1) == labels)), extra=extra or {})
    with open(folder / "history.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    experiment = {
        "name": name,
        "paper": "thesis",
        "row": "Table 4.1",
        "published": published or {},
        "network": name,
        "arguments": {"keep_pool2": False},
        "pictures": {"side": side},
        "schedule": {"epochs": epochs, "batch": 128, "drops": [24, 45, 62]},
    }
    config = {
        "experiment": experiment,
        "data": {
            "folder": str(data_folder),
            "digest": data,
            "side": 40,
            "codec": "raw",
            "maps": ["gbvs"],
            "classes": len(classes),
            "source": {},
        },
        "maps": maps,
        "seed": seed,
        "epochs": epochs,
        "batch": 128,
        "precision": "float32",
        "versions": {"saliency_keras": "0.1", "keras": "3.15.1"},
        "device": {"machine": "x86_64", "cores": 2, "accelerators": []},
        **config,
    }
    summary = {
        "experiment": name,
        "epochs": epochs,
        "last": rows[-1],
        "best": max(rows, key=lambda row: row["val_top1"]),
        "parameters": {"total": 1_234_567, "trainable": 1_234_000, "convolution_kernels": 9, "kernels": 9},
        "seconds": 61.5,
        "images_per_second": 312.4,
        "pictures": {"train": 4000, "validation": pictures, "tested": pictures},
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    return folder


def write_predictions(path, scores, labels, classes, ids=None, data=DIGEST):
    """Writes a `predictions.h5` of these scores; the ranks come from sorting, ties to the smaller index.

    A `summary.json` beside it is given the Top-1 of these predictions.
    """
    order = np.argsort(-scores, axis=1, kind="stable")
    with h5py.File(path, "w") as file:
        file["id"] = [f"val/{index:04d}".encode() for index in range(len(labels))] if ids is None else ids
        file["label"] = np.asarray(labels, "int32")
        file["rank"] = np.argmax(order == np.asarray(labels)[:, None], axis=1).astype("int32")
        file["top5"] = order[:, :5].astype("int32")
        file["scores"] = scores.astype("float16")
        file.attrs["classes"] = list(classes)
        file.attrs["split"] = "val"
        file.attrs["data"] = data
        top1 = float((file["rank"][:] < 1).mean())
    summary = path.parent / "summary.json"
    if summary.is_file():
        said = json.loads(summary.read_text())
        said["last"]["val_top1"] = top1
        summary.write_text(json.dumps(said))


def unsealed(folder):
    """Takes the checksums out of a run folder, so that its files may be changed, as in runs of earlier versions."""
    path = folder / "summary.json"
    summary = json.loads(path.read_text())
    for name in ("files", "sha256"):
        summary.pop(name, None)
    path.write_text(json.dumps(summary))
    return folder


def _history(epochs, top1, extra):
    rows = []
    for epoch in range(1, epochs + 1):
        learned = (1 - 0.7 ** (epoch * 12 / epochs)) / (1 - 0.7**12)  # 1 in the last epoch, as predictions have it
        row = {
            "epoch": epoch,
            "learning_rate": 0.01 * 0.1 ** sum(epoch > drop * epochs / 90 for drop in (24, 45, 62)),
            "loss": 2.3 - 1.8 * learned,
            "cross_entropy": 2.1 - 1.8 * learned,
            "top1": min(1.0, 1.15 * top1 * learned),
            "top5": min(1.0, 0.5 + 0.5 * learned),
            "val_loss": 2.3 - 1.2 * learned,
            "val_cross_entropy": 2.1 - 1.2 * learned,
            "val_top1": top1 * learned,
            "val_top5": min(1.0, 0.45 + 0.5 * learned),
            **extra,
            "seconds": 5.0,
        }
        rows.append(row)
    return rows

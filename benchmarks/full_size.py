"""python benchmarks/full_size.py FOLDER [--pictures 1281167] [--forms folder,tar]

How long a set of ImageNet's size takes to be listed, checked for ids, shuffled and planned, and how much memory that
needs: what `data_prep.compact` does before its first shard. FOLDER gets 1,000 class folders of links to a few tiny
pictures, or tars of tars of them in ILSVRC2012's form (1.3 GB), and keeps them. Plans are made of a quarter, a half and
all of the classes, each in a process of its own; prints processor seconds, microseconds a picture, and the peak of the
process's memory.
"""

import argparse
import io
import os
import resource
import subprocess
import sys
import tarfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
CLASSES, VAL = 1000, 50
LINKS = 60_000  # of one file; ext4 allows 65,000
TRAIN_TAR = "ILSVRC2012_img_train.tar"


def main(arguments=None):
    """Parses, makes the sets, measures, prints."""
    parser = argparse.ArgumentParser(description="Time and memory of planning a set of ImageNet's size.")
    parser.add_argument("folder", type=Path, help="where to make the sets")
    parser.add_argument("--pictures", type=int, default=1_281_167, help="train pictures (default: 1281167)")
    parser.add_argument("--forms", default="folder,tar", help="folder, tar or both (default: both)")
    parser.add_argument("--plan", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.plan:
        plan(options.plan)
        return
    for form in options.forms.split(","):
        make = {"folder": make_folders, "tar": make_tars}[form]
        for share in (4, 2, 1):
            source = make(options.folder, options.pictures // CLASSES, CLASSES // share)
            words = [sys.executable, __file__, str(options.folder), "--plan", source]
            print(f"{form}: " + subprocess.run(words, capture_output=True, text=True, check=True).stdout, end="")


def plan(source):
    """Plans one set and prints what that took."""
    from data_prep.compaction import make_plan
    from data_prep.sources import open_source

    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    made = make_plan(open_source(source), ("uniform",))
    seconds = time.process_time() - started
    pictures = sum(len(task.pictures) for task in made.tasks)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"{pictures:>9,} pictures, {len(made.tasks)} shards: {seconds:.1f} s of processor time, "
        f"{1e6 * seconds / pictures:.1f} us a picture; memory {before / 1024:.0f} MB before, {peak / 1024:.0f} MB peak"
    )


def make_folders(folder, each, classes):
    """An image folder: classes of links to a few files; a part of it has links to the whole's class folders."""
    whole, part = folder / "folders", folder / f"folders-{classes}"
    for split, count in (("train", each), ("val", VAL)):
        links = 0
        for number in range(CLASSES if not (whole / split).is_dir() else 0):
            place = whole / split / f"n{number:08d}"
            place.mkdir(parents=True)
            for index in range(count):
                picture = folder / f"{split}-{links // LINKS}.png"
                if links % LINKS == 0:
                    picture.write_bytes(tiny())
                os.link(picture, place / f"n{number:08d}_{index}.JPEG")
                links += 1
        (part / split).mkdir(parents=True, exist_ok=True)
        for number in range(classes):
            link = part / split / f"n{number:08d}"
            if not link.is_symlink():
                link.symlink_to((whole / split / link.name).resolve())
    return str(part)


def make_tars(folder, each, classes):
    """ILSVRC2012's form: a tar of one tar a class, all with the same members; val by class folders."""
    part = folder / f"tars-{classes}"
    if (part / TRAIN_TAR).is_file():
        return f"imagenet:{part}"
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w") as tar:
        for index in range(each):
            add(tar, f"picture_{index}.JPEG", tiny())
    part.mkdir(parents=True)
    with tarfile.open(part / f"{TRAIN_TAR}.part", "w") as tar:
        for number in range(classes):
            add(tar, f"n{number:08d}.tar", inner.getvalue())
            (part / "val" / f"n{number:08d}").mkdir(parents=True)
            for index in range(VAL):
                (part / "val" / f"n{number:08d}" / f"{index}.JPEG").write_bytes(tiny())
    os.replace(part / f"{TRAIN_TAR}.part", part / TRAIN_TAR)
    return f"imagenet:{part}"


def add(tar, name, content):
    """Adds a member to a tar."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def tiny():
    """A picture of 8x8 pixels."""
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "PNG")
    return file.getvalue()


if __name__ == "__main__":
    from saliency_keras.console import run

    run(main)

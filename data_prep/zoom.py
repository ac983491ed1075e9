"""A second look at the pictures of a source: `compact SOURCE OUT --zoom RUN`.

Each picture is cropped to what somebody attends to in it (`saliency_keras.data.second_look`), as pixels of the original
picture, and then goes the way of every picture that has a box. The boxes are found before the set is planned, for they
are part of what it is, by one process, whose network uses all cores. They are kept in `attended.csv` of the set's
folder as they come, so that a stopped run goes on where it was; it stays there with the finished set:
split,id,bytes,left,top,right,bottom (the crop, in the picture's pixels), xmin,ymin,xmax,ymax (the box before it was
made square), whole (1 where nothing stood out) and looks, which names who looked. A file that is no picture has zeros.
"""

import concurrent.futures
import csv
import hashlib
import io
import itertools
import json
from pathlib import Path

from data_prep import shards as sharding
from data_prep.compaction import ATTENDED, check_unused, is_begun
from data_prep.sources.source import Source, UnusableBox
from saliency_keras.console import UserError, progress, tell
from saliency_keras.data.geometry import box_in_pixels
from saliency_keras.data.manifest import SPLITS
from saliency_keras.data.pictures import UnreadablePicture
from saliency_keras.data.second_look import Attended, Seen, attended, looks_of
from saliency_keras.files import check_folder, claimed

BATCH = 32
NOTHING = Attended((0,) * 4, (0,) * 4)  # of a file that is no picture
HEADER = ("split", "id", "bytes", "left", "top", "right", "bottom", "xmin", "ymin", "xmax", "ymax", "whole", "looks")


class ZoomedSource(Source):
    """A source whose pictures are cropped to what somebody attends to.

    Args:
        source: The source of the pictures.
        words: Who looks, as `second_look.looks_of` takes it.
        out: Folder of the set that is made, where the boxes are kept.
        framing: The `Framing` of the set, by which predictors see the pictures.
        limit: Pictures taken of each split, or `None`: no others are looked at.
        seed: Seed of the order, by which these are chosen.

    Raises:
        UserError: If nobody of that name can look, or the folder holds something else.
    """

    def __init__(self, source, words, out, framing, limit=None, seed=0):
        self._source, self._out, self._limit, self._seed = source, Path(out).absolute(), limit, seed
        self._looks = looks_of(words, framing, source.own_maps, source.classes)
        identities = json.loads(json.dumps([one.identity for one in self._looks]))
        self._digest = hashlib.sha256(json.dumps(identities, sort_keys=True).encode()).hexdigest()[:12]
        self.description = {**source.description, "zoom": identities}
        self.classes, self.own_maps, self.notes = source.classes, source.own_maps, ()
        self._listed = {}

    @property
    def upright(self):
        """Whether the pictures are turned as their orientation tags say."""
        return self._source.upright

    def pictures(self, split):
        """The source's pictures, those of the sample alone, with the boxes that are attended to."""
        if not self._listed:
            self._look()
        return self._listed[split]

    def identity(self, picture):
        """The picture's in the source; its box is added to it by whoever plans the set."""
        return self._source.identity(picture)

    def folder_of(self, split):
        """As the source has it."""
        return self._source.folder_of(split)

    def content(self, picture):
        """The bytes of the picture's file."""
        return self._source.content(picture)

    def changed(self, picture):
        """When the picture's file was last changed."""
        return self._source.changed(picture)

    def read(self, picture, content=None):
        """As the source reads it: all of the picture."""
        return self._source.read(picture, content)

    def made_of(self, name):
        """As the source says it."""
        return self._source.made_of(name)

    def boxes(self, picture):
        """The boxes that the source has."""
        return self._source.boxes(picture)

    def __getstate__(self):
        # What worker processes need: they crop by the boxes that are there.
        return {**self.__dict__, "_looks": (), "_listed": {}}

    def _look(self):
        """Finds the boxes of all pictures that have none in `attended.csv` yet."""
        listed = {
            split: sharding.keyed_order(self._source.pictures(split), self._seed)[: self._limit] for split in SPLITS
        }
        for name in self.own_maps:
            if self.made_of(name) == "square":
                raise UserError(f"the maps {name} are those of the pictures' squares, which --zoom would not crop.")
        keys = [(split, one.id, one.bytes) for split, pictures in listed.items() for one in pictures]
        found = _read_rows(self._out / ATTENDED, self._digest)
        if not found.keys() >= set(keys):
            _check_out(self._out)
            with claimed(self._out):
                found = _read_rows(self._out / ATTENDED, self._digest, mend=True)
                every = ((split, picture) for split, pictures in listed.items() for picture in pictures)
                todo = [one for one, key in zip(every, keys, strict=True) if key not in found]
                found |= self._find(todo) if todo else {}
        for split, pictures in listed.items():
            crops = (found[split, picture.id, picture.bytes][0] for picture in pictures)
            self._listed[split] = [one._replace(box=crop or one.box) for one, crop in zip(pictures, crops, strict=True)]
        total, whole = len(keys), sum(found[key][1] for key in keys)
        if whole:
            tell(f"in {whole:,} of {total:,} pictures nothing stands out: they are used whole")

    def _find(self, todo):
        """Looks at pictures, batch by batch, and appends what is found to `attended.csv`."""
        path, found = self._out / ATTENDED, {}
        begun = path.is_file()
        batches = [todo[start : start + BATCH] for start in range(0, len(todo), BATCH)]
        with (
            open(path, "a", newline="", encoding="utf-8") as file,
            concurrent.futures.ThreadPoolExecutor() as pool,
            progress(total=len(todo), label="looking") as bar,
        ):
            writer = csv.writer(file, lineterminator="\n")
            if not begun:
                writer.writerow(HEADER)
            # The next batch is read while the network looks at this one.
            coming = [[pool.submit(self._seen, *one) for one in batch] for batch in batches[:1]]
            for batch, following in itertools.zip_longest(batches, batches[1:]):
                coming.append([pool.submit(self._seen, *one) for one in following or ()])
                read = [future.result() for future in coming.pop(0)]
                readable = [one for one in read if one]
                looked = iter(attended(self._looks, *map(list, zip(*readable, strict=True))) if readable else ())
                for (split, picture), of_picture in zip(batch, read, strict=True):
                    results = next(looked) if of_picture else [NOTHING]
                    last, whole = results[-1], any(one.whole for one in results)
                    box = [round(edge, 3) for edge in last.box]
                    writer.writerow([split, picture.id, picture.bytes, *last.crop, *box, int(whole), self._digest])
                    found[split, picture.id, picture.bytes] = None if last is NOTHING else last.crop, whole
                file.flush()
                bar.update(len(batch))
        return found

    def _seen(self, split, picture):
        """A picture as `Seen` and the pixels that its own box leaves, or `None`; `None` of one that is no picture."""
        try:
            pixels, maps = self._source.read(picture, self._source.content(picture))
        except UnreadablePicture:
            return None
        seen = Seen(pixels, maps, tuple(self._source.boxes(picture)), f"{split}/{picture.id}")
        if picture.box is None:
            return seen, None
        try:
            region = box_in_pixels(picture.box, *pixels.shape[1::-1])
        except ValueError as error:
            raise UnusableBox(f"{error} of the picture {picture.id!r}.") from None
        return seen, region


def _check_out(out):
    """Refuses a folder that holds a set without boxes of ours, or anything else."""
    if (out / ATTENDED).is_file():
        return
    if is_begun(out):
        raise UserError(f"{out} is a data set that was made without --zoom; choose another folder or delete it.")
    check_folder(out)
    if out.is_dir():
        check_unused(out)


def _read_rows(path, digest, mend=False):
    """What `attended.csv` has: from split, id and bytes of a picture to its crop and whether that is all of it.

    What a killed run left of a line is passed over, and cut off where the file is to be written to (`mend`).
    """
    if not path.is_file():
        return {}
    text = path.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    if mend and len(whole) < len(text):
        with open(path, "r+b") as file:
            file.truncate(len(whole))
    if not whole:
        if mend:
            path.unlink()
        return {}
    text = whole
    found, others = {}, set()
    try:
        rows = csv.DictReader(io.StringIO(text.decode("utf-8"), newline=""))
        if tuple(rows.fieldnames or ()) != HEADER:
            raise ValueError(f"its columns are {', '.join(rows.fieldnames or ())}")
        for row in rows:
            crop = tuple(int(row[name]) for name in HEADER[3:7])
            if crop != NOTHING.crop and not (0 <= crop[0] < crop[2] and 0 <= crop[1] < crop[3]):
                raise ValueError(f"{crop} of {row['id']!r} is no box")
            key = row["split"], row["id"], int(row["bytes"])
            found[key] = None if crop == NOTHING.crop else crop, row["whole"] == "1"
            others.add(row["looks"])
    except (ValueError, TypeError, KeyError, csv.Error) as error:
        raise UserError(f"{path} is damaged ({error}); delete it and give the command again.") from None
    if others - {digest}:
        raise UserError(f"{path.parent} holds the boxes of another --zoom; choose another folder or delete it.")
    return found

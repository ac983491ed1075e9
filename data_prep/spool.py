"""Brings the files of each shard's pictures together, for sources that cannot read one picture at a reasonable price.

Shards are a shuffle of all pictures. Where pictures lie compressed in groups (parquet), each shard would read nearly
all of the source. So the source is read once, from its beginning to its end, and each picture's bytes are appended to a
file that belongs to its shard. These files lie in the set's folder, take as much room as the source's pictures, and go
when the set is finished. The pictures that wait in memory are bounded by `HELD`, whatever the size of the source.
"""

import os
import shutil
import struct

from saliency_keras.console import UserError, progress
from saliency_keras.files import FULL

FOLDER = ".spool"
HELD = 128 * 2**20  # bytes of pictures that wait to be written
HEAD = struct.Struct("<QQ")  # the picture's number in its task, and the bytes that follow


def bytes_of(source, tasks):
    """About how many bytes the pictures of some tasks take besides their shards; 0 for most sources."""
    return 0 if source.one_by_one else sum(picture.bytes for task in tasks for picture in task.pictures)


def fill(source, tasks, folder):
    """Gathers the pictures of some tasks, unless they were gathered before.

    Args:
        source: The source.
        tasks: The `shards.Task`s that are to be done.
        folder: Folder of the data set.

    Returns:
        The folder to give to `shards.write_shard`; `None` for a source that reads picture by picture.

    Raises:
        UserError: If there is no room left, or the source is damaged.
    """
    if source.one_by_one:
        return None
    place = folder.absolute() / FOLDER  # workers may have another current folder
    if _is_whole(place, source, tasks):
        return place
    remove(folder)
    unfinished = folder / f"{FOLDER}.incomplete"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    owners = [(task, number) for task in tasks for number in range(len(task.pictures))]
    waiting, held = {}, 0
    pictures = [task.pictures[number] for task, number in owners]
    for at, content in progress(source.contents(pictures), total=len(pictures), label="reading the source"):
        task, number = owners[at]
        waiting.setdefault(task.files[0], []).append((number, content))
        held += len(content)
        if held > HELD:
            _append(waiting, unfinished)
            waiting, held = {}, 0
    _append(waiting, unfinished)
    os.replace(unfinished, place)
    return place


def contents_of(task, place):
    """What reads the pictures of a task that were gathered.

    Args:
        task: The `shards.Task`.
        place: What `fill` returned.

    Returns:
        A function from a `Picture` of the task to its bytes.
    """
    path, where = place / task.files[0], {}
    with open(path, "rb") as file:
        while head := file.read(HEAD.size):
            number, size = HEAD.unpack(head)
            where[task.pictures[number].id] = file.tell(), size
            file.seek(size, os.SEEK_CUR)

    def content(picture):
        offset, size = where[picture.id]
        with open(path, "rb") as file:
            file.seek(offset)
            return file.read(size)

    return content


def remove(folder):
    """Removes what was gathered in the folder of a data set."""
    shutil.rmtree(folder / FOLDER, ignore_errors=True)


def _is_whole(place, source, tasks):
    """Whether all of these tasks were gathered, from files that have not been changed since."""
    if not all((place / task.files[0]).is_file() for task in tasks):
        return False
    gathered = place.stat().st_mtime
    return all((source.changed(picture) or 0) < gathered for task in tasks for picture in task.pictures)


def _append(waiting, folder):
    try:
        for name, pictures in waiting.items():
            with open(folder / name, "ab") as file:
                for number, content in pictures:
                    file.write(HEAD.pack(number, len(content)))
                    file.write(content)
    except OSError as error:
        if error.errno in FULL:
            shutil.rmtree(folder, ignore_errors=True)
            raise UserError(
                f"there is no room left for the source's pictures in {folder}; make room and give the command again."
            ) from None
        raise

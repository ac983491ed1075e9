"""Lists the files of a folder: one rule for every command that takes a folder of pictures or maps.

Subfolders are entered and links are followed. A folder link that leads to a folder it lies in is a circle: it is listed
as one file that cannot be read, and not entered. Hidden files and folders are left out. Whether a file is a picture is
decided by its content (`saliency_keras.data.pictures`), not by its name.

A name on disk may be no UTF-8, and two names that look the same may differ in Unicode composition (é as one character
or as two). `text_of` gives a name as text that can be written anywhere; `name_key` gives what names are compared by.
"""

import errno
import os
import unicodedata
from pathlib import Path
from typing import NamedTuple


class Listed(NamedTuple):
    """One file of a folder.

    Attributes:
        name: Path below the folder, as on disk.
        bytes: Its size; 0 for a link that leads nowhere or in a circle.
    """

    name: str
    bytes: int


def files_below(folder, without=()):
    """Lists the files of a folder and of its subfolders.

    Args:
        folder: The folder.
        without: Folders that are not entered.

    Yields:
        `Listed`, in no order.

    Raises:
        OSError: If the folder or a subfolder cannot be listed.
    """
    real = os.path.realpath(folder)
    without = {os.path.realpath(one) for one in without}
    yield from _below(os.fspath(folder), "", (real,), without)


def _below(folder, below, entered, without):
    """Files of one folder; `entered` are the real paths of the folders on the way to it."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            name = os.path.join(below, entry.name)
            if _leads_nowhere(entry):
                yield Listed(name, 0)
            elif entry.is_dir():
                real = os.path.realpath(entry.path)
                if real in without:
                    continue
                if entry.is_symlink() and any(_is_within(one, real) for one in entered):
                    yield Listed(name, 0)
                else:
                    yield from _below(entry.path, name, (*entered, real), without)
            elif entry.is_file():
                yield Listed(name, entry.stat().st_size)


def _leads_nowhere(entry):
    """Whether an entry is a link whose target is not there, or a link in a circle."""
    if not entry.is_symlink():
        return False
    try:
        os.stat(entry.path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError as error:
        if error.errno == errno.ELOOP:
            return True
        raise
    return False


def _is_within(path, folder):
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def text_of(name):
    """A file name as text that can be written as UTF-8, even where the name on disk is not."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def name_key(name):
    """What a name is compared by: names that differ in Unicode composition only have the same key."""
    return composed(text_of(name))


def composed(text):
    """A text in Unicode composition NFC, so that é is the same text whether it was written as one character or two."""
    return unicodedata.normalize("NFC", text)


def stem_key(name):
    """What a path below a folder is compared by without its suffix, with `/` between folders."""
    return os.path.splitext(name_key(name).replace(os.sep, "/"))[0]


def shown(names, most=3):
    """Some names in one line: `a.txt, b.txt, c.txt and 4 more`."""
    names = [text_of(Path(name)) for name in names]
    further = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + further

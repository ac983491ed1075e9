"""Reads files from inside a tar or zip, where they lie: nothing is unpacked.

A tar is read by offset, a zip through its directory. Both are found by content, not by suffix. A compressed tar has no
place to read from but its beginning, and is refused.
"""

import functools
import os
import tarfile
import zipfile
import zlib
from typing import NamedTuple

from saliency_keras.console import UserError
from saliency_keras.data.bounded import check_zip_member


class Member(NamedTuple):
    """A file in an archive.

    Attributes:
        archive: Path of the archive.
        name: Its name in the archive, with `/` between folders.
        offset: Where it begins in a tar; `None` in a zip.
        bytes: Its size.
    """

    archive: str
    name: str
    offset: int | None
    bytes: int

    def __str__(self):
        return f"{self.archive}:{self.name}"

    def read(self):
        """The file's content.

        Raises:
            UserError: If the archive is damaged there.
        """
        if self.offset is None:
            try:
                check_zip_member(_zip(self.archive).getinfo(self.name))
                return _zip(self.archive).read(self.name)
            except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError, ValueError) as error:
                raise UserError(f"{self} cannot be read: {error}; unpack it first.") from None
        with open(self.archive, "rb") as file:
            file.seek(self.offset)
            return file.read(self.bytes)


def is_archive(path):
    """Whether a path is a tar, compressed or not, or a zip."""
    return os.path.isfile(path) and (zipfile.is_zipfile(path) or tarfile.is_tarfile(path))


def members_of(path):
    """Lists the files of an archive; hidden ones, and what a Mac adds, are left out.

    Args:
        path: Path of a tar or zip.

    Returns:
        A list of `Member`, in no order.

    Raises:
        UserError: If it is damaged, encrypted, or a compressed tar.
    """
    path = os.fspath(path)
    if zipfile.is_zipfile(path):
        entries = [one for one in _zip(path).infolist() if not one.is_dir()]
        if any(one.flag_bits & 1 for one in entries):
            raise UserError(f"{path} is encrypted; unpack it first.")
        found = [Member(path, one.filename, None, one.file_size) for one in entries]
    else:
        found = [Member(path, one.name, one.offset_data, one.size) for one in tar_members(path)]
    return [one for one in found if not _hidden(one.name)]


def tar_members(path, offset=0, size=None):
    """The files in a tar, or in one of `size` bytes that lies in another at `offset` from the outer one's start.

    Args:
        path: Path of the tar.
        offset: Where the inner tar begins.
        size: Its bytes, or `None` for all that follow.

    Yields:
        `tarfile.TarInfo`.

    Raises:
        UserError: If it is damaged or compressed.
    """
    try:
        with open(path, "rb") as file:
            if _compressed(path):
                raise UserError(f"{path} is compressed, so that nothing in it can be read in place; unpack it first.")
            file.seek(offset)
            with tarfile.open(fileobj=file, mode="r:") as tar:
                for member in tar:
                    if member.isfile():
                        yield member
                # tarfile takes a header that it cannot read for the end; behind the end there is nothing but zeros.
                end = offset + size if size is not None else os.fstat(file.fileno()).st_size
                if _anything(file, tar.offset, end):
                    raise tarfile.ReadError(f"no header at byte {tar.offset:,}")
    except tarfile.TarError as error:
        raise UserError(f"{path} is damaged or not whole: {error}; fetch it again.") from None


def without_top(names):
    """The part that all names of an archive begin with where it is one folder and nothing else, such as `photos/`."""
    tops = {name.removeprefix("./").split("/", 1)[0] for name in names}
    return f"{tops.pop()}/" if len(tops) == 1 and all("/" in name.removeprefix("./") for name in names) else ""


def _compressed(path):
    with open(path, "rb") as file:
        head = file.read(6)
    return head.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"))


def _hidden(name):
    parts = [part for part in name.split("/") if part != "."]
    return any(part.startswith(".") for part in parts) or "__MACOSX" in parts


@functools.lru_cache(maxsize=4)
def _zip(path):
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise UserError(f"{path} is damaged or not whole: {error}; fetch it again.") from None


def _anything(file, start, end):
    """Whether a byte between two places of a file is not zero."""
    file.seek(start)
    while start < end and (block := file.read(min(1 << 20, end - start))):
        if block.count(0) < len(block):
            return True
        start += len(block)
    return False

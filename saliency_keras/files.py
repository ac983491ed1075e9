"""Files and folders: whole files or none, one writer at a time, digests, and checks before any long work.

Nothing here imports Keras or TensorFlow.
"""

import contextlib
import errno
import hashlib
import os
from pathlib import Path

from saliency_keras.console import UserError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # what a full disk, a quota and a limit on files' sizes say
FILES_ALONE = os.name == "nt"  # Windows opens and locks files, not folders


def check_folder(folder):
    """Refuses, before any long work, a folder that could neither be written to nor made.

    Args:
        folder: Path where results are to go; it need not exist.

    Raises:
        UserError: If it, or the nearest folder above it that exists, is a file or is not writable.
    """
    there = next(one for one in (Path(folder), *Path(folder).absolute().parents) if one.exists())
    if not there.is_dir():
        raise UserError(f"{there} is a file; results go into a folder.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"the folder {there} cannot be written to.")


def check_file(path):
    """Refuses, before any long work, a file that could not be written.

    Args:
        path: Path of a file; neither it nor its folder need exist.

    Raises:
        UserError: If it is a folder, or its own could neither be written to nor made.
    """
    if Path(path).is_dir():
        raise UserError(f"{path} is a folder; --out is a file.")
    check_folder(Path(path).parent)


def sha256_of(path):
    """The sha256 of a file's content in hexadecimal digits, whatever the file is called."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def only_process(folder, wait=False):
    """Keeps other processes that ask for it too out of a folder until the block ends, however it ends.

    The system gives the lock back when a process is killed. It is the folder itself that is locked; on Windows, which
    locks files alone, a hidden file beside it, which is there as long as the block lasts.

    Args:
        folder: A folder that is there.
        wait: Whether to wait while another process has it.

    Raises:
        UserError: If another process has it and `wait` is `False`.
    """
    from filelock import lock_descriptor

    beside = None
    try:
        handle = os.open(folder, os.O_RDONLY)
    except PermissionError:
        if not FILES_ALONE:
            raise
        beside = Path(folder).absolute().with_name(f".{Path(folder).absolute().name}.lock")
        handle = os.open(beside, os.O_RDWR | os.O_CREAT)
    try:
        if not lock_descriptor(handle, blocking=wait):
            raise UserError(f"another process is writing {folder} just now; wait for it or choose another folder.")
        yield
    finally:
        os.close(handle)
        if beside:
            with contextlib.suppress(OSError):  # another process has it open, and will remove it
                beside.unlink()


@contextlib.contextmanager
def whole_file(path, mode="wb", **options):
    """Opens a file that appears under its name only when it is complete.

    It is written under one fixed hidden name beside `path`, flushed to disk and renamed when the block ends without an
    exception; otherwise it is removed. What a killed process leaves is overwritten by the next attempt.

    Args:
        path: The file's path.
        mode: `"wb"`, `"w"` or `"w+b"`.
        **options: Passed to `open`, for example `newline=""`.

    Yields:
        The open file.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.incomplete")
    if "b" not in mode:
        options.setdefault("errors", "backslashreplace")  # a name that is no UTF-8 must not cost a result
    try:
        with open(temporary, mode, **options) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # a full disk does not say which file it refused
        raise

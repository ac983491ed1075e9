"""Files and folders: whole files or none, one writer at a time, digests, and checks before any long work.

Nothing here imports Keras or TensorFlow.
"""

import contextlib
import errno
import hashlib
import json
import os
from pathlib import Path

from saliency_keras.console import UserError, did_you_mean

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # what a full disk, a quota and a limit on files' sizes say
FILES_ALONE = os.name == "nt"  # Windows opens and locks files, not folders
DEEPEST = 50  # levels of a JSON file that is read; what writes such files uses less than ten

_claims = []  # those that this process holds


def check_folder(folder):
    """Refuses, before any long work, a folder that could neither be written to nor made.

    Args:
        folder: Path where results are to go; it need not exist.

    Raises:
        UserError: If it, or the nearest folder above it that exists, is a file or is not writable, or its name is no
            UTF-8 text.
    """
    try:
        os.path.abspath(folder).encode()
    except UnicodeEncodeError:
        name = str(folder).encode("ascii", "backslashreplace").decode()
        raise UserError(f"the name of the folder {name} is not UTF-8; choose another name.") from None
    there = next(one for one in (Path(folder), *Path(folder).absolute().parents) if os.path.lexists(one))
    if not there.exists():
        raise UserError(f"{absent(there)}; choose another folder, or remove the link.")
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


def absent(path, what="folder"):
    """The beginning of a sentence on a path at which nothing is: that there is none, or a link that leads nowhere."""
    if os.path.islink(path):
        return f"{path} is a link to {os.readlink(path)}, where nothing is"
    return f"there is no {what} {path}"


def not_there(path, what="folder"):
    """A sentence on a path at which nothing is, with the name beside it that is most like it."""
    path, beside = Path(path), []
    with contextlib.suppress(OSError):
        beside = [one.name for one in path.parent.iterdir()]
    return f"{absent(path, what)}{did_you_mean(path.name, beside, written=path.with_name)}"


def sha256_of(path):
    """The sha256 of a file's content in hexadecimal digits, whatever the file is called."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def described(path):
    """A file's size and checksum, `{"bytes": …, "sha256": …}`."""
    return {"bytes": os.stat(path).st_size, "sha256": sha256_of(path)}


def read_json(path):
    """Reads a JSON file of named fields.

    Args:
        path: The file.

    Returns:
        The dictionary, nested `DEEPEST` levels at most.

    Raises:
        UserError: If it is missing, or holds something else.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}).") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid JSON: {error}.") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} is damaged: it holds no named fields.")
    if _deeper_than(content, DEEPEST):
        raise UserError(f"{path} is damaged: its fields are nested more than {DEEPEST} levels deep.")
    return content


def _deeper_than(content, levels):
    level = [content]
    for _ in range(levels):
        inner = (one.values() if isinstance(one, dict) else one for one in level)
        level = [one for values in inner for one in values if isinstance(one, dict | list)]
        if not level:
            return False
    return True


@contextlib.contextmanager
def claimed(folder):
    """Makes a folder if need be, and claims it for this process until the block ends, however it ends.

    Every command that writes several files into a folder does so in such a block, and looks at what is in the folder
    inside it. `whole_path`, with which all files are written, refuses to write into a claimed folder that has been
    removed or replaced meanwhile. Folders that were made and are still empty at the end are removed.

    Args:
        folder: The folder.

    Raises:
        UserError: If it can neither be written to nor made, or another process has claimed it.
    """
    folder = Path(os.path.abspath(folder))
    if not folder.is_dir():
        check_folder(folder)
    made = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    with only_process(folder) as identity:
        claim = (folder, identity)
        _claims.append(claim)
        try:
            check_claims(folder)
            yield
        finally:
            _claims.remove(claim)
            for one in made:
                with contextlib.suppress(OSError):  # it has something in it
                    one.rmdir()


def check_claims(path):
    """Refuses to go on where a claimed folder is not the one any more that was claimed.

    Args:
        path: A claimed folder, or what lies in it.

    Raises:
        UserError: If a folder that this process has claimed, and that holds `path`, was removed or replaced.
    """
    path = Path(os.path.abspath(path))
    for folder, identity in _claims:
        if folder in (path, *path.parents) and _identity(folder) != identity:
            raise UserError(
                f"the folder {folder} was removed or replaced while this process worked on it; nothing more is written "
                "there. Start the command again if you still want its results."
            )


def claims():
    """The claims that this process holds, for its workers."""
    return list(_claims)


def share_claims(held):
    """Has this process, a worker, heed the claims of the one that started it."""
    _claims.extend(held)


def _identity(place):
    try:
        found = os.stat(place)
    except OSError:
        return None
    return found.st_dev, found.st_ino


@contextlib.contextmanager
def only_process(folder, wait=False):
    """Keeps other processes that ask for it too out of a folder until the block ends, however it ends.

    The system gives the lock back when a process is killed. It is the folder itself that is locked; on Windows, which
    locks files alone, a hidden file beside it, which is there as long as the block lasts.

    Args:
        folder: A folder that is there.
        wait: Whether to wait while another process has it.

    Yields:
        What tells the folder that is locked from another one of the same name.

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
        yield _identity(folder if beside else handle)
    finally:
        os.close(handle)
        if beside:
            with contextlib.suppress(OSError):  # another process has it open, and will remove it
                beside.unlink()


def is_claimed(folder):
    """Whether another process writes a folder just now, as `only_process` knows it."""
    try:
        with only_process(folder):
            return False
    except UserError:
        return True
    except OSError:  # it cannot be locked here
        return False


@contextlib.contextmanager
def whole_path(path, hidden=None):
    """Gives the path of a hidden file that takes the place of `path` when the block ends without an exception.

    Otherwise it is removed. What a killed process leaves is overwritten by the next attempt.

    Args:
        path: The file's path.
        hidden: Name of the hidden file beside it, one fixed name by default.

    Yields:
        The hidden file's path.

    Raises:
        UserError: If the folder is claimed, and not the one any more that was claimed.
    """
    path = Path(path)
    temporary = path.with_name(hidden or f".{path.name}.incomplete")
    check_claims(path)
    try:
        yield temporary
        check_claims(path)
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(UserError, FileNotFoundError):
            check_claims(path)  # in a folder that is another one by now, it is another process's file
            temporary.unlink()
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # a full disk does not say which file it refused
        raise


@contextlib.contextmanager
def whole_file(path, mode="wb", **options):
    """Opens a file that appears under its name only when it is complete, flushed to disk; see `whole_path`.

    Args:
        path: The file's path.
        mode: `"wb"`, `"w"` or `"w+b"`.
        **options: Passed to `open`, for example `newline=""`.

    Yields:
        The open file.
    """
    if "b" not in mode:
        options.setdefault("errors", "backslashreplace")  # a name that is no UTF-8 must not cost a result
    with whole_path(path) as temporary, open(temporary, mode, **options) as file:
        yield file
        file.flush()
        os.fsync(file.fileno())

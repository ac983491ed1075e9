"""One writer at a time in a folder: other processes are refused, and a killed one leaves nothing locked."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from saliency_keras import files
from saliency_keras.console import UserError
from saliency_keras.files import claimed, only_process, whole_file

ROOT = Path(__file__).parents[1]
HOLD = """
import sys, time
from saliency_keras import files
if sys.argv[2] == "files alone":
    exec(sys.argv[3])
with files.only_process(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""
# What Windows does: a folder cannot be opened, and what is locked is a file.
FILES_ALONE = """
import os, pathlib
opened = os.open
def open_files_alone(path, *options):
    if pathlib.Path(path).is_dir():
        raise PermissionError(13, "Permission denied", str(path))
    return opened(path, *options)
os.open, files.FILES_ALONE = open_files_alone, True
"""


@pytest.fixture(params=["folders", "files alone"])
def system(request, monkeypatch):
    """What the system can lock."""
    if request.param == "files alone":
        monkeypatch.setattr(os, "open", os.open)
        monkeypatch.setattr(files, "FILES_ALONE", True)
        exec(FILES_ALONE, {"files": files})
    return request.param


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "beside" / "set").mkdir(parents=True)
    return tmp_path / "beside" / "set"


@pytest.fixture
def holder(folder, system):
    """Another process that has the folder."""
    words = [sys.executable, "-c", HOLD, folder, system, FILES_ALONE]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_another_process_is_refused_until_the_first_is_killed(folder, holder):
    with pytest.raises(UserError, match=f"^another process is writing {folder} just now; .*choose another folder.$"):
        only_process(folder).__enter__()
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with only_process(folder):
        pass
    assert not list(folder.iterdir())
    assert list(folder.parent.iterdir()) == [folder]


def test_who_waits_gets_it_once_the_other_is_gone(folder, holder):
    threading.Timer(0.5, holder.kill).start()
    began = time.monotonic()
    with only_process(folder, wait=True):
        assert time.monotonic() - began > 0.4


def test_the_lock_ends_with_the_block_however_it_ends_and_leaves_no_file(folder, system):
    with pytest.raises(ZeroDivisionError), only_process(folder):
        1 / 0  # noqa: B018
    (folder / "shard").touch()
    with only_process(folder), pytest.raises(UserError, match="another process is writing"):
        only_process(folder).__enter__()
    assert [path.name for path in folder.iterdir()] == ["shard"]
    assert list(folder.parent.iterdir()) == [folder]


def test_a_folder_that_may_not_be_opened_is_no_lock(folder, monkeypatch):
    def refuse(path, *options):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(PermissionError):
        only_process(folder).__enter__()


def test_a_claimed_folder_is_made_and_removed_again_if_nothing_came_into_it(tmp_path):
    with claimed(tmp_path / "runs" / "one"):
        assert (tmp_path / "runs" / "one").is_dir()
    assert not (tmp_path / "runs").exists()
    with claimed(tmp_path / "runs" / "one"), whole_file(tmp_path / "runs" / "one" / "result.txt", "w") as file:
        file.write("one")
    assert (tmp_path / "runs" / "one" / "result.txt").read_text() == "one"


def exchange(folder, instead):
    """Moves a folder away, and puts something else in its place."""
    folder.rename(folder.with_name("moved"))
    if instead != "nothing":
        other = folder.with_name("other") if instead == "a link to another folder" else folder
        other.mkdir()
        (other / "result.txt").write_text("of the second process")
        (other / ".result.txt.incomplete").write_text("half of what it writes")
        if other != folder:
            folder.symlink_to(other)


@pytest.mark.parametrize("instead", ["nothing", "another folder", "a link to another folder"])
def test_nothing_is_written_into_a_folder_that_took_the_place_of_the_claimed_one(folder, instead):
    refused = pytest.raises(UserError, match=f"the folder {folder} was removed or replaced")
    with claimed(folder), refused, whole_file(folder / "result.txt", "w"):
        exchange(folder, instead)
    if instead != "nothing":
        assert (folder / "result.txt").read_text() == "of the second process"
        assert (folder / ".result.txt.incomplete").read_text() == "half of what it writes"


def test_a_folder_whose_name_is_no_text_is_refused_before_it_is_made(tmp_path):
    name = os.fsdecode(b"run\xff")
    with pytest.raises(UserError, match=r"run\\udcff is not UTF-8"), claimed(tmp_path / name):
        pass
    assert not list(tmp_path.iterdir())


def test_what_is_not_there_is_told_with_the_name_beside_it_that_is_most_like_it(tmp_path):
    (tmp_path / "photos-fanin3").mkdir()
    told = files.not_there(tmp_path / "photos-fanni3", "run folder")
    assert told == f"there is no run folder {tmp_path / 'photos-fanni3'}; did you mean {tmp_path / 'photos-fanin3'}?"
    assert files.not_there(tmp_path / "other") == f"there is no folder {tmp_path / 'other'}."
    deeper = tmp_path / "nowhere" / "x"
    assert files.not_there(deeper, "picture") == f"there is no picture {deeper}."

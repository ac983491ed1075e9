"""The command: what it prints, its exit codes, and that killing it at any moment changes nothing in the end."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from data_prep import compact
from saliency_keras import console
from saliency_keras.data.manifest import Manifest

ROOT = Path(__file__).parents[2]


def command(*words):
    return [sys.executable, "-m", "data_prep.compact", *map(str, words)]


def test_command_makes_a_set_and_says_what_is_in_it(tree, tmp_path, capsys):
    (tree / "train" / "dog" / "broken.jpg").write_bytes(b"")
    compact.main([str(tree), str(tmp_path / "set"), "--saliency", "center", "--saliency", "uniform", "--workers", "1"])
    printed = capsys.readouterr().out
    assert "19 train + 9 val pictures of 3 classes at 144 px, raw, center, uniform" in printed
    assert "free" in printed
    assert "train: 18 pictures of 3 classes in 1 shard\n" in printed
    assert "skipped: 1 of 28 pictures, which cannot be read (see skipped.csv): dog/broken.jpg" in printed
    assert Manifest.load(tmp_path / "set").map_names == ("center", "uniform")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["absent", "set"], "there is no folder absent"),
        (["pictures", "set", "--saliency", "eyes"], "no saliency predictor 'eyes'"),
        (["pictures", "set", "--side", "1025"], "16 to 1024"),
        (["pictures", "set", "--side", "0"], "16 to 1024"),
        (["pictures", "set", "--side", "300", "--square", "256"], "--square 256, --shorter 256"),
        (["pictures", "set", "--codec", "gif"], "raw, jpeg or npy"),
        (["pictures", "set", "--workers", "-1"], "workers must be 0 or more"),
        (["pictures", "pictures/train"], "no data set of ours"),
        (["pictures", "pictures/train/cat/000.png/set"], "000.png is a file; results go into a folder"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(tree, tmp_path, monkeypatch, capsys, words, sentence):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SystemExit) as stopped:
        console.run(lambda: compact.main(words))
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_a_folder_that_may_not_be_written_is_told(tree, tmp_path, monkeypatch, capsys):
    def refused(*arguments, **options):
        raise PermissionError(13, "Permission denied", str(tmp_path / "set"))

    monkeypatch.setattr(Path, "mkdir", refused)
    with pytest.raises(SystemExit) as stopped:
        console.run(lambda: compact.main([str(tree), str(tmp_path / "set"), "--saliency", "center"]))
    assert stopped.value.code == 2
    assert capsys.readouterr().err == f"error: Permission denied ({tmp_path / 'set'}).\n"


def test_help_answers_without_tensorflow():
    script = "import sys; from data_prep import compact\ntry: compact.main(['--help'])\nexcept SystemExit: pass\n"
    script += "sys.exit(any(name in sys.modules for name in ('tensorflow', 'keras', 'numpy')))"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True).returncode == 0


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.005)


def start(*words):
    """The command as a process that leads a group of its own, its workers with it."""
    return subprocess.Popen(
        command(*words), cwd=ROOT, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def killed_and_run_again(words, tmp_path, times, seed):
    """Kills runs of a command at random moments and goes on with each in the same folder, until it is finished.

    Every other time the workers are killed with it; else they have to notice by themselves.

    Returns:
        How many shards were finished at each of the kills, and the contents of each finished set.
    """
    draw = random.Random(seed)
    begun = time.monotonic()
    assert start(words[0], tmp_path / "whole", *words[1:]).wait(240) == 0
    duration, sets, found = time.monotonic() - begun, [], []
    out = tmp_path / "killed0"
    while len(found) < times:
        process = start(words[0], out, *words[1:])
        try:
            assert process.wait(draw.uniform(0, duration)) == 0, process.stderr.read()
        except subprocess.TimeoutExpired:
            if len(found) % 2:
                os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            process.wait()
            if not (out / "manifest.json").exists():
                found.append(len(list(out.glob(".*-of-*.json"))) if out.is_dir() else 0)
        else:
            sets.append(contents(out))
            out = tmp_path / f"killed{len(sets)}"
    assert start(words[0], out, *words[1:]).wait(240) == 0
    return found, [*sets, contents(out)]


def test_killed_three_times_and_run_again_it_ends_with_the_same_bytes(make_tree, tmp_path):
    tree = make_tree(tmp_path / "pictures", train=20, val=5)
    words = [tree, "--saliency", "center", "--side", 32, "--shards", 12, "--workers", 2]
    found, sets = killed_and_run_again(words, tmp_path, times=3, seed=1)
    assert len(found) == 3
    assert all(one == contents(tmp_path / "whole") for one in sets)


def test_killed_twice_between_shards_and_run_again_it_ends_with_the_same_bytes(make_tree, tmp_path):
    tree, out = make_tree(tmp_path / "pictures", train=60, val=5), tmp_path / "killed"
    words = ["--saliency", "itti", "--side", 64, "--shards", 20, "--workers", 2]

    def finished():
        shards = (path for path in out.glob("*-of-*.tfrecord") if list(out.glob(f".{path.stem}*.json")))
        return {path.name: path.stat().st_mtime_ns for path in shards}

    for with_workers in (False, True):  # the second time; the first time they have to notice by themselves
        before = finished()
        process = start(tree, out, *words)
        wait_for(lambda: len(finished()) > len(before))  # noqa: B023
        if with_workers:
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.wait()
        assert before.items() <= finished().items()
        assert 0 < len(finished()) < 21, "a kill met no run at work"
    kept = finished()
    for folder in (out, tmp_path / "whole"):
        assert start(tree, folder, *words).wait(240) == 0
    assert kept.items() <= {path.name: path.stat().st_mtime_ns for path in out.glob("*-of-*")}.items()
    assert contents(out) == contents(tmp_path / "whole")


@pytest.mark.slow
def test_killed_at_twenty_random_moments_and_run_again_it_ends_with_the_same_bytes(make_tree, tmp_path):
    tree = make_tree(tmp_path / "pictures", train=40, val=8)
    words = [tree, "--saliency", "itti", "--side", 64, "--shards", 24, "--workers", 2]
    found, sets = killed_and_run_again(words, tmp_path, times=20, seed=0)
    assert len(found) == 20
    assert sum(0 < number < 26 for number in found) >= 5, "hardly a kill met a run at work"
    assert all(one == contents(tmp_path / "whole") for one in sets)


def workers_of(process):
    """Numbers of the worker processes of a run, from /proc; multiprocessing's resource tracker is none."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(status.read_text().rpartition(")")[2].split()[1])
            if parent == process.pid and b"spawn_main" in (status.parent / "cmdline").read_bytes():
                found.append(int(status.parent.name))
        except (FileNotFoundError, ProcessLookupError):
            continue  # gone meanwhile
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc to find worker processes in")
def test_a_killed_worker_is_told_in_a_sentence_and_the_next_run_goes_on(make_tree, tmp_path):
    tree = make_tree(tmp_path / "pictures", train=60, val=5)
    words = ["--saliency", "itti", "--side", 64, "--shards", 20, "--workers", 2]
    process = start(tree, tmp_path / "set", *words)
    wait_for(lambda: list((tmp_path / "set").glob(".*-of-*.json")))
    os.kill(workers_of(process)[0], signal.SIGKILL)
    assert process.wait(120) == 2
    error = process.stderr.read()
    assert error.startswith("error: a worker process was killed")
    assert error.count("\n") == 1
    assert not list((tmp_path / "set").glob(".*incomplete"))
    for folder in ("set", "whole"):
        assert start(tree, tmp_path / folder, *words).wait(240) == 0
    assert contents(tmp_path / "set") == contents(tmp_path / "whole")

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
    assert "train: 18 pictures of 3 classes in 1 shards" in printed
    assert "skipped: 1 pictures" in printed
    assert Manifest.load(tmp_path / "set").map_names == ("center", "uniform")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["absent", "set"], "there is no folder absent"),
        (["pictures", "set", "--saliency", "eyes"], "no saliency predictor 'eyes'"),
        (["pictures", "set", "--side", "300"], "16 to 256"),
        (["pictures", "set", "--codec", "gif"], "raw, jpeg or npy"),
        (["pictures", "pictures/train"], "no data set of ours"),
        (["pictures", "pictures/train/cat/000.png/set"], "Not a directory"),
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


@pytest.mark.slow
def test_killed_at_random_moments_and_run_again_it_ends_with_the_same_bytes(make_tree, tmp_path):
    """SIGKILL to the command alone: its workers have to notice by themselves."""
    tree = make_tree(tmp_path / "pictures", train=100, val=20)
    # Codec npy: its processes start without TensorFlow, in a tenth of the time; how shards appear is the same for all.
    words = [tree, "--saliency", "center", "--codec", "npy", "--side", 64, "--shards", 30, "--workers", 2]
    options = {"cwd": ROOT, "check": True, "stdout": subprocess.DEVNULL}
    subprocess.run(command(words[0], tmp_path / "whole", *words[1:]), **options)
    out = tmp_path / "killed"
    moments = random.Random(0)
    for finished in (0, 8, 20):
        process = subprocess.Popen(command(words[0], out, *words[1:]), cwd=ROOT, stdout=subprocess.DEVNULL)
        wait_for(lambda number=finished: len(list(out.glob(".*.json"))) > number)
        time.sleep(moments.uniform(0, 0.1))
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not (out / "manifest.json").exists()
    subprocess.run(command(words[0], out, *words[1:]), **options)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == {
        path.name: path.read_bytes() for path in (tmp_path / "whole").iterdir()
    }

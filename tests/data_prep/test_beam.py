"""The pipeline on Apache Beam: the bytes of the local command, whatever happens on the way, and sentences for mistakes.

What runs a pipeline skips where Apache Beam is not installed (`pip install .[beam]`); what its workers check does not.
"""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
from PIL import Image

from data_prep import beam, compaction, shards
from data_prep.sources.source import FolderSource
from saliency_keras import blas
from saliency_keras.console import UserError

ROOT = Path(__file__).parents[2]
needs_beam = pytest.mark.skipif(
    importlib.util.find_spec("apache_beam") is None, reason="apache_beam is not installed: pip install .[beam]"
)
MAPS = ["--saliency", "center", "--saliency", "uniform"]


def command(module, *words):
    return [sys.executable, "-m", f"data_prep.{module}", *map(str, words)]


def run(module, *words):
    return subprocess.run(command(module, *words), cwd=ROOT, capture_output=True, text=True, check=False)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def unfinished(folder, plan):
    """A folder as it is while a plan's shards are written; returns what the plan's file holds."""
    folder.mkdir()
    mark = json.dumps({"plan": plan.digest, "libraries": compaction.versions()})
    (folder / compaction.PLAN).write_text(mark)
    return mark


@needs_beam
@pytest.mark.slow
@pytest.mark.parametrize(("codec", "sides"), [("raw", ["--side", 64]), ("npy", ["--shorter", 340, "--side", 299])])
def test_pipeline_writes_the_bytes_of_the_local_command(make_tree, tmp_path, codec, sides):
    tree = make_tree(tmp_path / "pictures", train=20, val=4)
    (tree / "train" / "eel" / "broken.png").write_bytes(b"no picture")
    words = [*MAPS, "--shards", 4, "--codec", codec, *sides, "--seed", 3]
    local = run("compact", tree, tmp_path / "local", *words, "--workers", 2)
    piped = run("beam", os.path.relpath(tree, ROOT), tmp_path / "piped", *words)
    assert piped.returncode == 0, piped.stderr
    assert contents(tmp_path / "piped") == contents(tmp_path / "local")
    # Shards of both, then manifest, skipped.csv, checksums.npy and frames.npy.
    assert len(contents(tmp_path / "piped")) == 2 * (4 + 1) + 4
    last = [
        done.stdout.replace(str(tmp_path / name), "OUT").split() for done, name in ((piped, "piped"), (local, "local"))
    ]
    assert last[0][-30:] == last[1][-30:]
    assert "skipped: 1 of " in piped.stdout


@needs_beam
@pytest.mark.slow
def test_pipeline_crops_to_what_is_attended_to_as_the_local_command_does(make_tree, tmp_path):
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    pytest.importorskip(backend, reason=f"{backend} is not installed, on which Keras finds what is attended to")
    tree = make_tree(tmp_path / "pictures", train=8, val=4)
    words = ["--saliency", "uniform", "--shards", 2, "--side", 64, "--zoom", "center"]
    local = run("compact", tree, tmp_path / "local", *words, "--workers", 0)
    assert local.returncode == 0, local.stderr
    piped = run("beam", tree, tmp_path / "piped", *words)
    assert piped.returncode == 0, piped.stderr
    assert contents(tmp_path / "piped") == contents(tmp_path / "local")
    assert "attended.csv" in contents(tmp_path / "piped")


@needs_beam
@pytest.mark.slow
def test_pipeline_reads_parquet_files_as_the_local_command_does(make_tree, tmp_path):
    pyarrow, parquet = (pytest.importorskip(name) for name in ("pyarrow", "pyarrow.parquet"))
    tree = make_tree(tmp_path / "pictures", train=20, val=4)
    (tmp_path / "hub").mkdir()
    for split in ("train", "val"):
        files = sorted((tree / split).rglob("*.png"))
        columns = {
            "image": [{"bytes": one.read_bytes(), "path": one.name} for one in files],
            "label": [one.parent.name for one in files],
        }
        parquet.write_table(pyarrow.table(columns), tmp_path / "hub" / f"{split}.parquet", row_group_size=7)
    words = ["--saliency", "center", "--shards", 4, "--side", 48]
    piped = run("beam", os.path.relpath(tmp_path / "hub", ROOT), os.path.relpath(tmp_path / "piped", ROOT), *words)
    assert piped.returncode == 0, piped.stderr
    run("compact", tmp_path / "hub", tmp_path / "local", *words, "--workers", 0)
    assert contents(tmp_path / "piped") == contents(tmp_path / "local")


@needs_beam
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["whole pictures", "squares", "tars of squares"])
def test_pipeline_writes_the_bytes_of_the_local_command_with_maps_from_elsewhere(make_tree, tmp_path, kind):
    tree, maps = make_tree(tmp_path / "pictures", train=8, val=4), tmp_path / "maps"
    for number, picture in enumerate(sorted(tree.rglob("*.png"))):
        size = Image.open(picture).size if kind == "whole pictures" else (256, 256)
        place = maps / picture.relative_to(tree)
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.radial_gradient("L").rotate(number).resize(size).save(place)
    if kind == "tars of squares":
        (tmp_path / "packed").mkdir()
        for split in ("train", "val"):
            with tarfile.open(tmp_path / "packed" / f"{split}.tar", "w") as tar:
                tar.add(maps / split, split)
        maps = tmp_path / "packed"
    words = ["--saliency", "center", "--shards", 2, "--side", 64]
    local = run("compact", tree, tmp_path / "local", *words, "--maps", f"eyes={maps}", "--workers", 2)
    piped = run("beam", tree, tmp_path / "piped", *words, "--maps", f"eyes={os.path.relpath(maps, ROOT)}")
    assert piped.returncode == 0, piped.stderr
    assert contents(tmp_path / "piped") == contents(tmp_path / "local")
    of = "whole pictures" if kind == "whole pictures" else "pictures' central squares"
    for done in (local, piped):
        assert f"the maps eyes are those of the {of}, as their size says" in done.stdout
    assert run("compact", tree, tmp_path / "added", *words, "--workers", 2).returncode == 0
    assert run("add_map", tmp_path / "added", "--maps", f"eyes={maps}").returncode == 0
    there, added = contents(tmp_path / "piped"), contents(tmp_path / "added")
    assert there.keys() == added.keys()
    side_shards = [name for name in there if ".eyes." in name]
    assert len(side_shards) == 3
    assert [there[name] for name in side_shards] == [added[name] for name in side_shards]


@needs_beam
@pytest.mark.slow
def test_killed_at_any_place_and_run_again_it_ends_with_the_same_bytes(make_tree, tmp_path):
    tree = make_tree(tmp_path / "pictures", train=30, val=4)
    words = [tree, tmp_path / "killed", "--saliency", "gbvs", "--shards", 5]
    out = tmp_path / "killed"
    for whom in ("worker", "driver"):
        process = subprocess.Popen(
            command("beam", *words), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        until(lambda: list(out.glob(".*.incomplete/*")), process)
        if whom == "driver":
            process.kill()
            process.communicate()
            continue
        os.kill(next(iter(spawned_by(process.pid))), signal.SIGKILL)
        _, errors = process.communicate(timeout=200)
        assert process.returncode == 2
        assert errors.startswith("error: a worker process was killed")
        assert errors.count("\n") == 1
        assert not list(out.glob(".*.incomplete"))
    assert not (out / "manifest.json").exists()
    assert run("beam", *words).returncode == 0
    run("compact", tree, tmp_path / "local", *words[2:], "--workers", 2)
    assert contents(out) == contents(tmp_path / "local")


def until(there, process):
    deadline = time.monotonic() + 200
    while not there() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert process.poll() is None, process.communicate()


def spawned_by(parent):
    """Ids of the processes that write shards for a pipeline."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            of = int(stat.read_text().rpartition(")")[2].split()[1])
            words = (stat.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if of == parent and b"spawn_main" in words:
            yield int(stat.parent.name)


@needs_beam
@pytest.mark.slow
def test_local_command_finishes_what_a_pipeline_has_begun(make_tree, tmp_path):
    tree = make_tree(tmp_path / "pictures", train=20, val=4)
    words = [tree, tmp_path / "both", "--saliency", "center", "--shards", 3]
    assert run("beam", *words).returncode == 0
    whole = contents(tmp_path / "both")
    plan = compaction.make_plan(FolderSource(tree), ("center",), shards=3)
    shutil.rmtree(tmp_path / "both")
    unfinished(tmp_path / "both", plan)
    attempt = tmp_path / "both" / f".{plan.tasks[0].files[0]}.0123.incomplete"
    attempt.mkdir()
    (attempt / "half").write_bytes(b"a shard that was not finished")
    assert run("compact", *words, "--workers", 1).returncode == 0
    assert contents(tmp_path / "both") == whole


@needs_beam
@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--limt", "3"], "neither data_prep.beam nor Apache Beam has an option --limt"),
        (["--runner", "Storm"], "Unexpected pipeline runner: Storm"),
        (["--direct_running_mode", "multi_processing"], "Beam waits for ever"),
        (["--maps", "eyes=absent"], "absent"),
    ],
)
def test_a_mistake_is_one_sentence_and_writes_nothing(tree, tmp_path, words, sentence):
    done = run("beam", tree, tmp_path / "set", *words)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "set").exists()


@needs_beam
@pytest.mark.slow
def test_what_a_worker_meets_becomes_the_commands_sentence(tree, tmp_path):
    for picture in tree.rglob("*.png"):
        place = tmp_path / "maps" / picture.relative_to(tree)
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.open(picture).convert("L").save(place)
    (tmp_path / "maps" / "val" / "dog" / "001.png").write_bytes(b"no map")
    done = run("beam", tree, tmp_path / "set", "--maps", f"eyes={tmp_path / 'maps'}")
    assert done.returncode == 2
    assert done.stderr.startswith("error: the maps of 1 of the 9 pictures of val-00000-of-00001.tfrecord")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "set").exists()


def test_help_needs_no_beam_and_a_run_without_it_says_what_to_install(tree, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(SystemExit) as ended:
        beam.main(["--help"])
    assert ended.value.code == 0
    assert "Apache Beam's own" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"pip install \.\[beam\]"):
        beam.main([str(tree), str(tmp_path / "set")])
    assert not (tmp_path / "set").exists()


def test_a_compact_data_set_is_for_the_local_command(tmp_path):
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(UserError, match=r"data_prep\.compact writes it"):
        beam.main([str(tmp_path), str(tmp_path / "set")])


def test_worker_refuses_a_source_or_a_folder_that_is_not_the_one_the_pipeline_was_started_for(tree, tmp_path):
    asked = {"source": FolderSource(tree), "saliency": ("center",)}
    plan = compaction.make_plan(**asked)
    mark = unfinished(tmp_path / "set", plan)
    assert beam.planned([1, 0], asked, tmp_path / "set", mark) == [plan.tasks[1], plan.tasks[0]]
    with pytest.raises(UserError, match=r"finds no unfinished data set in .*absent"):
        beam.planned([0], asked, tmp_path / "absent", mark)
    with pytest.raises(UserError, match="another data set"):
        beam.check_mark(tmp_path / "set", mark.replace(plan.digest, "0" * 64))
    (tree / "train" / "cat" / "000.png").unlink()
    with pytest.raises(UserError, match="sees other pictures"):
        beam.planned([0], asked, tmp_path / "set", mark)


def test_worker_with_other_libraries_is_refused(tree, tmp_path, monkeypatch):
    plan = compaction.make_plan(FolderSource(tree), ("center",))
    mark = unfinished(tmp_path / "set", plan)
    versions = {**compaction.versions(), "pillow": "1.0"}
    monkeypatch.setattr(compaction, "versions", lambda: versions)
    with pytest.raises(UserError, match=r"has pillow 1\.0, the machine"):
        beam.check_mark(tmp_path / "set", mark)


def test_worker_with_a_processor_of_other_kernels_is_refused(tree, tmp_path, monkeypatch):
    plan = compaction.make_plan(FolderSource(tree), ("center",))
    mark = json.dumps({**json.loads(unfinished(tmp_path / "set", plan)), "kernels": blas.kernels()})
    (tmp_path / "set" / compaction.PLAN).write_text(mark)
    beam.check_mark(tmp_path / "set", mark)
    monkeypatch.setattr(blas, "kernels", lambda: "OpenBLAS Colossus, numpy valves")
    with pytest.raises(UserError, match=r"other kernels \(OpenBLAS Colossus, numpy valves\)"):
        beam.check_mark(tmp_path / "set", mark)


def test_attempt_that_outlived_its_pipeline_leaves_the_folder_alone(tree, tmp_path, monkeypatch):
    plan = compaction.make_plan(FolderSource(tree), ("center",))
    out = tmp_path / "set"
    mark = unfinished(out, plan)

    def finish_meanwhile(work, todo, workers, bar):
        shards.write_shard(todo[0], work.keywords["folder"], plan.source, plan.predictors)
        (out / compaction.PLAN).unlink()

    monkeypatch.setattr(beam, "in_workers", finish_meanwhile)
    monkeypatch.setattr(beam, "_Counters", lambda: None)
    with pytest.raises(UserError, match="finds no unfinished data set"):
        beam.write(plan.tasks[0], shards.write_shard, out, mark)
    assert not list(out.iterdir())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "Traceback (most recent call last):\n  File a\nOSError: [Errno 28] No space left on device: 'a'\n\nDuring "
            "handling …\n\nTraceback …\nOSError: [Errno 28] No space left on device: 'a' [while running 'write']\n",
            ("OSError", "[Errno 28] No space left on device: 'a'"),
        ),
        ("saliency_keras.console.UserError: none. [while running 'write-ptransform-1']", ("UserError", "none.")),
        ("data_prep.sources.UnusableMap: no map: it is grey", ("UnusableMap", "no map: it is grey")),
        ("Pipeline job-001 failed in state FAILED\n", ("RuntimeError", "Pipeline job-001 failed in state FAILED")),
        ("", ("RuntimeError", "it did not say why")),
    ],
)
def test_last_words_of_a_worker_are_found_in_what_a_runner_says(text, words):
    assert beam.last_words(text, "RuntimeError") == words

"""Thousands of damages over every file of a run folder: refused in a sentence, or the figures are what they were."""

import io
import json
import shutil
import zipfile

import h5py
import numpy as np
import pytest
from PIL import Image

from saliency_keras import run_folder, train
from saliency_keras.classify import main as classify
from saliency_keras.console import UserError
from saliency_keras.evaluate import main as evaluate
from saliency_keras.plot import main as plot
from saliency_keras.predict import main as predict
from saliency_keras.report import main as report
from saliency_keras.runs.run import Run, network_in
from tests.attacks.damages import damages, outcome, time_limit
from tests.runs_fixture import write_run
from tests.small_sets import write_small_set

EACH = 500  # damages of each file that every figure of a run is read from
DRIVEN = 8  # of each file, with which every command is run


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A set, and a run on it with another one of another seed."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "set").mkdir()
    write_small_set(folder / "set", side=120, codec="npy", classes=3, train=(12,), val=(9,), separable=True)
    words = ["rgb", "--data", str(folder / "set"), "--epochs", "1", "--batch", "12", "--set", "dense_units=8"]
    words += ["--set", "width_multiplier=0.125", "--set", "side=112"]
    for seed in "0", "1":
        train.main([*words, "--seed", seed, "--out", str(folder / seed)])
    return folder, words


@pytest.fixture
def run(trained, tmp_path):
    """A copy of the first run, to be damaged."""
    return shutil.copytree(trained[0] / "0", tmp_path / "run")


def foreign(trained, name):
    return [(trained[0] / "1" / name).read_bytes()]


def figures(folder):
    """All that is read from a run but its network."""
    run = Run.load(folder)
    said = run.predictions
    arrays = [said.ids, said.labels, said.ranks, said.first, run.scores(), *run.history.values()]
    return [run.figures(), run.config, run.summary, said.classes, said.split, *(one.tobytes() for one in arrays)]


@pytest.mark.parametrize("name", ["config.json", "history.csv", "predictions.h5", "summary.json"])
def test_a_damaged_file_is_refused_and_no_figure_changes(run, trained, name):
    before, path = figures(run), run / name
    content, refused = path.read_bytes(), 0
    for damaged in damages(content, EACH, seed=name, foreign=foreign(trained, name)):
        path.write_bytes(damaged)
        found = outcome(lambda: figures(run))
        refused += found is None
        assert found in (None, before), f"{name} says something else, and nobody was told"
    assert refused > 0.95 * EACH  # spaces between the summary's fields may be others
    path.write_bytes(content)
    assert figures(run) == before


@pytest.mark.parametrize("name", ["model.keras", "best.keras"])
def test_a_damaged_network_is_refused_before_anything_of_it_is_read(run, trained, name):
    path = run / name
    for damaged in damages(path.read_bytes(), EACH, seed=name, foreign=foreign(trained, name)):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=f"{name} is damaged or belongs to another run"):
            run_folder.checked(run, name)
    if name == "model.keras":
        with pytest.raises(UserError, match="is damaged or belongs to another run"), time_limit():
            network_in(run)


def commands(run, trained, place):
    """Every command that reads a run folder, as functions without arguments."""
    folder, words = trained
    picture = place / "picture.png"
    Image.new("RGB", (130, 120), (200, 10, 10)).save(picture)
    fresh = ["--epochs", "1", "--set", "fresh=top"]
    return {
        "evaluate": lambda: evaluate([str(run), "--against", str(folder / "1"), "--out", str(place / "e")]),
        "against": lambda: evaluate([str(folder / "1"), "--against", str(run), "--out", str(place / "a")]),
        "plot": lambda: plot([str(run), "--out", str(place / "curves.png")]),
        "report": lambda: report([str(run), "--out", str(place / "report.html")]),
        "classify": lambda: classify([str(run), str(picture), "--out", str(place / "c")]),
        "predict": lambda: predict([str(run), str(picture), str(place / "p")]),
        "init": lambda: train.main([*words, *fresh, "--init", str(run), "--out", str(place / "next")]),
        "resume": lambda: train.main([*words, "--out", str(run), "--resume"]),
    }


READS = {
    "config.json": ("evaluate", "against", "plot", "report", "classify", "predict", "init", "resume"),
    "history.csv": ("evaluate", "against", "plot", "report", "classify"),
    "predictions.h5": ("evaluate", "against", "report", "classify"),
    "model.keras": ("classify", "predict", "init"),
    "summary.json": ("evaluate", "against", "plot", "report", "classify", "predict", "resume"),
}


@pytest.mark.parametrize("name", READS)
def test_every_command_that_reads_a_damaged_file_ends_in_a_sentence(run, trained, tmp_path, name):
    path, driven = run / name, commands(run, trained, tmp_path)
    # Only what changes more than spaces: the last bytes of a summary are a line break.
    for damaged in damages(path.read_bytes()[:-1], DRIVEN, seed=f"{name}, driven", foreign=foreign(trained, name)):
        path.write_bytes(damaged)
        for command in READS[name]:
            if name == "summary.json" and outcome(lambda: Run.load(run)) is not None:
                continue
            with pytest.raises(UserError) as refused, time_limit():
                driven[command]()
            assert "\n" not in str(refused.value)
            assert str(run) in str(refused.value)
    assert not (tmp_path / "next").exists()


def test_predictions_of_another_run_are_not_taken_for_its_own(run, trained):
    for name in ("predictions.h5", "model.keras", "history.csv", "config.json"):
        shutil.copyfile(trained[0] / "1" / name, run / name)
        with pytest.raises(UserError, match=r"is damaged or belongs to another run.*take the file from a copy"):
            run_folder.checked(run, name)
        shutil.copyfile(trained[0] / "0" / name, run / name)


def without_sums(run):
    """The run as an earlier version wrote it: no checksums."""
    summary = json.loads((run / "summary.json").read_text())
    del summary["files"], summary["sha256"]
    (run / "summary.json").write_text(json.dumps(summary))
    return run


def test_a_run_without_checksums_is_read_and_its_accuracy_cannot_change_unseen(run, trained):
    """Ranks and first classes are compared with the scores, and Top-1 with the summary."""
    path, top1 = without_sums(run) / "predictions.h5", np.mean(Run.load(run).predictions.correct())
    content = path.read_bytes()
    with h5py.File(path) as file:
        places = [file[name].id.get_offset() for name in ("rank", "label", "top5")]
    draw = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(content)
        damaged[int(draw.choice(places)) + int(draw.integers(36))] ^= 1 << int(draw.integers(8))
        path.write_bytes(damaged)
        found = outcome(lambda: np.mean(Run.load(run).predictions.correct()))
        assert found in (None, top1)
    path.write_bytes(foreign(trained, "predictions.h5")[0])
    assert outcome(lambda: np.mean(Run.load(run).predictions.correct())) in (None, top1)


def test_half_of_the_checksums_is_no_run_of_an_earlier_version(run):
    for name in ("files", "sha256"):
        summary = json.loads((run / "summary.json").read_text())
        summary.pop(name)
        (run / "summary.json").write_text(json.dumps(summary))
        with pytest.raises(UserError, match="its figures are not those that its checksum names"):
            Run.load(run)
        run_copy = run.parent / "copy"
        shutil.copytree(run, run_copy)
        shutil.rmtree(run_copy)


def claims_terabytes(path, name):
    """A data set in an HDF5 file that claims 3 TiB, of which nothing is stored."""
    with h5py.File(path, "a") as file:
        file.pop(name, None)
        file.create_dataset(name, (3 << 40,), "u1", chunks=(1 << 20,), compression="gzip")


@pytest.mark.parametrize("name", ["id", "label", "rank", "top5", "scores"])
def test_predictions_that_claim_terabytes_are_refused_before_memory_is_taken(tmp_path, name):
    run = write_run(tmp_path / "run", pictures=20)
    claims_terabytes(run / "predictions.h5", name)
    assert (run / "predictions.h5").stat().st_size < 30_000
    with pytest.raises(UserError, match=r"predictions\.h5 is damaged"), time_limit():
        evaluate([str(run)])


def test_a_state_that_claims_terabytes_is_refused_before_memory_is_taken(tmp_path):
    from saliency_keras.training.state import load_state

    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (3 << 40,)})
    (tmp_path / "state").mkdir()
    with zipfile.ZipFile(tmp_path / "state" / "epoch-00001.npz", "w") as archive:
        archive.writestr("weights.npy", header.getvalue())
    with pytest.raises(UserError, match="claims the shape"), time_limit():
        load_state(tmp_path / "state", None)


@pytest.mark.parametrize("width", [10**12, 3 << 30])
def test_a_network_whose_layers_are_larger_than_its_weights_is_refused_before_memory_is_taken(run, width):
    path = without_sums(run) / "model.keras"
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    text = members["config.json"].decode()
    assert '"units": 8' in text
    members["config.json"] = text.replace('"units": 8', f'"units": {width}').encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(UserError, match=f"a layer of {width} units, and no weights"), time_limit():
        network_in(run)

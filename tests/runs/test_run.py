"""Reading run folders: what is there is read back, and what is no finished run is refused in one sentence."""

import dataclasses
import json
import pickle
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from saliency_keras.console import UserError
from saliency_keras.experiments import EXPERIMENTS
from saliency_keras.runs.folder import read_history
from saliency_keras.runs.labels import labels_of
from saliency_keras.runs.predictions import read_predictions
from saliency_keras.runs.run import Run
from saliency_keras.training.tasks.classification import write_predictions as written
from tests.runs_fixture import CLASSES, DIGEST, write_predictions, write_run


@pytest.fixture
def folder(tmp_path):
    return write_run(tmp_path / "fanin3", "fanin3", published={"top1": 0.4899}, epochs=4)


def as_in_the_thesis(folder, **changed):
    """Makes a run's `config.json` that of `fanin3` on a thousand classes, some fields of the experiment changed."""
    config = json.loads((folder / "config.json").read_text())
    config["experiment"] = json.loads(json.dumps(dataclasses.asdict(EXPERIMENTS["fanin3"].replace(**changed))))
    config["data"]["classes"] = 1000
    (folder / "config.json").write_text(json.dumps(config))
    return config


def test_a_run_is_read_back(folder):
    run = Run.load(folder)
    assert (run.name, run.maps, run.seed, run.of_strategy) == ("fanin3", "own", 0, {"top1": 0.4899})
    assert list(run.history)[:3] == ["epoch", "learning_rate", "loss"]
    np.testing.assert_array_equal(run.history["epoch"], [1, 2, 3, 4])
    assert run.summary["last"]["val_top1"] == run.history["val_top1"][-1]


@pytest.mark.parametrize("classes", [5, 6])
def test_a_run_tells_its_top5_only_where_it_can_be_wrong(tmp_path, classes):
    run = Run.load(write_run(tmp_path / "run", classes=CLASSES[:classes]))
    assert f"Top-1 {100 * run.top1:.1f}" in run.figures()
    assert ("Top-5" in run.figures()) == (classes == 6)
    assert 0 <= run.top5 <= 1  # history.csv has it whatever the number of classes


def test_excluded_classes_are_not_told_apart(tmp_path):
    folder = write_run(tmp_path / "run", classes=CLASSES[:6])
    config = json.loads((folder / "config.json").read_text())
    config["experiment"]["pictures"]["exclude_classes"] = [CLASSES[0]]
    (folder / "config.json").write_text(json.dumps(config))
    run = Run.load(folder)
    assert run.classes == 5
    assert "Top-5" not in run.figures()


def test_published_figures_belong_to_runs_with_the_paper_s_classes_size_schedule_and_network(folder):
    """Whatever the folder is called: 1,000 classes, 128 px, 90 epochs and every argument as the thesis has them."""
    published = {"top1": 0.4899, "top5": 0.7280}
    config = as_in_the_thesis(folder)
    assert Run.load(folder).published == published
    for changed in (
        {"side": 227},
        {"epochs": 20},
        {"batch": 32},
        {"learning_rate": 0.02},
        {"drops": (24, 45)},
        {"subtract_mean": True},
        {"dense_units": 512},
        {"keep_pool2": True},
        {"few_shot": "5"},
    ):
        as_in_the_thesis(folder, **changed)
        assert Run.load(folder).published == {}, changed
    for key, value in (("maps", "shuffled"), ("data", {**config["data"], "classes": 10})):
        (folder / "config.json").write_text(json.dumps({**config, key: value}))
        assert Run.load(folder).published == {}, key


def test_a_strategy_has_the_paper_s_figures_on_any_set(tmp_path):
    published = {"top1": 0.4899}
    folder = write_run(tmp_path / "run", "fanin3", published=published)
    for changed, expected in (({"keep_pool2": True}, {}), ({"keep_pool2": False, "dense_units": 8}, published)):
        config = json.loads((folder / "config.json").read_text())
        config["experiment"]["arguments"] = changed
        (folder / "config.json").write_text(json.dumps(config))
        assert Run.load(folder).of_strategy == expected
    config["experiment"]["subtract_mean"] = True  # RGB and RGB* of Table 4.1 differ by nothing else
    (folder / "config.json").write_text(json.dumps(config))
    assert Run.load(folder).of_strategy == {}


def test_predictions_have_room_for_the_names_of_ten_thousand_classes(tmp_path):
    names = tuple(f"Animalia_Chordata_Aves_{number:05d}" for number in range(10_000))
    scores = np.random.default_rng(0).normal(size=(3, len(names))).astype("float32")
    manifest = SimpleNamespace(classes=names, digest=lambda: "d1" * 32)
    inputs = {"image": np.zeros((3, 2, 2, 3), np.uint8)}
    reader = SimpleNamespace(
        validation=lambda: [(inputs, None)], manifest=manifest, classes=names, split="val",
        ids_and_labels=lambda: (["a", "b", "c"], np.array([5, 6, 7])),
    )  # fmt: skip
    model = SimpleNamespace(predict_on_batch=lambda inputs: scores)
    written(SimpleNamespace(model=model, named=lambda outputs: {"logits": outputs}, taken=dict), reader, tmp_path)
    assert read_predictions(tmp_path / "predictions.h5").classes == names


def test_predictions_hold_every_picture_with_its_rank_and_class_names(folder):
    predictions = Run.load(folder).predictions
    assert predictions.classes == CLASSES
    assert (predictions.split, predictions.data) == ("val", DIGEST)
    assert predictions.ids[:2].tolist() == ["val/0000", "val/0001"]
    np.testing.assert_array_equal(predictions.correct(1), predictions.first[:, 0] == predictions.labels)
    among_first = (predictions.first == predictions.labels[:, None]).any(axis=1)
    np.testing.assert_array_equal(predictions.correct(5), among_first)


def test_predictions_are_brought_into_another_runs_order(tmp_path, folder):
    run, other = Run.load(folder), write_run(tmp_path / "other", "rgb", data="another compaction")
    draw = np.random.default_rng(0)
    shuffled, labels = draw.permutation(210), np.arange(210) % 7
    scores = draw.normal(size=(210, 7))
    ids = [f"val/{index:04d}" for index in shuffled]
    write_predictions(other / "predictions.h5", scores, labels[shuffled], CLASSES, ids=ids, data="another")
    other = Run.load(other)
    ordered = other.predictions.in_order_of(run.predictions)
    assert ordered.ids.tolist() == run.predictions.ids.tolist()
    by_id = dict(zip(ids, other.predictions.ranks, strict=True))
    assert ordered.ranks.tolist() == [by_id[one] for one in run.predictions.ids]
    back = run.predictions.in_order_of(other.predictions)
    assert back.ids.tolist() == ids


def test_runs_over_other_pictures_labels_or_classes_are_refused_with_the_data_sets(tmp_path, folder):
    predictions = Run.load(folder).predictions
    fewer = Run.load(write_run(tmp_path / "fewer", pictures=203, data="ab" * 32))
    with pytest.raises(UserError, match=r"other pictures \(203 pictures in common of 203 and 210; .*abab.* and d1d1"):
        fewer.predictions.in_order_of(predictions)
    renamed = Run.load(write_run(tmp_path / "renamed", classes=("a", "b", "c", "d", "e", "f", "g")))
    with pytest.raises(UserError, match="classes differ"):
        renamed.predictions.in_order_of(predictions)
    write_predictions(fewer.folder / "predictions.h5", np.zeros((210, 7)), np.zeros(210, int), CLASSES)
    with pytest.raises(UserError, match="other labels"):
        Run.load(fewer.folder).predictions.in_order_of(predictions)


def test_what_is_no_finished_run_is_refused(tmp_path, folder):
    with pytest.raises(UserError, match="there is no run folder"):
        Run.load(tmp_path / "nowhere")
    with pytest.raises(UserError, match="no run folder"):
        Run.load(tmp_path)
    for command, advice in {
        "python -m saliency_keras.train fanin3": "train fanin3 --resume`",
        "saliency-keras train fanin3": "saliency-keras train fanin3 --resume`",
        "python -m saliency_keras.reproduce controls": "reproduce controls`",
    }.items():
        stopped = write_run(tmp_path / advice[:20].replace(" ", "-"), command=command)
        (stopped / "summary.json").unlink()
        with pytest.raises(UserError, match=f"not finished.*{advice}"):
            Run.load(stopped)
    (folder / "summary.json").unlink()
    with pytest.raises(UserError, match="not finished"):
        Run.load(folder)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.json", "{"),
        ("config.json", "[]"),
        ("config.json", '{"experiment": "fanin3"}'),
        ("summary.json", "null"),
        ("history.csv", ""),
        ("history.csv", "epoch,loss\n"),
        ("history.csv", "epoch,loss\n1,abc\n"),
        ("history.csv", "epoch,loss\n1,2,3\n"),
        ("history.csv", "epoch,loss\n1,2\n2\n"),
        ("history.csv", "epoch,loss\n1,2\n3,1\n"),
        ("history.csv", "step,loss\n1,2\n"),
    ],
)
def test_a_damaged_file_is_refused_by_name(folder, file, content):
    (folder / file).write_text(content)
    with pytest.raises(UserError, match=file):
        Run.load(folder)


def test_empty_cells_and_nan_are_read_as_nan(folder):
    (folder / "history.csv").write_text("epoch,loss,val_nss\n1,nan,\n2,inf,0.5\n")
    history = read_history(folder / "history.csv")
    np.testing.assert_array_equal(history["val_nss"], [np.nan, 0.5])
    np.testing.assert_array_equal(history["loss"], [np.nan, np.inf])


def test_damaged_predictions_are_refused_when_they_are_asked_for(folder):
    path = folder / "predictions.h5"
    whole = path.read_bytes()
    damages = [b"not HDF5", whole[:200], whole[: len(whole) // 2], pickle.dumps({"id": []})]
    for content in damages:
        path.write_bytes(content)
        run = Run.load(folder)
        with pytest.raises(UserError, match=r"predictions\.h5"):
            _ = run.predictions
    path.unlink()
    run = Run.load(folder)
    with pytest.raises(UserError, match=r"no predictions\.h5"):
        _ = run.predictions


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("label", np.full(210, 7)),
        ("rank", np.full(210, -1)),
        ("rank", np.zeros(210)),
        ("label", np.zeros(209, int)),
        ("id", [b"same"] * 210),
        ("top5", np.zeros((210, 4), int)),
        ("rank", None),
    ],
)
def test_predictions_that_do_not_fit_together_are_refused(folder, name, values):
    with h5py.File(folder / "predictions.h5", "a") as file:
        del file[name]
        if values is not None:
            file[name] = values
    run = Run.load(folder)
    with pytest.raises(UserError, match="damaged"):
        _ = run.predictions


def test_predictions_never_read_another_file(tmp_path, folder):
    other = write_run(tmp_path / "other")
    with h5py.File(folder / "predictions.h5", "a") as file:
        del file["rank"]
        file["rank"] = h5py.ExternalLink(str(other / "predictions.h5"), "rank")
    run = Run.load(folder)
    with pytest.raises(UserError, match="not stored in the file itself"):
        _ = run.predictions


def test_labels_say_what_tells_the_runs_apart_and_no_more(tmp_path):
    def runs(*settings):
        base = tmp_path / str(len(list(tmp_path.iterdir())))
        return [Run.load(write_run(base / str(index), **setting)) for index, setting in enumerate(settings)]

    assert labels_of(runs({"name": "rgb"}, {"name": "fanin3"})) == ["rgb", "fanin3"]
    assert labels_of(runs({"maps": "own"}, {"maps": "shuffled"})) == ["fanin3", "fanin3, shuffled maps"]
    assert labels_of(runs({"maps": None}, {"maps": "shuffled"})) == ["fanin3", "fanin3, shuffled maps"]
    assert labels_of(runs({"seed": 0}, {"seed": 1})) == ["fanin3, seed 0", "fanin3, seed 1"]
    assert labels_of(runs({"precision": "float32"}, {"precision": "bfloat16"}, {"name": "rgb"})) == [
        "fanin3, precision float32",
        "fanin3, precision bfloat16",
        "rgb",
    ]
    assert labels_of(runs({}, {})) == ["fanin3, 0", "fanin3, 1"]


def test_labels_tell_overridden_settings_and_equal_folder_names_apart(tmp_path):
    first, second, third = (write_run(tmp_path / name / "run") for name in "abc")
    config = json.loads((second / "config.json").read_text())
    config["experiment"]["arguments"]["keep_pool2"] = True
    (second / "config.json").write_text(json.dumps(config))
    labels = labels_of([Run.load(folder) for folder in (first, second, third)])
    assert labels[1] == "fanin3, keep_pool2 True"
    assert labels[0] == f"fanin3, keep_pool2 False, {first}"
    assert len(set(labels)) == 3


def test_a_run_given_twice_is_refused(folder):
    with pytest.raises(UserError, match="given twice"):
        labels_of([Run.load(folder), Run.load(folder / ".." / folder.name)])

"""`classify`: what a run says of photographs is what its validation said of the same pictures."""

import json
import shutil

import h5py
import keras
import numpy as np
import pytest
from PIL import Image

from data_prep.add_map import add_map
from data_prep.compaction import compact
from data_prep.sources.source import FolderSource
from saliency_keras.classify import main
from saliency_keras.console import UserError
from saliency_keras.data.manifest import Manifest
from saliency_keras.data.pictures import read_picture
from saliency_keras.data.reader import Reader
from saliency_keras.data.shown import Shown
from saliency_keras.experiments import experiment
from saliency_keras.runs.classifier import Classifier
from saliency_keras.runs.run import Run
from saliency_keras.training.train import train
from tests.runs_fixture import unsealed, write_run
from tests.small_sets import as_version_1

CLASSES = ("bread", "<b>bold</b>", "cat", "dog", "egg", "fig")
SIZES = ((300, 256), (256, 256), (200, 320), (90, 70))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of pictures, six classes, sizes of all kinds; what tells the classes apart does not matter."""
    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for split, count in (("train", 18), ("val", 12)):
        for index in range(count):
            path = folder / split / CLASSES[index % 6].replace("/", "-") / f"{split}{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            coarse = random.integers(0, 256, (5, 6, 3), np.uint8)
            width, height = SIZES[index % 4]
            Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC).save(path)
    return folder


@pytest.fixture(scope="module")
def data(photos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("compact") / "set"
    compact(FolderSource(photos), folder, saliency=("itti",), side=136, workers=0)
    add_map(folder, "itti", "coarse", workers=0)  # predicted on the stored pictures
    return folder


@pytest.fixture(scope="module")
def framed(photos, tmp_path_factory):
    """The same pictures scaled to 300 px, cut to 224 px and stored at 136 px."""
    folder = tmp_path_factory.mktemp("framed") / "set"
    compact(FolderSource(photos), folder, saliency=("itti",), shorter=300, square=224, side=136, workers=0)
    return folder


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    """`trained(name, maps, on)`: folder of a finished run of one epoch, on another set than the usual one if given."""
    runs = tmp_path_factory.mktemp("runs")

    def run(name="fanin2", maps="own", on=data):
        folder = runs / f"{name}-{maps}-{on.parent.name}"
        if not folder.exists():
            chosen = experiment(name).lasting(1).replace(batch=9, parents={}).showing(maps)
            train(chosen.with_settings(["side=128", "dense_units=16", "width_multiplier=0.125"]), on, folder)
        return folder

    return run


@pytest.mark.slow
@pytest.mark.parametrize(("name", "maps"), [("fanin2", "own"), ("rgb", "own"), ("fanin2", "center")])
def test_validation_pictures_get_the_labels_and_scores_of_the_run_s_predictions(trained, photos, name, maps):
    folder = trained(name, maps)
    classifier = Classifier(folder)
    with h5py.File(folder / "predictions.h5") as file:
        ids, first, scores = file["id"].asstr()[:], file["top5"][:], file["scores"][:].astype("float64")
    for identity, expected, logits in zip(ids, first, scores, strict=True):
        found = classifier(read_picture(photos / "val" / identity))
        assert found.classes == tuple(classifier.classes[index] for index in expected)
        probabilities = np.exp(logits) / np.exp(logits).sum()
        np.testing.assert_allclose(found.probabilities, probabilities[expected], rtol=0.01, atol=1e-3)
        assert found.grad_cam.shape == found.picture.shape[:2] == (128, 128)


@pytest.mark.slow
@pytest.mark.parametrize("maps", ["own", "center", "coarse"])
def test_a_photograph_is_prepared_as_the_reader_gives_it(trained, photos, data, maps):
    classifier = Classifier(trained("fanin2", maps))
    reader = Reader(Manifest.load(data), "val", 128, 32, Shown.parse(maps))
    ((inputs, _),) = list(reader.validation())
    for index, identity in enumerate(reader.ids_and_labels()[0]):
        picture, saliency = classifier.prepared(read_picture(photos / "val" / identity))
        np.testing.assert_array_equal(picture, inputs["image"][index])
        np.testing.assert_array_equal(saliency, inputs["saliency"][index, ..., 0])


@pytest.mark.slow
def test_a_photograph_is_prepared_in_the_framing_of_the_run_s_set(trained, photos, data, framed):
    classifier, usual = Classifier(trained(on=framed)), Classifier(trained())
    reader = Reader(Manifest.load(framed), "val", 128, 32)
    ((inputs, _),) = list(reader.validation())
    for index, identity in enumerate(reader.ids_and_labels()[0]):
        pixels = read_picture(photos / "val" / identity)
        picture, saliency = classifier.prepared(pixels)
        np.testing.assert_array_equal(picture, inputs["image"][index])
        np.testing.assert_array_equal(saliency, inputs["saliency"][index, ..., 0])
        assert not np.array_equal(picture, usual.prepared(pixels)[0])


@pytest.mark.slow
def test_a_run_and_a_set_of_an_earlier_version_classify_as_before(trained, photos, data, tmp_path):
    folder, old = unsealed(shutil.copytree(trained(), tmp_path / "run")), shutil.copytree(data, tmp_path / "set")
    as_version_1(old)
    config = json.loads((folder / "config.json").read_text())
    assert config["data"].pop("framing") == {"shorter": 256, "square": 256, "stored": 136, "boxes": None}
    config["data"]["folder"] = str(old)
    (folder / "config.json").write_text(json.dumps(config))
    assert Run.load(folder).data_set().map_names == ("itti", "coarse")
    before, now = Classifier(folder), Classifier(trained())
    for path in (photos / "val").rglob("*.png"):
        for one, other in zip(before.prepared(read_picture(path)), now.prepared(read_picture(path)), strict=True):
            np.testing.assert_array_equal(one, other)
    assert before.map_source == now.map_source == "itti"


@pytest.mark.slow
def test_prints_the_five_best_and_draws_one_figure_a_photograph(trained, photos, tmp_path, capsys):
    chosen, folder = sorted((photos / "val").rglob("*.png"))[:2], trained()
    capsys.readouterr()
    main([str(folder), *map(str, chosen), "--out", str(tmp_path)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "saliency map: itti"
    assert lines[1].startswith("caution: fanin2 is at chance: ")  # one epoch of two steps teaches nothing
    assert sum(" %  " in line for line in lines) == 10
    shares = [float(line.split("%")[0]) for line in lines if " %  " in line][:5]
    assert shares == sorted(shares, reverse=True)
    for path in chosen:
        with Image.open(tmp_path / f"{path.stem}.png") as figure:
            assert len(figure.getcolors(1 << 24)) > 1000


@pytest.mark.slow
def test_says_which_map_the_network_is_shown(trained):
    assert Classifier(trained("rgb")).map_source == "none, the network sees no map"
    assert Classifier(trained("fanin2", "center")).map_source == "center, the same for every picture, as in training"
    assert "(trained with those of other pictures)" in Classifier(trained("fanin2", "shuffled")).map_source
    assert Classifier(trained(), "center").map_source == "center, version 1 (trained with itti, version 1)"
    assert Classifier(trained("fanin2", "center"), "itti").map_source.endswith("(trained with center, version 1)")
    assert Classifier(trained("fanin2", "center"), "center").map_source == "center"
    with pytest.raises(UserError, match="no saliency predictor 'gbsv'"):
        Classifier(trained(), "gbsv")
    with pytest.raises(UserError, match="sees no map"):
        Classifier(trained("rgb"), "itti")


@pytest.mark.slow
def test_a_hallucinating_network_shows_its_own_map(trained, photos):
    classifier = Classifier(trained("scratch_sal_alexnet"))
    found = classifier(read_picture(next((photos / "val").rglob("*.png"))))
    assert "made by the network itself" in classifier.map_source
    model = keras.saving.load_model(trained("scratch_sal_alexnet") / "model.keras", compile=False)
    features = keras.Model(model.input, model.get_layer("saliency_map_enlarged").output)
    inside = features({"image": found.picture[None]})[0, ..., 0]
    # Padded conv2 sees the picture around pixels 9 + 8i; there the map is what the features are multiplied with.
    np.testing.assert_allclose(found.saliency[9::8, 9::8][:14, :14], inside, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_a_run_whose_set_is_gone_or_whose_map_came_with_the_pictures_asks_for_a_predictor(trained, tmp_path):
    folder = unsealed(shutil.copytree(trained(), tmp_path / "run"))
    config = json.loads((folder / "config.json").read_text())
    config["data"]["folder"] = str(tmp_path / "gone")
    (folder / "config.json").write_text(json.dumps(config))
    assert Classifier(folder).map_source == "itti"
    config["data"]["maps"] = ["painted by hand"]
    (folder / "config.json").write_text(json.dumps(config))
    classifier, picture = Classifier(folder), np.zeros((200, 200, 3), np.uint8)
    with pytest.raises(UserError, match=r"'painted by hand'.*--predictor NAME"):
        classifier(picture)
    side = classifier.side
    found = classifier.classified(picture[:side, :side], np.zeros((side, side), np.uint8))  # of the set, map and all
    assert len(found.probabilities) == len(found.classes)
    assert Classifier(folder, "center").map_source.startswith("center")


@pytest.mark.slow
def test_scores_that_are_no_numbers_are_refused(trained, photos, tmp_path):
    folder = unsealed(shutil.copytree(trained("rgb"), tmp_path / "run"))
    model = keras.saving.load_model(folder / "model.keras", compile=False)
    model.set_weights([np.full_like(weight, np.nan) for weight in model.get_weights()])
    model.save(folder / "model.keras")
    with pytest.raises(UserError, match="no numbers"):
        main([str(folder), str(next((photos / "val").rglob("*.png")))])


@pytest.mark.slow
def test_what_is_no_picture_is_told_and_the_others_are_classified(trained, photos, tmp_path, capsys):
    text = tmp_path / "text.jpg"
    text.write_text("no picture")
    with pytest.raises(UserError, match="cannot be read as a picture"):
        main([str(trained("rgb")), str(text), "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()
    photo = next((photos / "val").rglob("*.png"))
    main([str(trained("rgb")), str(text), str(photo), "--out", str(tmp_path / "out")])
    assert "text.jpg cannot be read" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == [f"{photo.stem}.png"]
    with pytest.raises(UserError, match="no layer 'fc9'"):
        main([str(trained("rgb")), str(photo), "--layer", "fc9"])
    with pytest.raises(UserError, match="image is an input of the network; choose one of conv1"):
        main([str(trained("rgb")), str(photo), "--layer", "image"])


def test_mistakes_are_told_before_anything_is_loaded(tmp_path, photos):
    run = write_run(tmp_path / "run")
    photo = next((photos / "val").rglob("*.png"))
    twin = tmp_path / photo.name
    shutil.copy(photo, twin)
    for words, sentence in (
        ([run, tmp_path / "nowhere.jpg"], "no picture"),
        ([run, photo, twin], "would have one figure"),
        ([run, twin, "--out", tmp_path], "would overwrite"),
        ([tmp_path / "no run", photo], "no run folder"),
        ([run, photo], r"no model\.keras"),
        ([run, photo, "--out", photo], "is a file; results go into a folder"),
    ):
        with pytest.raises(UserError, match=sentence):
            main([str(word) for word in words])


def test_a_run_that_is_no_classifier_is_refused(tmp_path, photos):
    run = write_run(tmp_path / "run")
    (run / "predictions.h5").unlink()
    with pytest.raises(UserError, match="not the finished run of a classifier"):
        main([str(run), str(next((photos / "val").rglob("*.png")))])

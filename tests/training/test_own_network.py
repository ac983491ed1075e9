"""A network of one's own is trained, controlled, resumed and read as the thesis's are."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

import saliency_keras as sk
from saliency_keras.console import UserError
from saliency_keras.runs.classifier import Classifier
from saliency_keras.runs.run import Run
from saliency_keras.train import main
from tests.small_sets import write_small_set

ROOT = Path(__file__).parents[2]
SMALL = {"side": 32, "batch": 8, "epochs": 2, "drops": [], "learning_rate": 0.05}

MODULE = '''
import keras
from keras import layers


def build(classes, side, filters=4, saliency=True):
    inputs = [keras.Input((side, side, 3), name="image")]
    x = layers.Rescaling(1 / 255)(inputs[0])
    if saliency:
        inputs.append(keras.Input((side, side, 1), name="saliency"))
        x = layers.Concatenate()([x, layers.Rescaling(1 / 255)(inputs[1])])
    x = layers.Conv2D(filters, 3, strides=2, activation="relu")(x)
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, layers.Dense(classes)(x), name="mine")
'''

CUSTOM = '''
import keras
from keras import layers


@keras.saving.register_keras_serializable("mine")
class Halved(layers.Layer):
    def call(self, x):
        return x / 2


def build(classes, side):
    image = keras.Input((side, side, 3), name="image")
    x = layers.GlobalAveragePooling2D()(Halved()(layers.Rescaling(1 / 255)(image)))
    return keras.Model(image, layers.Dense(classes)(x))
'''


@pytest.fixture
def data(tmp_path):
    (tmp_path / "set").mkdir()
    write_small_set(tmp_path / "set", separable=True)
    return tmp_path / "set"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The current folder, with the module in it; forgotten afterwards."""
    (tmp_path / "my_networks.py").write_text(MODULE)
    (tmp_path / "my_layers.py").write_text(CUSTOM)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield tmp_path
    for name in ("my_networks", "my_layers"):
        sys.modules.pop(name, None)


def words(data, out, *more):
    settings = [f"--set={name}={value}" for name, value in SMALL.items()]
    return ["my_networks:build", "--data", str(data), "--out", str(out), *settings, *more]


def weights(folder):
    return keras.saving.load_model(folder / "model.keras").get_weights()


def in_another_process(code, cwd):
    return subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_module_s_function_is_trained_with_controls_and_its_arguments_are_settings(here, data, capsys):
    main(words(data, here / "own", "--set=filters=6"))
    assert "my_networks · own maps · set · seed 0: Top-1" in capsys.readouterr().out
    run = Run.load(here / "own")
    assert (run.name, run.maps, run.settings["filters"]) == ("my_networks", "own", 6)
    network = run.network()
    assert network.name == "mine"
    assert network.count_params() == 3 * 3 * 4 * 6 + 6 + 6 * 3 + 3
    main(words(data, here / "shuffled", "--maps", "shuffled"))
    assert Run.load(here / "shuffled").maps == "shuffled"
    with pytest.raises(UserError, match=r"sees no map, so --maps shuffled would change nothing"):
        main(words(data, here / "none", "--maps", "shuffled", "--set=saliency=false"))
    classified = Classifier(here / "own", maker="gbvs")(np.full((40, 50, 3), 90, "uint8"))
    assert classified.saliency.shape == (32, 32)
    page = sk.report([here / "own", here / "shuffled"], out=here / "report.html").read_text()
    assert "concatenate with the map" in page  # its diagram
    sk.evaluate(here / "own", here / "shuffled")


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_weights(here, data, monkeypatch):
    from saliency_keras.training import listeners

    main(words(data, here / "whole"))

    class Killed(Exception):
        pass

    save = listeners.save_state

    def kill(*arguments):
        save(*arguments)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(listeners, "save_state", kill)
        with pytest.raises(Killed):
            main(words(data, here / "killed"))
    main(words(data, here / "killed", "--resume"))
    for one, other in zip(weights(here / "whole"), weights(here / "killed"), strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(UserError, match="started with another"):
        main(words(data, here / "killed", "--resume", "--set=filters=5"))


@pytest.mark.slow
def test_a_function_in_python_is_an_experiment_and_its_run_loads_without_it(here, data):
    def tiny(classes, side):
        image = keras.Input((side, side, 3), name="image")
        return keras.Model(image, layers.Dense(classes)(layers.GlobalAveragePooling2D()(image)))

    run = sk.fit(tiny, data=data, out=here / "tiny", set=SMALL)
    assert run.name == "tiny"
    assert run.maps is None
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); import saliency_keras as sk; "
        f"run = sk.load({str(here / 'tiny')!r}); print(run.network().count_params(), sk.evaluate(run)[0].text)"
    )
    done = in_another_process(code, ROOT)
    assert done.stdout.startswith("12 tiny"), done.stderr


@pytest.mark.slow
def test_layers_of_ones_own_need_their_module_and_a_sentence_says_so(here, data):
    sk.fit("my_layers:build", data=data, out=here / "custom", set=SMALL)
    assert Run.load(here / "custom").network() is not None  # the module is imported here
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); import saliency_keras as sk; "
        f"run = sk.load({str(here / 'custom')!r}); sk.evaluate(run)\n"
        "try:\n    run.network()\nexcept sk.UserError as error:\n    print(error)"
    )
    done = in_another_process(code, ROOT)
    assert "layers of its own" in done.stdout, done.stderr
    assert "import my_layers" in done.stdout
    assert "Traceback" not in done.stderr


def test_what_is_no_network_is_refused_in_a_sentence(here, data):
    def image(side, channels=3, name="image"):
        return keras.Input((side, side, channels), name=name)

    def answer(x, classes, **options):
        return layers.Dense(classes, **options)(layers.GlobalAveragePooling2D()(x))

    def other_input(classes, side):
        x = image(side, name="photo")
        return keras.Model(x, answer(x, classes))

    def probabilities(classes, side):
        x = image(side)
        return keras.Model(x, answer(x, classes, activation="softmax"))

    def hidden_code(classes, side):
        x = image(side)
        return keras.Model(x, answer(layers.Lambda(lambda y: y / 2)(x), classes))

    def too_few(classes, side):
        x = image(side)
        return keras.Model(x, answer(x, classes - 1))

    def no_model(classes, side):
        return None

    def no_side(classes):
        return None

    expected = {
        other_input: "the inputs of .* are `image` and perhaps `saliency`. Received: photo",
        probabilities: "must give logits: leave the softmax of dense",
        hidden_code: "has the Lambda layer",
        too_few: "must give one logit for each of",
        no_model: "must give a Functional keras.Model. Received: NoneType",
        no_side: "must take `classes` and `side`",
    }
    for function, sentence in expected.items():
        with pytest.raises(UserError, match=sentence):
            sk.fit(function, data=data, out=here / "run", set=SMALL)
        assert not (here / "run").exists()
    for word, sentence in {
        "not_there:build": "there is no module not_there",
        "my_networks:other": "has no function other",
        "my_networks:buidl": "has no function buidl; did you mean build",
        "not_there.py:build": "there is no file not_there.py",
    }.items():
        with pytest.raises(UserError, match=sentence):
            main([word, "--data", str(data), "--out", "run"])

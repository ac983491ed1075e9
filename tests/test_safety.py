"""Data from strangers: attacks by run folders, data sets, archives, tables and names. None runs, none climbs out."""

import io
import json
import os
import pickle
import tarfile
import zipfile

import h5py
import numpy as np
import pytest
from PIL import Image

from data_prep import add_map, compact, compaction, verify
from data_prep.convert import convert
from data_prep.sources import open_source
from saliency_keras import predict
from saliency_keras.console import UserError
from saliency_keras.data.fixation_set import read_fixation_set
from saliency_keras.data.manifest import Manifest
from saliency_keras.data.stored import Records
from saliency_keras.evaluate import main as evaluate
from saliency_keras.plot import main as plot
from saliency_keras.report import main as report
from saliency_keras.runs.run import Run
from tests.runs_fixture import write_run
from tests.small_sets import write_small_set


class Attack:
    """A place to work in, and a trap: what must be nowhere else when the test ends.

    Attributes:
        folder: Where the test works; it is the current folder, and below it lie temporary files.
        trap: A file that each attack tries to make.
    """

    def __init__(self, outside):
        self.outside, self.folder, self.trap = outside, outside / "a" / "b" / "here", outside / "trap"
        (self.folder / "temporary").mkdir(parents=True)
        self.command = f"touch {self.trap}"

    def check(self):
        """Nothing is outside the folder but the way to it."""
        found = {path.relative_to(self.outside).as_posix() for path in self.outside.rglob("*")}
        assert {one for one in found if not one.startswith("a/b/here")} == {"a", "a/b"}

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.fixture
def attack(tmp_path, monkeypatch):
    attack = Attack(tmp_path / "outside")
    monkeypatch.chdir(attack.folder)
    monkeypatch.setattr("tempfile.tempdir", str(attack.folder / "temporary"))
    yield attack
    attack.check()


def tree(folder, names=("1.png", "2.png")):
    """An image folder of two classes."""
    for split in ("train", "val"):
        for number, label in enumerate(("cat", "dog")):
            (folder / split / label).mkdir(parents=True)
            for name in names:
                Image.new("RGB", (20, 20), (40 * number, 0, 0)).save(folder / split / label / name, "PNG")
    return folder


def test_the_trap_works(attack):
    pickle.loads(pickle.dumps(attack))
    assert attack.trap.exists()
    with pytest.raises(AssertionError):
        attack.check()
    attack.trap.unlink()


def lambda_model(attack, path):
    """A `.keras` file whose Lambda layer sets off the trap."""
    import keras

    source = f"lambda x: __import__('os').system({attack.command!r}) * 0.0 + x"
    image = keras.Input((8, 8, 3), name="image")
    keras.Model(image, keras.layers.Lambda(eval(source))(image)).save(path)
    attack.trap.unlink()


def run_loaders():
    from saliency_keras.models.backbones import feature_extractor
    from saliency_keras.runs.run import network_in
    from saliency_keras.saliency.run import RunPredictor

    return network_in, RunPredictor, lambda folder: feature_extractor(str(folder))


def run_folder(attack):
    """A run folder that lacks its network."""
    folder = attack.folder / "run"
    folder.mkdir()
    (folder / "config.json").write_text('{"experiment": {"name": "rgb"}}')
    (folder / "summary.json").write_text("{}")
    return folder


def refused_by_all(folder):
    for load in run_loaders():
        with pytest.raises(UserError, match="cannot be loaded"):
            load(folder)


def test_code_in_a_saved_network_is_refused(attack):
    import keras

    folder = run_folder(attack)
    lambda_model(attack, folder / "model.keras")
    refused_by_all(folder)
    assert not attack.trap.exists()
    keras.saving.load_model(folder / "model.keras", safe_mode=False)  # it is a real one
    assert attack.trap.exists()
    attack.trap.unlink()


@pytest.mark.parametrize(
    "config",
    [
        {"module": "os", "class_name": "system", "config": "touch trap", "registered_name": None},
        {"module": "os", "class_name": "system", "config": {"command": "touch trap"}, "registered_name": "system"},
        {
            "module": "builtins",
            "class_name": "eval",
            "config": {"source": "open('trap', 'w')"},
            "registered_name": None,
        },
        {
            "module": "keras.utils",
            "class_name": "get_file",
            "config": {"fname": "../trap", "origin": "file:///etc/hosts"},
        },
        {
            "module": "keras.utils",
            "class_name": "get_file",
            "config": {"fname": "trap", "origin": "file:///etc/hosts", "cache_dir": ".", "cache_subdir": "."},
        },
        {"module": "builtins", "class_name": "function", "config": "system", "registered_name": "function"},
    ],
)
def test_a_saved_network_that_names_a_function_instead_of_a_layer_is_refused(attack, config):
    folder = run_folder(attack)
    weights = io.BytesIO()
    h5py.File(weights, "w").close()
    with zipfile.ZipFile(folder / "model.keras", "w") as archive:
        archive.writestr("metadata.json", '{"keras_version": "3.15.0", "date_saved": "2026-01-01@00:00:00"}')
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", weights.getvalue())
    refused_by_all(folder)
    assert not (attack.folder / "trap").exists()


def test_members_of_a_saved_network_that_climb_out_stay_in(attack):
    import keras

    folder = run_folder(attack)
    image = keras.Input((8, 8, 3), name="image")
    keras.Model(image, keras.layers.Conv2D(1, 1)(image)).save(folder / "model.keras")
    with zipfile.ZipFile(folder / "model.keras", "a") as archive:
        for name in ("../trap", "../../trap", "assets/../../../trap", str(attack.trap)):
            archive.writestr(name, "climbed")
    for load in run_loaders():
        assert load(folder)
    assert not list(attack.outside.rglob("trap"))


def test_a_pickle_in_a_resume_state_is_refused(attack):
    import keras

    from saliency_keras.training.state import load_state, save_state, state_of

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.optimizer.build(model.trainable_variables)
    save_state(attack.folder / "state", state_of(model), [{"epoch": 1}])
    (path,) = (attack.folder / "state").glob("*.npz")
    (attack.folder / "state" / "index.json").unlink()  # of an earlier version: nothing says what the file should be
    with np.load(path) as file:
        arrays = {**file}
    np.savez(path, **{**arrays, next(iter(arrays)): np.array([attack], dtype=object)})
    with pytest.raises(UserError, match="is damaged"):
        load_state(attack.folder / "state", model)
    np.savez(path, **{**arrays, "history": np.array([attack], dtype=object)})
    with pytest.raises(UserError, match="is damaged"):
        load_state(attack.folder / "state", model)


def rewritten(folder, change):
    """Changes the fields of a manifest."""
    fields = json.loads((folder / "manifest.json").read_text())
    change(fields)
    (folder / "manifest.json").write_text(json.dumps(fields))


def described_anew(folder, name):
    """Has the manifest say of a shard what is there."""
    import hashlib

    content = (folder / name).read_bytes()

    def change(fields):
        (shard,) = (one for split in fields["splits"].values() for one in split["shards"] if one["file"] == name)
        shard.update(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())

    rewritten(folder, change)


def test_a_pickle_in_a_shard_is_refused(attack):
    folder = attack.folder / "set"
    folder.mkdir()
    write_small_set(folder, codec="npy", classes=2, train=(4,), val=(2,))
    name = "train-00000-of-00001.npy"
    np.save(folder / name, np.array([attack] * 4, dtype=object), allow_pickle=True)
    described_anew(folder, name)
    (folder / "archive").mkdir()
    np.savez(folder / "archive" / "x.npz", np.array([attack], dtype=object))
    for content in ((folder / name).read_bytes(), (folder / "archive" / "x.npz").read_bytes(), pickle.dumps(attack)):
        (folder / name).write_bytes(content)
        described_anew(folder, name)
        manifest = Manifest.load(folder)
        manifest.check_sums()
        with pytest.raises(UserError, match="is damaged"):
            Records(manifest, "train").ids([0])
        with pytest.raises(UserError, match="is damaged"):
            verify.main(["set"])
        with pytest.raises(UserError, match="is damaged"):
            add_map.main(["set", "--saliency", "center", "--workers", "0"])


def climbing(attack):
    return ("../../trap", str(attack.trap), "..", "x/../../../trap", "")


@pytest.mark.parametrize("place", ["splits", "side shards", "map's name"])
def test_a_manifest_that_names_what_is_not_in_its_folder_is_refused(attack, place):
    folder = attack.folder / "set"
    folder.mkdir()
    write_small_set(folder, codec="npy", classes=2, train=(4,), val=(2,))
    whole = (folder / "manifest.json").read_text()

    def change(fields, name):
        if place == "splits":
            fields["splits"]["train"]["shards"][0]["file"] = name
        elif place == "side shards":
            fields["maps"][1]["shards"]["val"][0]["file"] = name
        else:
            fields["maps"][1]["name"] = name

    for name in climbing(attack):
        (folder / "manifest.json").write_text(whole)
        rewritten(folder, lambda fields, name=name: change(fields, name))
        for use in (
            lambda: Manifest.load(folder),
            lambda: verify.main(["set"]),
            lambda: add_map.main(["set", "--saliency", "center", "--workers", "0"]),
            lambda: convert(folder, attack.folder / "other", "raw"),
        ):
            with pytest.raises(UserError, match="is damaged"):
                use()
    assert not (attack.folder / "other").exists()


def test_what_is_left_in_an_unfinished_set_cannot_name_files_elsewhere(attack):
    """Results beside a shard, made up by somebody else: they are not believed, the shard is made again."""
    out, source = attack.folder / "set", open_source(tree(attack.folder / "pictures"))
    plan = compaction.make_plan(source, ("center",))
    whole = compaction.compact(source, attack.folder / "whole", ("center",), workers=0).folder
    (attack.folder / "secret").write_bytes(b"1234")
    shard = {"file": "../secret", "records": 4, "bytes": 4, "sha256": "0" * 64}
    made_up = {"shards": [shard], "skipped": [], "per_class": [2, 2], "rgb_sums": [0] * 3, "map_sums": [0]}
    for content in (json.dumps(made_up), "[]", '{"shards": 1}', '{"shards": [[]]}', "[" * 10**5):
        out.mkdir(exist_ok=True)
        (out / ".plan.json").write_text(json.dumps({"plan": plan.digest, "libraries": compaction.versions()}))
        for task in plan.tasks:
            (out / task.results_file).write_text(content)
        manifest = compaction.compact(source, out, ("center",), workers=0)
        assert manifest.to_json() == Manifest.load(whole).to_json()
        for path in out.iterdir():
            path.unlink()


NAMES = ("$(touch trap).png", "; touch trap;.png", "`touch trap`.png", "-rf.png", "a\nb.png", "{0}%s.png", "$x^{$.png")


def test_names_of_pictures_and_classes_are_names_only(attack, capsys):
    pictures = tree(attack.folder / "pictures", NAMES)
    (pictures / "classes.csv").write_text("class,name\ncat,../../trap\ndog,\"=cmd|' /C touch trap'!A0\"\n")
    compact.main([str(pictures), "set", "--saliency", "center", "--workers", "1"])
    verify.main(["set"])
    assert "skipped: 0 of " in capsys.readouterr().out
    manifest = Manifest.load("set")
    assert manifest.classes == ("../../trap", "=cmd|' /C touch trap'!A0")
    ids = Records(manifest, "train").ids(range(14))
    assert {one.split("/", 1)[1] for one in ids} == set(NAMES)
    predict.main(["center", str(pictures / "train" / "cat"), "maps"])
    assert len(list((attack.folder / "maps").glob("*.png"))) == len(NAMES)
    assert not list(attack.outside.rglob("trap"))


def image_tar(folder, members, link=None):
    """`ILSVRC2012_img_val.tar` and the like: a tar of pictures under whatever names."""
    content = io.BytesIO()
    Image.new("RGB", (20, 20)).save(content, "JPEG")
    with tarfile.open(folder, "w") as tar:
        for name in members:
            member = tarfile.TarInfo(name)
            member.size = len(content.getvalue())
            tar.addfile(member, io.BytesIO(content.getvalue()))
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) if link else ():
            member = tarfile.TarInfo(f"link{kind.decode()}.JPEG")
            member.type, member.linkname = kind, link
            tar.addfile(member)
    return folder


def test_members_of_a_tar_that_climb_out_or_are_links_write_and_read_nothing_elsewhere(attack):
    folder = attack.folder / "imagenet"
    for wnid in ("n01440764", "n01443537"):
        (folder / "val" / wnid).mkdir(parents=True)
        Image.new("RGB", (20, 20)).save(folder / "val" / wnid / "1.png")
    (folder / "train").mkdir()
    Image.new("RGB", (33, 20)).save(attack.folder / "secret.png")
    names = ["../../../trap", str(attack.trap), "a/../../trap.JPEG", "n01440764_1.JPEG"]
    image_tar(folder / "train" / "n01440764.tar", names, link=str(attack.folder / "secret.png"))
    image_tar(folder / "train" / "n01443537.tar", ["../n01443537_1.JPEG"], link="../../secret.png")
    source = open_source(f"imagenet:{folder}")
    ids = {picture.id for picture in source.pictures("train")}
    first = {f"n01440764/{name}" for name in ("trap", "trap.JPEG", "n01440764_1.JPEG")}
    assert ids == {*first, "n01443537/n01443537_1.JPEG"}
    with pytest.raises(UserError, match="have the id 'n01440764/trap'"):  # two members of one name
        compaction.compact(source, attack.folder / "set", ("center",), workers=0)
    image_tar(folder / "train" / "n01440764.tar", names[1:], link=str(attack.folder / "secret.png"))
    source = open_source(f"imagenet:{folder}")
    manifest = compaction.compact(source, attack.folder / "set", ("center",), workers=0)
    assert manifest.splits["train"].per_class == (3, 1)
    assert not list(attack.outside.rglob("trap*"))


def test_a_tar_of_tars_that_climb_out_is_listed_by_their_names(attack):
    folder = attack.folder / "imagenet"
    folder.mkdir()
    inner = image_tar(attack.folder / "inner.tar", ["1.JPEG"]).read_bytes()
    with tarfile.open(folder / "ILSVRC2012_img_train.tar", "w") as tar:
        for name in ("../../n01440764.tar", "./n01443537.tar"):
            member = tarfile.TarInfo(name)
            member.size = len(inner)
            tar.addfile(member, io.BytesIO(inner))
    for wnid in ("n01440764", "n01443537"):
        (folder / "val" / wnid).mkdir(parents=True)
        Image.new("RGB", (20, 20)).save(folder / "val" / wnid / "1.png")
    source = open_source(f"imagenet:{folder}")
    assert source.classes == ("n01440764", "n01443537")
    assert [picture.id for picture in source.pictures("train")] == ["n01440764/1.JPEG", "n01443537/1.JPEG"]
    assert source.read(source.pictures("train")[1])[0].shape == (20, 20, 3)


def test_what_a_run_s_files_say_is_not_done(attack):
    names = [f"$(touch {attack.trap})", f"`touch {attack.trap}`; touch trap", "../../../trap", "__import__('os')"]
    runs = [
        write_run(attack.folder / str(number), name, seed=number, command=f"{name}; touch trap", data_folder=name)
        for number, name in enumerate(names)
    ]
    words = [str(run) for run in runs]
    plot([*words, "--out", "curves.png"])
    report([*words, "--out", "report.html"])
    evaluate([words[0], "--against", words[1]])
    (runs[0] / "summary.json").unlink()
    with pytest.raises(UserError, match="is not finished"):
        Run.load(runs[0])
    assert not list(attack.outside.rglob("trap"))


def test_a_fixation_table_that_names_pictures_elsewhere_is_refused(attack):
    folder = attack.folder / "fixations"
    (folder / "images").mkdir(parents=True)
    Image.new("RGB", (20, 20)).save(folder / "images" / "1.png")
    Image.new("RGB", (20, 20)).save(attack.folder / "secret.png")
    for name in ("../../secret.png", str(attack.folder / "secret.png")):
        (folder / "fixations.csv").write_text(f"image,subject,x,y\n{name},1,3,3\n")
        with pytest.raises(UserError, match="not in images/"):
            read_fixation_set(folder)


@pytest.mark.parametrize("content", ["[" * 10**5, '{"a":' * 10**5, "\0", "\ud800".encode("utf-8", "surrogatepass")])
def test_json_that_breaks_parsers_is_one_sentence(attack, content):
    content = content if isinstance(content, bytes) else content.encode()
    folder = attack.folder / "set"
    folder.mkdir()
    (folder / "manifest.json").write_bytes(content)
    with pytest.raises(UserError, match="is not valid JSON"):
        Manifest.load(folder)
    run = write_run(attack.folder / "run")
    for name in ("summary.json", "config.json"):
        (run / name).write_bytes(content)
        with pytest.raises(UserError, match="is not valid JSON"):
            Run.load(run)

"""What the tests share: quiet logs, the folder of real data where there is one, small trainings, a small disk."""

import gc
import multiprocessing
import os
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

import saliency_keras  # noqa: F401 - before Keras: it sets what TensorFlow reads when it is loaded

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("SALIENCY_KERAS_PRECISION", "float32")  # the same trainings on every processor

# On a processor, XLA compiles for longer than a small training on JAX lasts. So it optimises nothing in the tests, and
# one process finds what another one has compiled, in a folder that is removed when the tests end.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    COMPILED = tempfile.TemporaryDirectory(prefix="compiled-")
    os.environ |= {
        "JAX_COMPILATION_CACHE_DIR": COMPILED.name,
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }

# Where several processes share the files, the last ones begun should not be any of these, longest first.
LONGEST = (
    *("test_notebooks.py", "test_train.py", "test_reproduce.py", "test_salclassnet.py", "test_devices.py"),
    *("test_hallucination_runs.py", "test_interrupted.py", "test_contract.py", "test_backends.py", "test_compact.py"),
    *("test_attention_runs.py", "test_own_network.py", "test_steps.py", "test_seams.py", "test_guided.py"),
    *("test_accuracy_vs_saliency.py", "test_readouts.py", "test_tensorboard.py", "test_fixation_maps.py"),
    *("test_face.py", "test_specification.py", "test_walkthrough.py", "test_attention.py", "test_guidance.py"),
)


def pytest_collection_modifyitems(config, items):
    """In a process of pytest-xdist, puts the files that take longest first."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


def pytest_collection_finish():
    """Leaves the half million objects that imports made out of garbage collections: every training begins with one."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def shared_data():
    """The folder of real pictures beside the project (`../shared/data`); the test skips where it is absent."""
    folder = Path(__file__).parents[1].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real data for checks is absent: no folder {folder}")
    return folder


class SmallDisk:
    """A file system of its own in memory, whose size can be changed while it is used."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        ended = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True)
        if ended.returncode:
            pytest.skip(f"a small disk cannot be mounted here: {ended.stderr.decode().strip()}")

    @property
    def used(self):
        """Bytes that are in use."""
        found = os.statvfs(self.folder)
        return (found.f_blocks - found.f_bfree) * found.f_frsize

    def resize(self, size):
        """Makes it `size` bytes large, in whole pages; it cannot become smaller than what is in it."""
        options = f"remount,size={-(-int(size) // 4096) * 4096}"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", self.folder], check=True)


@pytest.fixture
def small_disk(tmp_path):
    """A `SmallDisk` of a mebibyte; the test skips where file systems cannot be mounted."""
    disk = SmallDisk(tmp_path / "disk")
    yield disk
    subprocess.run(["umount", "--lazy", disk.folder], check=True)


@pytest.fixture(scope="session")
def processes():
    """Starts processes that are copies of one that has loaded Keras and drawn a figure."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.warmed"])
    first = context.Process(target=os.getpid)  # it waits for what is loaded
    first.start()
    first.join()
    return context


@pytest.fixture(scope="session")
def small_training(tmp_path_factory):
    """The words of a small training on a small set, `--out` and what follows aside."""
    from tests.small_sets import write_small_set
    from tests.trainings import WORDS

    folder = tmp_path_factory.mktemp("set")
    write_small_set(folder, side=120, codec="npy", classes=2, train=(20, 12), val=(6,), separable=True)
    return ["fanin2", "--data", str(folder), *WORDS]


@pytest.fixture(scope="session")
def undisturbed(processes, small_training, tmp_path_factory):
    """A run of the small training that nothing happened to, and how many seconds it took."""
    from tests.trainings import run_command, what_counts

    out = tmp_path_factory.mktemp("undisturbed") / "run"
    begun = time.monotonic()
    process = processes.Process(target=run_command, args=([*small_training, "--out", str(out)],))
    process.start()
    process.join()
    seconds = time.monotonic() - begun
    assert process.exitcode == 0
    what_counts(out)  # all that belongs to a run is there
    return out, seconds

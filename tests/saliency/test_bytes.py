"""A map is the same bytes on any number of BLAS threads and in any batch, for every kernel that this processor can run.

BLAS reads its kernel and its number of threads when numpy is loaded, so that each pair of the two is a program of its
own. Kernels may differ from each other; what must not is one kernel from itself.
"""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import threadpoolctl

from saliency_keras import blas

ROOT = Path(__file__).parents[2]
# What a processor needs to run the kernels that OpenBLAS calls by these names.
NEEDED = {
    "Prescott": {"pni"},
    "Nehalem": {"sse4_2"},
    "Sandybridge": {"avx"},
    "Haswell": {"avx2", "fma"},
    "Zen": {"avx2", "fma"},
    "SkylakeX": {"avx2", "fma", "avx512f", "avx512dq", "avx512bw", "avx512vl", "avx512cd"},
}
PREDICTORS = ("gbvs", "itti", "aim", "sdlf", "center", "uniform")
MAPS = """
import hashlib, json, sys
import numpy as np
from data_prep.sources import popout
from saliency_keras.blas import kernels
from saliency_keras.metrics.points import Density, FixationPoints
from saliency_keras.saliency import predictor

draw = np.random.default_rng(0)
pictures = draw.integers(0, 256, (5, 90, 130, 3), np.uint8)

def digest(arrays):
    return hashlib.sha256(b"".join(np.ascontiguousarray(one).tobytes() for one in arrays)).hexdigest()

found = {}
for name in sys.argv[1:]:
    predict = predictor(name)
    found[name, "one batch"] = digest(predict(pictures))
    found[name, "other batches"] = digest([*predict(pictures[:2]), *predict(pictures[2:])])
    found[name, "one by one"] = digest(predict(pictures[[number]])[0] for number in range(5))
points = FixationPoints(draw.uniform(0, 300, 200), draw.uniform(0, 200, 200), 300, 200)
found["fixations", ""] = digest([Density.of(points, 9.0).values])
found["popout", ""] = digest(popout.make("train", 3)[:2])
print(json.dumps([kernels(), list(found.items())]))
"""


def kernels_of_this_processor():
    """Names of kernels that this processor can run; the one that BLAS chooses itself where nobody can say."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    flags = {word for line in lines if line.startswith("flags") for word in line.split()}
    return [name for name, needed in NEEDED.items() if needed <= flags] or [""]


@pytest.fixture(scope="module")
def made():
    """For each kernel, what one thread and what two threads made: `(kernels, {(what, how): digest})`."""
    running = {}
    for kernel in kernels_of_this_processor():
        for threads in ("1", "2"):
            chosen = {"OPENBLAS_CORETYPE": kernel, "OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads}
            environment = {**os.environ, **chosen, "MKL_NUM_THREADS": threads}
            command = [sys.executable, "-c", MAPS, *PREDICTORS]
            running[kernel, threads] = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE)
    answers = {}
    for which, process in running.items():
        out, _ = process.communicate()
        assert process.returncode == 0, which
        kernels, found = json.loads(out)
        answers[which] = kernels, {tuple(key): digest for key, digest in found}
    return {kernel: (answers[kernel, "1"], answers[kernel, "2"]) for kernel, _ in running}


@pytest.mark.parametrize("kernel", kernels_of_this_processor())
def test_maps_do_not_depend_on_the_number_of_threads(made, kernel):
    one_thread, two_threads = made[kernel]
    assert one_thread == two_threads


@pytest.mark.parametrize("kernel", kernels_of_this_processor())
@pytest.mark.parametrize("name", PREDICTORS)
def test_maps_do_not_depend_on_the_batch(made, kernel, name):
    for _, found in made[kernel]:
        assert found[name, "one batch"] == found[name, "other batches"] == found[name, "one by one"]


def test_kernels_are_told_apart_and_those_that_compute_alike_are_not(made):
    """Else the tests above would be of one kernel, under several names."""
    names = {kernel: made[kernel][0][0] for kernel in made}
    if not {"Nehalem", "Haswell"} <= names.keys() or "OpenBLAS" not in names["Haswell"]:
        pytest.skip("no two kernels of OpenBLAS can be run here")
    assert names["Nehalem"] != names["Haswell"]
    assert made["Nehalem"][0][1] != made["Haswell"][0][1]
    for kernel, other in zip(names, names, strict=True):
        if names[kernel] == names[other]:
            assert made[kernel] == made[other]


def test_pictures_of_popout_are_the_same_for_every_kernel(made):
    assert len({found["popout", ""] for both in made.values() for _, found in both}) == 1


def blas_threads():
    return {one["num_threads"] for one in threadpoolctl.threadpool_info() if one["user_api"] == "blas"}


@pytest.fixture
def two_threads():
    import scipy.linalg
    import scipy.ndimage  # noqa: F401, SciPy brings a BLAS of its own, which is to be there before threads are counted

    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        if blas_threads() != {2}:
            pytest.skip("BLAS takes no second thread here")
        yield


def test_one_thread_is_restored_when_the_outer_block_ends_however_it_ends(two_threads):
    def work():
        with blas.one_thread:
            with blas.one_thread:
                seen.append(blas_threads())
            seen.append(blas_threads())
            raise ZeroDivisionError

    seen = []
    with pytest.raises(ZeroDivisionError):
        work()
    assert seen == [{1}, {1}]
    assert blas_threads() == {2}


def test_blocks_of_several_threads_wait_for_each_other(two_threads):
    """Even where the caller has set a number of threads, which threadpoolctl then keeps other Python threads from."""
    seen, inside = [], threading.Event()

    def work():
        for _ in range(20):
            with blas.one_thread:
                inside.set()
                seen.append(blas_threads())

    others = [threading.Thread(target=work) for _ in range(3)]
    for other in others:
        other.start()
    inside.wait(10)
    work()
    for other in others:
        other.join()
    assert seen == [{1}] * 80
    assert blas_threads() == {2}
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        assert blas_threads() == {1}


def test_components_learned_for_aim_do_not_depend_on_the_number_of_threads(two_threads):
    from data_prep.learn_aim_basis import independent_components

    patches = np.random.default_rng(0).laplace(size=(3000, 200)).cumsum(axis=1)
    with_two, _ = independent_components(patches, 10, np.random.default_rng(1))
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        with_one, _ = independent_components(patches, 10, np.random.default_rng(1))
    np.testing.assert_array_equal(with_one, with_two)


def test_a_caller_keeps_its_threads_and_gets_the_maps_of_one(two_threads):
    from saliency_keras.saliency import predictor

    pictures = np.random.default_rng(0).integers(0, 256, (2, 90, 130, 3), np.uint8)
    with_two = predictor("itti")(pictures)
    assert blas_threads() == {2}
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        np.testing.assert_array_equal(predictor("itti")(pictures), with_two)

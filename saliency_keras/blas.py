"""Matrix products whose bytes do not depend on the number of threads, and what their bytes do depend on.

numpy leaves matrix products to a BLAS library. With several threads, BLAS cuts a product into parts, and kernels round
differently at the edge of a part: the last bits of a product follow from the number of threads. With one thread they
follow from the shapes, the values and the kernels alone, which BLAS chooses by the processor. So whatever claims to
give the same bytes multiplies inside `one_thread`, and `kernels` names the choice.
"""

import contextlib
import functools
import sys
import threading


class _OneThread(contextlib.ContextDecorator):
    """Context manager and decorator. Blocks may be nested; of several threads' blocks, one is at work at a time.

    The number of threads of BLAS belongs to the process, so that a block that ends must not give back threads to
    another one that is still at work.
    """

    def __init__(self):
        self._lock, self._blocks, self._before = threading.RLock(), 0, []

    def __enter__(self):
        self._lock.acquire()
        if not self._blocks:
            self._before = [(one, one.num_threads) for one in _libraries()]
            _set_threads((one, 1) for one, _ in self._before)
        self._blocks += 1

    def __exit__(self, *error):
        self._blocks -= 1
        if not self._blocks:
            _set_threads(self._before)
        self._lock.release()


one_thread = _OneThread()


def _libraries():
    """The BLAS libraries of this process: numpy's own, and SciPy's once a part of it is loaded that brings it."""
    return _found(*(f"scipy.{part}" in sys.modules for part in ("special", "linalg")))


@functools.cache
def _found(*parts_of_scipy):
    """The BLAS libraries, looked for once whatever parts of SciPy are loaded."""
    import numpy  # noqa: F401
    import threadpoolctl

    return tuple(threadpoolctl.ThreadpoolController().select(user_api="blas").lib_controllers)


def _set_threads(numbers):
    """Sets each library's number of threads; from here only, threadpoolctl would let one Python thread do so alone."""
    from threadpoolctl import OpenBLASController

    OpenBLASController.clear_controlling_thread(force=True)
    for library, number in numbers:
        library.set_num_threads(number)
    OpenBLASController.clear_controlling_thread(force=True)


@functools.cache
def kernels():
    """Names what the bytes of numpy's results depend on besides library versions.

    Returns:
        The kernels that numpy's BLAS chose for this processor and the vector instructions that numpy itself uses, such
        as `"OpenBLAS Haswell, numpy AVX2"`. BLAS names a kernel after the oldest processor that has it.
    """
    import numpy

    found = [one.info() for one in _libraries()]
    # SciPy brings a BLAS of its own.
    blas = next((one for one in found if "numpy" in one["filepath"]), found[0] if found else {})
    name = {"openblas": "OpenBLAS", "mkl": "MKL", "blis": "BLIS"}.get(blas.get("internal_api"), "unknown BLAS")
    extensions = numpy.show_config(mode="dicts").get("SIMD Extensions", {})
    used = {*extensions.get("baseline", ()), *extensions.get("found", ())}
    return f"{name} {blas.get('architecture') or ''}".rstrip() + f", numpy {_vectors(used)}"


def _vectors(extensions):
    """The widest vector instructions among numpy's names for them (numpy 2.4 changed some names)."""
    for word, names in (("AVX-512", {"X86_V4", "AVX512_SKX"}), ("AVX2", {"X86_V3", "AVX2"}), ("SVE", {"SVE"})):
        if extensions & names:
            return word
    return "baseline"

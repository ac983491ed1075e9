"""Matrix products whose bytes do not depend on the number of threads, and what their bytes do depend on.

numpy leaves matrix products to a BLAS library. With several threads, BLAS cuts a product into parts, and kernels round
differently at the edge of a part: the last bits of a product follow from the number of threads. With one thread they
follow from the shapes, the values and the kernels alone, which BLAS chooses by the processor. So whatever claims to
give the same bytes multiplies inside `one_thread`, and `kernels` names the choice.
"""

import contextlib
import functools
import threading


class _OneThread(contextlib.ContextDecorator):
    """Context manager and decorator; blocks may be nested and may run in several threads at once.

    The number of threads of BLAS belongs to the process. It is restored when the last block ends, for a block that
    ends earlier must not give back threads to one that is still at work.
    """

    def __init__(self):
        self._lock, self._blocks, self._limit = threading.Lock(), 0, None

    def __enter__(self):
        with self._lock:
            if not self._blocks:
                self._limit = _libraries().limit(limits=1, user_api="blas")
            self._blocks += 1

    def __exit__(self, *error):
        with self._lock:
            self._blocks -= 1
            if not self._blocks:
                self._limit.restore_original_limits()


one_thread = _OneThread()


@functools.cache
def _libraries():
    """The BLAS libraries of this process, found once: numpy's own is loaded with numpy, others do not matter here."""
    import numpy  # noqa: F401
    import threadpoolctl

    return threadpoolctl.ThreadpoolController()


@functools.cache
def kernels():
    """Names what the bytes of numpy's results depend on besides library versions.

    Returns:
        The kernels that numpy's BLAS chose for this processor and the vector instructions that numpy itself uses, such
        as `"OpenBLAS Haswell, numpy AVX2"`. BLAS names a kernel after the oldest processor that has it.
    """
    import numpy

    found = [one for one in _libraries().info() if one["user_api"] == "blas"]
    # SciPy brings a BLAS of its own.
    blas = next((one for one in found if "numpy" in one["filepath"]), found[0] if found else {})
    name = {"openblas": "OpenBLAS", "mkl": "MKL", "blis": "BLIS"}.get(blas.get("internal_api"), "unknown BLAS")
    extensions = numpy.show_config(mode="dicts").get("SIMD Extensions", {})
    used = {*extensions.get("baseline", ()), *extensions.get("found", ())}
    return f"{name} {blas.get('architecture') or ''}".rstrip() + f", numpy {_vectors(used)}"


def _vectors(extensions):
    """The widest vector instructions among numpy's names for them, of which numpy 2.4 changed some."""
    for word, names in (("AVX-512", {"X86_V4", "AVX512_SKX"}), ("AVX2", {"X86_V3", "AVX2"}), ("SVE", {"SVE"})):
        if extensions & names:
            return word
    return "baseline"

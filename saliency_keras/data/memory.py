"""Memory that was freed stays with the process: blocks as large as a batch are soon wanted again."""

import ctypes

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # glibc's malloc.h


def keep_freed_memory():
    """Lets glibc keep 256 MiB of freed memory, and any block below 32 MiB, its own limit, for the next use.

    Otherwise it gives such blocks back to the system and fetches them again page by page: a third of the time of
    scaling a picture, a fifth of that of reading one. Where there is no glibc, nothing happens.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(TRIM_THRESHOLD, 2**28)
    mallopt(MMAP_THRESHOLD, 2**25)

"""What a file from elsewhere asks for is bounded by its own size, before any memory is taken.

A few kilobytes can claim an array of terabytes: an HDF5 data set without stored values, an `.npy` header, a zip member.
Deflate, with which HDF5 and zip compress, expands by 1032 at most.
"""

import io
import math

import numpy as np

EXPANSION = 1032


def check_hdf5(file, size):
    """Refuses an HDF5 file one of whose data sets is larger than the file can hold.

    Args:
        file: The open `h5py.File`.
        size: The file's size in bytes.

    Raises:
        ValueError: If one is, or lies in another file.
    """
    import h5py

    def look(name, one):
        if not isinstance(one, h5py.Dataset):
            return
        if one.external or one.is_virtual:
            raise ValueError(f"{name} lies in another file")
        if one.nbytes > EXPANSION * min(size, one.id.get_storage_size()):
            raise ValueError(f"{name} claims {one.nbytes:,} bytes, more than the file can hold")

    file.visititems(look)


def check_npy(content):
    """Refuses the content of an `.npy` file whose array has another size than its header claims.

    Args:
        content: Bytes.

    Raises:
        ValueError: If it has.
    """
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    if math.prod(shape) * dtype.itemsize > len(content) - file.tell():
        raise ValueError(f"its header claims an array {shape}, which is more than the file has")


def check_zip_member(member):
    """Refuses a member of a zip that claims to be larger than it can be; a `zipfile.ZipInfo`.

    Raises:
        ValueError: If it does.
    """
    if member.file_size > EXPANSION * max(member.compress_size, 1):
        raise ValueError(f"{member.filename} claims {member.file_size:,} bytes")

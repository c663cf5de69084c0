"""Arrays as bytes in safetensors' format without metadata: equal arrays give equal bytes."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]

DTYPES = {
    "float64": "F64", "float32": "F32", "float16": "F16", "int64": "I64", "int32": "I32",
    "uint8": "U8", "bool": "BOOL",
}  # fmt: skip


def pieces(arrays: Mapping[str, NDArray[Any]]) -> Iterator[Any]:
    """safetensors' format: eight bytes of length, a JSON header padded with spaces, the data.

    Wide types come first, then names in order: the bytes that the library writes. Its own writer
    takes twice as long (0.76 s against 0.37 s for 128 MB), two times a visit.
    """
    plain = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    order = sorted(plain, key=lambda name: (-plain[name].itemsize, name))
    header, end = {}, 0
    for name in order:
        array = plain[name]
        begin, end = end, end + array.nbytes
        header[name] = {
            "dtype": DTYPES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [begin, end],
        }
    head = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    head += b" " * (-len(head) % 8)
    yield len(head).to_bytes(8, "little")
    yield head
    for name in order:
        yield plain[name].reshape(-1).view(np.uint8).data

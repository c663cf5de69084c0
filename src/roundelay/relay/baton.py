"""What travels: weights, and what the study adds to them, as canonical bytes with their digest."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roundelay.errors import LedgerError
from roundelay.files.arrays import Arrays, pieces, read_arrays
from roundelay.study.sections import Wire

MODEL, OPTIMISER, AVERAGE = "model/", "optimiser/", "average/"

IMPORTANCE, SUMS = "importance/", "sums/"

FULL: Wire = "float32"


@dataclass(frozen=True)
class Baton:
    """Arrays in safetensors' format without metadata: equal arrays give equal bytes.

    Names begin with the part they belong to: ``model/``, ``optimiser/``, ``average/``,
    ``importance/``, ``sums/``. On the wire ``bfloat16`` the weights of a model, and of an average
    of it, are rounded to that; they are float32 again to whoever opens it, and what is trained on
    is what was sent.

    Between hospitals `data` may be an envelope that only some sites can open, and `proof` is what
    the last holder states of it, signed: ``statement``, ``signature``, ``signer``. The statement's
    ``sealed`` is the SHA-256 of the envelope, or empty where the baton goes open.

    Over Ray `data` is a view of memory that processes share, which is hashed, written and sent as
    bytes are.
    """

    data: bytes
    proof: Mapping[str, Any] | None = field(default=None, repr=False)

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]], *, wire: Wire = FULL) -> "Baton":
        """Pack arrays; the order in which they are given does not matter."""
        return cls(b"".join(pieces(arrays, narrow=narrow_names(arrays, wire))))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the open bytes, in hexadecimal; of sealed ones, as the last holder states."""
        if self.proof is not None and self.sealed:
            return str(self.proof["statement"]["returned"])
        return hashlib.sha256(self.data).hexdigest()

    @property
    def sealed(self) -> bool:
        """Whether `data` is an envelope."""
        return self.proof is not None and bool(self.proof["statement"]["sealed"])

    def arrays(self) -> Arrays:
        """All arrays by name. Raises LedgerError for bytes that are no baton."""
        return self.read()[0]

    def read(self) -> tuple[Arrays, Wire]:
        """All arrays by name, and on which wire they came. Raises LedgerError for bytes that are no
        baton, or in which other arrays are rounded than a wire rounds."""
        try:
            arrays, narrow = read_arrays(self.data)
        except ValueError as error:
            raise LedgerError(f"These {len(self.data):,} bytes are no baton: {error}") from error
        wire: Wire = "bfloat16" if narrow else FULL
        if narrow != narrow_names(arrays, wire):
            raise LedgerError(
                f"These {len(self.data):,} bytes are no baton: some of its weights are in bfloat16,"
                " others aren't"
            )
        return arrays, wire

    def part(self, prefix: str) -> Arrays:
        """The arrays of one part, without its prefix."""
        return part_of(self.arrays(), prefix)


def part_of(arrays: Arrays, prefix: str) -> Arrays:
    """The arrays of one part, without its prefix."""
    return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}


def narrow_names(arrays: Mapping[str, NDArray[Any]], wire: Wire) -> frozenset[str]:
    """The arrays that are rounded on a wire: the weights, which are most of a baton. Biases and
    BatchNorm's numbers, a value a channel, stay as they are, and so does what serves training."""
    if wire == FULL:
        return frozenset()
    return frozenset(
        name
        for name, array in arrays.items()
        if name.startswith((MODEL, AVERAGE)) and array.ndim > 1 and array.dtype == np.float32
    )


def join(wire: Wire = FULL, /, **parts: Mapping[str, NDArray[Any]]) -> Baton:
    """Pack parts, each under its own name: ``join(model=weights, average=mean)``."""
    return Baton.of(_named(parts), wire=wire)


def digest_of_parts(wire: Wire = FULL, /, **parts: Mapping[str, NDArray[Any]]) -> str:
    """The digest of what `join` would give, without packing it."""
    found, arrays = hashlib.sha256(), _named(parts)
    for piece in pieces(arrays, narrow=narrow_names(arrays, wire)):
        found.update(piece)
    return found.hexdigest()


def _named(parts: Mapping[str, Mapping[str, NDArray[Any]]]) -> Arrays:
    return {f"{part}/{name}": a for part, arrays in parts.items() for name, a in arrays.items()}

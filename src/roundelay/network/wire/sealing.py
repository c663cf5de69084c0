"""Envelopes that only some can open: the bytes of a baton under a key drawn for them alone.

AES-256-GCM over the bytes; its key wrapped for each recipient by HPKE (RFC 9180, base mode,
X25519, HKDF-SHA256, AES-256-GCM). An envelope is ``RNDLSEAL``, four bytes of length, a canonical
JSON head with the wrapped keys, and the ciphertext. `context` binds it to its place in a study: in
another place it does not open.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from roundelay.errors import RefusedError
from roundelay.files.canonical import canonical_json
from roundelay.network.wire.keys import Keys
from roundelay.records.signatures import Public

MAGIC = b"RNDLSEAL"

SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)

LARGEST_HEAD = 1 << 20

PIECE = 2 << 20
"""Bytes that are sealed at once."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """An envelope in pieces, each sealed when it is asked for, and the key that opens it."""

    pieces: Iterator[bytes]
    key: bytes = field(repr=False)


def seal(data: bytes, recipients: Mapping[str, Public], context: bytes) -> bytes:
    """An envelope of `data` that each of `recipients` can open."""
    return b"".join(sealed(data, recipients, context).pieces)


def sealed(data: bytes, recipients: Mapping[str, Public], context: bytes) -> Sealed:
    """As `seal`, for who writes it away piece by piece."""
    key, nonce = AESGCM.generate_key(256), os.urandom(12)
    theirs = {n: X25519PublicKey.from_public_bytes(bytes.fromhex(p["seal"]))
              for n, p in recipients.items()}  # fmt: skip
    wrapped = {name: SUITE.encrypt(key, public, context) for name, public in theirs.items()}
    head = canonical_json(
        {"nonce": nonce.hex(), "keys": {name: key.hex() for name, key in wrapped.items()}}
    )
    return Sealed(_pieces(data, head, key, nonce, context), key)


def _pieces(data: bytes, head: bytes, key: bytes, nonce: bytes, context: bytes) -> Iterator[bytes]:
    yield MAGIC + len(head).to_bytes(4, "big") + head
    cipher = Cipher(AES(key), GCM(nonce)).encryptor()
    cipher.authenticate_additional_data(context)
    for piece in in_pieces(data):
        yield cipher.update(piece)
    yield cipher.finalize() + cipher.tag


def in_pieces(data: bytes) -> Iterator[bytes]:
    """Views of them, one after the other."""
    whole = cast(bytes, memoryview(data))
    return (whole[begin : begin + PIECE] for begin in range(0, len(whole), PIECE))


def unseal(envelope: bytes, name: str, keys: Keys, context: bytes) -> bytes:
    """The bytes that were sealed. Raises RefusedError where they weren't sealed for `name` in this
    place, or were altered."""
    try:
        head, size = _head_of(envelope)
        if name not in head["keys"]:
            raise RefusedError(f"The baton isn't sealed for {name}.")
        key = SUITE.decrypt(bytes.fromhex(head["keys"][name]), keys.sealing, context)
        return _opened(envelope, head, size, key, context)
    except (InvalidTag, ValueError, KeyError, TypeError, RecursionError) as error:
        raise RefusedError(
            f"The sealed baton does not open at {name}: it was altered, or belongs elsewhere."
        ) from error


def unseal_own(envelope: bytes, key: bytes, context: bytes) -> bytes:
    """The bytes of an envelope whose key was kept. Raises ValueError where it was altered."""
    try:
        head, size = _head_of(envelope)
        return _opened(envelope, head, size, key, context)
    except (InvalidTag, KeyError, TypeError, RecursionError) as error:
        raise ValueError("altered") from error


def _head_of(envelope: bytes) -> tuple[Any, int]:
    """What stands before the ciphertext, and where that begins. Raises ValueError."""
    size = int.from_bytes(envelope[8:12], "big")
    if envelope[:8] != MAGIC or size > LARGEST_HEAD:
        raise ValueError("no envelope")
    return json.loads(bytes(envelope[12 : 12 + size])), 12 + size


def _opened(envelope: bytes, head: Any, begin: int, key: bytes, context: bytes) -> bytes:
    nonce = bytes.fromhex(head["nonce"])
    return AESGCM(key).decrypt(nonce, memoryview(envelope)[begin:], context)

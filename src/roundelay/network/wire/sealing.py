"""Envelopes that only some can open: the bytes of a baton under a key drawn for them alone.

AES-256-GCM over the bytes; its key wrapped for each recipient by HPKE (RFC 9180, base mode,
X25519, HKDF-SHA256, AES-256-GCM). An envelope is ``RNDLSEAL``, four bytes of length, a canonical
JSON head with the wrapped keys, and the ciphertext. `context` binds it to its place in a study: in
another place it does not open.
"""

import json
import os
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from roundelay.errors import RefusedError
from roundelay.files.canonical import canonical_json
from roundelay.network.wire.keys import Keys
from roundelay.records.signatures import Public

MAGIC = b"RNDLSEAL"

SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)

LARGEST_HEAD = 1 << 20


def seal(data: bytes, recipients: Mapping[str, Public], context: bytes) -> bytes:
    """An envelope of `data` that each of `recipients` can open."""
    key, nonce = AESGCM.generate_key(256), os.urandom(12)
    theirs = {n: X25519PublicKey.from_public_bytes(bytes.fromhex(p["seal"]))
              for n, p in recipients.items()}  # fmt: skip
    wrapped = {name: SUITE.encrypt(key, public, context) for name, public in theirs.items()}
    head = canonical_json(
        {"nonce": nonce.hex(), "keys": {name: key.hex() for name, key in wrapped.items()}}
    )
    begin = MAGIC + len(head).to_bytes(4, "big") + head
    return begin + AESGCM(key).encrypt(nonce, data, context)


def unseal(envelope: bytes, name: str, keys: Keys, context: bytes) -> bytes:
    """The bytes that were sealed. Raises RefusedError where they weren't sealed for `name` in this
    place, or were altered."""
    try:
        if envelope[:8] != MAGIC:
            raise ValueError("no envelope")
        size = int.from_bytes(envelope[8:12], "big")
        if size > LARGEST_HEAD:
            raise ValueError("no envelope")
        head = json.loads(envelope[12 : 12 + size])
        if name not in head["keys"]:
            raise RefusedError(f"The baton isn't sealed for {name}.")
        key = SUITE.decrypt(bytes.fromhex(head["keys"][name]), keys.sealing, context)
        nonce = bytes.fromhex(head["nonce"])
        return AESGCM(key).decrypt(nonce, memoryview(envelope)[12 + size :], context)
    except (InvalidTag, ValueError, KeyError, TypeError, RecursionError) as error:
        raise RefusedError(
            f"The sealed baton does not open at {name}: it was altered, or belongs elsewhere."
        ) from error

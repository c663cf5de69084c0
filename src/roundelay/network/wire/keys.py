"""A party's own keys: Ed25519 to sign, X25519 to open what was sealed for it.

They are made where they are used, at the first start, and the private halves never leave that
folder (mode 0600). Public halves travel as hexadecimal.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from roundelay.errors import NetworkError
from roundelay.files.canonical import canonical_json
from roundelay.files.locks import take_lock
from roundelay.files.mishap import why
from roundelay.files.regular import plain_bytes

LOCK = ".lock"


@dataclass(frozen=True, slots=True)
class Keys:
    """Both private keys of one party."""

    signing: Ed25519PrivateKey
    sealing: X25519PrivateKey

    def public(self) -> dict[str, str]:
        """What others may know."""
        return {
            "sign": self.signing.public_key().public_bytes_raw().hex(),
            "seal": self.sealing.public_key().public_bytes_raw().hex(),
        }

    def sign(self, data: bytes) -> str:
        """An Ed25519 signature (RFC 8032) in hexadecimal."""
        return self.signing.sign(data).hex()


def own_keys(home: Path) -> Keys:
    """The keys kept under `home`; made where there are none yet.

    Raises NetworkError where a key file can't be read, or others of this computer could read it.
    """
    folder = home / "keys"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return Keys(
        Ed25519PrivateKey.from_private_bytes(_own(folder / "sign.key")),
        X25519PrivateKey.from_private_bytes(_own(folder / "seal.key")),
    )


def _own(path: Path) -> bytes:
    """32 random bytes, drawn once. Either algorithm takes any 32 bytes as its private key."""
    if not path.exists():
        with take_lock(path.with_name(LOCK), wait=True):  # of two processes, one draws
            _draw(path)
    if path.stat().st_mode & 0o077:
        raise NetworkError(f"Others can read the private key {path}. Run  chmod 600 {path}")
    try:
        found = plain_bytes(path)
    except OSError as error:
        raise NetworkError(f"{path} can't be read: {why(error)}. Restore it.") from error
    if len(found) != 32:
        raise NetworkError(f"{path} is damaged: {len(found)} bytes, not 32. Restore it.")
    return found


def _draw(path: Path) -> None:
    if path.exists():
        return
    drawn = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        descriptor = os.open(drawn, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(os.urandom(32))
            file.flush()
            os.fsync(file.fileno())
        drawn.rename(path)
    finally:
        drawn.unlink(missing_ok=True)


def fingerprint(public: object) -> str:
    """What people compare, by telephone or on paper: 128 bits of SHA-256 in groups of four."""
    digits = hashlib.sha256(canonical_json(public)).hexdigest()[:32]
    return " ".join(digits[i : i + 4] for i in range(0, len(digits), 4))

"""The one spelling of a value that digests are taken of."""

import hashlib
import json
from typing import Any


def canonical_json(value: Any) -> bytes:
    """The one spelling of a value that digests are taken of: sorted keys, no spaces, no NaN."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False
    ).encode()


def digest_of(value: Any) -> str:
    """SHA-256 of a value's canonical JSON, in hexadecimal."""
    return hashlib.sha256(canonical_json(value)).hexdigest()

"""Types of what another party says: each value is as the type says, or the message is refused.

Nothing here knows a study; what depends on one (a site of its roster, a step of its itinerary) is
compared where the study is known.
"""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from roundelay.errors import RefusedError

LONGEST_TEXT = 2000
"""Letters of a sentence that another party may have shown here."""


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("holds characters that can't be shown")
    return text


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$")]
"""A site's name in a network, or ``coordinator``: letters, digits, ``-`` and ``_``."""

ArmLabel = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,126}$")]

RunName = Annotated[str, Field(pattern=r"^[a-z0-9]{1,32}$")]

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

Signature = Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]

LegIndex = Annotated[int, Field(ge=0, le=1_000_000)]

Before = Annotated[int, Field(ge=-1, le=1_000_000)]
"""The leg that a baton comes from; -1: the start."""

Count = Annotated[int, Field(ge=0, le=10**9)]

ManyCount = Annotated[int, Field(ge=0, le=10**15)]

Finite = Annotated[float, Field(allow_inf_nan=False)]

Loss = Annotated[float, Field(ge=-1e9, le=1e9, allow_inf_nan=False)]
"""Of what trains it is a few ones; a drawing must stand the largest."""

Seconds = Annotated[float, Field(ge=0, le=1e10, allow_inf_nan=False)]

Said = Annotated[str, Field(max_length=200), AfterValidator(_printable)]
"""A short text that may be shown and kept as it is."""


class Part(BaseModel):
    """A part of a message: no other keys than these, no value that changes its type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _sound(key: str) -> str:
    """The points of small order of either curve: to them nothing can be sealed, and what they
    signed anybody could have signed."""
    if (int.from_bytes(bytes.fromhex(key), "little") & (1 << 255) - 1) in SMALL_ORDER:
        raise ValueError("is no key that anybody drew")
    return key


SMALL_ORDER = frozenset(
    int.from_bytes(bytes.fromhex(point), "little")
    for point in (
        "00" * 32,
        "01" + "00" * 31,
        "ec" + "ff" * 30 + "7f",
        "ed" + "ff" * 30 + "7f",
        "ee" + "ff" * 30 + "7f",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",  # X25519
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",  # Ed25519
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    )
)
"""RFC 7748, section 6.1, and the points of order 1, 2, 4 and 8 of edwards25519."""

PublicKey = Annotated[Digest, AfterValidator(_sound)]


class PublicKeys(Part):
    """The public halves of a party's keys, 32 bytes each in hexadecimal."""

    sign: PublicKey
    seal: PublicKey


Parsed = TypeVar("Parsed", bound=Part)


def parsed(model: type[Parsed], value: Any, what: str) -> Parsed:
    """A value of a message. Raises RefusedError naming the first key that is wrong, not its value:
    what is refused is not repeated."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        key = ".".join(str(part)[:40] for part in first["loc"]) or "all of it"
        key = key if key.isprintable() else "a key"
        raise RefusedError(f"{what} can't be read: {key[:120]} ({first['msg'][:120]}).") from error


def plain(value: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping without the keys that every message has beside its own."""
    return {key: one for key, one in value.items() if key not in ("payload", "request")}


def shown(text: object) -> str:
    """What another party wrote, as it may be shown in a terminal: one line, no control letters."""
    letters = (c if c.isprintable() else " " for c in str(text)[:LONGEST_TEXT])
    return "".join(letters)

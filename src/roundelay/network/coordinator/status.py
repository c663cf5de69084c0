"""Who of a network is there: asked through the server, and noted for the next time."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from roundelay.errors import NetworkError, SiteError
from roundelay.files.writing import write_json
from roundelay.network.coordinator.exchange import introduce
from roundelay.network.flare.transport import FlareTransport
from roundelay.network.wire.kept import read_kept
from roundelay.network.wire.keys import Keys, fingerprint, own_keys
from roundelay.network.wire.kit import HOME, kit_sites
from roundelay.network.wire.parsing import shown
from roundelay.network.wire.replies import Introduced
from roundelay.network.wire.transport import Transport

Moment = Annotated[float, Field(ge=0, le=1e11)]

SEEN, SEEN_SHAPE = "seen.json", TypeAdapter(dict[str, Moment])

SKEWED = 2.0
"""A difference between clocks up to this many seconds is shown as agreement."""


def read_status(kit: Path, *, patience: float = 60.0) -> list[dict[str, Any]]:
    """A row a site. Raises NetworkError for a wrong kit, CourierError where the server is away."""
    transport = FlareTransport(kit, patience=patience, stuck_after=patience)
    try:
        asked = time.time()
        here = [site for site in kit_sites(kit) if site in transport.connected()]
        answers = answered(transport, here, own_keys(kit / HOME))
    finally:
        transport.close()
    path, now = kit / HOME / SEEN, time.time()
    seen = {**_seen(path), **dict.fromkeys(answers, now)}
    write_json(path, seen)
    return [_row(site, answers.get(site), seen.get(site), asked, now) for site in kit_sites(kit)]


def answered(
    transport: Transport, sites: Sequence[str], keys: Keys
) -> dict[str, Introduced | SiteError]:
    """Who each site is, or what is wrong with its answer: one site hides no other."""
    try:
        return dict(introduce(transport, sites, keys, lambda *_: None))
    except SiteError:
        pass  # of one of them: each alone tells which
    found: dict[str, Introduced | SiteError] = {}
    for site in sites:
        try:
            found |= introduce(transport, [site], keys, lambda *_: None)
        except SiteError as error:
            found[site] = error
    return found


def _seen(path: Path) -> dict[str, float]:
    """When each site was there; where the note is damaged, as if none had been."""
    try:
        return read_kept(path, SEEN_SHAPE, NetworkError, "") if path.exists() else {}
    except NetworkError:
        return {}


def _row(
    site: str, said: Introduced | SiteError | None, seen: float | None, asked: float, now: float
) -> dict[str, Any]:
    if not isinstance(said, Introduced):
        unknown = dict.fromkeys(("roundelay", "torch", "clock", "certificate", "keys"), "–")
        is_ = _away(seen, now) if said is None else f"there, but: {shown(said)}"
        return {"site": site, "is": is_, **unknown}
    # It answered at some moment in between.
    skew = max(said.time - now, 0.0) + min(said.time - asked, 0.0)
    return {
        "site": site,
        "is": "there",
        "roundelay": said.roundelay,
        "torch": said.torch,
        "clock": f"{skew:+.0f} s" if abs(skew) > SKEWED else "agrees",
        "certificate": "–" if said.days is None else f"{said.days} days",
        "keys": fingerprint(said.keys.model_dump()),
    }


def _away(seen: float | None, now: float) -> str:
    if seen is None:
        return "away, never seen"
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(seen))
    return f"away, last seen {when} ({(now - seen) / 3600:.1f} h ago)"

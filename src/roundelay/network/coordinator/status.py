"""Who of a network is there: asked through the server, and noted for the next time."""

import json
import time
from pathlib import Path
from typing import Any

from roundelay.files.writing import write_json
from roundelay.network.coordinator.exchange import introduce
from roundelay.network.flare.transport import FlareTransport
from roundelay.network.wire.keys import fingerprint, own_keys
from roundelay.network.wire.kit import HOME, kit_sites
from roundelay.network.wire.replies import Introduced

SEEN = "seen.json"

SKEWED = 2.0
"""A difference between clocks up to this many seconds is shown as agreement."""


def read_status(kit: Path, *, patience: float = 60.0) -> list[dict[str, Any]]:
    """A row a site. Raises NetworkError for a wrong kit, CourierError where the server is away."""
    transport = FlareTransport(kit, "status", patience=patience, stuck_after=patience)
    try:
        asked = time.time()
        here = [site for site in kit_sites(kit) if site in transport.connected()]
        replies = introduce(transport, here, own_keys(kit / HOME), lambda *_: None)
    finally:
        transport.close()
    path, now = kit / HOME / SEEN, time.time()
    seen: dict[str, float] = {}
    if path.exists():
        seen = json.loads(path.read_text(encoding="utf-8"))
    seen |= dict.fromkeys(replies, now)
    write_json(path, seen)
    return [_row(site, replies.get(site), seen.get(site), asked, now) for site in kit_sites(kit)]


def _row(
    site: str, said: Introduced | None, seen: float | None, asked: float, now: float
) -> dict[str, Any]:
    if said is None:
        unknown = dict.fromkeys(("roundelay", "torch", "clock", "certificate", "keys"), "–")
        return {"site": site, "is": _away(seen, now), **unknown}
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

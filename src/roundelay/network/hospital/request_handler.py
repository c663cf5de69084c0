"""The request handler of a hospital: every message from outside is answered here, or refused.

What leaves is on a list: weights, counts, scores, digests, sentences written for others. Errors
that nobody foresaw leave as their kind alone; the site's own log has the rest.
"""

import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from roundelay.errors import DataError, NetworkError, RefusedError, RoundelayError, VisitError
from roundelay.files.installed import installed_version
from roundelay.network.hospital.admission import AdmittedScores, AdmittedVisit, Hospital, admit
from roundelay.network.hospital.consent import AwaitingError
from roundelay.network.hospital.inventory import UnfitError
from roundelay.network.hospital.policy import Policy
from roundelay.network.hospital.store import audit, one_at_a_time, policy_of, read_settings
from roundelay.network.wire.keys import own_keys
from roundelay.network.wire.kit import days_left
from roundelay.network.wire.messages import Answer, Message, Parts, pack, unpack
from roundelay.network.wire.parsing import shown
from roundelay.network.wire.requests import Introduce, parsed_request

OnProgress = Callable[[dict[str, Any]], None]


def answer(home: Path, request: Parts, on_progress: OnProgress) -> Parts:
    """The signed answer to a message. `home` is the kit's folder ``roundelay``.

    Who this is and what it refuses is answered at once, also while a visit goes on; visits and
    scores come one after the other.
    """
    begin = time.perf_counter()
    keys, settings = own_keys(home), read_settings(home)
    asked: Mapping[str, Any] = {}
    try:
        message = unpack(request)
        asked = message.head
        hospital = Hospital(home, settings, _policy(home), keys)
        found = _answer(hospital, message, on_progress)
    except RoundelayError as error:
        found = Answer(_excuse(error))
    except Exception as error:
        traceback.print_exc(file=sys.stderr)  # FLARE keeps it in the site's own log
        found = Answer({"failed": type(error).__name__})
    head = {**found.head, "site": settings.name, "request": request.key}
    reply = pack(head, found.payload, keys, found.digest, found.file)
    try:
        _audit(home, asked, head, len(request), len(reply), time.perf_counter() - begin)
    except OSError:  # what can't be noted down doesn't leave
        traceback.print_exc(file=sys.stderr)
        unnoted = "this hospital's audit log can't be written"
        keep = {key: head[key] for key in ("site", "request")}
        return pack({**keep, "failed": unnoted}, b"", keys)
    return reply


def _policy(home: Path) -> Policy:
    """Raises RefusedError where it can't be read; its faults are for the operator alone."""
    try:
        return policy_of(home)
    except NetworkError as error:
        traceback.print_exception(error, file=sys.stderr)
        raise RefusedError(
            "This hospital's policy can't be read (policy.toml in its kit). Its operator finds the"
            " faults in its log."
        ) from error


def _answer(hospital: Hospital, message: Message, on_progress: OnProgress) -> Answer:
    request = parsed_request(message.head)
    if isinstance(request, Introduce):
        return Answer(_introduce(hospital))
    asked = admit(hospital, request, message)
    from roundelay.learning.process import computing  # seconds, with torch
    from roundelay.network.hospital import answers

    with computing(None, deterministic=asked.proposal.study.recipe.deterministic):
        if not isinstance(asked, AdmittedVisit | AdmittedScores):
            return answers.survey(asked)
        with one_at_a_time(hospital.home):
            # It may have waited for hours: policy and approval are those of now.
            hospital = replace(hospital, policy=_policy(hospital.home))
            asked = admit(hospital, request, message)
            if isinstance(asked, AdmittedScores):
                return answers.evaluate(asked)
            assert isinstance(asked, AdmittedVisit)
            return answers.train(asked, on_progress)


def _introduce(hospital: Hospital) -> dict[str, Any]:
    """Who is here: public keys, versions, the clock, the days left on the certificate."""
    return {
        "keys": hospital.keys.public(),
        "roundelay": installed_version(),
        "torch": version("torch"),
        "time": time.time(),
        "days": days_left(hospital.home.parent / "startup" / "client.crt"),
    }


def _excuse(error: RoundelayError) -> dict[str, Any]:
    """What may be said of an error outside: the text of those that are written for it."""
    if isinstance(error, AwaitingError):
        return {"awaiting": shown(error)}
    if isinstance(error, RefusedError | VisitError):
        return {"refused" if isinstance(error, RefusedError) else "failed": shown(error)}
    traceback.print_exception(error, file=sys.stderr)  # it may name paths: for the site's log
    if isinstance(error, DataError):
        count = len(error.faults)
        found = f"{count} fault{'s' * (count > 1)}"
        said = {
            "failed": f"its images can't be used for this study: {found}, which its operator finds"
            " in the site's log"
        }
        return said if not isinstance(error, UnfitError) else {**said, "inventory": error.inventory}
    return {"failed": type(error).__name__}


def _audit(
    home: Path, asked: Mapping[str, Any], head: Mapping[str, Any], came: int, left: int, s: float
) -> None:
    outcome = next((key for key in ("refused", "awaiting", "failed") if key in head), "answered")
    leg = asked.get("leg")
    audit(
        home,
        asked=_text(asked.get("ask", "unreadable"), 20),
        run=_text(asked.get("run"), 32),
        arm=_text(asked.get("arm"), 40),
        leg=leg if isinstance(leg, int) and -1 <= leg < 10**7 else None,
        outcome=outcome,
        why=str(head[outcome]) if outcome in head else "",
        what_left=sorted(key for key in head if key not in ("site", "request")),
        bytes_came=came,
        bytes_left=left,
        seconds=round(s, 3),
    )


def _text(value: object, letters: int) -> str:
    """The beginning of a text in a request that nobody has looked at yet."""
    return value[:letters] if isinstance(value, str) else ""

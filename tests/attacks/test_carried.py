"""What a site may send through the server: no endless progress, no answer without end, no text."""

import importlib.util
import os
from base64 import b64encode
from types import SimpleNamespace

import pytest

from attacks.mutations import HOSTILE
from roundelay.errors import CourierError
from roundelay.network.flare import transport
from roundelay.network.flare.starting import last_lines
from roundelay.network.flare.transport import FlareTransport
from roundelay.network.wire.transport import Request

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("nvflare") is None, reason="the extra 'network' is not installed"
)

STUCK = 10.0


class Server:
    """A session with a server whose site answers as `told` says, at a clock of its own."""

    def __init__(self, told):
        self.told, self.now, self.asked = told, 1000.0, []

    def call(self, verb, *arguments):
        self.asked.append((verb, *arguments))
        if verb == "get_job_meta":
            return {"status": "RUNNING"}
        if verb == "list_jobs":
            return []
        if verb == "submit_job":
            return f"job-{len(self.asked)}"
        if verb == "do_app_command":
            return self.told(self.now, arguments[2])
        return None

    def heard(self):
        return {"WEST": 0.0}


@pytest.fixture
def carried(monkeypatch):
    def carry(told, **request):
        server = Server(told)

        def sleep(seconds):
            server.now += seconds
            assert server.now < 4000, "the coordinator waits for ever"

        clock = SimpleNamespace(monotonic=lambda: server.now, sleep=sleep, time=lambda: server.now)
        monkeypatch.setattr(transport, "Session", lambda kit, patience: server)
        monkeypatch.setattr(transport, "time", clock)
        there = FlareTransport("kit", "r1", patience=60.0, stuck_after=STUCK)
        heard = []
        asked = Request("WEST", "k" * 64, "WEST, its stop", b"?", **request)
        try:
            found = there.exchange([asked], lambda request, message: heard.append(message))
        finally:
            server.heard_messages = heard
        return found[0], heard, server

    return carry


def progress(step, now, **more):
    """As the server gives it on: it heard from the site just now."""
    return {"step": step, "silent": 0.0, "mute": 0.0, "begun": True, "answered": 0, **more}


@pytest.mark.parametrize(
    "step", [0, 1, 31, 10**12, -1, True, "3", None, 3.5], ids=lambda step: repr(step)
)
def test_a_site_that_tells_of_the_same_step_for_ever_is_given_up(carried, step):
    with pytest.raises(CourierError, match="did nothing for 10 s"):
        carried(lambda now, data: progress(step, now), steps=30)


def test_a_site_that_counts_on_beyond_its_steps_is_given_up(carried):
    with pytest.raises(CourierError, match="did nothing"):
        carried(lambda now, data: progress(int(now - 1000), now), steps=30)


def test_a_slow_site_that_gets_on_is_waited_for(carried):
    """One step in eight seconds, for thirty steps."""

    def told(now, data):
        if "first" in data:
            return {"bytes": b64encode(b"answer").decode()}
        if "taken" in data:
            return {}
        step = int((now - 1000) / 8)
        return progress(step, now, silent=(now - 1000) % 8, answered=6 if step >= 30 else 0)

    answer, heard, _ = carried(told, steps=30)
    assert answer == b"answer"
    assert max(message["step"] for message in heard) == 29


def test_an_answer_that_is_too_large_is_not_fetched(carried):
    def told(now, data):
        assert "first" not in data
        return progress(0, now, answered=2 << 30)

    with pytest.raises(CourierError, match=r"WEST, its stop: the answer has 2,147,483,648 bytes"):
        carried(told)


def test_an_answer_of_an_ended_job_that_is_too_large_is_not_read(carried, tmp_path, monkeypatch):
    with (tmp_path / "answer.bin").open("wb") as file:
        os.truncate(file.fileno(), 1 << 40)
    call = Server.call

    def ended(self, verb, *arguments):
        if verb == "get_job_meta":
            return {"status": "FINISHED:COMPLETED"}
        return str(tmp_path) if verb == "download_job_result" else call(self, verb, *arguments)

    monkeypatch.setattr(Server, "call", ended)
    with pytest.raises(CourierError, match="more than"):
        carried(lambda now, data: None)


def test_nothing_but_numbers_of_progress_goes_further(carried):
    """A site can't speak as the coordinator's own connection does."""
    given = {"waits": "\x1b[2J is there again", "refused": "no", "loss": 0.5, "text": "x" * 10**6}

    def told(now, data):
        return progress(int((now - 1000) * 2), now, **given)

    with pytest.raises(CourierError):
        carried(told, steps=30)
    server_heard = transport.Session("kit", patience=1).heard_messages
    assert server_heard
    assert all(set(message) <= {"step", "loss"} for message in server_heard)


@pytest.mark.parametrize("told", HOSTILE, ids=lambda one: type(one).__name__)
def test_the_server_keeps_nothing_of_a_sites_progress_but_numbers(told):
    """In the place of a message, and in the place of each of its values."""
    from nvflare.apis.shareable import Shareable

    from roundelay.network.flare.carrying import ServerController

    controller = ServerController("WEST")
    for progress in (told, {"step": told, "mute": told, "waits": told, "loss": told}):
        request = Shareable()
        request["progress"] = progress
        controller._heard("", request, None)
        found = controller._asked("", {"progress": 1}, None)
        assert found["mute"] < 5 and found["answered"] == 0
        given = {key: found[key] for key in found.keys() & {"step", "loss", "waits"}}
        assert all(isinstance(value, int | float) for value in given.values())


def test_the_end_of_a_log_moves_no_terminal_and_is_no_endless_read(tmp_path):
    log = tmp_path / "log.txt"
    log.write_bytes(b"x" * (1 << 20) + b"\n\x1b[2J\x1b[Hall is well\n\xff\xfe last\n")
    found = last_lines(log)
    assert found.endswith("last") and "all is well" in found
    assert found.replace("\n", "").isprintable() and len(found) < 20_000

"""What a site may send through the server: no endless progress, no answer without end, no text."""

import hashlib
import importlib.util
import json
from types import SimpleNamespace

import pytest

from attacks.mutations import HOSTILE
from roundelay.errors import CourierError, RefusedError
from roundelay.network.flare import queue, transport
from roundelay.network.flare.blobs import PIECE
from roundelay.network.flare.queue import RequestQueue
from roundelay.network.flare.starting import last_lines
from roundelay.network.flare.transport import FlareTransport
from roundelay.network.wire.messages import SIGNATURE, Parts
from roundelay.network.wire.transport import Request
from roundelay.records.signatures import COORDINATOR

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("nvflare") is None, reason="the extra 'network' is not installed"
)

STUCK = 10.0

START = "5" * 32


def digest_of(payload):
    return hashlib.sha256(payload).hexdigest() if payload else ""


def message(payload=b""):
    """As a coordinator sends it; who signed it is looked at by the site."""
    head = json.dumps({"payload": digest_of(payload)}).encode()
    return Parts(len(head).to_bytes(4, "big") + head + bytes(SIGNATURE), payload)


class Session:
    """A session with a server of its own clock; at each look at it, `site` does something."""

    def __init__(self, folder, site):
        self.now, self.site = 1000.0, site
        self.queue, self.is_open = RequestQueue(folder), True

    def ask(self, topic, values, data=b"", patience=None):
        if topic == "look":
            self.site(self)
        try:
            return self.queue.serve(COORDINATOR, topic, values, data)
        except RefusedError as error:
            raise CourierError(str(error)) from error

    def call(self, topic, values, data=b""):
        """As WEST."""
        return self.queue.serve("WEST", topic, values, data)

    def poll(self, **told):
        """WEST says how far it is; what it is to answer."""
        wanted = self.call("poll", {"at_work": {}})[0]["wanted"]
        at_work = {one["ticket"]: {"start": START, "lost": False, "told": told} for one in wanted}
        self.call("poll", {"at_work": at_work})
        return wanted

    def answer(self, head, payload=b""):
        for one in self.poll():
            values = {"key": one["key"], "payload": digest_of(payload)}
            if payload:
                pieces = range(0, len(payload), PIECE)
                for index, first in enumerate(pieces):
                    piece = payload[first : first + PIECE]
                    self.call("send", {**values, "index": index, "size": len(payload)}, piece)
            self.call("answered", {**values, "ticket": one["ticket"], "size": len(payload)}, head)


@pytest.fixture
def carried(monkeypatch, tmp_path):
    def carry(site, payload=b"", **request):
        session = Session(tmp_path / "server", site)

        def sleep(seconds):
            session.now += seconds
            assert session.now < 4000, "the coordinator waits for ever"

        clock = SimpleNamespace(monotonic=lambda: session.now, sleep=sleep)
        monkeypatch.setattr(transport, "Session", lambda kit, patience: session)
        for module in (transport, queue):
            monkeypatch.setattr(module, "time", clock)
        monkeypatch.setattr("roundelay.network.flare.delivery.time", clock)
        there = FlareTransport("kit", patience=60.0, stuck_after=STUCK)
        session.heard = []
        asked = Request("WEST", "WEST, its stop", message(payload), **request)
        (found,) = there.exchange([asked], lambda request, message: session.heard.append(message))
        return found, session

    return carry


@pytest.mark.parametrize(
    "step", [0, 1, 31, 10**12, -1, True, "3", None, 3.5], ids=lambda step: repr(step)
)
def test_a_site_that_tells_of_the_same_step_for_ever_is_given_up(carried, step):
    with pytest.raises(CourierError, match="did nothing for 10 s"):
        carried(lambda session: session.poll(step=step), steps=30)


def test_a_site_that_counts_on_beyond_its_steps_is_given_up(carried):
    with pytest.raises(CourierError, match="did nothing"):
        carried(lambda session: session.poll(step=int(session.now - 1000)), steps=30)


def test_a_slow_site_that_gets_on_is_waited_for(carried):
    """One step in eight seconds, for thirty steps."""

    def site(session):
        step = int((session.now - 1000) / 8)
        session.poll(step=step) if step < 30 else session.answer(b"answer")

    answer, session = carried(site, steps=30)
    assert answer == Parts(b"answer")
    assert max(message.get("step", 0) for message in session.heard) == 29


def test_a_site_that_fetches_the_same_piece_for_ever_is_given_up(carried):
    def site(session):
        for one in session.poll():
            values = {"key": one["key"], "payload": one["payload"]}
            session.call("fetch", {**values, "index": 0})

    with pytest.raises(CourierError, match="did nothing"):
        carried(site, payload=b"weights")


def test_a_slow_way_on_which_pieces_move_is_waited_for(carried):
    """One piece in eight seconds."""

    def site(session):
        for one in session.poll():
            index = int((session.now - 1000) / 8)
            if index == 3:
                session.answer(b"answer", b"a" * (2 * PIECE) + b"b")
                return
            session.call("fetch", {"key": one["key"], "payload": one["payload"], "index": index})

    answer, _ = carried(site, payload=b"1" * (2 * PIECE) + b"2")
    assert answer == Parts(b"answer", b"a" * (2 * PIECE) + b"b")


def test_an_answer_that_is_too_large_is_not_fetched(carried):
    """Nor taken by the server."""

    def site(session):
        for one in session.poll():
            values = {"key": one["key"], "payload": "0" * 64, "size": 2 << 30}
            with pytest.raises(RefusedError, match="larger than it may be"):
                session.call("send", {**values, "index": 0}, bytes(PIECE))

    with pytest.raises(CourierError, match=r"WEST, its stop: the answer has 2,147,483,648 bytes"):
        carried(site)


def test_a_site_whose_process_ends_again_and_again_is_given_up(carried):
    def site(session):
        for one in session.poll():
            said = {"start": START, "lost": True, "told": {}}
            session.call("poll", {"at_work": {one["ticket"]: said}})

    with pytest.raises(CourierError, match=r"its process ended, .* 3 times"):
        carried(site)


def test_a_site_that_is_started_again_and_again_is_given_up(carried):
    def site(session):
        start = f"{int((session.now - 1000) / 8):032x}"
        for one in session.poll():
            said = {"start": start, "lost": False, "told": {}}
            session.call("poll", {"at_work": {one["ticket"]: said}})

    with pytest.raises(CourierError, match="its site was started again, 3 times"):
        carried(site)


def test_nothing_but_numbers_of_progress_goes_further(carried):
    """A site can't speak as the coordinator's own connection does."""
    given = {"waits": "\x1b[2J is there again", "refused": "no", "loss": 0.5, "text": "x" * 10**6}
    heard = []

    def site(session):
        heard.append(session.heard)
        session.poll(step=int((session.now - 1000) * 2), **given)

    with pytest.raises(CourierError):
        carried(site, steps=30)
    assert heard[0]
    assert all(set(message) <= {"step", "loss"} for message in heard[0])


@pytest.mark.parametrize("told", HOSTILE, ids=lambda one: type(one).__name__)
def test_the_server_keeps_nothing_of_a_sites_progress_but_numbers(told, tmp_path):
    """In the place of a message, and in the place of each of its values."""
    server = RequestQueue(tmp_path)
    put(server, "WEST")
    (one,) = server.serve("WEST", "poll", {"at_work": {}}, b"")[0]["wanted"]
    for progress in (told, {"step": told, "mute": told, "waits": told, "loss": told}):
        said = {one["ticket"]: {"start": START, "lost": False, "told": progress}}
        try:
            server.serve("WEST", "poll", {"at_work": said}, b"")
        except RefusedError as error:
            assert len(str(error)) < 400
        found = server.serve(COORDINATOR, "look", {"keys": [KEY]}, b"")[0]["requests"][KEY]
        assert found["mute"] < 5 and not found["answered"]
        given = {key: found[key] for key in found.keys() & {"step", "loss", "waits"}}
        assert all(isinstance(value, int | float) for value in given.values())


KEY = "a" * 64


def put(server, site, payload=b"", key=KEY, **more):
    values = {
        "site": site, "key": key, "payload": digest_of(payload), "size": len(payload),
        "most": 10**6, "needs_torch": False, "then": [], **more,
    }  # fmt: skip
    missing = server.serve(COORDINATOR, "put", values, b"head")[0]["missing"]
    if missing:
        sent = {"key": key, "payload": values["payload"], "size": len(payload), "index": 0}
        server.serve(COORDINATOR, "send", sent, payload)
    return missing


def test_a_site_sees_fetches_and_answers_its_own_requests_alone(tmp_path):
    server = RequestQueue(tmp_path)
    put(server, "WEST", b"sealed for WEST")
    digest = digest_of(b"sealed for WEST")
    (one,) = server.serve("WEST", "poll", {"at_work": {}}, b"")[0]["wanted"]

    assert server.serve("EAST", "poll", {"at_work": {}}, b"")[0]["wanted"] == []
    for topic, values in (
        ("head", {"key": KEY}),
        ("fetch", {"key": KEY, "payload": digest, "index": 0}),
        ("fetch", {"key": "", "payload": digest, "index": 0}),
        ("send", {"key": KEY, "payload": digest, "index": 0, "size": 5}),
        ("answered", {"key": KEY, "ticket": one["ticket"], "payload": "", "size": 0}),
        ("put", {}), ("look", {"keys": [KEY]}), ("answer", {"key": KEY}),
        ("remove", {"keys": [KEY]}), ("clear", {}), ("serve", {}), ("_put", {}),
    ):  # fmt: skip
        with pytest.raises(RefusedError):
            server.serve("EAST", topic, values, b"bytes")

    assert server.serve("WEST", "head", {"key": KEY}, b"")[1] == b"head"
    fetched = server.serve("WEST", "fetch", {"key": KEY, "payload": digest, "index": 0}, b"")
    assert fetched[1] == b"sealed for WEST"


@pytest.mark.parametrize("name", ["../../keys/x", "/etc/x", "..", "x\0", "A" * 64, "", "a/b"])
def test_no_name_in_a_call_leads_out_of_the_servers_folder(tmp_path, name):
    server = RequestQueue(tmp_path / "home")
    put(server, "WEST", b"x")
    for change in ({"key": name}, {"site": name or "."}, {"payload": name or "x"}):
        values = {
            "site": "WEST", "key": "b" * 64, "payload": "", "size": 0, "most": 1,
            "needs_torch": False, "then": [], **change,
        }  # fmt: skip
        with pytest.raises(RefusedError, match="can't be read"):
            server.serve(COORDINATOR, "put", values, b"")
    with pytest.raises(RefusedError, match="can't be read"):
        server.serve("WEST", "fetch", {"key": KEY, "payload": name or "x", "index": 0}, b"")
    assert {path.name for path in tmp_path.iterdir()} == {"home"}


def test_a_payload_of_other_bytes_than_it_is_named_after_is_not_kept(tmp_path):
    """Whoever fetches it by its digest gets just these bytes."""
    server = RequestQueue(tmp_path)
    put(server, "WEST")
    digest = digest_of(b"honest")
    for other in (b"forged", b"honest "):
        sent = {"key": KEY, "payload": digest, "index": 0, "size": len(other)}
        with pytest.raises(RefusedError, match="not the one that was announced"):
            server.serve("WEST", "send", sent, other)
    with pytest.raises(RefusedError, match="no piece"):
        server.serve("WEST", "send", {**sent, "size": 3}, b"more than three")
    assert [path.name[0] for path in (tmp_path / "payloads").iterdir()] == ["."]  # it has begun


def test_a_site_does_not_fill_the_servers_disk_with_payloads(tmp_path):
    """Each whole, none of them named by an answer."""
    server = RequestQueue(tmp_path)
    put(server, "WEST", b"asked")
    for number in range(10):
        payload = b"%d" % number
        sent = {"key": KEY, "payload": digest_of(payload), "index": 0, "size": 1}
        server.serve("WEST", "send", sent, payload)
    kept = {path.name for path in (tmp_path / "payloads").iterdir()}
    assert kept == {digest_of(b"asked"), digest_of(b"9")}


def test_what_waits_outlives_the_server_and_an_answer_is_taken_once(tmp_path):
    put(RequestQueue(tmp_path), "WEST", b"weights")

    again = RequestQueue(tmp_path)
    assert not put(again, "WEST", b"weights")  # it is there: nothing is sent again
    (one,) = again.serve("WEST", "poll", {"at_work": {}}, b"")[0]["wanted"]
    said = {"key": KEY, "ticket": one["ticket"], "payload": one["payload"], "size": 7}
    again.serve("WEST", "answered", said, b"answer")

    third = RequestQueue(tmp_path)
    assert third.serve("WEST", "poll", {"at_work": {}}, b"")[0]["wanted"] == []
    assert third.serve(COORDINATOR, "answer", {"key": KEY}, b"")[1] == b"answer"
    third.serve(COORDINATOR, "remove", {"keys": [KEY]}, b"")
    with pytest.raises(RefusedError, match="no such request"):
        third.serve("WEST", "answered", said, b"once more")
    third.serve(COORDINATOR, "clear", {}, b"")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_an_answer_to_a_delivery_that_was_given_up_is_not_taken(tmp_path):
    server = RequestQueue(tmp_path)
    put(server, "WEST")
    (first,) = server.serve("WEST", "poll", {"at_work": {}}, b"")[0]["wanted"]
    server.serve(COORDINATOR, "remove", {"keys": [KEY]}, b"")
    put(server, "WEST")
    said = {"key": KEY, "ticket": first["ticket"], "payload": "", "size": 0}
    with pytest.raises(RefusedError, match="sent again since"):
        server.serve("WEST", "answered", said, b"late")


def test_the_next_site_fetches_the_payload_before_it_is_asked_and_no_other_does(tmp_path):
    server = RequestQueue(tmp_path)
    put(server, "WEST", then=["EAST"])
    (one,) = server.serve("WEST", "poll", {"at_work": {}}, b"")[0]["wanted"]
    digest = digest_of(b"sealed")
    sent = {"key": KEY, "payload": digest, "index": 0, "size": 6}
    server.serve("WEST", "send", sent, b"sealed")
    said = {"key": KEY, "ticket": one["ticket"], "payload": digest, "size": 6}
    server.serve("WEST", "answered", said, b"answer")

    assert server.serve("EAST", "poll", {"at_work": {}}, b"")[0] == {
        "wanted": [], "soon": [[digest, 6]],
    }  # fmt: skip
    values = {"key": "", "payload": digest, "index": 0}
    assert server.serve("EAST", "fetch", values, b"")[1] == b"sealed"
    with pytest.raises(RefusedError):
        server.serve("NORTH", "fetch", values, b"")
    server.serve(COORDINATOR, "remove", {"keys": [KEY]}, b"")
    assert not put(server, "EAST", b"sealed", key="b" * 64)  # it is still there


def test_the_end_of_a_log_moves_no_terminal_and_is_no_endless_read(tmp_path):
    log = tmp_path / "log.txt"
    log.write_bytes(b"x" * (1 << 20) + b"\n\x1b[2J\x1b[Hall is well\n\xff\xfe last\n")
    found = last_lines(log)
    assert found.endswith("last") and "all is well" in found
    assert found.replace("\n", "").isprintable() and len(found) < 20_000

"""What a hostile server, or a disk without room, may do to a site: no process too many, no full
disk, no letters that a terminal obeys; and what a site may send to the server in the place of
bytes."""

import importlib.util
import shutil
import threading
from types import SimpleNamespace

import pytest

from roundelay.errors import CourierError, RefusedError
from roundelay.network.flare.answering import MOST_TASKS, Answering
from roundelay.network.flare.blobs import PIECE, Blobs
from roundelay.network.flare.queue import RequestQueue
from roundelay.network.wire.messages import LARGEST_HEAD, Parts
from roundelay.network.wire.transport import ROOM, Request
from roundelay.records.signatures import COORDINATOR

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("nvflare") is None, reason="the extra 'network' is not installed"
)

DIGEST = "d" * 64


def wanted(number=0, **more):
    return {
        "key": "a" * 64, "ticket": f"{number:032x}", "payload": "", "size": 0, "ready": True,
        "needs_torch": False, **more,
    }  # fmt: skip


class Site:
    """A site whose server says `found` to a poll, and gives `head` and `piece` for ever."""

    def __init__(self, place, found, head=b"head", piece=b""):
        self.found, self.head, self.piece = {"wanted": [], "soon": [], **found}, head, piece
        self.begun, self.fetched, self.go = [], 0, threading.Event()
        self.answering = Answering(place, self.call, self)

    def call(self, topic, values, data=b""):
        self.fetched += topic == "fetch"
        return {"poll": (self.found, b""), "head": ({}, self.head)}.get(topic, ({}, self.piece))

    def prepare(self):
        pass

    def end(self, ticket):
        pass

    def answer(self, ticket, *_, **__):
        self.begun.append(ticket)
        self.go.wait(30)
        raise OSError("over")

    def lost(self):
        """Its only task, once it is over."""
        self.answering.look()
        (task,) = self.answering._tasks.values()
        while not task.lost:
            self.answering._awake.wait(0.01)
        return task


def test_a_server_that_wants_a_thousand_answers_starts_few_processes(tmp_path):
    site = Site(tmp_path, {"wanted": [wanted(number) for number in range(1000)]})
    for _ in range(3):
        site.answering.look()
    assert len(site.answering._tasks) == MOST_TASKS
    site.go.set()


@pytest.mark.parametrize("size", [0, 10**15, 7])
def test_a_payload_of_no_bytes_or_of_endless_ones_is_not_worked_on(tmp_path, size):
    """Nor is more asked for than one piece at a time of each of a few."""
    piece = bytes(PIECE) if size > 7 else b"1234567"
    site = Site(tmp_path, {"wanted": [wanted(payload=DIGEST, size=size)]}, piece=piece)
    site.lost()
    assert site.begun == []
    assert site.fetched < 20
    left = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    assert left < 5 * PIECE


def test_a_head_without_end_is_not_worked_on(tmp_path):
    site = Site(tmp_path, {"wanted": [wanted()]}, head=bytes(LARGEST_HEAD + ROOM + 1))
    site.lost()
    assert site.begun == []


def test_one_payload_is_fetched_ahead_at_a_time(tmp_path):
    site, before = Site(tmp_path, {}), threading.active_count()
    reached, go = threading.Event(), threading.Event()

    def fetch(digest, size):
        reached.set()
        go.wait(30)

    site.answering._fetch_ahead = fetch
    for number in range(20):
        site.found["soon"] = [[f"{number:064x}", 5]]
        site.answering.look()
    assert reached.wait(30)
    assert threading.active_count() <= before + 1
    go.set()


def test_a_payload_takes_no_more_than_half_of_the_room(tmp_path, monkeypatch):
    room = SimpleNamespace(free=10 * PIECE)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: room)
    blobs = Blobs(tmp_path, durable=True)
    blobs.add("a" * 64, 4 * PIECE, 0, bytes(PIECE), by="WEST")
    for size in (10**15, 4 * PIECE):  # the other one isn't whole yet
        with pytest.raises(RefusedError, match=r"no room for a payload of [0-9,]+ bytes here"):
            blobs.add("b" * 64, size, 0, bytes(PIECE), by="EAST")
    blobs.add("b" * 64, 3 * PIECE, 0, bytes(PIECE), by="EAST")


def test_a_site_that_fetches_pieces_that_are_none_is_refused_and_has_not_moved(tmp_path):
    server = RequestQueue(tmp_path)
    asked = {"site": "WEST", "key": "a" * 64, "payload": DIGEST, "size": 1, "most": 9,
             "needs_torch": False, "then": []}  # fmt: skip
    server.serve(COORDINATOR, "put", asked, b"head")
    server._blobs.path(DIGEST).write_bytes(b"1")
    for index in (1, 2, 10**9):
        values = {"key": "a" * 64, "payload": DIGEST, "index": index}
        with pytest.raises(RefusedError, match="fewer pieces"):
            server.serve("WEST", "fetch", values, b"")
    assert (
        server.serve(COORDINATOR, "look", {"keys": ["a" * 64]}, b"")[0]["requests"]["a" * 64][
            "pieces"
        ]
        == 0
    )


class Message:
    def __init__(self, payload=b"", **headers):
        self.payload, self.headers = payload, {"cn__return_code": "ok", **headers}

    def get_header(self, name):
        return self.headers.get(name)

    def get_prop(self, name):
        return "WEST"


@pytest.mark.parametrize("payload", [10**12, {"a": 1}, ["x"], "text", 0], ids=repr)
def test_what_stands_in_the_place_of_bytes_is_refused_by_both_ends(tmp_path, payload):
    from roundelay.network.flare.channel import VALUES, call
    from roundelay.network.flare.parts import ServerPart

    given = Message(payload, cn__topic="poll", **{VALUES: {"at_work": {}}})
    part = ServerPart("admin")
    part._queue = RequestQueue(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("roundelay.network.flare.parts.sender", lambda message: "WEST")
        reply = part._serve(given)
    assert "in the place of its bytes" in reply.get_header("roundelay-refused")

    core = SimpleNamespace(send_request=lambda **_: given)
    with pytest.raises(RefusedError, match="in the place of its bytes"):
        call(SimpleNamespace(core_cell=core), "poll", {})


@pytest.mark.parametrize("values", [None, 3, "x", [1]], ids=repr)
def test_a_reply_without_values_is_refused_in_a_sentence(values):
    from roundelay.network.flare.channel import VALUES, call

    core = SimpleNamespace(send_request=lambda **_: Message(b"", **{VALUES: values}))
    with pytest.raises(RefusedError, match="answered what can't be read"):
        call(SimpleNamespace(core_cell=core), "poll", {})


def test_what_a_server_says_is_shown_without_its_control_letters():
    from roundelay.network.flare.channel import call

    for headers in ({"roundelay-refused": "\x1b[2J\nno"}, {"cn__return_code": "\x1b]0;x\x07"}):
        core = SimpleNamespace(send_request=lambda **_: Message(**headers))  # noqa: B023
        with pytest.raises((RefusedError, ConnectionError)) as told:
            call(SimpleNamespace(core_cell=core), "poll", {})
        assert str(told.value).isprintable()


def test_a_servers_full_disk_is_said(tmp_path, monkeypatch):
    from roundelay.network.flare.channel import VALUES
    from roundelay.network.flare.parts import ServerPart

    def full(*_):
        raise OSError(28, "No space left on device", "/home/secret/place")

    part = ServerPart("admin")
    part._queue = SimpleNamespace(serve=full)
    monkeypatch.setattr("roundelay.network.flare.parts.sender", lambda message: "admin")
    said = part._serve(Message(cn__topic="put", **{VALUES: {}})).get_header("roundelay-refused")
    assert said == "The network's server can't write or read: no space left on device."


def test_the_coordinator_takes_no_piece_longer_than_the_answer(tmp_path, monkeypatch):
    from roundelay.network.flare import transport
    from roundelay.network.flare.delivery import Delivery

    class Session:
        def __init__(self, *_, **__):
            pass

        def ask(self, topic, values, data=b""):
            return {}, bytes(10**7)

    monkeypatch.setattr(transport, "Session", Session)
    there = transport.FlareTransport(tmp_path, patience=1.0, stuck_after=1.0)
    delivery = Delivery(Request("WEST", "WEST, its stop", Parts(b"head")))
    with pytest.raises(CourierError, match="other bytes than the answer has"):
        there._take(delivery, DIGEST, 100)
    assert delivery.answer is None

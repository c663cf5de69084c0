"""A site's part and the server's, without a network: what comes, leaves, is lost or given up."""

import hashlib
import threading

import pytest

from parties import until
from roundelay.errors import RefusedError
from roundelay.network.flare.answering import Answering
from roundelay.network.flare.blobs import PIECE, Blobs, in_order
from roundelay.network.flare.calls import Looked
from roundelay.network.flare.queue import RequestQueue
from roundelay.network.hospital.workers import Worked, WorkerLostError
from roundelay.network.wire.parsing import parsed
from roundelay.records.signatures import COORDINATOR

KEY, OTHER = "a" * 64, "b" * 64
LARGE = b"1" * (2 * PIECE) + b"2"


def digest_of(data):
    return hashlib.sha256(data).hexdigest() if data else ""


class Hands:
    """In the place of a site's processes: `work` makes an answer of a head and a payload."""

    def __init__(self, folder, work):
        self.folder, self.work, self.ended, self.prepared = folder, work, set(), 0

    def prepare(self):
        self.prepared += 1

    def answer(self, ticket, head, payload, tell, *, needs_torch):
        head, found = self.work(head, payload.read_bytes() if payload else b"", tell)
        out = self.folder / ticket
        out.write_bytes(found)
        return Worked(head, out if found else None, digest_of(found), len(found))

    def end(self, ticket):
        self.ended.add(ticket)


class Trial:
    """A server and the site WEST; `broken` calls of it fail before one succeeds."""

    def __init__(self, place, work):
        self.place, self.server = place, RequestQueue(place / "server")
        self.hands, self.calls, self.broken = Hands(place, work), [], 0
        self.site = Answering(place / "site", self.call, self.hands)

    def call(self, topic, values, data=b""):
        if self.broken:
            self.broken -= 1
            raise ConnectionError("the server is away")
        self.calls.append(topic)
        return self.server.serve("WEST", topic, values, data)

    def put(self, key=KEY, payload=b"", **more):
        values = {
            "site": "WEST", "key": key, "payload": digest_of(payload), "size": len(payload),
            "most": 10**8, "needs_torch": False, "then": [], **more,
        }  # fmt: skip
        if self.ask("put", values, b"head")["missing"]:
            for index in range(-(-len(payload) // PIECE)):
                sent = {"key": key, "payload": digest_of(payload), "size": len(payload)}
                piece = payload[index * PIECE : (index + 1) * PIECE]
                self.ask("send", {**sent, "index": index}, piece)

    def ask(self, topic, values, data=b""):
        return self.server.serve(COORDINATOR, topic, values, data)[0]

    def state(self, key=KEY):
        return self.ask("look", {"keys": [key]})["requests"][key]

    def look_until(self, what):
        def looked():
            self.site.look()
            return what()

        until(looked, 20)

    def answered(self, key=KEY):
        """The payload of the answer, once it is there."""
        self.look_until(lambda: self.state(key)["answered"])
        found, pieces = self.state(key), []
        for index in range(-(-found["size"] // PIECE)):
            values = {"key": key, "payload": found["payload"], "index": index}
            pieces.append(self.server.serve(COORDINATOR, "fetch", values, b"")[1])
        return b"".join(pieces)


def turned(head, payload, tell):
    return b"answer", payload[::-1]


def test_an_answer_comes_as_it_was_made_though_the_server_was_away(tmp_path):
    trial = Trial(tmp_path, turned)
    trial.put(payload=LARGE)
    trial.broken = 2

    assert trial.answered() == LARGE[::-1]
    assert trial.server.serve(COORDINATOR, "answer", {"key": KEY}, b"")[1] == b"answer"


def test_a_request_that_needs_no_bytes_moves_none(tmp_path):
    trial = Trial(tmp_path, turned)
    trial.put()

    assert trial.answered() == b""
    assert not {"fetch", "send"} & set(trial.calls)


def test_what_a_site_made_or_fetched_ahead_does_not_travel_to_it_again(tmp_path):
    trial = Trial(tmp_path, turned)
    trial.put(payload=b"weights", then=["WEST"])
    trial.answered()
    trial.calls.clear()
    trial.ask("remove", {"keys": [KEY]})
    trial.put(OTHER, payload=b"weights"[::-1])

    assert trial.answered(OTHER) == b"weights"
    assert "fetch" not in trial.calls


def test_what_comes_next_is_fetched_before_it_is_asked_for(tmp_path):
    trial = Trial(tmp_path, turned)
    values = {"site": "EAST", "key": OTHER, "payload": "", "size": 0, "most": 100}
    trial.ask("put", {**values, "needs_torch": False, "then": ["WEST"]}, b"head")
    (asked,) = trial.server.serve("EAST", "poll", {"at_work": {}}, b"")[0]["wanted"]
    found = digest_of(b"model")
    sent = {"key": OTHER, "payload": found, "size": 5}
    trial.server.serve("EAST", "send", {**sent, "index": 0}, b"model")
    trial.server.serve("EAST", "answered", {**sent, "ticket": asked["ticket"]}, b"head")

    trial.look_until(lambda: (tmp_path / "site" / "incoming" / found).exists())

    assert trial.hands.prepared
    trial.ask("clear", {})
    trial.look_until(lambda: not (tmp_path / "site" / "incoming" / found).exists())


def test_a_process_that_ends_is_told_of_at_once(tmp_path):
    def ends(head, payload, tell):
        raise WorkerLostError("it ended")

    trial = Trial(tmp_path, ends)
    trial.put()
    trial.look_until(lambda: trial.state()["lost"])


def test_what_is_no_longer_wanted_is_ended_and_a_new_delivery_is_another_one(tmp_path):
    began, release, told = threading.Event(), threading.Event(), []

    def waits(head, payload, tell):
        tell({"step": 3, "loss": 0.5, "text": "x"})
        began.set()
        release.wait(20)
        told.append(head)
        return b"answer", b""

    trial = Trial(tmp_path, waits)
    trial.put()
    trial.look_until(began.is_set)
    trial.look_until(lambda: trial.state().get("step") == 3)
    assert "text" not in trial.state()
    first = trial.state()["start"]

    trial.ask("remove", {"keys": [KEY]})
    trial.put()
    trial.look_until(lambda: trial.hands.ended)
    release.set()
    assert trial.answered() == b""
    assert trial.state()["start"] != first


def test_after_a_restart_a_site_begins_again_by_itself(tmp_path):
    trial = Trial(tmp_path, lambda head, payload, tell: threading.Event().wait())
    trial.put(payload=b"weights")
    trial.look_until(lambda: trial.state()["start"])

    trial.site = Answering(tmp_path / "site", trial.call, Hands(tmp_path, turned))

    assert trial.answered() == b"weights"[::-1]


def test_pieces_may_overtake_each_other_and_come_twice(tmp_path):
    blobs = Blobs(tmp_path, durable=False)
    for index in (2, 0, 2, 0, 1):
        piece = LARGE[index * PIECE : (index + 1) * PIECE]
        blobs.add(digest_of(LARGE), len(LARGE), index, piece, by="WEST")

    assert blobs.path(digest_of(LARGE)).read_bytes() == LARGE
    with pytest.raises(RefusedError, match="no piece"):
        blobs.add("0" * 64, 5, 1, b"", by="WEST")


def test_one_party_sends_few_payloads_at_once(tmp_path):
    """What was begun and never ended does not fill the disk."""
    blobs = Blobs(tmp_path, durable=True)
    for number in range(20):
        blobs.add(f"{number:064x}", 2 * PIECE, 0, bytes(PIECE), by="WEST")
    assert len(list(tmp_path.iterdir())) == 4
    Blobs(tmp_path, durable=True)
    assert list(tmp_path.iterdir()) == []


def test_pieces_are_given_in_their_order_and_few_are_held():
    held, most = set(), []

    def move(index):
        held.add(index)
        most.append(len(held))
        return index

    for number, index in enumerate(in_order(move, 50)):
        assert number == index
        held.discard(index)
    assert max(most) <= 4


GOOD = {
    "key": KEY, "ticket": "c" * 32, "payload": "", "size": 0, "ready": True, "needs_torch": False,
}  # fmt: skip


@pytest.mark.parametrize(
    "found",
    [
        {"wanted": [{**GOOD, "ticket": "../../policy"}], "soon": []},
        {"wanted": [{**GOOD, "payload": "/etc/passwd"}], "soon": []},
        {"wanted": [{**GOOD, "key": "../key"}], "soon": []},
        {"wanted": [{**GOOD, "size": -1}], "soon": []},
        {"wanted": [{**GOOD, "more": 1}], "soon": []},
        {"wanted": [], "soon": [["../keys.json", 1]]},
        {"wanted": [], "soon": [["a" * 64, 1], ["b" * 64, 1]]},
        {"wanted": {}, "soon": []},
        {},
    ],
)
def test_what_no_honest_server_says_moves_nothing_at_a_site(tmp_path, found):
    trial = Trial(tmp_path, turned)
    (tmp_path / "kept").write_bytes(b"kept")
    before = sorted(p for p in tmp_path.rglob("*") if p.is_file())
    trial.call = lambda topic, *_: (found, b"") if topic == "poll" else pytest.fail(topic)
    site = Answering(tmp_path / "site", trial.call, trial.hands)

    site.look()

    assert not site._tasks and not trial.hands.prepared
    assert sorted(p for p in tmp_path.rglob("*") if p.is_file()) == before


@pytest.mark.parametrize(
    "changed",
    [
        {"payload": "../answer"}, {"size": "7"}, {"mute": -1.0}, {"start": "x"}, {"more": 1},
        {"pieces": None},
    ],
)  # fmt: skip
def test_what_no_honest_server_says_of_a_request_is_refused_by_the_coordinator(tmp_path, changed):
    trial = Trial(tmp_path, turned)
    trial.put()
    said = {"sites": {"WEST": 1.0}, "requests": {KEY: trial.state()}}
    assert parsed(Looked, said, "It").requests[KEY].told() == {}
    said["requests"][KEY] |= changed

    with pytest.raises(RefusedError, match="It can't be read"):
        parsed(Looked, said, "It")

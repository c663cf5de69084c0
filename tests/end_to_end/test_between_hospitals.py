"""A network of real processes on loopback: server, hospitals, coordinator, all killed once."""

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time

import pytest

from roundelay.cohort.phantom import make_toy
from roundelay.ledger import read_ledger

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        importlib.util.find_spec("nvflare") is None, reason="the extra 'network' is not installed"
    ),
]
SITES = ("EAST", "NORTH", "WEST")
STUDY = """
name = "trio"
arms = ["swt"]
[data]
root = "data"
size = 32
split = { validation = 0.0, test = 0.34 }
[model]
encoder = "resnet18"
[recipe]
rounds = 1
steps = 30
batch = 2
deterministic = true
[evaluation]
samples = false
[courier]
threads = 1
"""


def command(*words):
    return [sys.executable, "-m", "roundelay", *map(str, words)]


def roundelay(*words, ok=0):
    done = subprocess.run(command(*words), capture_output=True, text=True, timeout=240)
    assert done.returncode == ok, done.stderr[-2000:]
    return done.stdout


class Party:
    """One process of the network, with its log; killed at once or ended in order."""

    def __init__(self, place, name, *words):
        self.log = place / f"{name}.out"
        self.words = words
        self.start()

    def start(self):
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                command(*self.words), stdout=out, stderr=out, start_new_session=True
            )

    def kill(self):
        """kill -9, of everything that it started too: the machine lost its power."""
        import psutil

        tree = [self.process.pid, *(c.pid for c in psutil.Process(self.process.pid).children(True))]
        for number in tree:
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        self.process.wait()

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    place = tmp_path_factory.mktemp("net")
    root = make_toy(place / "data", seed=0, patients=dict.fromkeys(SITES, 3), slices=4, size=64)
    for folder in root.iterdir():
        if folder.is_dir():
            shutil.copytree(folder, place / folder.name.split("_")[1] / folder.name)
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    (place / "NETWORK.toml").write_text(
        f'name = "trio"\nsites = {json.dumps(SITES)}\n[server]\nhost = "localhost"\nport = {port}\n'
    )
    (place / "study.toml").write_text(STUDY)
    kits = place / "kits"
    roundelay("network", "create", place / "NETWORK.toml", "--out", kits)
    parties = {"server": Party(place, "server", "server", "start", kits / "server")}
    for site in SITES:
        parties[site] = Party(
            place, site, "site", "start", kits / site, "--data", place / site, "--threads", 1
        )  # fmt: skip
    yield place, kits, port, parties
    for party in parties.values():
        party.end()


def until(what, seconds=150.0):
    """Wait for something to be true; never without an end."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.2)
    return found


def audit(kits, site):
    path = kits / site / "roundelay" / "audit.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def at_work(kits, site):
    """Whether a site is in its visit: it took a question, was surveyed, and hasn't answered."""
    log = (kits / site / "roundelay" / "log.txt").read_text(errors="replace")
    done = [line for line in audit(kits, site) if line["asked"] not in ("start", "approve")]
    surveyed = any(d["asked"] == "survey" and d["outcome"] == "answered" for d in done)
    return surveyed and log.count("invoking task executor") > len(done)


def legs_done(run):
    path = run / "arms" / "swt-0" / "ledger.jsonl"
    return len(read_ledger(path)) - 1 if path.exists() else 0


@pytest.fixture(scope="module")
def finished(net):
    """One run, in which every party is killed once; and the same study on one machine."""
    place, kits, _, parties = net
    run = place / "RUN"
    submit = ("submit", place / "study.toml", "--kit", kits / "coordinator", "--out", run)
    coordinator = parties["coordinator"] = Party(place, "submit", *submit)
    for site in SITES:
        waiting = until(lambda s=site: list((kits / s / "roundelay" / "pending").glob("*.json")))
        assert json.loads(waiting[0].read_text())["seal"] == "sites"
        roundelay("site", "approve", _study_digest(place), "--kit", kits / site, "--yes")
    here = ("run", place / "study.toml", "--out", place / "HERE")
    parties["here"] = Party(place, "here", *here)

    until(lambda: at_work(kits, "EAST"))
    time.sleep(6)
    parties["EAST"].kill()
    parties["EAST"].start()

    until(lambda: legs_done(run) == 1 and at_work(kits, "NORTH"))
    time.sleep(6)
    parties["server"].kill()
    parties["server"].start()

    until(lambda: legs_done(run) == 2 and at_work(kits, "WEST"))
    coordinator.kill()
    code = subprocess.run(command(*submit, "--resume"), capture_output=True, text=True, timeout=240)
    assert code.returncode == 0, code.stderr[-2000:]
    assert parties["here"].process.wait(120) == 0
    return place, kits, run


def _study_digest(place):
    from roundelay.study_file import read_study

    return read_study(place / "study.toml").digest[:12]


def batons(run):
    lines = read_ledger(run / "arms" / "swt-0" / "ledger.jsonl")
    return [line["baton"] for line in lines[1:]]


def test_a_network_gives_the_bytes_of_one_machine_whoever_is_killed(finished):
    place, _, run = finished
    assert batons(run) == batons(place / "HERE")
    assert (run / "report.html").exists() and (run / "summary.json").exists()


def test_the_ledger_is_signed_by_the_hospitals(finished):
    _, _, run = finished
    said = roundelay("ledger", "verify", run)
    assert "3 receipts are signed" in said and "Not proven" in said


def test_neither_server_nor_coordinator_holds_weights_that_can_be_read(finished):
    from roundelay.baton import Baton

    place, kits, run = finished
    patterns = []
    for path in (place / "HERE").rglob("batons/*.safetensors"):
        array = Baton(path.read_bytes()).arrays()["model/encoder.layer4.0.conv1.weight"]
        patterns.append(array.tobytes()[:64])

    def holds(folder):
        files = [p for p in folder.rglob("*") if p.is_file()]
        return any(pattern in p.read_bytes() for p in files for pattern in patterns)

    assert patterns and holds(place / "HERE")
    assert not holds(run) and not holds(kits / "server") and not holds(kits / "coordinator")


def test_the_servers_disk_is_given_free(finished):
    _, kits, _ = finished
    jobs = kits / "server" / "roundelay" / "jobs"
    held = sum(p.stat().st_size for p in jobs.rglob("*") if p.is_file())
    assert held < 5 * 57e6, f"{held / 1e6:.0f} MB are left of jobs that are done"


def test_a_job_that_carries_code_does_not_run(net, finished, tmp_path):
    """The network's own coordinator sends it, with FLARE's own interface."""
    from nvflare.fuel.flare_api.flare_api import new_secure_session

    _, kits, _, _ = net
    mark = tmp_path / "ran"
    app = tmp_path / "bad" / "app"
    (app / "config").mkdir(parents=True)
    (app / "custom").mkdir()
    (app / "custom" / "evil.py").write_text(
        "from nvflare.apis.executor import Executor\n"
        f"open({str(mark)!r}, 'w').close()\n"
        "class Evil(Executor):\n    def execute(self, *a, **k): return None\n"
    )
    client = {
        "format_version": 2,
        "executors": [{"tasks": ["x"], "executor": {"path": "evil.Evil"}}],
    }
    carry = {"id": "c", "path": "roundelay.network.carrying.Carry", "args": {"site": "EAST"}}
    (app / "config" / "config_fed_client.json").write_text(json.dumps(client))
    (app / "config" / "config_fed_server.json").write_text(
        json.dumps({"format_version": 2, "workflows": [carry]})
    )
    (tmp_path / "bad" / "meta.json").write_text(
        json.dumps({
            "name": "bad", "min_clients": 1, "mandatory_clients": ["EAST"], "resource_spec": {},
            "deploy_map": {"app": ["server", "EAST"]},
        })
    )  # fmt: skip
    coordinator = kits / "coordinator"
    user = json.loads((coordinator / "startup" / "fed_admin.json").read_text())["admin"]
    with contextlib.redirect_stdout(None):
        session = new_secure_session(user["username"], str(coordinator))
    try:
        with pytest.raises(Exception, match=r"(?i)not permitted|authoriz|byoc|custom"):
            job = session.submit_job(str(tmp_path / "bad"))
            end = until(lambda: _ended(session, job), 60)
            raise RuntimeError(f"not permitted: {end}" if "FAILED" in end else f"it ran: {end}")
    finally:
        session.close()
    assert not mark.exists()


def _ended(session, job):
    status = str(session.get_job_meta(job).get("status"))
    return status if status.startswith("FINISHED") else ""


def test_a_plain_client_and_a_stranger_get_no_answer(net, tmp_path):
    place, kits, port, _ = net
    with socket.create_connection(("localhost", port), timeout=5) as plain:
        plain.sendall(b"GET / HTTP/1.0\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            assert b"HTTP" not in plain.recv(1000)

    other = tmp_path / "other"
    roundelay("network", "create", place / "NETWORK.toml", "--out", other)
    stranger = other / "EAST" / "startup"
    context = ssl.create_default_context(cafile=str(kits / "EAST" / "startup" / "rootCA.pem"))
    context.check_hostname = False
    context.load_cert_chain(stranger / "client.crt", stranger / "client.key")
    with (
        pytest.raises((ssl.SSLError, ConnectionError)),
        socket.create_connection(("localhost", port), timeout=5) as raw,
        context.wrap_socket(raw) as wrapped,
    ):
        wrapped.sendall(b"hello")
        if not wrapped.recv(100):
            raise ConnectionError("closed without a word")

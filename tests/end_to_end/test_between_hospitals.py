"""A network of real processes on loopback: server, hospitals, coordinator, all killed once."""

import contextlib
import importlib.util
import json
import re
import socket
import ssl
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from parties import Party, batons, folders_by_site, legs_done, roundelay, start_network, until
from roundelay.phantom.cohort import make_toy
from roundelay.relay.baton import Baton
from wire import can_capture, captured_loopback

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        importlib.util.find_spec("nvflare") is None, reason="the extra 'network' is not installed"
    ),
]
DOCS = Path(__file__).parents[2] / "docs" / "how-to"
SITES = ("EAST", "NORTH", "WEST")
ARM = "swt-0"
MODEL = 3.6e6
"""Bytes of a model."""
POLICY = '[accept]\nowners = ["$OWNER"]\nrounds = 1\n'
INTO_VISIT = 1.0
"""Seconds from when a site's door is locked until it is well within its visit, which takes more."""
STUDY = """
name = "trio"
arms = ["swt"]
[data]
root = "data"
size = 32
split = { validation = 0.0, test = 0.34 }
[model]
encoder = "resnet18_quarter"
[recipe]
rounds = 1
steps = 200
batch = 2
deterministic = true
[evaluation]
samples = false
[courier]
threads = 1
"""


@pytest.fixture(scope="module")
def here(module_path):
    """The study on one machine, under way."""
    make_toy(module_path / "data", seed=0, patients=dict.fromkeys(SITES, 3), slices=4, size=64)
    study = module_path / "study.toml"
    study.write_text(STUDY)
    return Party(module_path, "here", "run", study, "--out", module_path / "HERE")


@pytest.fixture(scope="module")
def net(here, module_path):
    folders = folders_by_site(module_path / "data")
    network = start_network(module_path, folders, policy=POLICY)
    yield network
    network.end()


@pytest.fixture(scope="module")
def finished(net, here):
    """One run, in which every party is killed once; bytes of its weights; and the wire's traffic
    since a hospital agreed to train."""
    place, parties = net.place, net.parties
    run, study = place / "RUN", place / "study.toml"
    with contextlib.ExitStack() as stack:
        coordinator = net.submit(study, run)
        waiting = until(lambda: list((net.home("EAST") / "pending").glob("*.json")))
        assert json.loads(waiting[0].read_text())["seal"] == "sites"
        assert here.process.wait(120) == 0, here.log.read_text()[-2000:]
        patterns, wire = trained_bytes(place / "HERE"), None
        if can_capture():
            wire = stack.enter_context(captured_loopback(patterns))
        net.approve_waiting()

        within_visit(net, run, 0, "EAST")
        parties["EAST"].kill()
        parties["EAST"].start()

        within_visit(net, run, 1, "NORTH")
        parties["server"].kill()
        parties["server"].start()

        within_visit(net, run, 2, "WEST")
        coordinator.kill()
        again = net.submit(study, run, resume=True)
        assert again.process.wait(240) == 0, again.log.read_text()[-2000:]
    return SimpleNamespace(run=run, patterns=patterns, wire=wire)


def trained_bytes(run):
    """Bytes of several layers of every baton but the start, as they lie open on one machine."""
    found = []
    for path in run.rglob("batons/*.safetensors"):
        arrays = Baton(path.read_bytes()).arrays()
        for layer in (
            "encoder.layer4.0.conv1",
            "encoder.layer3.1.conv2",
            "decoder.blocks.0.conv1.0",
        ):
            found.append(arrays[f"model/{layer}.weight"].tobytes()[:64])
    assert len(found) >= 6
    return found


def within_visit(net, run, validation, site):
    """Wait until this validation's visit is well under way."""

    def at_it():
        done = [(line["asked"], line.get("outcome")) for line in net.audit(site)]
        return (
            ("survey", "answered") in done
            and legs_done(run, ARM) == validation
            and net.at_work(site)
        )

    until(at_it)
    time.sleep(INTO_VISIT)
    assert at_it(), "the visit was over too soon"


def test_a_network_gives_the_bytes_of_one_machine_whoever_is_killed(net, finished):
    run = finished.run
    assert batons(run, ARM) == batons(net.place / "HERE", ARM)
    assert (run / "report.html").exists() and (run / "summary.json").exists()


def test_the_ledger_is_signed_by_the_hospitals(finished):
    said = roundelay("ledger", "verify", finished.run)
    assert "3 receipts are signed" in said and "0 failed" in said
    assert "each key is its hospital's own: can't be checked because" in said


def test_neither_server_nor_coordinator_holds_weights_that_can_be_read(net, finished):
    def holds(folder):
        files = [p for p in folder.rglob("*") if p.is_file()]
        return any(pattern in p.read_bytes() for p in files for pattern in finished.patterns)

    assert holds(net.place / "HERE")  # the search finds what lies open
    assert (
        not holds(finished.run)
        and not holds(net.kits / "server")
        and not holds(net.kits / "coordinator")
    )


@pytest.mark.skipif(not can_capture(), reason="only root may listen to the loopback interface")
def test_no_weights_that_can_be_read_cross_the_wire(finished):
    assert finished.wire.crossed > 3 * MODEL  # batons did cross
    assert not finished.wire.found

    with captured_loopback(finished.patterns) as control, socket.socket() as server:
        server.bind(("localhost", 0))
        server.listen()
        with socket.create_connection(server.getsockname()) as client:
            client.sendall(bytes(1000) + finished.patterns[0] + bytes(1000))
            time.sleep(0.5)
    assert control.found  # the search finds what goes open


def test_the_servers_disk_is_given_free(net, finished):
    held = sum(p.stat().st_size for p in (net.home("server") / "jobs").rglob("*") if p.is_file())
    assert held < 5 * MODEL, f"{held / 1e6:.0f} MB are left of jobs that are done"


def test_the_status_of_the_network_names_everyone(net, finished):
    said = json.loads(roundelay("network", "status", "--kit", net.kits / "coordinator", "--json"))
    assert [row["site"] for row in said["sites"]] == list(SITES)
    for row in said["sites"]:
        assert (row["is"], row["clock"]) == ("there", "agrees")
        assert row["certificate"] in ("29 days", "30 days") and len(row["keys"].split()) == 8


def test_the_commands_of_the_docs_are_those_that_were_run_here(net, finished):
    """Every command of both how-to pages stands, word for word, among those above."""
    plain = {str(net.kits / "EAST"): "KIT", str(net.kits / "WEST"): "KIT",
             str(net.place / "EAST"): "PATIENTS", str(net.place / "WEST"): "PATIENTS"}  # fmt: skip
    run = [[plain.get(str(w), str(w).removeprefix(f"{net.place}/")) for w in p.words]
           for p in net.parties.values()]  # fmt: skip
    run += [["network", "create", "NETWORK.toml", "--out", "kits"],
            ["network", "status", "--kit", "kits/coordinator"],
            ["site", "approve", "DIGEST", "--kit", "KIT"], ["ledger", "verify", "RUN"]]  # fmt: skip
    for page in ("run-between-hospitals", "take-part-as-a-hospital"):
        text = (DOCS / f"{page}.md").read_text()
        found = re.findall(
            r"^(?:`)?roundelay ((?:network|server|site|submit|ledger) [^`\n]*)", text, re.M
        )
        assert found, page
        for words in (line.removesuffix("`.").split() for line in found):
            assert any(r[: len(words)] == words for r in run), f"{page}: {words}"


def job(folder, site, executor, custom=""):
    """A job of FLARE's own shape, with code of its own where there is some."""
    app = folder / "app"
    (app / "config").mkdir(parents=True)
    if custom:
        (app / "custom").mkdir()
        (app / "custom" / "evil.py").write_text(custom)
    configs = {
        "config_fed_client.json": {"executors": [{"tasks": ["x"], "executor": {"path": executor}}]},
        "config_fed_server.json": {
            "workflows": [{
                "id": "c", "path": "roundelay.network.flare.parts.ServerPart",
                "args": {"coordinator": site},
            }],
        },
    }  # fmt: skip
    for name, config in configs.items():
        (app / "config" / name).write_text(json.dumps({"format_version": 2, **config}))
    meta = {
        "name": folder.name, "min_clients": 1, "mandatory_clients": [site], "resource_spec": {},
        "deploy_map": {"app": ["server", site]},
    }  # fmt: skip
    (folder / "meta.json").write_text(json.dumps(meta))
    return str(folder)


def test_no_job_runs_with_code_or_without(net, finished, tmp_path):
    """The network's own coordinator sends it, with FLARE's own interface."""
    from nvflare.fuel.flare_api.flare_api import new_secure_session

    mark = tmp_path / "ran"
    code = (
        "from nvflare.apis.executor import Executor\n"
        f"open({str(mark)!r}, 'w').close()\n"
        "class Evil(Executor):\n    def execute(self, *a, **k): return None\n"
    )
    coordinator = net.kits / "coordinator"
    user = json.loads((coordinator / "startup" / "fed_admin.json").read_text())["admin"]
    with contextlib.redirect_stdout(None):
        session = new_secure_session(user["username"], str(coordinator))
    try:
        for name, executor, custom in (
            ("evil", "evil.Evil", code),
            ("flares", "nvflare.app_common.np.np_trainer.NPTrainer", ""),
            ("ours", "roundelay.network.flare.parts.SitePart", ""),
        ):
            with pytest.raises(Exception, match=r"(?i)not authorized"):
                session.submit_job(job(tmp_path / name, "EAST", executor, custom))
    finally:
        session.close()
    assert not mark.exists()


def test_a_plain_client_and_a_stranger_get_no_answer(net, tmp_path):
    port = net.port
    with socket.create_connection(("localhost", port), timeout=5) as plain:
        plain.sendall(b"GET / HTTP/1.0\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            assert b"HTTP" not in plain.recv(1000)

    other = tmp_path / "other"
    roundelay("network", "create", net.place / "NETWORK.toml", "--out", other)
    stranger = other / "EAST" / "startup"
    context = ssl.create_default_context(cafile=str(net.kits / "EAST" / "startup" / "rootCA.pem"))
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

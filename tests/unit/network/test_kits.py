"""A kit with a damaged file is refused in a sentence before NVIDIA FLARE is given it."""

import json
import shutil
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from roundelay.errors import NetworkError

pytest.importorskip("nvflare")

from roundelay.cli.app import run_app
from roundelay.network.flare import extra, starting, whole_kit
from roundelay.network.flare.kits import create_kits
from roundelay.network.flare.session import Session
from roundelay.network.flare.starting import prepare_site, start_kit
from roundelay.network.wire.kit import kit_sites
from roundelay.network.wire.network_file import NetworkPlan, Server

PARTY = ("local/authorization.json", "local/resources.json", "local/log_config.json.default")
FILES = {
    "server": (
        "startup/fed_server.json", "startup/server.crt", "startup/server.key", "startup/rootCA.pem",
        *PARTY,
    ),
    "EAST": (
        "startup/fed_client.json", "startup/client.crt", "startup/client.key", "startup/rootCA.pem",
        *PARTY,
    ),
    "coordinator": (
        "startup/fed_admin.json", "startup/client.crt", "startup/client.key", "startup/rootCA.pem",
        "local/resources.json.default", "roundelay/sites.json",
    ),
}  # fmt: skip
"""Every file of a kit that is needed; the rest is for people, or stands in for one of these."""

FOR_PEOPLE = (
    ".md",
    ".service",
    "Dockerfile",
    "resources.json.default",
    "authorization.json.default",
)


@pytest.fixture(scope="module")
def kits(module_path):
    plan = NetworkPlan(name="trial", sites=("EAST", "WEST"), server=Server(host="localhost"))
    return create_kits(plan, module_path / "kits")


@pytest.fixture
def copy(kits, tmp_path):
    """A kit of one's own to damage."""
    return lambda name: shutil.copytree(kits[name], tmp_path / name)


@pytest.fixture(autouse=True)
def no_process(monkeypatch):
    """What would start FLARE."""

    def started(*_, **__):
        raise AssertionError("FLARE was started")

    monkeypatch.setattr(starting.subprocess, "Popen", started)
    monkeypatch.setattr(Session, "_open", started)


def begin(kit: Path) -> None:
    """All that a party does with its kit before FLARE has it, and what it reads later."""
    if kit.name == "coordinator":
        kit_sites(kit)
        Session(kit, patience=0).ask("look", {"keys": []})
    start_kit(kit, "server" if kit.name == "server" else "site")


def damage(path: Path, how: str) -> None:
    if how in ("missing", "a folder"):
        path.unlink()
    if how == "a folder":
        path.mkdir()
    if how in DAMAGES:
        path.write_bytes(DAMAGES[how])


DAMAGES = {
    "empty": b"", "garbage": b"\0\xffgarbage{", "other JSON": b"[]", "nothing": b"{}",
    "not PEM": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
}  # fmt: skip


@pytest.mark.parametrize("how", ["missing", "a folder", *DAMAGES])
@pytest.mark.parametrize("name", FILES)
def test_any_damaged_file_of_a_kit_is_named(copy, name, how):
    for file in FILES[name]:
        if how == "nothing" and file.endswith(".default"):
            continue  # all that is asked of it is that it can be read
        kit = copy(name)
        damage(kit / file, how)

        with pytest.raises(NetworkError) as caught:
            begin(kit)

        told = str(caught.value)
        assert file in told or "is no kit of a network" in told, told
        assert "take the kit again" in told or "network create" in told
        shutil.rmtree(kit)


@pytest.mark.parametrize("name", FILES)
def test_a_whole_kit_is_taken_and_no_file_of_it_is_forgotten(copy, name):
    kit = copy(name)
    there = {p.relative_to(kit).as_posix() for p in kit.rglob("*") if p.is_file()}

    assert {one for one in there if not one.endswith(FOR_PEOPLE)} <= set(FILES[name])
    with pytest.raises(AssertionError, match="FLARE was started"):
        begin(kit)


def test_a_key_or_a_certificate_of_another_kit_is_refused(copy, kits):
    for file, told in (("client.key", "client.key"), ("client.crt", "client.key")):
        kit = copy("EAST")
        shutil.copy(kits["WEST"] / "startup" / file, kit / "startup" / file)

        with pytest.raises(NetworkError, match=f"{told} in the kit .* belongs to another kit"):
            begin(kit)
        shutil.rmtree(kit)


def test_a_root_of_another_network_is_refused(copy, kits, tmp_path):
    plan = NetworkPlan(name="trial", sites=("EAST",), server=Server(host="localhost"))
    other, kit = create_kits(plan, tmp_path / "other"), copy("EAST")
    shutil.copy(other["EAST"] / "startup" / "rootCA.pem", kit / "startup")

    with pytest.raises(NetworkError, match=r"rootCA\.pem in the kit .* belongs to another kit"):
        begin(kit)


@pytest.mark.parametrize("name", FILES)
def test_a_certificate_out_of_its_time_is_refused(copy, name, monkeypatch):
    kit = copy(name)
    for days, told in ((+400_000, "ended on"), (-4_000, "Set the clock right")):
        monkeypatch.setattr(whole_kit, "datetime", clock_off_by(timedelta(days=days)))

        with pytest.raises(NetworkError, match=told):
            begin(kit)


def clock_off_by(off):
    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + off

    return Clock


@pytest.mark.parametrize("name", ["server", "EAST"])
def test_a_kit_of_another_version_is_refused_with_what_next(copy, name, tmp_path):
    kit = copy(name)
    path = kit / "local" / "resources.json"
    values = json.loads(path.read_text())
    values["class_allow_list"] = ["roundelay.network.flare.carrying.SiteExecutor"]
    path.write_text(json.dumps(values))

    with pytest.raises(NetworkError, match=r"another version of Roundelay .* network create"):
        begin(kit)
    if name == "EAST":
        with pytest.raises(NetworkError, match="another version of Roundelay"):
            prepare_site(kit, tmp_path, "lgg", None, None)
        assert list((kit / "roundelay").iterdir()) == []


@pytest.mark.parametrize("how", ["missing", "empty", "garbage", "a folder"])
def test_a_servers_resources_are_made_anew_from_what_they_were_made_of_or_it_is_said(copy, how):
    kit = copy("server")
    with pytest.raises(AssertionError, match="FLARE was started"):
        begin(kit)
    assert str(kit / "roundelay" / "jobs") in (kit / "local" / "resources.json").read_text()
    damage(kit / "local" / "resources.template.json", how)

    with pytest.raises(NetworkError, match=r"local/resources\.template\.json in the kit"):
        begin(kit)


def test_an_error_of_flares_own_is_a_sentence(copy, monkeypatch):
    monkeypatch.undo()
    flare_api = pytest.importorskip("nvflare.fuel.flare_api.flare_api")

    def broken(*_, **__):
        raise RuntimeError("config\x1b[2K has no host")

    monkeypatch.setattr(flare_api, "Session", broken)
    with pytest.raises(
        NetworkError, match=r"no session .*RuntimeError: config .*no host"
    ) as caught:
        Session(copy("coordinator"), patience=0).ask("look", {"keys": []})
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("installed", [True, False])
def test_nothing_is_said_to_run_before_it_can(copy, tmp_path, monkeypatch, capsys, installed):
    """Neither of a folder that is no kit, nor where the part that runs it isn't installed."""
    if not installed:
        monkeypatch.setattr(extra, "find_spec", lambda _: None)
    (tmp_path / "empty").mkdir()

    for party, options in (("server", []), ("site", ["--data", str(tmp_path)])):
        assert run_app([party, "start", str(tmp_path / "empty"), *options]) == 2
        told = capsys.readouterr().err
        assert "is no kit of a network" in told and "Ctrl-C" not in told
    if not installed:
        for name, options in (("server", []), ("EAST", ["--data", str(tmp_path)])):
            party = "server" if name == "server" else "site"
            assert run_app([party, "start", str(copy(name)), *options]) == 2
            told = capsys.readouterr().err
            assert "network" in told and "Ctrl-C" not in told

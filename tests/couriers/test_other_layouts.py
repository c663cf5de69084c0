"""Hospitals whose exams are named, numbered and laid otherwise take part in one study."""

import json

import pytest
import torch

from hospitals import FEW_PATIENTS, Network
from nifti_files import write_head
from roundelay.errors import NetworkError, SiteError
from roundelay.network.coordinator import surveys
from roundelay.network.hospital.store import POLICY, Settings, write_settings
from roundelay.network.wire.proposal import refuse_unfit_study
from roundelay.plan.progress import Waiting
from roundelay.relay.ledger import read_ledger
from roundelay.running.run import run_study
from roundelay.study.data_section import SiteImages
from roundelay.study.file import parse_study

STUDY = """
name = "hospitals of several kinds"
arms = ["cwt"]
[data]
root = "data"
format = "nifti"
channels = ["t1ce", "t1", "t2", "flair"]
SITES
split = { validation = 0.0, test = 0.34 }
crop = "brain"
size = 32
[data.labels]
whole = [1, 2, 4]
core = [1, 4]
[model]
encoder = "resnet18_quarter"
[recipe]
rounds = 1
steps = 2
batch = 3
deterministic = true
[evaluation]
samples = false
[courier]
threads = 1
"""
WHAT_SITES_SAY = """
[sites.EAST]
labels = { 3 = 4 }
[sites.WEST]
channels = { t1ce = "KM" }
missing_channels = "substitute:flair"
"""
OTHERWISE = {
    "EAST": SiteImages(labels={"3": 4}),
    "WEST": SiteImages(channels={"t1ce": "KM"}, missing_channels="substitute:flair"),
}


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(surveys, "AGAIN", 0.0)
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """EAST numbers enhancing tumour 3; WEST calls t1ce KM and lacks t2."""
    root = tmp_path_factory.mktemp("kinds")
    rows = ["patient,site"]
    for number in range(3):
        write_head(root / "data" / f"E-{number}", number, renumbered={4: 3})
        folder = write_head(root / "data" / f"W-{number}", 10 + number, names={"t1ce": "KM"})
        (folder / f"W-{number}_t2.nii.gz").unlink()
        rows += [f"E-{number},EAST", f"W-{number},WEST"]
    (root / "sites.csv").write_text("\n".join(rows))
    return root


def between(place, tmp_path, images):
    """The hospitals, each with its own exams and what its own file says of them."""
    net = Network(tmp_path, place / "data", {})
    for site, letter in (("EAST", "E"), ("WEST", "W")):
        net.homes[site] = tmp_path / site
        net.homes[site].mkdir()
        own = tmp_path / f"{site}-data"
        own.mkdir()
        for number in range(3):
            (own / f"{letter}-{number}").symlink_to(place / "data" / f"{letter}-{number}")
        write_settings(net.homes[site], Settings(site, str(own), "nifti", images[site]))
        (net.homes[site] / POLICY).write_text(FEW_PATIENTS)
    net.wire.homes.update(net.homes)
    return net


def run(net, out):
    study = parse_study(STUDY.replace("SITES", ""), where="a study", folder=net.place)

    def approving(event):
        if isinstance(event, Waiting) and "approve" in event.why:
            net.approve(event.site, study)

    net.run(study, out, on_event=approving)


def batons(out):
    return [line["baton"] for line in read_ledger(out / "arms" / "cwt-0" / "ledger.jsonl")[1:]]


def test_the_same_bytes_as_on_one_machine_where_the_study_says_it(place, tmp_path):
    text = STUDY.replace("SITES", 'sites = "table:sites.csv"') + WHAT_SITES_SAY
    run_study(parse_study(text, where="a study", folder=place), tmp_path / "HERE")

    run(between(place, tmp_path, OTHERWISE), tmp_path / "THERE")

    assert batons(tmp_path / "THERE") == batons(tmp_path / "HERE")
    summary = json.loads((tmp_path / "THERE" / "summary.json").read_text())
    assert list(summary["arms"][0]["test"]["regions"]) == ["core"]


UNLIKE = {
    "EAST": "EAST has the label value 3, which is in no region.",
    "WEST": "WEST has no channel 't1ce' in all of 3 exams; has no channel 't2' in all of 3 exams;"
    " has the channels t1, flair.",
}


@pytest.mark.parametrize("sites", [("EAST",), ("WEST",), ("EAST", "WEST")])
def test_a_site_that_does_not_say_it_trains_on_nothing(place, tmp_path, sites):
    """The coordinator is told what doesn't fit, of all sites at once."""
    net = between(place, tmp_path, {**OTHERWISE, **dict.fromkeys(sites, SiteImages())})

    with pytest.raises(SiteError) as caught:
        run(net, tmp_path / "THERE")

    text = str(caught.value)
    assert all((UNLIKE[site] in text) == (site in sites) for site in UNLIKE)
    assert not (tmp_path / "THERE" / "arms").exists()
    audit = (net.homes[sites[0]] / "audit.jsonl").read_text().splitlines()
    assert json.loads(audit[-1])["what_left"] == ["failed", "inventory"]


def test_what_stands_in_for_a_channel_is_said_and_few_exams_are_not_counted(place, tmp_path):
    net, said = between(place, tmp_path, OTHERWISE), []
    (net.homes["WEST"] / POLICY).write_text("[release]\nleast_scored = 2\nleast_patients = 3\n")
    study = parse_study(STUDY.replace("SITES", ""), where="a study", folder=net.place)

    def watch(event):
        said.append(event)
        if "approve" in event.why:
            net.approve(event.site, study)

    with pytest.raises(SiteError, match="fewer training patients"):
        net.courier(study, watch).survey()
    assert "has no channel" not in str(said)  # nothing of a hospital that takes no part

    (net.homes["WEST"] / POLICY).write_text("[release]\nleast_scored = 4\n")
    net.courier(study, watch).survey()

    (west,) = (event for event in said if event.site == "WEST" and "channel" in event.why)
    assert west.why == (
        "has no channel 't2' in some of its 3 exams; has the channels t1ce, t1, flair: taken as its"
        " site.toml says"
    )


def test_a_study_between_hospitals_does_not_speak_for_them(place):
    text = STUDY.replace("SITES", "") + WHAT_SITES_SAY

    with pytest.raises(NetworkError, match=r"site start --site site\.toml"):
        refuse_unfit_study(parse_study(text, where="a study", folder=place))


def test_a_hospital_of_tiff_slices_refuses_a_study_of_volumes(place, tmp_path):
    net = between(place, tmp_path, OTHERWISE)
    write_settings(net.homes["EAST"], Settings("EAST", str(tmp_path / "EAST-data"), "lgg"))

    with pytest.raises(SiteError, match="reads the format nifti; this hospital has lgg"):
        run(net, tmp_path / "THERE")

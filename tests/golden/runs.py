"""Run a golden study and digest what it leaves; as a script: write the digests of this machine.

PYTHONPATH=tests .venv/bin/python -m golden.runs     adds this kind of processor to digests.json
"""

import contextlib
import importlib.util
import io
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from golden.digests import digests_of, kind_of_processor
from golden.studies import LGG_PATIENTS, PHANTOM_PATIENTS, STUDIES, TOY_PATIENTS, Golden
from hospitals import Network, by_site
from roundelay.cli.app import run_app
from roundelay.errors import SiteAbsentError
from roundelay.network.coordinator import surveys, turns
from roundelay.phantom.cohort import make_phantom, make_toy
from roundelay.plan.progress import Waiting
from roundelay.study.file import read_study

KEPT = Path(__file__).with_name("digests.json")
LGG = Path(__file__).parents[3] / "shared" / "data" / "lgg" / "kaggle_3m"


def missing(golden: Golden) -> str | None:
    """Why this study can't be run here; None where it can."""
    if golden.data == "lgg" and not LGG.exists():
        return "../shared/data/lgg is not there"
    package = {"cluster": "ray", "phantom": "nilearn"}.get(golden.needs)
    if package and importlib.util.find_spec(package) is None:
        return f"the extra for {golden.needs} is not installed"
    return None


@patch("roundelay.running.run.draw_or_say", lambda *_: "")
@patch("roundelay.report.refresh.draw_or_say", lambda *_: "")
def run_golden(name: str, place: Path) -> dict[str, str]:
    """Run one study under `place`, its page undrawn, and return its digests by part."""
    golden = STUDIES[name]
    data, out = _data(golden, place), place / "RUN"
    file = place / "study.toml"
    file.write_text(golden.text.replace("DATA", str(data)))
    torch.set_num_threads(1)
    if golden.network:
        _between_hospitals(golden, file, data, place, out)
        return digests_of(out, network=True)
    options = ["--leave-one-site-out"] if golden.leave_out else []
    with contextlib.redirect_stdout(io.StringIO()):
        assert run_app(["run", str(file), "--out", str(out), "--json", *options]) == 0
    if not golden.leave_out:
        return digests_of(out)
    runs = sorted(folder for folder in out.iterdir() if (folder / "summary.json").exists())
    return {
        f"{kind}/{run.name}/{part}": digest
        for run in runs
        for key, digest in digests_of(run).items()
        for kind, part in [key.split("/", 1)]
    }


def _data(golden: Golden, place: Path) -> Path:
    data = place / "data"
    if golden.data == "toy":
        make_toy(data, seed=5, patients=TOY_PATIENTS, slices=4, size=64)
    if golden.data == "lgg":
        data.mkdir()
        for patient in LGG_PATIENTS:
            (data / patient).symlink_to(LGG / patient)
    if golden.data == "phantom":
        make_phantom(data, patients=PHANTOM_PATIENTS, slices=6)
    return data


def _between_hospitals(golden: Golden, file: Path, data: Path, place: Path, out: Path) -> None:
    study, net = read_study(file), Network(place, data, by_site(data))
    surveys.AGAIN, turns.LOOK_AGAIN = 0.0, 0.005
    asked = []

    def on_event(event: object) -> None:
        if isinstance(event, Waiting) and "approve" in event.why:
            net.approve(event.site, study)
        if isinstance(event, Waiting) and "put off" in event.why:
            net.wire.away.clear()  # it is back for a later leg of the round

    def tamper(direction: str, request: Any, message: Any) -> Any:
        trains = direction == "request" and b'"ask":"train"' in message.head
        if trains and request.site == golden.away:
            asked.append(direction)
            if len(asked) == 1 and study.courier.absent == "skip":
                raise SiteAbsentError(golden.away, "its stop", 0.0)
        return message

    net.wire.tamper = tamper
    if study.courier.absent == "defer" and golden.away:
        net.wire.away.add(golden.away)
    net.run(study, out, on_event=on_event)


def main() -> None:
    """Write the digests of all studies under this kind of processor."""
    known = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    found = {}
    for name, golden in STUDIES.items():
        if why := missing(golden):
            sys.stderr.write(f"{name}: left out, {why}\n")
            continue
        begin = time.perf_counter()
        with tempfile.TemporaryDirectory() as place:
            found[name] = run_golden(name, Path(place))
        sys.stderr.write(f"{name}: {time.perf_counter() - begin:.1f} s\n")
    known[kind_of_processor()] = found
    KEPT.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()

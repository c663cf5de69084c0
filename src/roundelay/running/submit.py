"""Run a study between hospitals: the same runner, over the network of a coordinator's kit."""

import secrets
from pathlib import Path
from typing import Any

from roundelay.errors import RunFolderError
from roundelay.network.coordinator.courier import HospitalsCourier
from roundelay.network.flare.transport import FlareTransport
from roundelay.network.wire.kit import HOME, kit_sites
from roundelay.network.wire.proposal import refuse_unfit_study
from roundelay.records.layout import RECORD, read_record
from roundelay.records.result import RunResult
from roundelay.running.events import OnEvent
from roundelay.running.run import run_study
from roundelay.study.study import Study


def submit_study(
    study: Study, kit: Path, out: Path, *, resume: bool = False, on_event: OnEvent
) -> RunResult:
    """Run all arms of a study at the sites of a network, into the folder `out`.

    As `running.run.run_study`. Raises NetworkError where the study can't go between hospitals, or
    the kit is not a coordinator's.
    """
    refuse_unfit_study(study)

    def courier_of(study: Study, **_: Any) -> HospitalsCourier:
        known: dict[str, Any] = {"run": secrets.token_hex(8), "roster": None}
        if resume and (out / RECORD).exists():  # the folder is ours by now: it is locked
            known = _network_of(out)
        settings = study.courier
        transport = FlareTransport(
            kit, known["run"], patience=settings.patience, stuck_after=settings.stuck_after
        )
        return HospitalsCourier(
            study, transport, kit_sites(kit), home=kit / HOME, run=known["run"], on_event=on_event,
            roster=known["roster"],
        )  # fmt: skip

    return run_study(study, out, resume=resume, on_event=on_event, courier_of=courier_of)


def _network_of(out: Path) -> dict[str, Any]:
    record = read_record(out)
    if "network" not in record:
        raise RunFolderError(f"{out} was run on one machine: go on with  roundelay run --resume.")
    return dict(record["network"])

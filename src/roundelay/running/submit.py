"""Run a study between hospitals: the same runner, over the network of a coordinator's kit."""

import secrets
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from roundelay.errors import NetworkError, RunFolderError
from roundelay.files.canonical import digest_of
from roundelay.files.writing import write_json
from roundelay.network.coordinator.courier import HospitalsCourier
from roundelay.network.flare.transport import FlareTransport
from roundelay.network.wire.kept import read_kept
from roundelay.network.wire.kit import HOME, kit_role, kit_sites
from roundelay.network.wire.parsing import Name, PublicKeys, RunName
from roundelay.network.wire.proposal import refuse_unfit_study
from roundelay.records.layout import RECORD, read_record
from roundelay.records.result import RunResult
from roundelay.records.signatures import COORDINATOR
from roundelay.running.events import Event, OnEvent, Planned
from roundelay.running.run import run_study
from roundelay.study.study import Study


class Begun(BaseModel):
    """The name of a run whose folder is not begun yet."""

    run: RunName


class BegunNetwork(Begun):
    """What run.json says of the network, beside the terms."""

    roster: dict[Name, PublicKeys]


BEGUN, BEGUN_NETWORK = TypeAdapter(Begun), TypeAdapter(BegunNetwork)


def submit_study(
    study: Study, kit: Path, out: Path, *, resume: bool = False, on_event: OnEvent
) -> RunResult:
    """Run all arms of a study at the sites of a network, into the folder `out`.

    As `running.run.run_study`. Raises NetworkError where the study can't go between hospitals, or
    the kit is not a coordinator's.
    """
    refuse_unfit_study(study)
    if (role := kit_role(kit)) != COORDINATOR:
        raise NetworkError(f"{kit} is the kit of a {role}; a study is submitted by a coordinator.")
    note = _note(kit, out, study)

    def watch(event: Event) -> None:
        if isinstance(event, Planned):  # run.json has its name from now on
            note.unlink(missing_ok=True)
        on_event(event)

    def courier_of(study: Study, **_: Any) -> HospitalsCourier:
        # The folder is ours by now: it is locked.
        known = _network_of(out) if resume and (out / RECORD).exists() else _named(note)
        settings = study.courier
        transport = FlareTransport(
            kit, patience=settings.patience, stuck_after=settings.stuck_after
        )
        return HospitalsCourier(
            study, transport, kit_sites(kit), home=kit / HOME, run=known["run"], on_event=watch,
            roster=known["roster"],
        )  # fmt: skip

    return run_study(study, out, resume=resume, on_event=watch, courier_of=courier_of)


def _note(kit: Path, out: Path, study: Study) -> Path:
    """Where the name of a run stands until its folder is begun. Hospitals approve a run by its
    name, and may take days: a coordinator that is started again meanwhile must not ask anew."""
    return kit / HOME / "begun" / f"{digest_of([str(out.resolve()), study.digest])}.json"


def _named(note: Path) -> dict[str, Any]:
    if not note.exists():
        write_json(note, {"run": secrets.token_hex(8)})
    found = read_kept(note, BEGUN, NetworkError, "remove the file; hospitals then approve anew")
    return {"run": found.run, "roster": None}


def _network_of(out: Path) -> dict[str, Any]:
    record = read_record(out)
    if "network" not in record:
        raise RunFolderError(f"{out} was run on one machine: go on with  roundelay run --resume.")
    try:
        known = BEGUN_NETWORK.validate_python(record["network"])
    except ValidationError as error:
        raise RunFolderError(
            f"{out / RECORD} is damaged: it names no run of a network. Put it back from a copy."
        ) from error
    roster = {name: keys.model_dump() for name, keys in known.roster.items()}
    return {"run": known.run, "roster": roster}

"""Between hospitals: ``roundelay network``, ``server``, ``site``, ``submit``."""

from pathlib import Path
from typing import Annotated

import typer

from roundelay.cli import results, show
from roundelay.cli.options import LAYOUTS, DeviceOption, JsonOption, SetOption, SiteOption
from roundelay.cli.progress import Watch
from roundelay.errors import NetworkError

network = typer.Typer(help="The network between hospitals: make it, look at it.")
server = typer.Typer(help="The one machine that all others call.")
site = typer.Typer(help="A hospital: start it, approve studies.")

KitArgument = Annotated[Path, typer.Argument(help="The folder that the network's maker sent.")]
KitOption = Annotated[Path, typer.Option("--kit", help="The folder of the kit.")]


NOWHERE = Path("at-each-hospital")
"""The folder of the patients, to a coordinator, who has none."""


@network.command()
def create(
    plan: Annotated[Path, typer.Argument(help="NETWORK.toml: name, server, sites, days.")],
    out: Annotated[Path, typer.Option(help="Folder for the kits.")],
) -> None:
    """Make a kit for the server, the coordinator and every site."""
    from roundelay.network.flare.kits import create_kits
    from roundelay.network.wire.kit import AUTHORITY, SERVER, days_left
    from roundelay.network.wire.network_file import read_network
    from roundelay.records.signatures import COORDINATOR

    found = read_network(plan)
    kits = create_kits(found, out)
    for name, kit in kits.items():
        days = days_left(kit / "startup" / ("server.crt" if name == SERVER else "client.crt"))
        show.line(f"{kit}  certificate holds {days} days")
    show.line(
        f"\nGive each hospital its own folder, by safe means; keep {out / AUTHORITY}, whose key can"
        " sign new kits, where nobody else reads it. Then:\n"
        f"  roundelay server start {out / SERVER}\n"
        f"  roundelay site start {out / found.sites[0]} --data FOLDER      (at each hospital)\n"
        f"  roundelay network status --kit {out / COORDINATOR}"
    )


@network.command()
def status(kit: KitOption, json_: JsonOption = False) -> None:
    """Who is there and who isn't, since when; versions, clocks, days left on certificates."""
    from roundelay.network.coordinator.status import read_status

    rows = read_status(kit)
    if json_:
        show.json_line({"sites": rows})
        return
    columns = ["site", "is", "Roundelay", "torch", "clock", "certificate", "keys"]
    show.table("The network", columns, [[str(value) for value in row.values()] for row in rows])


def submit(
    study: Annotated[str, typer.Argument(help="A study.toml; where its data lies is not needed.")],
    kit: KitOption,
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
    resume: Annotated[bool, typer.Option(help="Go on after the last finished visit.")] = False,
    changes: SetOption = None,
    json_: JsonOption = False,
) -> None:
    """The main job between hospitals: the same study, over the network of a kit."""
    from roundelay.study.file import read_study

    found = read_study(study, data=NOWHERE, changes=changes or ())
    from roundelay.running.submit import submit_study

    with Watch(quiet=json_) as watch:
        result = submit_study(found, kit, out, resume=resume, on_event=watch.event)
    results.ended(result.as_json(), out, json_=json_)


@server.command("start")
def start_server(kit: KitArgument) -> None:
    """Run the server until it is stopped."""
    from roundelay.network.flare.starting import refuse_unready, start_kit

    refuse_unready(kit, "server")
    show.notice(f"The server of {kit} runs; its log: {kit / 'roundelay' / 'log.txt'}. Ctrl-C ends.")
    start_kit(kit, "server")


@site.command("start")
def start_site(
    kit: KitArgument,
    data: Annotated[Path, typer.Option(help="Folder of this hospital's patients.")],
    format_: Annotated[str, typer.Option("--format", help=f"Its layout: {LAYOUTS}.")] = "lgg",
    images: SiteOption = None,
    policy: Annotated[
        Path | None, typer.Option(help="policy.toml: what this hospital takes part in.")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads to compute with.")] = None,
    device: DeviceOption = "auto",
) -> None:
    """Run a hospital's site until it is stopped."""
    from roundelay.network.flare.starting import prepare_site, start_kit
    from roundelay.network.wire.keys import fingerprint, own_keys

    name, left_out = prepare_site(kit, data, format_, images, policy, device)
    home = kit / "roundelay"
    for one in left_out:
        show.notice(f"Note: {one}")
    show.notice(
        f"{name} runs. Its keys: {fingerprint(own_keys(home).public())}. What came and left:"
        f" {home / 'audit.jsonl'}. Ctrl-C ends."
    )
    start_kit(kit, "site", threads=threads)


@site.command("approve")
def approve_study(
    study: Annotated[str, typer.Argument(help="The study's digest, or its beginning.")],
    kit: KitOption,
    yes: Annotated[bool, typer.Option("--yes", help="Approve without a second question.")] = False,
) -> None:
    """Show what a waiting study would do here, and approve it."""
    from roundelay.network.hospital.approval_screen import in_sentences
    from roundelay.network.hospital.consent import approve, waiting_study
    from roundelay.network.hospital.patients import own_survey
    from roundelay.network.hospital.store import audit, policy_of, read_settings
    from roundelay.network.wire.kit import HOME, kit_role

    if (role := kit_role(kit)) != "site":
        raise NetworkError(f"{kit} is the kit of a {role}; a study is approved at a site.")
    home = kit / HOME
    waiting = waiting_study(home, study)
    survey = own_survey(read_settings(home), waiting.proposal.study)
    for sentence in in_sentences(waiting, survey, policy_of(home)):
        show.line(sentence)
    if not yes and not typer.confirm("\nTake part in this study?", err=True):
        show.line("Nothing was approved.")
        return
    approve(home, waiting)
    found = waiting.proposal
    audit(home, asked="approve", study=found.study.digest, proposal=found.digest, run=waiting.run)
    show.line("Approved. The study goes on by itself.")

"""The sections on what it took and what is proven: bytes and time, protection, provenance."""

from collections.abc import Iterable

from roundelay.data.survey import TRAIN
from roundelay.evaluation.comparison import signed
from roundelay.learning.weights_source import WeightsSource
from roundelay.plan.exposure import THE_COORDINATOR, subtractors
from roundelay.records.closing import head_of_run
from roundelay.records.contents import ArmRun, Run
from roundelay.records.going_on import RunBefore, run_before
from roundelay.records.resuming import RESUMED, told_of
from roundelay.report.blocks import Block, Cell, Items, Section, Table, Text, cells
from roundelay.report.figures import colour_of
from roundelay.report.sentences import computed_on, told_by_importance, told_by_sums
from roundelay.study.names import few_names
from roundelay.study.sections import PARALLEL, RELAYS

SEALED = {
    "none": "Not protected here: the coordinator of this run holds every model in the clear.",
    "owner": "The network's server can't open a model; the coordinator of this run can.",
    "sites": "Neither the network's server nor the coordinator of this run can open a model; the"
    " hospitals that it was sealed for can.",
}
"""Who can read models, by the seal of the study."""

FEW = 5
"""Training patients below which a hospital's update says much of each of them."""


def bytes_section(run: Run) -> Section:
    """What travelled, against the arithmetic, and how long it took."""
    firsts: dict[str, ArmRun] = {}
    for arm in run.arms:
        if arm.done:
            firsts.setdefault(arm.method, arm)
    least = next(
        (arm.bytes_passed for arm in firsts.values() if arm.name == "swt" and arm.bytes_passed),
        None,
    )
    rows = []
    for method, arm in firsts.items():
        passed, planned = arm.bytes_passed, arm.bytes_planned(run.study)
        stops = sum(len(leg.stops) for leg in arm.legs)
        visits = sum(r.slice_visits for r in arm.receipts if r.task == "train")
        rows.append(
            [
                Cell(method, prose=True, colour=colour_of(run, method)),
                Cell(str(stops)),
                Cell(f"{visits:,}"),
                Cell(_megabytes(planned)),
                Cell(_megabytes(passed)),
                Cell(f"{signed(100 * (passed / planned - 1), 2)}%" if passed and planned else "–"),
                Cell(f"{passed / least:.1f}×" if passed and least else "–"),
                Cell(f"{arm.seconds:,.0f} s"),
            ]
        )
    if not rows:
        return Section("bytes", "Bytes and time", [])
    columns = [
        "method", "stops", "slice-visits", "MB planned", "MB passed", "off by",
        "against swt", "work at sites",
    ]  # fmt: skip
    state = run.study.recipe.optimiser_state
    moments = " The optimiser's moments travel too, which triples a model." * (state == "travel")
    if run.study.recipe.importance_travels:
        moments += " So does the importance of each weight in a relay, as large as the model."
    return Section(
        "bytes",
        "Bytes and time",
        [
            Table("One seed of each method (of local: one model)", columns, rows),
            Text(
                "A relay passes a model on once for each stop; side by side it goes out and comes"
                " back. A dash stands where the images themselves would have to travel, 0 where"
                f" nothing does.{moments} Work at sites is the sum over them, not clock time.",
                soft=True,
            ),
        ],
    )


def _seal(run: Run) -> str:
    return str(run.record.get("network", {}).get("seal", "none"))


def _readers(run: Run) -> list[str]:
    """Who can read every hand-over; hospitals where each is sealed for all of them."""
    network = run.record.get("network", {})
    for_all = network.get("absent", "wait") != "wait" or run.study.evaluation.follow == "visit"
    hospitals = list(run.sites) if network and for_all else []
    return hospitals if _seal(run) == "sites" else [THE_COORDINATOR, *hospitals]


def protection_section(run: Run) -> Section:
    """What stays at home, what doesn't, and who could subtract whose update."""
    blocks: list[Block] = [
        Items(
            [
                "Images and masks stay at their hospital in cwt, swt, fedavg, fedprox and local;"
                " in pooled they would all have to leave it.",
                "Every hand-over is proven: each hospital's receipt names the digest it began with"
                " and the one it returned, and the ledger chains them.",
                f"{SEALED[_seal(run)]} A model can tell of the images it saw; nothing was added to"
                " hide that.",
                "Who holds a hospital's model from before and from after its visit can subtract"
                " the two, and has the hospital's own update.",
                *told_by_importance(run.study.recipe),
                *told_by_sums(run.study.recipe, _seal(run)),
            ]
        )
    ]
    seen: dict[str, ArmRun] = {}
    for arm in run.arms:
        if arm.name in RELAYS + PARALLEL:
            seen.setdefault(arm.method, arm)
    readers = _readers(run)
    methods = {m: subtractors(arm.name, arm.legs, readers=readers) for m, arm in seen.items()}
    if methods:
        sites = list(dict.fromkeys(site for found in methods.values() for site in found))
        rows = [
            [Cell(site, prose=True), *(Cell(few_names(found.get(site) or ["–"]), prose=True)
                                       for found in methods.values())]
            for site in sites
        ]  # fmt: skip
        blocks.append(Table("Who could subtract this hospital's update", ["", *methods], rows))
    few = [
        f"{site['site']} ({site['patients'][TRAIN]})"
        for site in run.record["sites"]
        if site["patients"][TRAIN] < FEW
    ]
    if few:
        blocks.append(
            Text(f"With fewer than {FEW} training patients, whose update says much of each of"
                 f" them: {few_names(few)}.")
        )  # fmt: skip
    return Section("protection", "What is protected, and what isn't", blocks)


def other_scores_section(run: Run) -> Section:
    """Dice as other papers define it, beside an empty prediction's; and HD95."""
    if not run.judgement.methods:
        return Section("other", "Other scores", [])
    return Section("other", "Other scores", [_other_dices(run), *_distances(run)])


def _other_dices(run: Run) -> Table:
    rows = [
        [
            Cell(row.method, prose=True, colour=colour_of(run, row.method)),
            Cell(f"{row.summary.pooled_dice:.3f}"),
            Cell(_number(row.summary.positive_slice_dice)),
            Cell(f"{row.summary.slice_dice:.3f}"),
            Cell(f"{row.summary.slice_dice_of_empty_prediction:.3f}"),
        ]
        for row in run.judgement.methods
    ]
    columns = [
        "method", "all slices as one", "slices with tumour", "all slices, empty = 1",
        "of an empty prediction",
    ]  # fmt: skip
    return Table("Other Dice scores, first seed", columns, rows, small=True)


def _distances(run: Run) -> list[Block]:
    rows = [
        [
            Cell(row.method, prose=True, colour=colour_of(run, row.method)),
            Cell(_distance(row.summary.hd95_mean, row.summary.unit)),
            Cell(_distance(row.summary.hd95_median, row.summary.unit)),
            Cell(str(row.summary.hd95_missing)),
        ]
        for row in run.judgement.methods
    ]
    columns = ["method", "mean", "median", "patients counted as the diagonal"]
    text = (
        "The 95th percentile of the distances between the two surfaces. A patient for whom exactly"
        " one mask is empty counts as the diagonal of the volume."
    )
    if any(row.summary.unit != "mm" for row in run.judgement.methods):
        text += (
            " In pixels, neighbouring slices count as one pixel apart whatever lies between them:"
            " not to be set beside another study's millimetres."
        )
    return [Table("HD95, first seed", columns, rows, small=True), Text(text, soft=True)]


def _distance(value: float | None, unit: str) -> str:
    return "–" if value is None else f"{value:.1f} {'px' if unit == 'pixels' else unit}"


def provenance_section(run: Run) -> Section:
    """What ran, on what, and the heads of the ledgers."""
    record = run.record
    software, python = record.get("roundelay", "?"), record.get("python", "?")
    facts = [
        ("study", f"{run.study.name}, digest {record['study']}"),
        ("cohort", f"digest {record.get('cohort', '?')}"),
        ("software", f"Roundelay {software}, PyTorch {record.get('torch', '?')}, Python {python}"),
        ("machine", computed_on(record)),
        ("seeds", ", ".join(str(seed) for seed in run.study.seeds)),
        ("encoder", f"{run.study.model.encoder}, weights {run.study.model.weights}"),
    ]  # fmt: skip
    if source := record.get("weights"):
        facts.append(("first weights", str(WeightsSource.model_validate(source))))
    if before := run_before(record):
        facts.append(("goes on from", f"{before.folder}, study {before.study}, head {before.head}"))
    facts += [("resumed", told_of(entry)) for entry in record.get(RESUMED, [])]
    if run.study.evaluation.leave_out:
        facts.append(("left out", f"{run.study.evaluation.leave_out}: it never trained"))
    sites = [
        cells(site["site"], *(f"{site['patients'][split]} ({site['slices'][split]})"
                              for split in ("train", "validation", "test")))
        for site in record["sites"]
    ]  # fmt: skip
    heads = {arm.label: arm.head for arm in run.arms}
    if head := head_of_run(run.folder):
        heads["the whole run"] = head
    return Section(
        "provenance",
        "Where this comes from",
        [
            Table("The run", ["", ""], _in_prose(facts)),
            Table("Patients (slices) of each hospital",
                  ["hospital", "train", "validation", "test"], sites),
            Table("Heads of the ledgers", ["arm", "digest"], _in_prose(heads.items()), folded=True,
                  small=True),
            Text(_how_to_check(before), soft=True),
        ],
    )  # fmt: skip


def _how_to_check(before: RunBefore | None) -> str:
    both = " --from THE_RUN_BEFORE" if before else ""
    return f"Check the ledgers:  roundelay ledger verify RUN{both}"


def _in_prose(rows: Iterable[tuple[str, str]]) -> list[list[Cell]]:
    return [[Cell(a, prose=True), Cell(b, prose=True)] for a, b in rows]


def _megabytes(count: int | None) -> str:
    return "–" if count is None else f"{count / 1e6:,.1f}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"

"""What a cross-validation took, which model to use, and where all of it comes from."""

from collections.abc import Sequence

from roundelay.data.survey import TEST
from roundelay.records.closing import head_of_run
from roundelay.records.contents import ArmRun
from roundelay.records.folds import CrossValidation
from roundelay.report.blocks import Cell, Section, Table, Text, cells
from roundelay.report.figures import colour_of
from roundelay.report.sentences import computed_on


def cost_section(found: CrossValidation) -> Section:
    """Models, bytes and work of all folds together, by method."""
    arms: dict[str, list[ArmRun]] = {}
    for run in found.runs.values():
        for arm in run.arms:
            arms.setdefault(arm.method, []).append(arm)
    rows = [
        [
            Cell(method, prose=True, colour=colour_of(found.combined, method)),
            Cell(str(len(own))),
            Cell(f"{sum(r.slice_visits for a in own for r in a.receipts if r.task == 'train'):,}"),
            Cell(_megabytes([arm.bytes_passed for arm in own])),
            Cell(f"{sum(arm.seconds for arm in own):,.0f} s"),
        ]
        for method, own in arms.items()
    ]
    columns = ["method", "models", "slice-visits", "MB passed", "work at sites"]
    return Section("bytes", "Bytes and time", [Table("All folds and seeds", columns, rows)])


def _megabytes(counts: Sequence[int | None]) -> str:
    known = [count for count in counts if count is not None]
    return f"{sum(known) / 1e6:,.1f}" if len(known) == len(counts) else "–"


def model_section(found: CrossValidation) -> Section:
    """Which model a user takes home: none of these."""
    text = (
        "The models of the folds were made to be scored: each was trained without its fold's"
        " patients, and none is better than another for that. The figures above are of the"
        " procedure. For a model to use, run the same study once more without folds, with"
        " split = { validation = 0.0, test = 0.0 }, so that every patient trains: these figures are"
        " then the estimate of how well it does at these hospitals, a cautious one, as it has seen"
        f" {100 / (found.count - 1):.0f} % more patients than each of these."
    )
    return Section("model", "Which model to use", [Text(text)])


def provenance_section(found: CrossValidation) -> Section:
    """What ran, who tested where, and the heads of the folds' runs."""
    record, study = found.combined.record, found.study
    facts = [
        ("study", f"{study.name}, digest {study.digest}"),
        ("folds", f"{found.count}, drawn at each hospital by split_seed {study.data.split_seed}"),
        ("software", f"Roundelay {record.get('roundelay', '?')}, PyTorch"
         f" {record.get('torch', '?')}, Python {record.get('python', '?')}"),
        ("machine", computed_on(record)),
        ("seeds", ", ".join(str(seed) for seed in study.seeds)),
        ("encoder", f"{study.model.encoder}, weights {study.model.weights}"),
    ]  # fmt: skip
    tests = {
        fold: {site["site"]: site["patients"][TEST] for site in run.record["sites"]}
        for fold, run in found.runs.items()
    }
    rows = [
        cells(site, *(str(own[site]) for own in tests.values()),
              str(sum(own[site] for own in tests.values())))
        for site in found.combined.sites
    ]  # fmt: skip
    heads = [
        [Cell(f"fold {fold}", prose=True), Cell(head_of_run(run.folder) or "–", prose=True)]
        for fold, run in found.runs.items()
    ]
    columns = ["hospital", *(f"fold {fold}" for fold in tests), "all"]
    return Section(
        "provenance",
        "Where this comes from",
        [
            Table("The study", ["", ""], [[Cell(a, prose=True), Cell(b, prose=True)]
                                          for a, b in facts]),
            Table("Test patients of each hospital", columns, rows),
            Table("Heads of the folds' runs", ["fold", "digest"], heads, folded=True, small=True),
            Text("Check all folds:  roundelay ledger verify OUT", soft=True),
        ],
    )  # fmt: skip

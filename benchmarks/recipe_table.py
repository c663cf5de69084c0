"""The table of recipes: bundles of settings on three fixed folds of a folder of patients.

Each bundle is a study of the program, cross-validated by it: a run folder for each fold below
--runs, gone on with where it was stopped. A row of the results is a bundle: every patient's Dice by
seed, from which the table is printed: mean, difference to the first bundle as the program judges it
(patients and seeds in pairs; an interval from three seeds, a standard error over patients below),
by fold, by hospital, by missing sequence. Several processes may fill one file of results.

    python benchmarks/recipe_table.py DATA --runs RUNS [--bundles before inner deep ...]
        [--seeds 0 1] [--slice-visits 6000] [--encoder resnext50_32x4d] [--size 160]
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from roundelay.evaluation.comparison import Comparison, compare, signed
from roundelay.evaluation.fairness import sequences_of
from roundelay.learning.cpu.heap import keep_freed_memory
from roundelay.records.closing import head_of_run
from roundelay.records.folds import CrossValidation
from roundelay.running.folds import run_all_folds
from roundelay.study.file import parse_study
from roundelay.study.preset import preset_text
from roundelay.study.study import Study

FOLDS, SITES = 3, 5

RESULTS = Path(__file__).with_name("results") / "recipe_table.json"

TOGETHER = [["post"], ["pre", "post"], ["pre", "post"]]

Bundle = Mapping[str, Any]
"""Keys of a study as ``section.key``."""

BEFORE: Bundle = {
    "data.intensity": "zscore",
    "recipe.rounds": 10,
    "recipe.batch": 8,
    "recipe.learning_rate": 1e-3,
    "recipe.deep_supervision": 0.0,
    "recipe.mirror": "left-right",
    "recipe.channel_dropout": 0.0,
    "recipe.dropped_together": [],
}
"""What the preset benchmark was before; all else is as it is now."""

INNER: Bundle = {"data.intensity": "zscore_inner"}
DEEP: Bundle = {"recipe.deep_supervision": 0.5}
SMALL_BATCH: Bundle = {"recipe.batch": 4, "recipe.learning_rate": 7e-4}
BOTH: Bundle = {"recipe.mirror": "both"}
SHORT: Bundle = {"recipe.rounds": 20}
LITE0: Bundle = {"model.encoder": "efficientnet_lite0"}


def dropped(share: float) -> Bundle:
    """Sequences dropped as they are missing."""
    return {"recipe.channel_dropout": share, "recipe.dropped_together": TOGETHER}


ALL: Bundle = {**INNER, **DEEP, **SMALL_BATCH, **dropped(0.15)}

BUNDLES: Mapping[str, Bundle] = {
    "before": {},
    "inner": INNER,
    "deep": DEEP,
    "dropped": dropped(0.2),
    "batch-4": SMALL_BATCH,
    "rate-5e-4": {"recipe.learning_rate": 5e-4},
    "mirrored": BOTH,
    "neighbours": {"data.neighbours": 1},
    "resnet18": {"model.encoder": "resnet18"},
    "bundle": ALL,
    "bundle-mirrored": {**ALL, **BOTH},
    "bundle-short": {**ALL, **BOTH, **SHORT},
    "bundle-5e-4": {**ALL, **BOTH, **SHORT, "recipe.learning_rate": 5e-4},
    "bundle-pooled": {**ALL, **BOTH, "arms": ["pooled"]},
    "lite0": {**ALL, **BOTH, **LITE0},
    "lite0-imagenet": {**ALL, **BOTH, **LITE0, "model.weights": "imagenet"},
    "lite0-imagenet-equal": {
        **ALL, **BOTH, **LITE0, "model.weights": "imagenet", "recipe.work": "equal",
    },
    "lite0-imagenet-pooled": {
        **ALL, **BOTH, **LITE0, "model.weights": "imagenet", "arms": ["pooled"],
    },
}  # fmt: skip


def study_of(name: str, options: argparse.Namespace) -> Study:
    """A bundle as a study of all folds, at the budget that was asked for."""
    text = preset_text("benchmark")
    preset = parse_study(text, where="benchmark", folder=Path(), data=options.data)
    values = preset.model_dump(mode="json", exclude_none=True)
    changes = {**BEFORE, **BUNDLES[name], "name": name, "seeds": options.seeds}
    if options.encoder:
        changes["model.encoder"] = options.encoder
    changes |= {"data.size": options.size, "evaluation.samples": False, "data.folds": FOLDS}
    for key, value in changes.items():
        section, _, own = key.partition(".")
        if own:
            values[section][own] = value
        else:
            values[section] = value
    recipe = values["recipe"]
    a_step = recipe["rounds"] * SITES * recipe["batch"]
    recipe["steps"] = max(1, round(options.slice_visits / a_step))
    return Study.model_validate_json(json.dumps(values))


def row_of(name: str, found: CrossValidation, options: argparse.Namespace) -> dict[str, Any]:
    """What is kept of a bundle: its settings, and every patient's Dice by seed, under a number."""
    run = found.combined
    numbers = {name: f"{n:03}" for n, name in enumerate(sorted(found.fold_of), start=1)}
    patients: dict[str, dict[str, Any]] = {}
    for arm in run.arms:
        for score in arm.scores:
            own = patients.setdefault(numbers[score.patient], {"dice": {}})
            own |= {"site": score.site, "sequences": sequences_of(score)}
            own["fold"] = found.fold_of[score.patient]
            own["dice"][str(arm.seed)] = score.dice
    receipts = [r for one in found.runs.values() for arm in one.arms for r in arm.receipts]
    return {
        "bundle": name,
        "study": found.study.digest,
        "arm": found.study.arms[0],
        "seeds": options.seeds,
        "encoder": found.study.model.encoder,
        "size": options.size,
        "slice_visits": options.slice_visits,
        "machine": run.record["machine"],
        "torch": run.record["torch"],
        "seconds": round(sum(r.seconds for r in receipts), 1),
        "heads": {str(fold): head_of_run(one.folder) for fold, one in found.runs.items()},
        "patients": patients,
    }


def means(row: Mapping[str, Any]) -> dict[str, float]:
    """Each patient's Dice, the mean over seeds."""
    return {name: fmean(one["dice"].values()) for name, one in row["patients"].items()}


def beside(row: Mapping[str, Any], first: Mapping[str, Any]) -> Comparison:
    """A row less the first, as the program judges two methods."""
    dices = {}
    for one in (row, first):
        by_seed: dict[int, dict[str, float]] = {seed: {} for seed in one["seeds"]}
        for name, patient in one["patients"].items():
            for seed, dice in patient["dice"].items():
                by_seed[int(seed)][name] = dice
        dices[one["bundle"]] = by_seed
    return compare(dices)[0]


def gained(row: Mapping[str, Any], first: Mapping[str, Any]) -> str:
    """The difference with its interval, or with its standard error where seeds are too few."""
    found = beside(row, first)
    size = signed(found.difference)
    if found.interval:
        return f"{size} ({signed(found.interval.low)} to {signed(found.interval.high)})"
    own, others = means(row), means(first)
    apart = [own[name] - others[name] for name in own if name in others]
    return f"{size}, error {stdev(apart) / len(apart) ** 0.5:.3f}" if len(apart) > 1 else size


def grouped(row: Mapping[str, Any], values: Mapping[str, float], by: str) -> dict[str, float]:
    """The mean of values over patients by fold, site or sequences."""
    found: dict[str, list[float]] = {}
    for name, value in values.items():
        found.setdefault(str(row["patients"][name][by]), []).append(value)
    return {group: fmean(own) for group, own in sorted(found.items())}


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows beside the first of them, as Markdown."""
    first = means(rows[0])
    lines = [
        "| bundle | seeds | Dice | difference | by fold | by hospital | by sequences |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        own = means(row)
        shared = [name for name in own if name in first]
        apart = {name: own[name] - first[name] for name in shared}
        folds = ", ".join(f"{value:+.3f}" for value in grouped(row, apart, "fold").values())
        sites, lacking = (
            ", ".join(f"{name} {value:.3f}" for name, value in grouped(row, own, by).items())
            for by in ("site", "sequences")
        )
        gain = "" if row is rows[0] else gained(row, rows[0])
        lines.append(
            f"| {row['bundle']} | {', '.join(map(str, row['seeds']))} | {fmean(own.values()):.3f}"
            f" | {gain} | {'' if row is rows[0] else folds} | {sites} | {lacking} |"
        )
    return "\n".join(lines)


def kept_rows(path: Path) -> dict[str, dict[str, Any]]:
    """Rows of earlier calls, by what they are of."""
    rows = json.loads(path.read_text()) if path.exists() else []
    return {key_of(row): row for row in rows}


def key_of(row: Mapping[str, Any]) -> str:
    return "-".join(str(row[key]) for key in ("bundle", "encoder", "size", "slice_visits", "seeds"))


def main() -> None:
    """Run what was asked for, a row after the other; each is kept once it is done."""
    parser = argparse.ArgumentParser(description="The table of recipes on three fixed folds.")
    parser.add_argument("data", type=Path)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--bundles", nargs="+", choices=list(BUNDLES), default=list(BUNDLES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--slice-visits", type=int, default=6000)
    parser.add_argument("--encoder", default="")
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    keep_freed_memory()
    shown = []
    for name in options.bundles:
        study = study_of(name, options)
        folder = options.runs / f"{name}-{study.digest[:12]}"
        found = run_all_folds(
            study, folder, resume=folder.exists(), device=options.device,
            on_event=lambda _: None, on_fold=lambda _, __: None,
        )  # fmt: skip
        row = row_of(name, found, options)
        kept = kept_rows(options.out) | {key_of(row): row}  # another process may have added some
        shown.append(row)
        options.out.write_text(json.dumps(list(kept.values()), indent=1) + "\n")
        print(f"{name}: {fmean(means(row).values()):.3f}, {row['seconds']:,.0f} s", flush=True)
    print(table(shown))


if __name__ == "__main__":
    main()

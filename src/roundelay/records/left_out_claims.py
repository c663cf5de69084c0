"""What `verify` says of a folder in which every hospital was left out in turn: all of its runs, and
the summary over them."""

from collections.abc import Sequence
from pathlib import Path

from roundelay.errors import LedgerError
from roundelay.records.claims import CantBeChecked
from roundelay.records.closing import refuse_strangers
from roundelay.records.contents import read_run
from roundelay.records.evidence import RunEvidence
from roundelay.records.layout import FIGURES, RECORD, REPORT, SUMMARY
from roundelay.records.left_out import combine_left_out, summarize_left_out
from roundelay.records.result_checks import differences_in_summary


def runs_below(out: Path) -> list[RunEvidence]:
    """The runs of a folder of several; empty where it is none."""
    if not out.is_dir() or (out / RECORD).exists():
        return []
    return [RunEvidence(folder) for folder in sorted(out.iterdir()) if (folder / RECORD).exists()]


def check_left_out_sites(runs: Sequence[RunEvidence]) -> None:
    """Each site is left out once, and all else is one study of the same patients."""
    sites = list(runs[0].known_surveys)
    found = [str(run.known_study.evaluation.leave_out) for run in runs]
    if sorted(found) != sorted(sites):
        raise LedgerError(f"{', '.join(found)} are left out; the sites are {', '.join(sites)}.")
    first = runs[0]
    for run in runs[1:]:
        if _but_for_who(run) != _but_for_who(first):
            raise LedgerError(f"{run.out} and {first.out} are runs of different studies.")
        if _patients(run) != _patients(first):
            raise LedgerError(f"{run.out} and {first.out} have other numbers of patients.")


def _but_for_who(run: RunEvidence) -> str:
    """The digest of the study that leaves nobody out."""
    study = run.known_study
    evaluation = study.evaluation.model_copy(update={"leave_out": None})
    return study.model_copy(update={"evaluation": evaluation}).digest


def _patients(run: RunEvidence) -> dict[str, int]:
    """How many patients each site has, whatever they do in this run."""
    return {site: sum(one.patients.values()) for site, one in run.known_surveys.items()}


def check_left_out_summary(out: Path, runs: Sequence[RunEvidence]) -> None:
    """summary.json is what the runs come to, each site's patients by the model without them, and
    nothing else lies beside them."""
    if not (out / SUMMARY).exists():
        if all(run.finished for run in runs):
            raise CantBeChecked(
                "it isn't there, though all runs are finished: it was taken away, or is still to be"
                " written by --resume"
            )
        raise CantBeChecked("not all of its runs are finished")
    refuse_strangers(out, {SUMMARY, REPORT, FIGURES, *(run.out.name for run in runs)})
    by_site = {str(run.known_study.evaluation.leave_out): run.out for run in runs}
    order = [site for site in runs[0].known_surveys if site in by_site]
    in_order = {site: read_run(by_site[site], verified=False) for site in order}
    combined = combine_left_out(in_order)
    wanted = summarize_left_out(combined, in_order)
    pairs = any(run.judges_pairs for run in runs)
    for where in differences_in_summary(out / SUMMARY, wanted, combined.judgement, pairs=pairs):
        raise LedgerError(f"{out / SUMMARY} says otherwise at {'.'.join(where)} than its runs.")

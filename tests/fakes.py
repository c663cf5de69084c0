"""Toy couriers whose numbers one computes by hand, and the run folder that one of them leaves."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from roundelay.data.survey import TEST, VALIDATION, SiteSurvey, cohort_digest
from roundelay.evaluation.scores import PatientScore, score_patient
from roundelay.files.writing import write_bytes
from roundelay.learning.model_header import model_metadata
from roundelay.plan.arms import Arm, lay
from roundelay.plan.itinerary import Leg, Stop, digest
from roundelay.records.arm import write_curve, write_scores
from roundelay.records.closing import close_arm, close_run
from roundelay.records.contents import read_run
from roundelay.records.layout import FORMAT, MODEL, begin_arm, begin_run
from roundelay.records.result import result_of, write_result
from roundelay.relay.aggregation import final_model
from roundelay.relay.baton import Baton, join
from roundelay.relay.courier import Scoring, Visit
from roundelay.relay.ledger import Header, Ledger
from roundelay.relay.loop import relay
from roundelay.relay.receipt import Receipt
from roundelay.study.study import Study
from surveys import SIZES, surveys

ADDS = {"NORTH": 1.0, "EAST": 10.0, "SOUTH": 100.0}
START = join(model={"w": np.zeros(1)})


def receipt(stop: Stop, received: Baton, returned: Baton) -> Receipt:
    return Receipt(
        stop=stop.index, site=stop.site, round=stop.round, task=stop.task,
        received=received.digest, returned=returned.digest, patients=3, slices=stop.slice_count,
        slice_visits=stop.slice_visits, steps=stop.steps, loss=None, seconds=0.0,
        sent_bytes=len(received.data), returned_bytes=len(returned.data), machine="toy",
    )  # fmt: skip


def scored(patient: str, site: str, dice: float, split: str = TEST) -> PatientScore:
    """A patient of one row of 100 pixels, all of it tumour, found with this Dice."""
    reference = np.ones((1, 1, 100), bool)
    found = np.arange(100) < round(100 * dice / (2 - dice))
    return score_patient(patient, site, split, found.reshape(1, 1, 100), reference)


class Footprints:
    """Every site adds its own number to what it was handed; `dice_of` says how a model scores."""

    def __init__(self, dice_of: Callable[[float, str], float] = lambda weight, site: 0.5) -> None:
        self.dice_of = dice_of
        self.evaluated: list[tuple[float, tuple[str, ...], str]] = []

    def begin(self, baton: Baton, stop: Stop) -> Baton:
        return baton

    def survey(self) -> Mapping[str, Any]:
        return surveys()

    def next_leg(self, legs: Sequence[Leg]) -> Leg:
        return legs[0]

    def train(self, baton: Baton, stops: Sequence[Stop]) -> list[Visit]:
        return [self.visit(self.begin(baton, stop), stop) for stop in stops]

    def visit(self, begun: Baton, stop: Stop) -> Visit:
        returned = join(model={"w": begun.part("model/")["w"] + ADDS.get(stop.site, 1.0)})
        return Visit(receipt(stop, begun, returned), returned)

    def evaluate(self, baton: Baton, sites: Sequence[str], scoring: Scoring) -> list[PatientScore]:
        """Two patients a site, one a tenth above and one a tenth below what `dice_of` says."""
        weight = float(baton.part("model/")["w"][0])
        self.evaluated.append((weight, tuple(sites), scoring.split))
        return [
            scored(f"{site}-{number}", site, self.dice_of(weight, site) + apart, scoring.split)
            for site in sites
            for number, apart in enumerate((-0.1, 0.1))
        ]

    def opened(self, baton: Baton) -> Baton:
        return baton

    def facts(self) -> Mapping[str, Any]:
        return {}

    def close(self) -> None:
        """Nothing was opened."""


def toy_ledger(folder: Path, arm: Arm, study: str = "study", cohort: str = "cohort") -> Ledger:
    header = Header(arm.label, study, digest(arm.legs), cohort, START.digest)
    return Ledger(folder, header, keep=None)


def write_run(
    out: Path,
    plan: Study,
    attributes: Mapping[str, Mapping[str, str]],
    sizes: Mapping[str, int] = SIZES,
    scores_of: Callable[[Arm], Sequence[PatientScore]] | None = None,
    sites: Mapping[str, SiteSurvey] | None = None,
) -> None:
    """A finished run as the records of a real one are, its models a single number each.

    `scores_of` says what each arm's test patients score, `sites` what each site has, where the
    toy's own won't do.
    """
    sites = sites or scored_surveys(sizes=sizes)
    arms, cohort = lay(plan, sites), cohort_digest(sites)
    facts = {
        "format": FORMAT,
        **{name: version(name) for name in ("roundelay", "numpy", "scipy")},
        "torch": "0",
        "python": "0",
        "study": plan.digest,
        "cohort": cohort,
        "synthetic": False,
        "machine": {"device": "toy", "bfloat16": False},
        "threads": 1,
        "arms": [arm.label for arm in arms],
        "sites": [survey.as_json() for survey in sites.values()],
    }
    begin_run(plan, out, None, facts)
    for arm in arms:
        place, courier = begin_arm(out, arm), Footprints()
        ledger = toy_ledger(place, arm, plan.digest, cohort)
        final = relay(START, arm, courier, ledger)
        model = safetensors.numpy.save(final_model(final), model_metadata(plan))
        write_bytes(place / MODEL, model)
        write_curve(place, ledger.receipts)
        scoring = Scoring(arm.label, len(arm.legs) - 1, TEST)
        scores = scores_of(arm) if scores_of else courier.evaluate(final, list(sizes), scoring)
        scores = [_with(score, attributes.get(score.patient, {})) for score in scores]
        write_scores(place, scores, chosen_leg=len(arm.legs) - 1)
        close_arm(place, ledger)
    run = read_run(out)
    write_result(result_of(run))
    close_run(out, {arm.label: arm.head for arm in run.arms})


def scored_surveys(validation: int = 0, sizes: Mapping[str, int] = SIZES) -> dict[str, SiteSurvey]:
    """Surveys of sites with the patients that Footprints scores: two a site, of one slice each."""
    counts = {TEST: 2, VALIDATION: validation}
    return {
        site: replace(
            one,
            patients={**one.patients, **counts},
            slices={**one.slices, **counts},
            tumour_slices={**one.tumour_slices, **counts},
        )
        for site, one in surveys(dict(sizes)).items()
    }


def _with(score: PatientScore, attributes: Mapping[str, str]) -> PatientScore:
    return PatientScore(**{**score.as_json(), "attributes": attributes})

"""All sites in this process, one after another: laptops, tests, and what the others must equal."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from roundelay.data.left_out import all_bad, refuse, sites_all_bad, together
from roundelay.data.remarks import remarks_of
from roundelay.data.slice_cache import SliceCache, slices_folder
from roundelay.data.split import refuse_leak
from roundelay.data.survey import SiteSurvey
from roundelay.errors import DataError
from roundelay.evaluation.scores import PatientScore
from roundelay.evaluation.thresholds import PatientDices
from roundelay.learning.machine import Machine
from roundelay.learning.model_file import inference_settings_of
from roundelay.plan.itinerary import Leg, Stop
from roundelay.plan.progress import OnStep
from roundelay.relay.baton import Baton
from roundelay.relay.courier import Scoring, Visit
from roundelay.site.cohort import open_cohort
from roundelay.site.evaluation import opened_model, score_patients, threshold_dices
from roundelay.site.opening import LocalSite, open_local_site, survey
from roundelay.site.visit import train
from roundelay.study.study import Study


class HereCourier:
    """Passes batons to sites in the same process."""

    def __init__(self, study: Study, *, home: Path, machine: Machine, on_step: OnStep) -> None:
        self._study, self._home, self._machine, self._on_step = study, home, machine, on_step
        self._cohort = open_cohort(study)
        self._sites, self._noticed = self._cohort.sites, self._cohort.left_out
        self._cache = SliceCache(inference_settings_of(study).preprocessing, slices_folder())
        self._local_sites: dict[str, LocalSite] = {}

    def survey(self) -> Mapping[str, SiteSurvey]:
        self._open_all()
        opened = {site: self.local_site(site).patients for site in self._sites}
        away = sites_all_bad(opened)
        patients = [patient for own in opened.values() for patient in own]
        refuse_leak(patients)
        self._noticed = together((*self._cohort.left_out, *away, *remarks_of(patients)))
        return {s: survey(self.local_site(s)) for s, own in opened.items() if not all_bad(own)}

    def _open_all(self) -> None:
        """Raises DataError naming what is wrong at any site."""
        faults: list[str] = []
        for site in self._sites:
            try:
                self.local_site(site)
            except DataError as error:
                faults += error.faults
        refuse(faults)

    def next_leg(self, legs: Sequence[Leg]) -> Leg:
        return legs[0]

    def train(self, baton: Baton, stops: Sequence[Stop]) -> list[Visit]:
        return [train(self.local_site(stop.site), stop, baton, self._on_step) for stop in stops]

    def evaluate(self, baton: Baton, sites: Sequence[str], scoring: Scoring) -> list[PatientScore]:
        if not sites:
            return []
        # All compute in this process: the model is opened once, however many sites there are.
        model = opened_model(self.local_site(sites[0]), baton)
        return [
            score
            for site in sites
            for score in score_patients(
                self.local_site(site), model, scoring.split, scoring.thresholds
            )
        ]

    def threshold_dices(self, baton: Baton, sites: Sequence[str]) -> list[PatientDices]:
        if not sites:
            return []
        model = opened_model(self.local_site(sites[0]), baton)
        return [one for site in sites for one in threshold_dices(self.local_site(site), model)]

    def opened(self, baton: Baton) -> Baton:
        return baton

    def facts(self) -> Mapping[str, Any]:
        return self._cohort.facts(self._noticed)

    def close(self) -> None:
        self._local_sites.clear()

    def local_site(self, site: str) -> LocalSite:
        """A site of this process; its files are opened when it is first asked for."""
        if site not in self._local_sites:
            self._local_sites[site] = open_local_site(
                site,
                self._study,
                self._sites,
                cache=self._cache,
                machine=self._machine,
                home=self._home,
            )
        return self._local_sites[site]

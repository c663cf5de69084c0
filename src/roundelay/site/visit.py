"""One visit at a site, and the receipt that states it."""

import time

from roundelay.data.survey import TRAIN
from roundelay.plan.itinerary import IN_TURN, Stop
from roundelay.plan.progress import OnStep
from roundelay.relay.baton import Baton
from roundelay.relay.courier import Visit
from roundelay.relay.receipt import Receipt
from roundelay.site.opening import LocalSite
from roundelay.site.recalibration import recalibrate, recalibrate_in_turn
from roundelay.site.training import train_model
from roundelay.site.work import WorkDone


def train(site: LocalSite, stop: Stop, baton: Baton, on_step: OnStep) -> Visit:
    """Do what the stop asks for, and state it: train, or recalibrate BatchNorm."""
    begin = time.perf_counter()
    if stop.task == IN_TURN:
        work = recalibrate_in_turn(site, stop, baton)
    elif stop.task == "recalibrate":
        work = recalibrate(site, stop, baton)
    else:
        work = train_model(site, stop, baton, on_step)
    return Visit(_receipt(site, stop, baton, work, time.perf_counter() - begin), work.returned)


def _receipt(site: LocalSite, stop: Stop, sent: Baton, work: WorkDone, seconds: float) -> Receipt:
    return Receipt(
        stop=stop.index,
        site=stop.site,
        round=stop.round,
        task=stop.task,
        received=work.received,
        returned=work.returned.digest,
        patients=sum(patient.split == TRAIN for patient in site.patients),
        slices=stop.slice_count,
        slice_visits=stop.slice_visits,
        steps=stop.steps,
        loss=work.loss,
        seconds=round(seconds, 3),
        sent_bytes=len(sent.data),
        returned_bytes=len(work.returned.data),
        machine=str(site.machine),
    )

"""Prediction by turns: the library's network as it comes, and ours in its two forms."""

import time
from collections.abc import Iterator
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection
from pathlib import Path

from torch import nn

from plain_network import SITE, open_and_read, smp_unet
from roundelay.data.formats.known import read_volume
from roundelay.data.volumes import Volume
from roundelay.learning.machine import Machine
from roundelay.learning.model_file import inference_settings_of
from roundelay.learning.predict import predict
from roundelay.learning.state import load_model
from roundelay.relay.baton import MODEL
from roundelay.running.starting import start_baton
from roundelay.site.evaluation import opened_model
from roundelay.site.opening import LocalSite
from roundelay.study.study import Study

PLAIN = Machine("cpu", bfloat16=False, channels_last=False)


def measure_prediction(
    study: Study, machine: Machine, home: Path, turns: int, slices: int
) -> dict[str, list[float]]:
    """Slices/s over the first `slices` slices, reading left out: `ours` as ``evaluate`` and
    ``predict`` place a model, `scores` as a run's own scores do, the plain one before and after
    them. The first turn warms up and isn't counted."""
    plain, at_plain = Pipe()
    args = (at_plain, study, machine, home / "plain", slices)
    process = get_context("spawn").Process(target=_serve_plain, args=args, daemon=True)
    process.start()
    site = open_and_read(study, machine, home).local_site(SITE)
    volumes = [*_volumes(site, slices)]
    start = start_baton(study, 0)
    scoring = opened_model(site, start)
    model = machine.place_to_infer(load_model(study.network, start.part(MODEL)))
    plain.recv()
    found: dict[str, list[float]] = {"plain": [], "scores": [], "ours": []}

    def ask_plain() -> float:
        plain.send(True)
        return float(plain.recv())

    for _ in range(turns):
        before = ask_plain()
        seconds = [_seconds(study, one, volumes, machine) for one in (scoring, model)]
        found["plain"].append(2 * slices / (before + ask_plain()))
        found["scores"].append(slices / seconds[0])
        found["ours"].append(slices / seconds[1])
    plain.send(False)
    process.join()
    return {name: rates[1:] for name, rates in found.items()}


def _serve_plain(
    turns: Connection, study: Study, machine: Machine, home: Path, slices: int
) -> None:
    """In a process of its own: asked, answer with the seconds that the slices took."""
    volumes = [*_volumes(open_and_read(study, machine, home).local_site(SITE), slices)]
    model = smp_unet(study.model.encoder)
    turns.send(None)
    while turns.recv():
        turns.send(_seconds(study, model, volumes, PLAIN))


def _volumes(site: LocalSite, slices: int) -> Iterator[Volume]:
    """The first patients, the last of them as far as it is needed."""
    for patient in site.patients:
        volume = read_volume(patient)
        if slices > 0:
            yield Volume(volume.channels[:, :slices], None)
        slices -= len(volume.slices)


def _seconds(study: Study, model: nn.Module, volumes: list[Volume], machine: Machine) -> float:
    settings = inference_settings_of(study)
    begin = time.perf_counter()
    for volume in volumes:
        predict(model, volume, settings, machine)
    return time.perf_counter() - begin

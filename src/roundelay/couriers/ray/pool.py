"""Workers and the turns that they take: which is free, which was lost, what is told meanwhile."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from roundelay.couriers.ray.room import Lane, named
from roundelay.couriers.ray.worker import Answer
from roundelay.errors import CourierError
from roundelay.plan.progress import OnStep

TRIES = 3

POLL_SECONDS = 0.5

LATE_SECONDS, START_SECONDS = 30.0, 180.0
"""After so long a turn of a worker that isn't there yet goes to one that became free; and after so
long nobody waits for it any more."""

SILENT_SECONDS = 300.0
"""A process answers within milliseconds, also while it trains: this long a silence is a loss."""


@dataclass(eq=False, slots=True)
class Running:
    """A worker: its actor and the number of its process, once that is there. One of a pinned
    `site` serves it alone. `asked` is the question about its steps that is still open, `since` when
    that was put, or the worker called for."""

    actor: Any
    number: Any
    lane: str
    site: str | None
    started: bool = False
    asked: Any = None
    since: float = field(default_factory=time.monotonic)


@dataclass(eq=False, slots=True)
class Call:
    """One turn of one site; `told` of its steps were reported, also before a retry."""

    site: str
    verb: str
    arguments: tuple[Any, ...]
    says: str
    lane: str
    told: int = 0
    tries: int = 0
    result: Any = None


@dataclass(eq=False, slots=True)
class Turn:
    """A call that a worker is at; `answer` are the references of what it comes to and of its
    bytes."""

    call: Call
    worker: Running
    answer: Any


class Pool:
    """Workers by lane: any of the lane of all, whose name is empty, or each site's own where it is
    pinned to a resource, which names the lane."""

    def __init__(
        self,
        ray: Any,
        launch: Callable[[Lane], Any],
        lane_of: Callable[[str], Lane],
        on_step: OnStep,
    ) -> None:
        """`launch` starts a worker and gives its actor; `lane_of` knows the room there is now."""
        self._ray, self._launch, self._lane_of, self._on_step = ray, launch, lane_of, on_step
        self._lanes: dict[str, Lane] = {}
        self._workers: list[Running] = []
        self._turns: list[Turn] = []
        self._last: dict[str, Running] = {}

    def start_ahead(self, pins: Mapping[str, str], there: Any = None) -> None:
        """Have workers come up before there is a turn to take: those of pinned sites, or one; none
        where one is `there` already."""
        for site, name in pins.items():
            self._start(name, site)
        if there is not None:
            self._workers.append(Running(there, there.process.remote(), "", None))
        elif not pins:
            self._start("", None)

    def take(self, calls: Sequence[Call]) -> list[tuple[Any, Any, Any]]:
        """Take all turns, as many at once as there is room for: what each comes to, its bytes, and
        by what reference they are had without a copy.

        Raises what a turn raised, as soon as it did, and CourierError where a worker was lost again
        and again, or can't be had.
        """
        waiting = list(calls)
        try:
            while waiting or self._turns:
                self._begin(waiting)
                self._look(waiting)
        finally:
            for turn in list(self._turns):  # an error ended the others: nobody waits for these
                self._drop(turn)
        return [call.result for call in calls]

    def processes(self) -> dict[str, int]:
        """The number of the process that took each site's last turn, where it has started."""
        return {site: self._ray.get(worker.number) for site, worker in self._last.items()}

    def close(self) -> None:
        """End all workers."""
        for worker in self._workers:
            self._ray.kill(worker.actor)
        self._workers.clear()

    def _lane(self, name: str) -> Lane:
        if name not in self._lanes:
            self._lanes[name] = self._lane_of(name)
        return self._lanes[name]

    def _begin(self, waiting: list[Call]) -> None:
        """Give turns to workers that are free, or new, while there is room."""
        for call in list(waiting):
            taken = sum(turn.call.lane == call.lane for turn in self._turns)
            if taken < self._lane(call.lane).abreast:
                waiting.remove(call)
                site = call.site if call.lane else None
                free = [w for w in self._free() if (w.lane, w.site) == (call.lane, site)]
                worker = free[0] if free else self._start(call.lane, site)
                ask = worker.actor.take.options(num_returns=2)
                self._turns.append(Turn(call, worker, ask.remote(call.verb, *call.arguments)))
                self._last[call.site] = worker

    def _free(self) -> list[Running]:
        taken = [turn.worker for turn in self._turns]
        return [worker for worker in self._workers if worker not in taken]

    def _start(self, lane: str, site: str | None) -> Running:
        actor = self._launch(self._lane(lane))
        worker = Running(actor, actor.process.remote(), lane, site)
        self._workers.append(worker)
        return worker

    def _look(self, waiting: list[Call]) -> None:
        """Wait a moment for an answer; report steps, and see to what was lost."""
        if not self._ray.wait([turn.answer[0] for turn in self._turns], timeout=POLL_SECONDS)[0]:
            self._ask_for_steps()
        for turn in list(self._turns):
            try:
                if self._is_there(turn.answer[0]):
                    self._take_down(turn)
                else:
                    self._hear(turn)
            except self._ray.exceptions.RayTaskError:
                raise  # an error that nobody foresaw: its traceback is wanted
            except self._ray.exceptions.RayError as error:
                self._lose(turn, error)
                waiting.insert(0, turn.call)
        self._move(waiting)

    def _take_down(self, turn: Turn) -> None:
        answer, data = self._ray.get(turn.answer, timeout=SILENT_SECONDS)
        self._turns.remove(turn)
        turn.worker.asked = None
        self._tell(turn.call, answer.steps)
        turn.call.result = (value_of(answer), data, turn.answer[1])

    def _ask_for_steps(self) -> None:
        for worker in (turn.worker for turn in self._turns):
            if self._has_started(worker) and worker.asked is None:
                steps = worker.actor.steps.options(concurrency_group="watch")
                worker.asked, worker.since = steps.remote(), time.monotonic()
        if asked := [turn.worker.asked for turn in self._turns if turn.worker.asked is not None]:
            self._ray.wait(asked, num_returns=len(asked), timeout=POLL_SECONDS)

    def _hear(self, turn: Turn) -> None:
        """Report the steps that came. Raises RayError where the worker is lost, or silent."""
        worker = turn.worker
        silent = time.monotonic() - worker.since
        if worker.asked is not None and self._is_there(worker.asked):
            asked, worker.asked = worker.asked, None
            self._tell(turn.call, self._ray.get(asked))
        elif worker.asked is not None and silent > SILENT_SECONDS:
            raise self._ray.exceptions.GetTimeoutError(f"not a word for {SILENT_SECONDS:g} s")
        elif silent > START_SECONDS and not self._has_started(worker):
            raise CourierError(
                f"No process for {turn.call.says} started within {START_SECONDS:g} s. It needs"
                f" {self._lane(worker.lane)}; free are {named(self._ray.available_resources())}."
                " Nothing was lost: wait for room on the cluster, then go on with --resume."
            )

    def _move(self, waiting: list[Call]) -> None:
        """What waits for a worker that isn't there yet goes to one that became free."""
        free = [worker for worker in self._free() if not worker.lane]
        late = [
            turn
            for turn in self._turns
            if not turn.worker.lane
            and time.monotonic() - turn.worker.since > LATE_SECONDS
            and not self._has_started(turn.worker)
        ]
        for turn in late[: len(free)]:
            self._drop(turn)
            waiting.insert(0, turn.call)

    def _lose(self, turn: Turn, error: Exception) -> None:
        """A visit is tried again, if not too often, on what is left of the cluster."""
        self._drop(turn)
        self._lanes.clear()
        call = turn.call
        call.tries += 1
        if call.tries == TRIES:
            why = str(error).strip().splitlines() or [""]
            raise CourierError(
                f"The process of {call.says} was lost {TRIES} times during '{call.verb}':"
                f" killed, out of memory, or out of reach?\n  {type(error).__name__}:"
                f" {why[-1].strip()}\nWhat was handed over is kept. Mend the machine, then"
                " go on with --resume."
            ) from error

    def _drop(self, turn: Turn) -> None:
        self._turns.remove(turn)
        self._workers.remove(turn.worker)
        self._ray.kill(turn.worker.actor)

    def _tell(self, call: Call, steps: Sequence[Any]) -> None:
        for step in steps:
            if step.step > call.told:
                call.told = step.step
                self._on_step(step)

    def _has_started(self, worker: Running) -> bool:
        worker.started = worker.started or self._is_there(worker.number)
        return worker.started

    def _is_there(self, reference: Any) -> bool:
        return bool(self._ray.wait([reference], timeout=0)[0])


def value_of(answer: Answer) -> Any:
    """What a turn came to. Raises what it raised on purpose."""
    if answer.error is None:
        return answer.value
    raised = answer.error.__new__(answer.error)  # some make their text in __init__
    Exception.__init__(raised, answer.value)
    raise raised

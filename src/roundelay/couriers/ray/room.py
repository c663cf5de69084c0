"""Where turns are taken: how many at once, and what a worker reserves of a node for them."""

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from roundelay.errors import CourierError, DataError
from roundelay.study.sections import RAYS_OWN

A_LITTLE = 0.0001
"""Of a resource that pins a site: it says where, not how much. The least that Ray counts."""

Node = Mapping[str, float]
"""The resources of a node that is there."""


@dataclass(frozen=True, slots=True)
class Lane:
    """Turns that wait for one another: `abreast` of them are taken at once, each on a worker that
    reserves `cpus`, `gpus` and `resources`."""

    abreast: int
    cpus: float
    gpus: float
    resources: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        wanted = {"CPU": self.cpus, "GPU": self.gpus, **self.resources}
        return named({name: count for name, count in wanted.items() if count})


def named(resources: Node) -> str:
    """Resources as text, less those that each node has."""
    shown = [n for n in sorted(resources) if "memory" not in n and not n.startswith("node:")]
    return ", ".join(f"{name} {resources[name]:g}" for name in shown) or "none"


def nodes_of(ray: Any) -> list[Node]:
    """The nodes that are alive."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def lane_of_all(
    nodes: Sequence[Node], pins: Mapping[str, str], *, widest: int, threads: int, gpus: bool
) -> Lane:
    """Of the sites that stand anywhere: a worker for each GPU, or for each `threads` cores, but no
    more than the `widest` leg has stops.

    More would be slower: threads that wait for a core do so by spinning.
    """
    if gpus and (most := _count(nodes, "GPU")):
        return Lane(min(most, widest), 0, _share(nodes, pins))
    cores = [int(node.get("CPU", 0)) for node in nodes]
    # A node that offers fewer than the threads takes one worker that reserves all of it.
    each = min(threads, max(cores, default=0))
    most = sum(count // each for count in cores if each)
    return Lane(max(min(most, widest), 1), each, 0)


def lane_of_pin(
    nodes: Sequence[Node], pins: Mapping[str, str], name: str, *, threads: int, gpus: bool
) -> Lane:
    """Of the sites that are pinned to the nodes that offer this resource. A worker stays with its
    site, so no core is reserved: they would not all start."""
    own = [node for node in nodes if name in node]
    if gpus and (most := _count(own, "GPU")):
        return Lane(most, 0, _share(nodes, pins), {name: A_LITTLE})
    cores = sum(int(node.get("CPU", 0)) // threads for node in own)
    return Lane(max(cores, 1), 0, 0, {name: A_LITTLE})


def _count(nodes: Iterable[Node], name: str) -> int:
    return int(sum(node.get(name, 0) for node in nodes))


def _share(nodes: Sequence[Node], pins: Mapping[str, str]) -> float:
    """The part of a GPU for each worker: all of it, less where pinned sites must fit beside."""
    shares = [1.0]
    for node in nodes:
        gpus = int(node.get("GPU", 0))
        pinned = sum(name in node for name in pins.values())
        if gpus and pinned:
            shares.append(gpu_share(gpus, pinned + gpus))
    return min(shares)


def gpu_share(gpus: int, processes: int) -> float:
    """The part of a GPU for each process so that all fit; no process lies across two GPUs."""
    return math.floor(1e4 / math.ceil(processes / gpus)) / 1e4 if gpus else 0.0  # Ray's precision


def refuse_strange_pins(pins: Mapping[str, str], sites: Iterable[str]) -> None:
    """Raise DataError where a site is pinned that the study doesn't have."""
    known = list(sites)
    for site in sorted(set(pins) - set(known)):
        near = difflib.get_close_matches(site, known, n=1)
        hint = f" Did you mean {near[0]}?" if near else f" It has {', '.join(known[:5])}."
        raise DataError(
            f"courier.resources pins the site {site}, which the study doesn't have.{hint}"
        )


def refuse_unoffered(pins: Mapping[str, str], nodes: Sequence[Node]) -> None:
    """Raise CourierError where no node offers what a site is pinned to."""
    offered = {name for node in nodes for name in node} - RAYS_OWN
    shown = sorted(name for name in offered if not name.startswith("node:"))
    for site, name in pins.items():
        if name not in offered:
            have = f"They offer {', '.join(shown)}." if shown else "They offer none."
            raise CourierError(
                f"{site} is pinned to the resource {name!r} (courier.resources), which no node of"
                f" the Ray cluster offers. {have} Start the node beside its data by"
                f"  ray start --address=HEAD:6379 --resources='{{\"{name}\": 1}}'  and try again."
            )

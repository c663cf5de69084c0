"""What a run leaves behind, as two digests a part: its numbers, and its words.

Numbers (weights, hand-overs, scores, counts) are what a study comes to. Words (keys, names of
columns and tasks, digests over them, the order of files' heads) change where a name does. Neither
holds what differs between two equal runs: seconds, the name of the machine, keys drawn at random.
"""

import hashlib
import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch

DIFFERS = ("seconds", "machine", "proofs", "digest", "previous", "head", "work at sites")
"""Keys whose values differ between two equal runs, or follow from such."""


def kind_of_processor() -> str:
    """Floating point differs between kinds: vendor, family, model, vector unit, PyTorch."""
    found = {}
    cpuinfo = Path("/proc/cpuinfo")
    for line in cpuinfo.read_text().splitlines() if cpuinfo.exists() else ():
        key, _, value = line.partition(":")
        found.setdefault(key.strip(), value.strip())
    matrix_unit = ", amx" if "amx_bf16" in found.get("flags", "").split() else ""
    return (
        f"{platform.machine()} {found.get('vendor_id', '?')} {found.get('cpu family', '?')}/"
        f"{found.get('model', '?')}, {torch.backends.cpu.get_cpu_capability()}{matrix_unit},"
        f" torch {torch.__version__.split('+')[0]}, numpy {np.__version__}"
    )


def digests_of(run: Path, *, network: bool = False) -> dict[str, str]:
    """The digests of a run folder, by part: ``numbers/...`` and ``words/...``."""
    found: dict[str, str] = {}
    summary = json.loads((run / "summary.json").read_text())
    _both(found, "summary", summary)
    if network:  # it names digests of sealed models, whose keys are drawn at random
        del found["words/summary"]
    header, *rows = (run / "patients.csv").read_text().splitlines()
    found["numbers/patients.csv"] = _sha("\n".join(rows))
    found["words/patients.csv"] = _sha(header)
    for place in sorted((run / "arms").iterdir()):
        _digest_arm(found, place, network=network)
    return found


def _digest_arm(found: dict[str, str], place: Path, *, network: bool) -> None:
    label = place.name
    lines = [json.loads(line) for line in (place / "ledger.jsonl").read_text().splitlines()]
    # The last line has digests of files that are taken here by themselves, curve.csv's seconds too.
    lines = [line for line in lines if "closing" not in line]
    handovers = [
        [line["leg"], line["baton"], [(r["received"], r["returned"]) for r in line["receipts"]]]
        for line in lines[1:]
    ]
    found[f"numbers/{label}/handovers"] = _sha(json.dumps(handovers))
    found[f"numbers/{label}/start"] = lines[0]["start"]
    found[f"numbers/{label}/cohort"] = lines[0]["cohort"]
    absent = [r["task"] in ("absent", "deferred") for li in lines[1:] for r in li["receipts"]]
    receipts = [receipt for line in lines[1:] for receipt in line["receipts"]]
    _both(found, f"{label}/receipts", receipts)
    found[f"numbers/{label}/absent"] = _sha(json.dumps(absent))
    _both(found, f"{label}/itinerary", json.loads((place / "itinerary.json").read_text()))
    found[f"words/{label}/itinerary-digest"] = lines[0]["itinerary"]
    if not network:  # keys are drawn at random there
        found[f"words/{label}/ledger"] = _sha(json.dumps([_same(line) for line in lines]))
    for name in ("scores.json", "validation.json"):
        if (place / name).exists():
            part = "validation" if name != "scores.json" else "scores"
            _both(found, f"{label}/{part}", json.loads((place / name).read_text()))
    model = place / "model.safetensors"
    if model.exists():
        found[f"numbers/{label}/weights"] = _weights(model)
        found[f"words/{label}/model-file"] = hashlib.sha256(model.read_bytes()).hexdigest()


def _weights(path: Path) -> str:
    digest = hashlib.sha256()
    with safetensors.safe_open(path, "numpy") as file:
        for name in sorted(file.keys()):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(file.get_tensor(name)).tobytes())
    return digest.hexdigest()


def _both(found: dict[str, str], part: str, value: Any) -> None:
    leaves = list(_leaves(value))
    numbers = [leaf for _, leaf in leaves if not isinstance(leaf, str)]
    words = [(key, leaf if isinstance(leaf, str) else "") for key, leaf in leaves]
    found[f"numbers/{part}"] = _sha(json.dumps(numbers))
    found[f"words/{part}"] = _sha(json.dumps(words))


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if name not in DIFFERS:
                yield from _leaves(inner, f"{key}/{name}")
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for inner in value:
            yield from _leaves(inner, key)
    else:
        yield key, value


def _same(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _same(inner) for key, inner in value.items() if key not in DIFFERS}
    return [_same(inner) for inner in value] if isinstance(value, list) else value


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

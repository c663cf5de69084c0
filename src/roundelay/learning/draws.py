"""Which slices a visit sees, in which batches: seeded by the stop alone."""

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

Pair = tuple[int, int]


def seed_of(*parts: object) -> int:
    """A 63-bit seed from (study seed, arm, stop, ...): no global state has a say."""
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def choose_slices(slices: Sequence[Pair], count: int, site: str, seed: int) -> list[Pair]:
    """The `count` slices of a site that train: the same for every arm, visit and seed."""
    rng = np.random.default_rng(seed_of(seed, "slices", site))
    chosen = rng.choice(len(slices), size=count, replace=False)
    return [slices[i] for i in sorted(chosen)]


def batches(
    slices: Sequence[Pair],
    tumour: Sequence[bool],
    *,
    visits: int,
    steps: int,
    positive_share: float | None,
    seed: int,
) -> Iterator[list[Pair]]:
    """Cut `visits` slice-visits into `steps` batches whose sizes differ by one at most.

    Slices come in shuffled passes over all of them. With `positive_share`, tumour and other slices
    come in passes of their own, and every run of batches holds the share as exactly as whole slices
    allow; a site that has only one kind gives that.
    """
    rng = np.random.default_rng(seed)
    sizes = [visits * (i + 1) // steps - visits * i // steps for i in range(steps)]
    with_tumour = [s for s, t in zip(slices, tumour, strict=True) if t]
    without = [s for s, t in zip(slices, tumour, strict=True) if not t]
    if positive_share is None or not with_tumour or not without:
        everything = _passes(slices, rng)
        for size in sizes:
            yield [next(everything) for _ in range(size)]
        return
    positives, negatives = _passes(with_tumour, rng), _passes(without, rng)
    seen = 0
    for size in sizes:
        # Rounding the running total, not each batch, keeps small batches from drifting.
        wanted = int((seen + size) * positive_share + 0.5) - int(seen * positive_share + 0.5)
        seen += size
        yield [next(positives) for _ in range(wanted)] + [
            next(negatives) for _ in range(size - wanted)
        ]


def _passes(slices: Sequence[Pair], rng: np.random.Generator) -> Iterator[Pair]:
    while True:
        for i in rng.permutation(len(slices)):
            yield slices[i]

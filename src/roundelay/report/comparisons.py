"""How methods differ, in blocks of a page: figures, verdicts, and why there is none."""

from collections.abc import Sequence

from roundelay.evaluation.comparison import SEEDS, Comparison
from roundelay.records.contents import Run
from roundelay.report.blocks import Block, Heading, Items, Text


def comparison_blocks(
    found: Sequence[Comparison], *, where: str = "", awaited: bool = False
) -> list[Block]:
    """Each difference, then how it was judged; empty without a comparison."""
    if not found:
        return []
    judged = sum(one.p_holm is not None for one in found)
    first = found[0].first
    title = f"Is {first} better{where}?" if judged else f"{first} beside the others{where}"
    blocks: list[Block] = [Heading(title), Items([str(one) for one in found])]
    blocks += [Text(reason) for reason in reasons(found, awaited=awaited)]
    if judged:
        blocks.append(
            Text(
                "Interval and p are over seeds and patients together, both resampled, as pairs"
                " where both methods have the same (pigeonhole bootstrap, Student's t for few"
                " seeds), with Holm's correction"
                f" over {'these' if judged > 1 else 'the'} {judged}"
                f" comparison{'s' * (judged > 1)}.",
                soft=True,
            )
        )
    return blocks


def reasons(found: Sequence[Comparison], *, awaited: bool) -> list[str]:
    """Why there is no verdict, each reason once."""
    named = list(dict.fromkeys(one.no_verdict for one in found if one.no_verdict))
    return ["No verdict yet: more of this study is still to come."] if named and awaited else named


def seeds_awaited(run: Run) -> bool:
    """Whether seeds that a verdict takes are still to come."""
    return not run.finished and len(run.study.seeds) >= SEEDS

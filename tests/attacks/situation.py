"""Two hospitals as they stood before the second one's visit, and what they were asked."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hospitals import Network
from roundelay.data.survey import SiteSurvey, cohort_digest
from roundelay.network.hospital.request_handler import answer
from roundelay.network.wire.keys import Keys, own_keys
from roundelay.network.wire.messages import Message, pack, unpack
from roundelay.network.wire.proposal import Proposal, proposal_from_json
from roundelay.network.wire.sealed_baton import hand_over
from roundelay.network.wire.statements import sign_survey
from roundelay.running.starting import start_baton


@dataclass(frozen=True)
class Situation:
    """A finished run `out` of EAST, then WEST; `asked` are the requests to WEST by kind and split,
    `before` are WEST's files before its visit."""

    net: Network
    out: Path
    asked: dict[str, Message]
    before: dict[Path, bytes]


@dataclass(frozen=True)
class West:
    """The second hospital before its visit, `asked` as it was for it; its `owner`'s keys."""

    home: Path
    asked: Message
    owner: Keys
    situation: Situation

    @property
    def head(self) -> dict[str, Any]:
        """A copy to alter."""
        head: dict[str, Any] = json.loads(json.dumps(self.asked.head))
        del head["payload"]
        return head

    @property
    def proposal(self) -> Proposal:
        return proposal_from_json(self.asked.head["proposal"])

    def proposal_of(self, head: dict[str, Any]) -> Proposal:
        """The study of an altered request."""
        return proposal_from_json(head["proposal"])

    def place_of(self, head: dict[str, Any], leg: int, arm: str) -> dict[str, Any]:
        return {**self.place(leg, arm), "proposal": self.proposal_of(head).digest}

    def resigned(self, head: dict[str, Any], arm: str) -> tuple[dict[str, Any], bytes]:
        """A request for another study as it would come, were that study run: numbers and baton
        signed for it by those who should."""
        proposal = self.proposal_of(head)
        surveys = {
            site: sign_survey(self.survey(site), "r1", proposal.digest, self.keys_of(site))
            for site in proposal.sites
        }
        sent = hand_over(
            start_baton(proposal.study, 0), self.place_of(head, head["leg"] - 1, arm), proposal,
            ["WEST"], "EAST", self.keys_of("EAST"),
        )  # fmt: skip
        return {**head, "arm": arm, "surveys": surveys, "proof": sent.proof}, sent.data

    def survey(self, site: str) -> SiteSurvey:
        """The numbers that a site signed."""
        return SiteSurvey(**self.head["surveys"][site]["survey"])

    def keys_of(self, site: str) -> Keys:
        return own_keys(self.situation.net.homes[site])

    def place(self, leg: int, arm: str = "swt-0") -> dict[str, Any]:
        """Where a baton of this run comes from."""
        cohort = cohort_digest({site: self.survey(site) for site in self.proposal.sites})
        return {
            "run": "r1",
            "proposal": self.proposal.digest,
            "cohort": cohort,
            "arm": arm,
            "leg": leg,
        }

    def reply(self, head: Any, payload: bytes, keys: Keys | None = None) -> dict[str, Any]:
        """What it answers to a request that the owner signed, or somebody else."""
        message = pack(head, payload, keys or self.owner)
        return dict(unpack(answer(self.home, message, lambda _: None)).head)

    def refuses(
        self, head: Any, word: str, payload: bytes | None = None, also: tuple[str, ...] = (),
        **by: Keys,
    ) -> None:  # fmt: skip
        """It says so, trains nothing, gives no score, notes it down, writes nothing else."""
        before = snapshot(self.home)
        found = self.reply(head, self.asked.payload if payload is None else payload, **by)
        assert word in found.get("refused", ""), found
        assert not {"proof", "scores", "survey"} & found.keys()
        audit = [json.loads(line) for line in (self.home / "audit.jsonl").read_text().splitlines()]
        assert audit[-1]["outcome"] == "refused"
        after = snapshot(self.home)
        for there in (before, after):
            del there[Path("audit.jsonl")]
        assert after.items() >= before.items()
        new = {str(path) for path in after.keys() - before.keys()}
        allowed = (".lock", ".pin.lock", "quarantine", "runs/r1/pinned.json", *also)
        assert all(path.startswith(allowed) for path in new), new


def snapshot(home: Path) -> dict[Path, bytes]:
    """All files under a folder, by their path within it."""
    return {p.relative_to(home): p.read_bytes() for p in home.rglob("*") if p.is_file()}

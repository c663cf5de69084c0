"""Thousands of altered answers to a coordinator, most of them signed by the hospital itself.

Whatever comes, the coordinator takes what was planned or refuses it with a sentence, soon; what it
shows of it moves no terminal.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attacks.answering import SITES, Answering
from attacks.fuzzed import AT_ONCE, GROWTH, few, resident, some, tiny_baton, tiny_sums
from attacks.mutations import (
    altered,
    altered_bytes,
    as_parts,
    canonical,
    signed_message,
    whole,
)
from attacks.test_fuzz import altered_file, other_arrays
from roundelay.evaluation.judgement import ArmScores, judge
from roundelay.network.coordinator import status, surveys
from roundelay.relay.aggregation import aggregate, goes_home
from roundelay.relay.baton import Baton
from roundelay.relay.courier import Scoring


def head_altered(rng, head, payload, keys):
    return signed_message(altered(rng, head), payload, keys)


def bytes_altered(rng, head, payload, keys):
    return as_parts(altered_bytes(rng, whole(signed_message(head, payload, keys))))


def statement_altered(rng, head, payload, keys):
    """The hospital signs another statement, too."""
    if "proof" not in head:
        return head_altered(rng, head, payload, keys)
    statement = altered(rng, head["proof"]["statement"])
    proof = {**head["proof"], "statement": statement, "signature": keys.sign(canonical(statement))}
    return signed_message({**head, "proof": proof}, payload, keys)


def as_it_is(rng, head, payload, keys):
    return signed_message(head, payload, keys)


ALTERED = (head_altered, head_altered, statement_altered, statement_altered, bytes_altered)


@pytest.fixture(scope="module", autouse=True)
def small(module_path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda descriptor: None)
        patch.setattr(surveys, "AGAIN", 0.0)
        begin = resident()
        yield
        assert resident() - begin < GROWTH


@pytest.fixture(scope="module")
def sealed(module_path, small):
    found = Answering(module_path / "sealed", {"arms": ("swt",)})
    yield found
    assert sorted(p.name for p in found.place.iterdir()) == sorted((*SITES, "home"))
    assert sorted(p.name for p in (found.place / "home").rglob("*.*")) == [".lock", "seal.key",
                                                                          "sign.key"]  # fmt: skip


@pytest.fixture(scope="module")
def averaged(module_path, small):
    """Nothing is sealed: the coordinator puts the models together."""
    recipe = {"recalibrate_batchnorm": True}
    return Answering(module_path / "open", {"arms": ("fedavg",)}, recipe, seal="none")


@some
@given(rng=st.randoms(use_true_random=True))
def test_a_visit_altered_and_signed_by_its_site(sealed, rng):
    courier, stop = sealed.courier, sealed.arm.legs[1].stops[0]
    for _ in range(AT_ONCE):
        visits = sealed.taken(lambda: courier.train(tiny_baton(), [stop]), rng.choice(ALTERED), rng)
        if visits:
            receipt = visits[0].receipt
            assert (receipt.site, receipt.steps, receipt.slices) == ("WEST", stop.steps, 8)
            assert visits[0].baton.digest == receipt.returned


@some
@given(rng=st.randoms(use_true_random=True))
def test_scores_altered_and_signed_by_their_site(sealed, rng):
    """What is taken can be judged, beside any other that was taken."""
    courier, arms = sealed.courier, []
    for _ in range(AT_ONCE):
        rows = sealed.taken(
            lambda: courier.evaluate(tiny_baton(), SITES, Scoring("swt-0", 1, "test")),
            rng.choice(ALTERED), rng,
        )  # fmt: skip
        if rows:
            method = rng.choice(("swt", "cwt"))
            arms.append(ArmScores(f"{method}-0", method, len(arms), None, tuple(rows), ()))
            judge(arms)
        for row in rows or ():
            assert row.site in SITES and row.split == "test" and 0 <= row.dice <= 1
            assert row.patient in (f"{row.site} 1", f"1 of {row.site}") or row.patient[-1].isdigit()
            assert (row.patients, row.slices, row.attributes) == (1, 6, {})


@some
@given(rng=st.randoms(use_true_random=True))
def test_numbers_and_keys_altered_and_signed_by_their_site(sealed, rng):
    courier = sealed.courier
    roster, keys = courier._proposal.roster, courier._keys
    for _ in range(AT_ONCE):
        if rng.random() < 0.5:
            courier._study = impatient(courier._study)
            found = sealed.taken(courier.survey, rng.choice(ALTERED), rng)
            assert found is None or found["WEST"].site == "WEST"
        else:
            found = sealed.taken(
                lambda: surveys.introduced(sealed, SITES, keys, courier._tell_waiting),
                rng.choice(ALTERED), rng,
            )  # fmt: skip
            assert found is None or found["EAST"] == roster["EAST"]


def impatient(study):
    """A hospital that says that it waits for approval is asked again for hours otherwise."""
    courier = study.courier.model_copy(update={"patience": 1e-6})
    return study.model_copy(update={"courier": courier})


@few
@given(rng=st.randoms(use_true_random=True))
def test_who_a_site_is_altered_hides_no_other_site(sealed, rng):
    for _ in range(AT_ONCE):
        sealed.alter, sealed.rng = rng.choice(ALTERED), rng
        answers = status.answered(sealed, SITES, sealed.courier._keys)
        rows = [status._row(site, answers[site], 1.0, 1.0, 2.0) for site in SITES]
        assert rows[0]["is"] == "there" and rows[1]["is"].startswith("there")
        assert all(str(v).isprintable() and len(str(v)) < 2500 for row in rows
                   for v in row.values())  # fmt: skip
    sealed.alter = None


def put_together(leg, sent, visits):
    merged = goes_home(aggregate(leg, sent, [visit.baton for visit in visits]))
    assert merged.arrays().keys() == sent.arrays().keys()
    assert all(np.isfinite(array).all() for array in merged.arrays().values())


@few
@given(rng=st.randoms(use_true_random=True))
def test_a_model_that_does_not_fit_is_put_together_with_none(averaged, rng):
    leg, sent = averaged.arm.legs[0], tiny_baton()
    for _ in range(AT_ONCE):
        averaged.returned = Baton(rng.choice((altered_file, other_arrays))(rng, tiny_baton()))
        visits = averaged.taken(lambda: averaged.courier.train(sent, leg.stops), as_it_is, rng)
        if visits:
            put_together(leg, sent, visits)


@few
@given(rng=st.randoms(use_true_random=True))
def test_sums_that_do_not_fit_are_added_to_none(averaged, rng):
    leg, sent = averaged.arm.legs[-1], tiny_baton()
    for _ in range(AT_ONCE):
        averaged.returned = Baton(rng.choice((altered_file, other_arrays))(rng, tiny_sums()))
        visits = averaged.taken(lambda: averaged.courier.train(sent, leg.stops), as_it_is, rng)
        if visits:
            put_together(leg, sent, visits)


def test_that_were_thousands_of_answers(sealed, averaged, record_property):
    """Runs last, of all tests in this file."""
    record_property("answers", sealed.told + averaged.told)
    assert sealed.told + averaged.told > 6000

"""Weights that travel in bfloat16: rounded once, as PyTorch rounds, and exact from there on."""

import hashlib

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from roundelay.errors import LedgerError, ModelError, VisitError
from roundelay.files.arrays import overflows, pieces, read_arrays
from roundelay.learning.networks import build_network
from roundelay.relay.aggregation import averaged, goes_home
from roundelay.relay.baton import MODEL, Baton, digest_of_parts, join
from roundelay.relay.fitting import misfit
from roundelay.running.starting import start_baton
from roundelay.site.soundness import refuse_infinite
from roundelay.study.sections import Recipe
from visits import toy

RNG = np.random.default_rng(0)
WEIGHTS = {
    "conv.weight": RNG.normal(size=(4, 3, 3, 3)).astype(np.float32),
    "bn.weight": RNG.normal(size=4).astype(np.float32),
    "bn.running_var": RNG.uniform(size=4).astype(np.float32),
    "bn.num_batches_tracked": np.asarray(7),
}


@given(st.lists(st.floats(width=32), min_size=1, max_size=20))
def test_numbers_are_rounded_as_pytorch_rounds(values):
    array = np.array(values, np.float32)
    arrays, narrow = read_arrays(b"".join(pieces({"a": array}, narrow={"a"})))
    oracle = torch.from_numpy(array).bfloat16().float().numpy()
    assert narrow == {"a"}
    np.testing.assert_array_equal(arrays["a"], oracle)


def test_of_two_as_near_the_even_one_is_taken():
    ties = np.array([1 + 2**-8, 1 + 3 * 2**-8, -1 - 2**-8, -1 - 3 * 2**-8], np.float32)
    arrays, _ = read_arrays(b"".join(pieces({"a": ties}, narrow={"a"})))
    assert arrays["a"].tolist() == [1.0, 1 + 2**-6, -1.0, -1 - 2**-6]


def test_another_library_reads_the_same_weights():
    sent = join("bfloat16", model=WEIGHTS)
    found = safetensors.torch.load(sent.data)
    assert found["model/conv.weight"].dtype == torch.bfloat16
    assert found["model/bn.weight"].dtype == torch.float32
    for name, array in sent.part(MODEL).items():
        np.testing.assert_array_equal(array, found[f"model/{name}"].to(torch.float64).numpy())


def test_what_is_opened_and_sent_on_is_what_came():
    sent = join("bfloat16", model=WEIGHTS, optimiser={"exp_avg/conv.weight": WEIGHTS["bn.weight"]})
    loaded = sent.part(MODEL)
    assert loaded["conv.weight"].dtype == np.float32
    again = join("bfloat16", model=loaded, optimiser=sent.part("optimiser/"))
    assert again.data == sent.data
    told = digest_of_parts("bfloat16", model=loaded, optimiser=sent.part("optimiser/"))
    assert told == sent.digest == hashlib.sha256(sent.data).hexdigest()
    np.testing.assert_array_equal(
        sent.part("optimiser/")["exp_avg/conv.weight"], WEIGHTS["bn.weight"]
    )


def test_a_mean_of_such_batons_is_one_rounded_once_more():
    values = (1.0, 1.0078125, 2.5)
    batons = [join("bfloat16", model={"w": np.full((1, 2), v, np.float32)}) for v in values]
    mean = averaged(batons, [1, 1, 2])
    oracle = torch.tensor((1.0 + 1.0078125 + 2 * 2.5) / 4).bfloat16().float().item()
    assert mean.read()[1] == "bfloat16"
    assert mean.part(MODEL)["w"].tolist() == [[oracle, oracle]]
    assert goes_home(mean).data == mean.data


def test_a_baton_of_the_other_wire_does_not_fit_a_study():
    rounded, full = join("bfloat16", model=WEIGHTS), join(model=WEIGHTS)
    assert misfit(full, WEIGHTS) is None
    assert misfit(rounded, WEIGHTS, wire="bfloat16") is None
    assert "bfloat16, and the study sends float32" in str(misfit(rounded, WEIGHTS))
    assert "float32, and the study sends bfloat16" in str(misfit(full, WEIGHTS, wire="bfloat16"))


@pytest.mark.parametrize("narrow", [{"model/bn.weight"}, {"optimiser/a"}, {"model/a", "model/b"}])
def test_arrays_that_no_wire_rounds_make_no_baton(narrow):
    two = np.zeros((2, 2), np.float32)
    arrays = {"model/a": two, "model/b": two, "model/c": two, "model/bn.weight": np.zeros(2, "f4"),
              "optimiser/a": two}  # fmt: skip
    with pytest.raises(LedgerError, match="no baton: some of its weights are in bfloat16"):
        Baton(b"".join(pieces(arrays, narrow=narrow))).arrays()


TOO_WIDE = np.array([[1.0, 3.3961775e38]], np.float32)
"""Finite, and nearer to bfloat16's infinity than to its largest number."""


@given(st.lists(st.floats(width=32, allow_nan=False, min_value=1.5 * 2.0**127), min_size=1))
def test_what_overflows_is_what_would_not_be_finite_when_opened(values):
    array = np.array([values], np.float32)
    opened = join("bfloat16", model={"w": array}).part(MODEL)["w"]
    assert overflows(array) == (not np.isfinite(opened).all())


@pytest.mark.parametrize("part", ["model", "average"])
def test_weights_too_large_for_the_wire_are_refused_at_the_site_that_gave_them(part):
    given, narrow = {part: {"w": TOO_WIDE}}, Recipe(wire="bfloat16")
    refuse_infinite("NORTH", Recipe(), **given)
    refuse_infinite("NORTH", narrow, importance={"w": TOO_WIDE})  # goes as it is
    with pytest.raises(VisitError, match=f"NORTH gave weights .* too large .*wire; {part}/w"):
        refuse_infinite("NORTH", narrow, **given)


def test_first_weights_too_large_for_the_wire_are_refused(tmp_path):
    plan = toy(tmp_path, wire="bfloat16")
    encoder = build_network(*plan.network, seed=0).get_submodule("encoder").state_dict()
    next(w for w in encoder.values() if w.ndim > 1)[0] = 3.4e38
    safetensors.torch.save_file(encoder, tmp_path / "wide.safetensors")
    values = {"encoder": plan.model.encoder, "weights": str(tmp_path / "wide.safetensors")}
    wide = plan.model_copy(update={"model": plan.model.model_copy(update=values)})
    with pytest.raises(ModelError, match="first weights are too large"):
        start_baton(wide, 0)

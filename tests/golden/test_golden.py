"""Every byte as before: deterministic runs of every arm, order, state, average and courier."""

import json

import pytest
import torch

from golden.digests import kind_of_processor
from golden.runs import KEPT, missing, run_golden
from golden.studies import STUDIES

KNOWN = json.loads(KEPT.read_text()).get(kind_of_processor())


@pytest.fixture(autouse=True)
def _as_it_was():
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDIES)
def test_a_study_gives_the_bytes_that_it_always_gave(name, tmp_path, capsys):
    if why := missing(STUDIES[name]):
        pytest.skip(why)
    if KNOWN is None:
        pytest.skip(
            f"no digests are kept for this kind of processor ({kind_of_processor()});"
            " golden/runs.py says how to add them"
        )

    found = run_golden(name, tmp_path)

    assert found == KNOWN[name]

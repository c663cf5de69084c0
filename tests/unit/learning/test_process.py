"""What a call changes of its process, and what stays changed."""

import pytest
import torch

from roundelay.learning import process
from roundelay.learning.process import computing, set_up_process


@pytest.fixture(autouse=True)
def as_it_was():
    threads, mode = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    yield
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode(mode)


def settings():
    return torch.get_num_threads(), torch.get_deterministic_debug_mode()


@pytest.mark.parametrize("mode", [0, 1, 2])
def test_settings_hold_within_and_are_put_back(mode):
    torch.set_num_threads(2)
    torch.set_deterministic_debug_mode(mode)

    with computing(1, deterministic=True):
        assert settings() == (1, 2)

    assert settings() == (2, mode)


def test_they_are_put_back_after_an_error_too():
    torch.set_num_threads(2)
    torch.set_deterministic_debug_mode(0)

    with pytest.raises(KeyError), computing(1, deterministic=True):
        raise KeyError

    assert settings() == (2, 0)


def test_what_is_not_wanted_stays_as_found():
    torch.set_num_threads(2)
    torch.use_deterministic_algorithms(True)

    with computing(None, deterministic=False):
        assert settings() == (2, 2)

    assert settings() == (2, 2)


def test_a_process_that_is_ours_is_set_up_for_good(monkeypatch):
    kept = []
    monkeypatch.setattr(process, "keep_freed_memory", lambda: kept.append(True))
    torch.set_num_threads(2)

    set_up_process(1, deterministic=True)
    assert settings() == (1, 2)

    set_up_process(2, deterministic=False)
    assert settings() == (2, 0)
    assert kept == [True, True]

"""Roundelay: sequential federated learning on medical images.

The verbs of the command line as functions: `read_study`, `run`, `evaluate`, `predict`.
Importing this package does not import torch; the first use of a verb does.
"""

from typing import Any

__all__ = ["evaluate", "predict", "read_study", "run"]

_HOMES = {
    "read_study": ("roundelay.study.file", "read_study"),
    "run": ("roundelay.running.run", "run_study"),
    "evaluate": ("roundelay.inference.evaluation", "evaluate_model"),
    "predict": ("roundelay.inference.prediction", "predict_folder"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'roundelay' has no attribute {name!r}")
    from importlib import import_module

    module, verb = _HOMES[name]
    return getattr(import_module(module), verb)


def __dir__() -> list[str]:
    return sorted(__all__)

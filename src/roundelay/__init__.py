"""Roundelay: sequential federated learning on medical images.

The verbs of the command line as functions, and what they take and return. Importing this package
imports neither torch nor anything else of weight; the first use of a name does.
"""

TYPE_CHECKING = False  # as in typing, which takes longer to import than all that is here

if TYPE_CHECKING:
    from typing import Any

    from roundelay import errors
    from roundelay.inference.evaluation import EvaluationResult
    from roundelay.inference.evaluation import evaluate_model as evaluate
    from roundelay.inference.prediction import predict_folder as predict
    from roundelay.records.folds import CrossValidation
    from roundelay.records.result import ArmResult, RunResult
    from roundelay.records.verification import Verification
    from roundelay.records.verification import verify_run as verify
    from roundelay.running.api import run, run_folds, run_more_rounds
    from roundelay.study.file import read_study
    from roundelay.study.study import Study

    __version__: str

__all__ = [
    "ArmResult",
    "CrossValidation",
    "EvaluationResult",
    "RunResult",
    "Study",
    "Verification",
    "__version__",
    "errors",
    "evaluate",
    "predict",
    "read_study",
    "run",
    "run_folds",
    "run_more_rounds",
    "verify",
]

_HOMES = {
    "ArmResult": ("records.result", "ArmResult"),
    "CrossValidation": ("records.folds", "CrossValidation"),
    "EvaluationResult": ("inference.evaluation", "EvaluationResult"),
    "RunResult": ("records.result", "RunResult"),
    "Study": ("study.study", "Study"),
    "Verification": ("records.verification", "Verification"),
    "evaluate": ("inference.evaluation", "evaluate_model"),
    "predict": ("inference.prediction", "predict_folder"),
    "read_study": ("study.file", "read_study"),
    "run": ("running.api", "run"),
    "run_folds": ("running.api", "run_folds"),
    "run_more_rounds": ("running.api", "run_more_rounds"),
    "verify": ("records.verification", "verify_run"),
}


def __getattr__(name: str) -> "Any":
    from importlib import import_module

    if name == "__version__":
        return str(import_module("roundelay.files.installed").installed_version())
    if name == "errors":
        return import_module("roundelay.errors")
    if name not in _HOMES:
        raise AttributeError(f"module 'roundelay' has no attribute {name!r}")
    module, own = _HOMES[name]
    return getattr(import_module(f"roundelay.{module}"), own)


def __dir__() -> list[str]:
    return sorted(__all__)

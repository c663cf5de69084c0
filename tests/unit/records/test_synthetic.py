"""Volumes of synthetic patients, known by the sign in their folder: what a run says of them."""

import safetensors

from roundelay.cli.app import run_app
from roundelay.learning.model_header import KEY, parse_header
from roundelay.records.contents import read_run
from roundelay.records.layout import MODEL
from roundelay.report.people import samples_section
from roundelay.study.data_section import Data
from toy_runs import PLAN, Toy, put_json, run_toy

VOLUMES = Data(root="EXAMS", format="nifti", channels=("t1",), labels={"tumour": (1,)})


class Synthetic(Toy):
    """A toy whose cohort bore the sign."""

    def facts(self):
        return {"left_out": [], "synthetic": True}


def test_a_run_on_them_says_so_in_model_record_and_page(tmp_path, capsys):
    out = tmp_path / "RUN"
    run_toy(out, PLAN.model_copy(update={"data": VOLUMES}), courier=Synthetic)

    with safetensors.safe_open(out / "arms" / "cwt-0" / MODEL, "numpy") as file:
        assert parse_header(file.metadata()[KEY]).synthetic
    run = read_run(out)
    assert run.synthetic and "patients' images" not in str(samples_section(run))
    assert run_app(["ledger", "verify", str(out)]) == 0
    put_json(out / "run.json", lambda values: values.update(synthetic=False))
    capsys.readouterr()
    assert run_app(["ledger", "verify", str(out)]) == 2
    assert "header of" in "".join(capsys.readouterr())

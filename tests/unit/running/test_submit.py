"""``roundelay submit``: a study without patients at hand."""

from roundelay.cli import app
from roundelay.files.places import refuse_place
from roundelay.running import submit


def test_a_run_may_lie_below_the_folder_in_which_it_is_submitted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.toml").write_text('name = "toy"\n[data]\nroot = "images"\n')
    asked = []

    def submitted(study, kit, out, **_):
        refuse_place(out, images=study.data.root)
        asked.append(out)
        raise KeyboardInterrupt

    monkeypatch.setattr(submit, "submit_study", submitted)
    app.run_app(["submit", "study.toml", "--kit", "kits/coordinator", "--out", "RUN"])
    assert [str(out) for out in asked] == ["RUN"]

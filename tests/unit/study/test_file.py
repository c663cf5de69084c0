"""study.toml: what is read, what is refused, and with which words."""

import pytest

from roundelay.errors import StudyError
from roundelay.study.file import parse_study, read_study, to_toml
from roundelay.study.preset import preset_names, preset_text
from surveys import study


def parse(text, tmp_path):
    return parse_study(text, where="study.toml", folder=tmp_path)


MINIMAL = 'name = "a"\n[data]\nroot = "lgg"\n'


def test_a_minimal_study_takes_the_papers_settings(tmp_path):
    found = parse(MINIMAL, tmp_path)

    assert found.recipe.learning_rate == 5e-4
    assert (found.recipe.rounds, found.model.encoder) == (2, "resnext50_32x4d")
    assert found.data.root == str(tmp_path / "lgg")


def test_every_fault_is_named_at_once(tmp_path):
    text = MINIMAL + 'size = 100\n[recipe]\nroundz = 2\nbatch = 0\nlearning_rate = "fast"\n'

    with pytest.raises(StudyError) as caught:
        parse(text, tmp_path)

    message = str(caught.value)
    assert "4 faults" in message
    for part in ("data.size", "did you mean 'rounds'?", "recipe.batch", "recipe.learning_rate"):
        assert part in message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[recipe]\nepochs = 2\nsteps = 3\n", "contradict each other"),
        ("split = { validation = 0.6, test = 0.5 }\n", "leave no patient"),
        ('[evaluation]\nchoose = "best"\n', None),
        (
            'split = { validation = 0.0 }\n[evaluation]\nchoose = "best"\n',
            "needs validation patients",
        ),
        (
            '[evaluation]\nchoose = "best"\n[recipe]\nrecalibrate_batchnorm = true\n',
            "contradicts recalibrate_batchnorm",
        ),
        ("[recipe]\nchannel_dropout = 0.1\naugment = false\n", "needs augment"),
        ("[recipe]\naverage_decay = 0.9\n", "belongs to average"),
        ('sites = "chunks:0"\n', "is none of"),
        ('sites = "institutions"\n', "is none of"),
        ('[recipe]\nsite_order = ["A", "A"]\n', "names a site twice"),
        ('[recipe]\norder = "random"\n', "recipe.order"),
        ("[recipe]\nlearning_rate = nan\n", "learning_rate"),
        ("[rcipe]\n", "did you mean 'recipe'?"),
        ("[evaluation]\nthreshold = 2.0\n", "evaluation.threshold"),
        ('[courier]\nkind = "pigeon"\n', "courier.kind"),
        ("[courier]\nsince = 2026-01-01\n", "dates"),
        ("broken = [\n", "is no TOML"),
    ],
)
def test_contradictions_and_wrong_words_are_refused(text, says, tmp_path):
    if says is None:
        parse(MINIMAL + text, tmp_path)
        return
    with pytest.raises(StudyError, match=says.replace("?", r"\?")):
        parse(MINIMAL + text, tmp_path)


def test_arms_and_seeds_are_not_named_twice(tmp_path):
    with pytest.raises(StudyError, match="named twice"):
        parse('arms = ["cwt", "cwt"]\n' + MINIMAL, tmp_path)


def test_a_missing_file_names_the_presets(tmp_path):
    with pytest.raises(StudyError, match="seed-cwt"):
        read_study(tmp_path / "nothing.toml")


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_reads_back_as_itself(name, tmp_path):
    found = parse_study(preset_text(name), where=name, folder=tmp_path, data=tmp_path)

    again = parse_study(to_toml(found), where="again", folder=tmp_path)

    assert again == found
    assert again.digest == found.digest


def test_a_preset_without_data_says_what_is_missing():
    with pytest.raises(StudyError, match="root is missing"):
        read_study("seed-cwt")


def test_the_digest_leaves_out_where_things_are_and_nothing_else():
    base = study()

    assert study(data={"root": "elsewhere"}).digest == base.digest
    assert study(courier={"kind": "cluster", "threads": 1}).digest == base.digest
    assert study(recipe={"batch": 5}).digest != base.digest
    assert study(top={"seeds": (1,)}).digest != base.digest
    assert study(data={"split_seed": 1}).digest != base.digest


def test_the_papers_presets_are_the_papers():
    cwt = read_study("seed-cwt", data="somewhere")
    swt = read_study("seed-swt", data="somewhere")

    assert (cwt.recipe.rounds, cwt.recipe.epochs, cwt.recipe.learning_rate) == (2, 2, 5e-4)
    assert (cwt.data.train_slices, cwt.model.encoder) == (200, "resnext50_32x4d")
    assert cwt.recipe.schedule == "constant"
    assert (swt.arms, swt.recipe.rounds, swt.recipe.epochs) == (("swt",), 1, 2)
    assert swt.data.train_slices == 80


@pytest.mark.parametrize(
    ("section", "line", "today"),
    [
        ("recipe", "stand_in = 0.1", "channel_dropout"),
        ("recipe", "calibrate = true", "recalibrate_batchnorm"),
        ("recipe", "calibration_slices = 9", "recalibration_slices"),
        ("recipe", "proximal = 0.1", "fedprox_mu"),
        ("recipe", 'average = "trail"', "last_round"),
        ("evaluation", "flips = true", "test_time_augmentation"),
    ],
)
def test_a_key_of_an_earlier_version_is_answered_with_the_one_of_today(
    tmp_path, section, line, today
):
    path = tmp_path / "study.toml"
    path.write_text(f'name = "old"\n[data]\nroot = "."\n[{section}]\n{line}\n')

    with pytest.raises(StudyError, match=f"is called '{today}' now"):
        read_study(path)

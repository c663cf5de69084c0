"""``--set KEY=VALUE``: single keys in other words, checked as those of the file are."""

import pytest

from roundelay.errors import StudyError
from roundelay.study.file import parse_study, read_study

PLAN = 'name = "plan"\n[data]\nroot = "images"\n[recipe]\nrounds = 2\n'


def read(tmp_path, *changes):
    return parse_study(PLAN, where="plan.toml", folder=tmp_path, changes=changes)


def test_numbers_texts_lists_tables_and_bare_words_take_the_place_of_a_key(tmp_path):
    study = read(
        tmp_path, "recipe.rounds=4", 'arms=["cwt", "swt"]', "model.encoder=resnet18",
        "data.split={validation = 0.1, test = 0.3}", "recipe.learning_rate = 1e-3",
        "data.root=elsewhere",
    )  # fmt: skip
    assert study.recipe.rounds == 4
    assert study.arms == ("cwt", "swt")
    assert study.model.encoder == "resnet18"
    assert (study.data.split.validation, study.data.split.test) == (0.1, 0.3)
    assert study.recipe.learning_rate == 1e-3
    assert study.data.root == str(tmp_path / "elsewhere")


def test_the_digest_is_that_of_a_file_that_says_so(tmp_path):
    said = parse_study(PLAN.replace("2", "4"), where="plan.toml", folder=tmp_path)
    assert read(tmp_path, "recipe.rounds=4").digest == said.digest
    assert read(tmp_path).digest != said.digest


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("recipe.ronds=4", "did you mean 'rounds'"),
        ("recpie.rounds=4", "did you mean 'recipe'"),
        ("recipe.rounds=four", "it is 'four'"),
        ("recipe.rounds.more=4", "recipe.rounds in plan.toml is no table"),
        ("recipe.rounds", "takes a key of the study and its value"),
        ("=4", "takes a key of the study and its value"),
        ("recipe..rounds=4", "takes a key of the study and its value"),
        ("recipe.rounds=4\nname = 'x'", "Input should be a valid integer"),
        ("flips=true", "unknown key"),
    ],
)
def test_what_no_study_has_is_refused_with_the_nearest_key(tmp_path, change, said):
    with pytest.raises(StudyError, match=said):
        read(tmp_path, change)


def test_of_two_for_one_key_the_last_one_counts(tmp_path):
    assert read(tmp_path, "recipe.rounds=4", "recipe.rounds=5").recipe.rounds == 5


def test_a_preset_takes_them_too():
    assert read_study("quick", changes=("data.root=here", "arms=['swt']")).arms == ("swt",)


def test_without_a_value_a_key_is_taken_out(tmp_path):
    plan = PLAN.replace("rounds = 2", "rounds = 2\nepochs = 2")

    study = parse_study(
        plan, where="plan.toml", folder=tmp_path, changes=("recipe.epochs=", "recipe.steps=5")
    )

    assert (study.recipe.epochs, study.recipe.steps) == (None, 5)
    assert read(tmp_path, "recipe.seldom=").digest == read(tmp_path).digest


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("rounds=4", "Did you mean --set recipe.rounds=4"),
        ("labels.tumour=[1]", r"Did you mean --set data.labels.tumour=\[1\]"),
        ("arms=[cwt, swt]", "Texts in it have quotes"),
        ("data.split={test: 0.2}", "no list or table"),
    ],
)
def test_a_key_without_its_section_and_a_list_without_quotes_are_answered(tmp_path, change, said):
    with pytest.raises(StudyError, match=said):
        read(tmp_path, change)

"""study.toml: what is read, what is refused, and with which words."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from roundelay.errors import StudyError
from roundelay.study.file import parse_study, read_study, to_toml
from roundelay.study.preset import preset_names, preset_text, with_root
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


WITH_TABLE = 'sites = "table:t.csv"\nsplit = { validation = 0.0 }\n'
"""A table may say who validates, whatever the shares are."""


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
            'split = { validation = 0.0 }\n[evaluation]\nfollow = "round"\n',
            "needs validation patients",
        ),
        (WITH_TABLE + '[evaluation]\nchoose = "best"\n', None),
        (WITH_TABLE + '[evaluation]\nfollow = "visit"\n', None),
        (
            '[evaluation]\nchoose = "best"\n[recipe]\nrecalibrate_batchnorm = true\n',
            "contradicts recalibrate_batchnorm",
        ),
        ("[recipe]\nchannel_dropout = 0.1\naugment = false\n", "needs augment"),
        ('[recipe]\ndropped_together = [["post"]]\n', "needs a channel_dropout"),
        ("[recipe]\nchannel_dropout = 0.1\ndropped_together = [[]]\n", "is empty"),
        ('[recipe]\nchannel_dropout = 0.1\ndropped_together = [["t2"]]\n', "isn't one"),
        ('[recipe]\nchannel_dropout = 0.1\ndropped_together = [["flair"]]\n', "stands in"),
        ("[recipe]\naverage_decay = 0.9\n", "belongs to average"),
        ("[recipe]\nremember_strength = 0.9\n", "belongs to remember"),
        ('[recipe]\nremember = "si"\nremember_strength = -1\n', "recipe.remember_strength"),
        ('[recipe]\nremember = "si"\n', None),
        ('[recipe]\nremember = "mas"\n', "recipe.remember"),
        ('sites = "chunks:0"\n', "is none of"),
        ('sites = "institutions"\n', "is none of"),
        ('[recipe]\nsite_order = ["A", "A"]\n', "names a site twice"),
        ('[recipe]\norder = "random"\n', "recipe.order"),
        ("[recipe]\nlearning_rate = nan\n", "learning_rate"),
        ('[sites.E]\nmissing_channels = "none"\n', "must be 'refuse', 'zero' or, as in"),
        ("[sites.E]\nlabels = { a = 4 }\n", "labels.a: must be a value of the site's masks"),
        ('[model]\nweights_sha256 = "abc"\n', "must be a SHA-256 digest"),
        ("[rcipe]\n", "did you mean 'recipe'?"),
        ("[evaluation]\nthreshold = 2.0\n", "evaluation.threshold: must be 'validation', or a"),
        ('[evaluation]\nthreshold = "valid"\n', "must be 'validation', or a number above 0 and"),
        ('[recipe]\npositive_share = "equal"\n', "must be 'natural', or a number above 0"),
        ('[courier]\nkind = "pigeon"\n', "courier.kind"),
        ('[courier]\nkind = "cluster"\nresources = { A = "GPU" }\n', "counts on every node"),
        ('[courier]\nkind = "cluster"\nresources = { A = "node-a" }\n', None),
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


def test_remembering_needs_a_relay_and_changes_no_other_study():
    with pytest.raises(ValueError, match="remember belongs to the arms cwt and swt"):
        study(top={"arms": ("fedavg", "local")}, recipe={"remember": "si"})
    with_default = study(recipe={"remember": "none"})
    assert with_default.digest == study().digest != study(recipe={"remember": "si"}).digest
    assert "remember" not in with_default.without_places()["recipe"]


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


def test_the_full_preset_is_the_benchmark_for_longer_with_neighbours():
    full, short = (read_study(name, data="somewhere") for name in ("full", "benchmark"))

    assert full.recipe.rounds * 5 * full.recipe.steps * full.recipe.batch == 30_000
    assert full.recipe.model_copy(update={"rounds": 20}) == short.recipe
    assert full.data.neighbours == 1
    assert full.data.model_copy(update={"neighbours": 0}) == short.data


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


def written(tmp_path, data, name="study.toml"):
    path = tmp_path / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "turned",
    [
        lambda text: text.encode("utf-8-sig"),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace("\n", "\r\n").encode("utf-8-sig"),
        lambda text: text.encode() + b"# M\xc3\xbcnchen",
    ],
)
def test_a_mark_and_the_line_ends_of_other_systems_change_nothing(turned, tmp_path):
    assert read_study(written(tmp_path, turned(MINIMAL))) == parse(MINIMAL, tmp_path)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (MINIMAL.encode("utf-16"), "UTF-16"),
        (MINIMAL.encode("utf-32"), "no UTF-8"),
        (MINIMAL.encode("utf-16-le"), "of other bytes"),
        (MINIMAL.encode() + b"# M\xfcnchen\n", "byte 0xFC in line 4"),
        (b"a = " + b"[" * 5000, "deep"),
        (b"a = " + b"9" * 5000, "no TOML"),
        (b"a = 0x" + b"f" * 9000, "nothing can hold"),
        (b"# " + b"x" * (1 << 20), "more than"),
        (b'name = "a"\n[data]\nroot = "C:\\Users\\me"\n', "single quotes: 'C:"),
        (b'name = "a"\n[data]\nroot = "a\\u0000b"\n', "no path here"),
        (b'name = "a"\n[data]\nroot = "~nobody-of-this-name/a"\n', "no path here"),
        (b'name = "\\u001b[2J"\n[data]\nroot = "a"\n', r"U\+001B"),
        (b'name = " "\n[data]\nroot = "a"\n', "name: is empty"),
    ],
)
def test_what_is_no_text_of_a_study_is_said_in_a_sentence(data, says, tmp_path):
    with pytest.raises(StudyError, match=says):
        read_study(written(tmp_path, data))


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("seeds = [{}]", ["2 ** 63", "-2 ** 63 - 1", "10 ** 30"]),
        ("seeds = {}", ["list(range(101))", "[]"]),
        ("data.split_seed = {}", ["2 ** 64"]),
        ("data.size = {}", ["10 ** 6", "0", "-32"]),
        ('data.sites = "chunks:{}"', ["10 ** 4", "-1", "'²'", "'1_0'", "10 ** 4000"]),
        ("data.split.test = {}", ["nan", "inf", "-0.1", "1.0"]),
        ("data.train_slices = {}", ["10 ** 9", "0"]),
        ("recipe.rounds = {}", ["10 ** 9", "0", "-1", "2 ** 70"]),
        ("recipe.epochs = {}", ["10 ** 9", "0"]),
        ("recipe.steps = {}", ["10 ** 12", "0"]),
        ("recipe.batch = {}", ["10 ** 9", "0"]),
        ("recipe.recalibration_slices = {}", ["10 ** 12"]),
        ("recipe.learning_rate = {}", ["inf", "nan", "-inf", "0.0", "1e300", "-1e-3"]),
        ("recipe.weight_decay = {}", ["inf", "nan", "-1.0"]),
        ("recipe.fedprox_mu = {}", ["inf", "nan"]),
        ("recipe.positive_share = {}", ["nan", "inf", "1.5"]),
        ("recipe.channel_dropout = {}", ["nan", "1.0"]),
        ("evaluation.threshold = {}", ["nan", "inf", "0.0"]),
        ("courier.threads = {}", ["10 ** 6", "0"]),
        ("courier.patience = {}", ["inf", "nan", "1e300"]),
        ("courier.defer_after = {}", ["inf", "nan"]),
        ("courier.stuck_after = {}", ["inf", "nan"]),
        ('evaluation.leave_out = "{}"', ["'a' * 65", "'\\\\u0000'", "'pooled'", "' '"]),
        ('recipe.site_order = ["{}"]', ["'..'", "'\\\\u202e'"]),
    ],
)  # fmt: skip
def test_a_number_or_name_out_of_all_bounds_is_refused_with_its_key(line, values, tmp_path):
    key = line.split(" =")[0].rpartition(".")[2]
    for value in values:
        shown = value if value in ("nan", "inf", "-inf") else eval(value)  # all are above
        text = f'{line.format(shown)}\nname = "a"\ndata.root = "lgg"\n'

        with pytest.raises(StudyError, match=key) as caught:
            parse(text, tmp_path)

        assert len(str(caught.value)) < 500


def test_paths_are_relative_to_the_study_file_and_to_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    text = 'name = "a"\ndata.root = "{0}"\ndata.sites = "table:{0}"\nmodel.weights = "{0}"\n'

    for path, meant in (
        ("x/y z", tmp_path / "x" / "y z"),
        ("~/x", tmp_path / "home" / "x"),
        ("../x", tmp_path.parent / "x"),
        ("Universität", tmp_path / "Universität"),
        ("/abs/x", "/abs/x"),
    ):
        found = parse(text.format(path), tmp_path)
        assert found.data.root == found.model.weights == str(meant)
        assert found.data.sites == f"table:{meant}"

    for word in ("none", "imagenet"):
        assert parse(f'{MINIMAL}[model]\nweights = "{word}"\n', tmp_path).model.weights == word


def test_another_folder_is_the_same_study_and_another_kind_of_sites_is_not(tmp_path):
    text = 'name = "a"\ndata.root = "d"\ndata.sites = "table:t.csv"\nmodel.weights = "w.pth"\n'

    one, other = parse(text, tmp_path / "one"), parse(text, tmp_path / "other")

    assert one.digest == other.digest
    assert str(tmp_path) not in str(one.without_places())
    assert one.digest != parse(text.replace("table:t.csv", "institution"), tmp_path).digest
    assert one.digest != parse(text.replace("w.pth", "none"), tmp_path).digest
    check_again = parse(to_toml(one), tmp_path / "third")
    assert check_again == one


def test_a_folder_named_like_a_preset_is_none_of_its_business_and_a_file_is_asked_about(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").mkdir()
    assert read_study("demo").name == "demo"
    (tmp_path / "demo").rmdir()
    written(tmp_path, MINIMAL.encode(), "demo")

    with pytest.raises(StudyError, match=r"\./demo for the file"):
        read_study("demo")

    assert read_study("./demo").name == read_study(tmp_path / "demo").name == "a"


def test_a_folder_is_no_study(tmp_path):
    with pytest.raises(StudyError, match=r"is a folder, and no study.*roundelay init"):
        read_study(tmp_path)


@settings(max_examples=300, deadline=None)
@given(st.text(min_size=1).filter(lambda text: "\0" not in text))
@example("C:\\Users\\me\\U0001")
@example("a\"b'c\\1\\g<0>")
@example("Universität/🏥")
@example("\x07\x7f\x1b")
def test_any_folder_stands_in_a_presets_text_as_it_is_called(name):
    root = Path("/data") / name.lstrip("/")

    text = with_root(preset_text("benchmark"), root)

    assert tomllib.loads(text)["data"]["root"] == str(root)
    assert len(text.splitlines()) >= len(preset_text("benchmark").splitlines())


def test_a_folder_whose_name_is_no_text_is_refused():
    with pytest.raises(StudyError, match="no text"):
        with_root(preset_text("benchmark"), Path("/data/M\udcfcnchen"))


def test_data_that_the_command_names_lie_where_it_was_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert read_study("quick", data=Path("lgg")).data.root == str(tmp_path / "lgg")


def test_a_fault_in_an_option_is_said_of_the_option(tmp_path):
    (tmp_path / "study.toml").write_text(MINIMAL)

    with pytest.raises(StudyError, match=r"study.toml with --folds has 1 fault"):
        read_study(tmp_path / "study.toml", folds=0)


def test_regions_that_differ_in_case_alone_are_refused(tmp_path):
    text = 'name = "a"\n[data]\nroot = "x"\nformat = "nifti"\nchannels = ["t1"]\n'

    with pytest.raises(StudyError, match="names two regions, core and Core, that differ in case"):
        parse(text + "labels = { core = [1], Core = [2] }\n", tmp_path)

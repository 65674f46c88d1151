"""A study's file: what the shipped ones say, what files may say, and the sentence for those that may not."""

import itertools
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml

from study.config.load import load_config
from study.config.values import flatten
from study.runs import weights
from study.spec.keys import SETTINGS
from study.spec.looks import first_seeds
from study.spec.plan import make_plan
from study.spec.study_file import Arm, available, load_study
from vicreg.errors import InputError

PARAMS = Path(__file__).parents[3] / "params.yaml"
PROFILES = list(yaml.safe_load(PARAMS.read_text(encoding="utf-8"))["profiles"])

GOOD = """
question: Does it matter?
hypothesis: It does not.
mode: arms
baseline: one
arms:
  one: {pretrain.nu: 1}
  two: {pretrain.nu: 2}
"""
SEARCH = """
search:
  parameters:
    pretrain.nu: {low: 0.1, high: 10, log: true}
  trials: 4
  batch: 2
  seed: 0
  objective: linear_cached
  prune_after: 2
"""


def refusal(call, *arguments) -> str:
    """The one sentence that a call is refused with."""
    with pytest.raises(InputError) as raised:
        call(*arguments)
    message = str(raised.value)
    assert "\n" not in message and message.endswith((".", "?")), message
    return message


# ---- the shipped studies


@pytest.fixture(autouse=True)
def weights_at_hand(monkeypatch):
    """Stand-ins for the published weights, which a network would have to fetch: planning needs what they are, not more."""
    held = {"backbone": "resnet50", "stem": "imagenet", "width": 64, "border": 0, "tensors": {}}
    monkeypatch.setattr(weights, "load_once", lambda source: SimpleNamespace(digest=f"sha256:{source}", **held))


def test_the_studies_that_were_asked_for_are_shipped():
    asked = {"lambda-mu-nu", "backbone", "batch-size", "batch-size-tuned", "epochs", "expander", "convention"}
    asked |= {"augmentation", "augmentation-parts", "stem", "base-lr", "weight-decay", "lars", "generalisation", "encoders"}
    asked |= {"split"}
    assert asked < set(available())
    assert [load_study(name).mode for name in asked] == ["arms"] * 16
    assert "search" in [load_study(name).mode for name in available()]


def resolve(name: str, profile: str) -> None:
    study = load_study(name)
    config = load_config(path=PARAMS, profile=profile)
    plan = make_plan(study, config, data="sha256:0", device=torch.device("cpu"))
    arms = [arm for arm, cells in plan.by_arm().items() if not cells[0].is_control]
    assert arms == [arm.name for arm in study.arms]
    assert {cell.run.config.pretrain.seed for cell in plan.cells} == set(first_seeds(study, config))
    assert study.question.endswith("?") and study.hypothesis.endswith(".")


@pytest.mark.parametrize(("name", "profile"), [*zip(available(), itertools.cycle(PROFILES))])
def test_every_shipped_study_resolves_on_a_profile_and_every_profile_holds_some(name, profile):
    resolve(name, profile)


@pytest.mark.exhaustive
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", available())
def test_every_shipped_study_resolves_on_every_profile(name, profile):
    resolve(name, profile)


@pytest.mark.parametrize("name", [name for name in available() if name not in ("expander", "backbone")])
def test_the_arms_of_a_shipped_study_are_different_runs(name):
    config = load_config(path=PARAMS, profile="digits")
    plan = make_plan(load_study(name), config, data="sha256:0", device=torch.device("cpu"), seeds=[0])
    assert len({cell.run.digest for cell in plan.cells}) == len(plan.cells)


def test_lambda_mu_nu_is_table_7_of_the_vicreg_paper():
    study = load_study("lambda-mu-nu")
    names = ("pretrain.lambda", "pretrain.mu", "pretrain.nu")
    rows = {tuple(arm.settings[name] for name in names): arm.published for arm in study.arms}
    assert rows == {  # (lambda, mu, nu): linear top-1 on ImageNet, or collapse
        (1, 0, 0): {"collapse": True},
        (25, 0, 1): {"collapse": True},
        (0, 25, 1): {"collapse": True},
        (1, 1, 0): {"linear": 57.5},
        (1, 1, 1): {"collapse": True},
        (1, 10, 1): {"collapse": True},
        (10, 1, 1): {"collapse": True},
        (5, 5, 1): {"linear": 68.1},
        (10, 10, 1): {"linear": 68.2},
        (25, 25, 1): {"linear": 68.6},
        (50, 50, 1): {"linear": 68.3},
    }
    assert len(study.arms) == 11 and study.baseline == "25-25-1"
    assert "Table 7" in study.published_source


def test_every_batch_size_has_the_learning_rate_tuned_for_it():
    study = load_study("batch-size-tuned")
    assert {arm.name: dict(arm.settings) for arm in study.arms} == {
        f"size-{size}": {"pretrain.batch_size": size} for size in (32, 64, 128, 256)
    }
    assert list(study.nuisance) == ["pretrain.base_lr"] and len(study.combinations_of(study.baseline)) == 3


def test_crops_and_symmetry_are_crossed():
    arms = {arm.name: arm.settings for arm in load_study("augmentation").arms}
    config = load_config(path=PARAMS, profile="cifar10")
    views = {name: config.with_settings(settings).pretrain.views for name, settings in arms.items()}
    found = {name: (pair[0].crop_scale[0], pair[0] == pair[1]) for name, pair in views.items()}
    expected = {"source": (0.2, True), "paper": (0.08, True), "official": (0.08, False), "official-0.2": (0.2, False)}
    assert found == expected


def test_every_part_of_the_augmentation_is_left_out_of_the_preset_as_published():
    for arm in load_study("augmentation-parts").arms:
        taken = {key.rpartition(".")[2]: value for key, value in arm.settings.items()}
        left_out = arm.name.removeprefix("no-")
        assert taken["preset"] in ("source", arm.name) and {"crop_scale", "flip", "blur", "solarize"} < set(taken)
        assert all(value is None for key, value in taken.items() if key != "preset" and not key.startswith(left_out)), arm


def test_convention_and_epochs_cross_what_they_say():
    convention = load_study("convention")
    assert [arm.settings for arm in convention.arms] == [{"pretrain.convention": arm.name} for arm in convention.arms]
    assert {arm.name for arm in convention.arms} == {"equation", "algorithm", "official"}
    for arm in load_study("epochs").arms:
        assert arm.settings.get("pretrain.stop_after") == (50 if arm.name == "halfway" else None)
        assert arm.settings["pretrain.epochs"] == 10 * arm.settings["pretrain.warmup_epochs"]


def test_the_shipped_search_of_coefficients_looks_at_validation_and_prunes():
    search = load_study("coefficient-search").search
    assert set(search.parameters) == {"pretrain.lambda", "pretrain.mu", "pretrain.nu"}
    assert all(given["log"] for given in search.parameters.values())
    assert search.prune_after is not None and search.objectives("knn_20") == ("linear_cached",)


def test_a_search_of_accuracy_against_cost_and_a_path_are_shipped():
    assert load_study("cost-search").search.objectives("linear_cached") == ("linear_cached", "cost")
    path = load_study("recipe-path")
    old, new = (arm.settings for arm in path.arms)
    assert path.path == "best" and set(old) == set(new) and len(old) == 3


# ---- what a file may say


def test_a_file_becomes_a_question_and_arms_in_the_order_they_are_written(study_of):
    study = study_of(GOOD)
    assert (study.name, study.question, study.hypothesis) == ("mine", "Does it matter?", "It does not.")
    assert study.arms == (
        Arm(name="one", settings={"pretrain.nu": 1}), Arm(name="two", settings={"pretrain.nu": 2}),
    )  # fmt: skip
    assert (study.mode, study.baseline, study.settings, study.seeds, study.search) == ("arms", "one", {}, None, None)


def test_sections_nested_and_dotted_keys_say_the_same(study_of):
    nested = study_of(GOOD.replace("{pretrain.nu: 2}", "{pretrain: {nu: 2, augmentation: {flip: 0}}}"))
    assert nested.arms[1].settings == {"pretrain.nu": 2, "pretrain.augmentation.flip": 0}


def test_an_arm_may_give_its_reason_beside_its_settings(study_of):
    study = study_of(GOOD.replace("{pretrain.nu: 2}", "{reason: Twice  as much., settings: {pretrain.nu: 2}}"))
    assert study.arms[1] == Arm(name="two", settings={"pretrain.nu": 2}, reason="Twice as much.")
    assert study_of(GOOD.replace("{pretrain.nu: 2}", "{reason: None at all.}")).arms[1].settings == {}


def test_a_study_says_what_it_fixes_tunes_and_varies(study_of):
    study = study_of(GOOD + "fixed: {pretrain.mu: 3}\nnuisance: {pretrain: {base_lr: [1, 2], width: [4, 8]}}\n")
    assert study.settings == {"pretrain.mu": 3}
    assert study.roles == {
        "pretrain.nu": "varies", "pretrain.mu": "fixes", "pretrain.base_lr": "tunes", "pretrain.width": "tunes",
    }  # fmt: skip
    assert [tuple(one.values()) for one in study.combinations_of("one")] == [(1, 4), (1, 8), (2, 4), (2, 8)]


OWN = "{settings: {pretrain.nu: 2}, nuisance: {pretrain: {mu: [3, 4]}}}"


def test_an_arm_may_be_tuned_over_values_of_its_own_crossed_with_the_studys(study_of):
    study = study_of(GOOD.replace("{pretrain.nu: 2}", OWN) + "nuisance: {pretrain.base_lr: [1, 2]}\n")
    assert study.arms[1] == Arm(name="two", settings={"pretrain.nu": 2}, nuisance={"pretrain.mu": (3, 4)})
    assert [tuple(one.values()) for one in study.combinations_of("two")] == [(1, 3), (1, 4), (2, 3), (2, 4)]
    assert study.combinations_of("one") == study.combinations_of("of a design") == [
        {"pretrain.base_lr": 1}, {"pretrain.base_lr": 2},
    ]  # fmt: skip
    assert study.roles == {"pretrain.nu": "varies", "pretrain.base_lr": "tunes", "pretrain.mu": "tunes"}


def test_arms_may_list_different_values_for_one_key_or_none(study_of):
    lists = GOOD.replace("{pretrain.nu: 2}", OWN).replace("  one:", "  other: {nuisance: {pretrain.mu: [9]}}\n  one:")
    study = study_of(lists)
    assert study.is_tuned
    assert study.combinations_of("other") == [{"pretrain.mu": 9}]
    assert study.combinations_of("one") == []
    assert not study_of(GOOD).is_tuned


def test_a_path_has_no_arm_with_nuisance_of_its_own(study_of):
    path = GOOD.replace("mode: arms", "mode: path\npath: {to: two}").replace("{pretrain.nu: 2}", OWN)
    assert "arm 'two' has nuisance, which is for mode arms, but the mode is path" in refusal(study_of, path)


def test_a_path_leads_to_an_arm_or_to_the_best(study_of):
    for end in ("two", "best"):
        assert study_of(GOOD.replace("mode: arms", f"mode: path\npath: {{to: {end}}}")).path == end


def test_what_a_search_leaves_out_has_a_default(study_of):
    ranges = "{pretrain.width: {low: 4, high: 8, int: true}, pretrain.expander: {choices: [[], [16]]}}"
    text = GOOD.replace("mode: arms", f"mode: search\nsearch: {{trials: 9, parameters: {ranges}}}")
    search = study_of(text).search
    assert (search.sampler, search.seeds, search.prune_after, search.confirm) == ("tpe", 3, None, 1)
    assert search.objectives("linear_cached") == ("linear_cached",)
    several = study_of(text.replace("trials: 9", "trials: 9, objective: [knn_20, cost]")).search
    assert (several.objectives("linear_cached"), several.confirm) == (("knn_20", "cost"), 3)


def test_the_settings_a_study_may_name_are_those_of_params_yaml():
    pretrain = flatten({"pretrain": yaml.safe_load(PARAMS.read_text(encoding="utf-8"))["pretrain"]})
    assert set(SETTINGS) == set(pretrain)


def test_a_grid_is_every_combination(study_of):
    study = study_of("""
        question: Does it matter?
        hypothesis: It does not.
        mode: grid
        baseline: ν1-width8
        grid: {pretrain.nu: [1, 2], pretrain.width: [4, 8, 16]}
    """)
    assert [tuple(arm.settings.values()) for arm in study.arms] == [(n, w) for n in (1, 2) for w in (4, 8, 16)]
    assert len({arm.name for arm in study.arms}) == 6


def test_a_label_gives_the_settings_in_the_papers_symbols():
    labels = {
        "λ 25, μ 1, ν 0.5": {"pretrain.lambda": 25, "pretrain.mu": 1, "pretrain.nu": 0.5},
        "expander 512 x 512": {"pretrain.expander": [512, 512]},
        "expander none": {"pretrain.expander": []},
        "flip 0": {"pretrain.augmentation.flip": 0.0},
        "expander batchnorm off": {"pretrain.expander_batchnorm": False},
        "lr batch size rule": {"pretrain.lr_batch_size": None},
        "preset paper": {"pretrain.augmentation.preset": "paper", "pretrain.augmentation.blur": None},
        "mine": {},
    }
    for label, settings in labels.items():
        assert Arm(name="mine", settings=settings).label == label


# ---- what it may not


def test_an_unknown_study_suggests_the_nearest_name():
    assert refusal(load_study, "lamda-mu-nu") == "there is no study 'lamda-mu-nu'; did you mean 'lambda-mu-nu'?"
    message = refusal(load_study, "zzz")
    assert all(name in message for name in available())


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("mode: arms", "mode: armz", "mode must be one of arms, grid, search, path, but got 'armz'"),
        ("question:", "qestion:", "may not hold 'qestion'; did you mean 'question'?"),
        ("mode: arms", "mode: arms\nset: {}", "may not hold 'set'; did you mean 'seeds'?"),
        ("question: Does it matter?", "question: 5", "must give question as text, but gives 5"),
        ("hypothesis: It does not.", "", "must give hypothesis as text, but gives None"),
        ("baseline: one", "baseline: three", "baseline must be one of the arms one, two, but got 'three'"),
        ("{pretrain.nu: 2}", "{pretrain.seed: 2}", "arm 'two' may not set pretrain.seed; give seeds instead"),
        ("{pretrain.nu: 2}", "{evaluate.batch_size: 2}", "'evaluate.batch_size'; did you mean 'pretrain.batch_size'?"),
        ("{pretrain.nu: 2}", "{pretrain.lamda: 2}", "may not hold 'pretrain.lamda'; did you mean 'pretrain.lambda'?"),
        ("{pretrain.nu: 2}", "{reason: x, setings: {}}", "arm 'two' may not hold 'setings'; did you mean 'settings'?"),
        ("{pretrain.nu: 2}", "{reason: 5, settings: {}}", "arm 'two' must give its reason as text, but gives 5"),
        ("{pretrain.nu: 2}", "5", "arm 'two' must hold named values, but holds 5"),
        ("two:", "best:", "arm 'best' needs another name"),
        ("two:", "one@2:", "arm 'one@2' needs another name"),
        ("two:", "one|2:", "another name: letters, digits, single spaces and - _ . +, a letter or digit first"),
        ("two:", "one`2:", "arm 'one`2' needs another name"),
        ("two:", "one<2:", "arm 'one<2' needs another name"),
        ("two:", "one  2:", "arm 'one  2' needs another name"),
        ("two:", '"one\\n2":', "needs another name: letters"),
        ("two:", "\"it's\":", "needs another name: letters"),
        ("two:", "-one:", "arm '-one' needs another name"),  # on the command line it would be an option
        ("mode: arms", "mode: arms\nseeds: 0", "seeds must be a number of seeds from 1 to 1000000, a list of looks"),
        ("mode: arms", "mode: arms\nseeds: [3, a]", "seeds must list a number of seeds for each look, such as"),
        ("mode: arms", "mode: arms\nseeds: [0, 1, 2]", "are not listed one by one, so write how many: 3."),
        ("mode: arms", "mode: arms\nseeds: until-tired", "or until-decided, but got 'until-tired'"),
        ("mode: arms", "mode: arms\nlooks: [3, 5]", "looks is for `seeds: until-decided`, but seeds is None; delete looks"),
        ("mode: arms", "mode: arms\nseeds: 3\nbudget: 9", "is for `seeds: until-decided`, but seeds is 3; delete budget"),
        ("mode: arms", "mode: arms\nseeds: until-decided\nlooks: 3", "looks must list a number of seeds for each look"),
        ("mode: arms", "mode: arms\nseeds: until-decided\nlooks: [3]", "looks must list two looks or more, but got [3]"),
        ("mode: arms", "mode: arms\nseeds: until-decided\nbudget: 0", "budget must be a whole number of at least 1, but"),
        ("mode: arms", "mode: arms\nseeds: until-decided\nbudget: all", "budget must be a whole number of at least 1"),
        ("mode: arms", "mode: path\npath: {to: two}\nseeds: until-decided", "is for mode arms or grid, but the mode is"),
        ("mode: arms", "mode: arms\nfixed: 5", "fixed must hold named values, but holds 5"),
        ("mode: arms", "mode: arms\nfixed: {pretrain.with: 5}", "'pretrain.with'; did you mean 'pretrain.width'?"),
        ("mode: arms", "mode: arms\nfixed: {pretrain.nu: 5}", "has one role, but is fixed, and arm 'two' sets it too"),
        ("mode: arms", "mode: arms\nnuisance: {pretrain.nu: [5]}", "has one role, but is nuisance, and arm 'two'"),
        ("mode: arms", "mode: arms\nfixed: {pretrain.vicreg.nu: 5}", "pretrain.nu has one role, but is fixed"),
        ("mode: arms", "mode: arms\nnuisance: {pretrain.mu: [5]}\nfixed: {pretrain.mu: 5}", "and nuisance sets it too"),
        ("mode: arms", "mode: arms\nnuisance: {pretrain.mu: 5}", "must list values for each key, but for pretrain.mu got 5"),
        ("mode: arms", "mode: arms\nnuisance: {pretrain.mu: [5, 5]}", "different values for pretrain.mu, but got [5, 5]"),
        ("{pretrain.nu: 2}", "{nuisance: {pretrain.mu: 3}}", "'two': nuisance must list values for each key"),
        ("{pretrain.nu: 2}", "{nuisance: {pretrain.my: [3]}}", "nuisance may not hold 'pretrain.my'; did you mean"),
        ("{pretrain.nu: 2}", "{nuisance: {pretrain.mu: [3]}, pretrain.nu: 2}", "arm 'two' may not hold 'pretrain.nu'"),
        (
            "{pretrain.nu: 2}", "{nuisance: {pretrain.vicreg.nu: [3]}, settings: {pretrain.nu: 2}}",
            "pretrain.vicreg.nu has one role in an arm, but arm 'two' tunes it and it is set by the arm",
        ),
        (
            "{pretrain.nu: 2}", "{nuisance: {pretrain.mu: [3]}}\nfixed: {pretrain.mu: 4}", "tunes it and it is fixed",
        ),
        (
            "{pretrain.nu: 2}", "{nuisance: {pretrain.mu: [3]}}\nnuisance: {pretrain.mu: [4]}",
            "arm 'two' tunes it and it is nuisance of every arm",
        ),
        (
            "{pretrain.nu: 2}", "{nuisance: {pretrain.mu: [3.0000001, 3.0000002]}}",
            "nuisance has values that differ after the sixth digit alone",
        ),
        ("mode: arms", "mode: arms\npath: {to: two}", "path is for mode path, but the mode is arms"),
        ("mode: arms", "mode: path\npath: {to: one}", "path.to must be one of best, two, but got 'one'"),
        ("mode: arms", "mode: path\npath: {too: two}", "path may not hold 'too'; did you mean 'to'?"),
        ("mode: arms", "mode: path", "path.to must be one of best, two, but got None"),
        ("mode: arms", "mode: arms\npublished: [one]", "published must hold named values"),
        ("mode: arms", "mode: arms\npublished: {protocol: [1]}", "published.protocol must be text, but is [1]"),
        ("mode: arms", "mode: arms\npublished: {protocol: a, source: b}", "brings its own source and numbers; delete"),
        ("mode: arms", "mode: arms\npublished: {arms: {five: {linear: 1}}}", "may not hold 'five'; known are one, two"),
        ("mode: arms", "mode: arms\npublished: {arms: {one: 60}}", "published.arms.one must hold named values"),
        ("mode: arms", "mode: grid", "arms is for mode arms or search or path, but the mode is grid"),
        ("mode: arms", "mode: search", "search must give parameters, but does not"),
        ("arms:\n  one", "arms: {}\nfixed:\n  one", "arms must name at least one arm, but got {}"),
        ("arms:", "arms: [", "is not valid YAML"),
        ("two:", "one:", "mine.yaml, line 8: 'one' is given twice; delete one or rename it."),
        ("mode: arms", "mode: arms\nquestion: Another?", "mine.yaml, line 5: 'question' is given twice"),
        ("  one:", "  1: {}\n  '1': {}\n  one:", "arm '1' is given twice, as a number and as text; rename one"),
        ("{pretrain.nu: 2}", "{pretrain.nu: 2, pretrain.nu: 3}", "mine.yaml, line 8: 'pretrain.nu' is given twice"),
        ("{pretrain.nu: 2}", "{pretrain.nu: 2, pretrain: {nu: 3}}", "arm 'two': pretrain.nu is given twice, in a section"),
        ("{pretrain.nu: 2}", "{pretrain.nu: 2, pretrain.vicreg.nu: 2}", "are two spellings of one setting; give one of"),
        ("{pretrain.nu: 2}", "{pretrain.nu: {}}", "arm 'two': pretrain.nu holds nothing; give it a value or delete it"),
        ("{pretrain.nu: 2}", "{pretrain: null}", "arm 'two' may not hold 'pretrain'"),
        ("{pretrain.nu: 2}", "{<<: 5}", "is not valid YAML, line 8: expected a mapping"),
        ("{pretrain.nu: 2}", "{5: 2}", "arm 'two' may not hold '5'"),
        ("mode: arms", "mode: arms\nfixed: {pretrain.mu: 1, pretrain: {mu: 2}}", "fixed: pretrain.mu is given twice"),
        ("mode: arms", "mode: arms\nseeds: 100000000000000000000", "must be a number of seeds from 1 to 1000000"),
        ("mode: arms", "mode: arms\nseeds: [3, .nan]", "seeds must list a number of seeds for each look"),
        ("mode: arms", "mode: arms\nseeds: [true]", "seeds must list a number of seeds for each look"),
        ("mode: arms", "mode: arms\npublished: {source: [1]}", "published.source must be text, but is [1]"),
        ("question: Does it matter?", "question: ''", "must give question as text, but gives ''"),
        ("question: Does it matter?", "question: 2020-01-01\nquestio: x", "may not hold 'questio'"),
        ("mode: arms", "mode:\tarms", "found character '\\t' that cannot start any token; indent with spaces"),
        ("mode: arms", "---\nmode: arms", "is not valid YAML, line 4: but found another document"),
    ],
)  # fmt: skip
def test_a_file_that_breaks_a_rule_is_refused_in_one_sentence(study_of, old, new, said):
    assert old in GOOD
    message = refusal(study_of, GOOD.replace(old, new, 1))
    assert "mine.yaml" in message and said in message


@pytest.mark.parametrize("grid", ["", "grid: {}", "grid: {pretrain.nu: 1}", "grid: {pretrain.nuu: [1]}", "grid: [1]"])
def test_a_grid_that_lists_no_values_is_refused(study_of, grid):
    message = refusal(study_of, f"question: a?\nhypothesis: b.\nmode: grid\nbaseline: ν1\n{grid}\n")
    assert message.startswith("mine.yaml: grid m")


@pytest.mark.parametrize("text", ["", "5", "- a", "a: [", "\t"])
def test_a_file_that_is_no_mapping_is_refused(study_of, text):
    assert "mine.yaml" in refusal(study_of, text)


def test_a_file_that_is_not_text_is_refused(study_of, tmp_path):
    (tmp_path / "bytes.yaml").write_bytes(b"question: \xff\xfe")
    assert "bytes.yaml is not valid YAML" in refusal(lambda: load_study("bytes", folder=tmp_path))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("low: 0.1", "low: 20", "pretrain.nu must give choices, or numbers low < high, but gives 20 and 10"),
        ("low: 0.1", "low: 0", "pretrain.nu.low must be positive on a log scale, but got 0"),
        ("low: 0.1", "low: a", "numbers low < high, but gives 'a' and 10"),
        ("low: 0.1, ", "", "numbers low < high, but gives None and 10"),
        ("log: true", "int: true", "or whole numbers low < high, but gives 0.1 and 10"),
        ("log: true", "log: 2", "search.parameters.pretrain.nu.log must be true or false, but got 2"),
        ("log: true", "logg: true", "search.parameters.pretrain.nu may not hold 'logg'; did you mean 'log'?"),
        ("{low: 0.1, high: 10, log: true}", "5", "search.parameters.pretrain.nu must hold named values, but holds 5"),
        ("{low: 0.1, high: 10, log: true}", "{choices: [1]}", "must list two choices or more and nothing else"),
        ("{low: 0.1, high: 10, log: true}", "{choices: [1, 2], log: true}", "two choices or more and nothing else"),
        ("{low: 0.1, high: 10, log: true}", "{choices: [[1], [1]]}", "must list different choices, but got [[1], [1]]"),
        ("pretrain.nu:", "pretrain.nuu:", "search.parameters may not hold 'pretrain.nuu'; did you mean 'pretrain.nu'?"),
        ("pretrain.nu:", "pretrain.seed:", "search.parameters may not set pretrain.seed"),
        ("trials: 4", "trials: 0", "search.trials must be a whole number of at least 1, but got 0"),
        ("batch: 2", "batch: 2.5", "search.batch must be a whole number of at least 1, but got 2.5"),
        ("seed: 0", "seed: -1", "search.seed must be a whole number of at least 0, but got -1"),
        ("seed: 0", "seed: 0\n  seeds: 0", "search.seeds must be a whole number of at least 1, but got 0"),
        ("prune_after: 2", "prune_after: 0", "search.prune_after must be null or at least 1, but got 0"),
        ("  trials: 4\n", "", "search must give trials, but does not"),
        ("trials: 4", "trails: 4", "search may not hold 'trails'; did you mean 'trials'?"),
        ("  seed: 0", "  seed: 0\n  sampler: random", "search.sampler must be one of tpe, gp, but got 'random'"),
        ("  seed: 0", "  seed: 0\n  sampler: gp", "prune_after must be null for gp, which learns nothing from pruned"),
        ("objective: linear_cached", "objective: [linear_cached]", "must be a name or a list of two names or more"),
        ("objective: linear_cached", "objective: [cost, cost]", "must list different names, but got ['cost', 'cost']"),
        ("  seed: 0", "  seed: 0\n  confirm: 2", "search.confirm is for several objectives"),
        ("high: 10", "high: .inf", "search.parameters.pretrain.nu must be a finite number, but got inf"),
        ("high: 10", "high: 1e400", "search.parameters.pretrain.nu must be a finite number, but got inf"),
        ("low: 0.1", "low: .nan", "search.parameters.pretrain.nu must be a finite number, but got nan"),
        ("low: 0.1", "low: '1e-3'", "numbers low < high, but gives '1e-3' and 10"),
        ("{low: 0.1, high: 10, log: true}", "{choices: [0.001, 1e-3]}", "list different choices, but got [0.001, 0.001]"),
        ("trials: 4", "trials: 4\n  trials: 5", "line 14: 'trials' is given twice"),
        ("seed: 0", "seed: 9999999999", "search.seed must be at most 1000000, but got 9999999999"),
        ("search:", "nuisance: {pretrain.mu: [1, 2]}\nsearch:", "no nuisance; put pretrain.mu among search.parameters"),
        ("search:", "fixed: {pretrain.nu: 1}\nsearch:", "pretrain.nu has one role, but is fixed, and search sets it too"),
    ],
)  # fmt: skip
def test_a_search_with_an_impossible_range_or_number_is_refused(study_of, old, new, said):
    assert old in SEARCH
    text = GOOD.replace("mode: arms", "mode: search")
    assert study_of(text + SEARCH).search.trials == 4
    message = refusal(study_of, text + SEARCH.replace(old, new, 1))
    assert "mine.yaml" in message and said in message


def test_a_range_takes_numbers_as_the_command_line_does(study_of):
    text = GOOD.replace("mode: arms", "mode: search") + SEARCH.replace("low: 0.1, high: 10", "low: 1e-3, high: 1e-1")
    assert study_of(text).search.parameters == {"pretrain.nu": {"low": 0.001, "high": 0.1, "log": True}}


@pytest.mark.parametrize("levels", ["[0.001, 1e-3]", "[1, 1.0]", "[64, 0064]", "[[8], [8.0]]", "[null, ~]"])
def test_two_levels_of_one_value_are_refused(study_of, levels):
    text = "question: a?\nhypothesis: b.\nmode: grid\nbaseline: x\n"
    assert "must list different values for pretrain.nu" in refusal(study_of, f"{text}grid: {{pretrain.nu: {levels}}}\n")
    assert "must list different values for pretrain.nu" in refusal(study_of, f"{GOOD}nuisance: {{pretrain.nu: {levels}}}\n")


def test_levels_that_would_have_one_name_are_refused_for_one_would_be_lost(study_of):
    text = "question: a?\nhypothesis: b.\nmode: grid\nbaseline: x\ngrid: {pretrain.nu: [1.00000001, 1.00000002]}\n"
    assert "differ after the sixth digit alone" in refusal(study_of, text)


def test_words_that_older_yaml_takes_for_booleans_times_and_dates_are_text(study_of):
    names = ["yes", "no", "on", "1:30", "2020-01-01"]
    arms = "".join(f"  {name}: {{pretrain.nu: 3}}\n" for name in names if ":" not in name)
    study = study_of(GOOD + arms)
    assert [arm.name for arm in study.arms] == ["one", "two", *(name for name in names if ":" not in name)]


def test_a_file_with_a_byte_order_mark_merged_keys_and_anchors_is_read(study_of):
    text = "\ufeff" + GOOD.lstrip().replace("one: {", "one: &one {").replace(
        "{pretrain.nu: 2}", "{<<: *one, pretrain.mu: 3}"
    )
    assert study_of(text).arms[1].settings == {"pretrain.nu": 1, "pretrain.mu": 3}


@pytest.mark.parametrize("name", ["../tiny", "../../x", "/etc/passwd", "a/b", "", "..", "mine.yaml", "MINE", "mine ", "*"])
def test_a_study_is_named_as_a_file_of_its_folder_and_nothing_else(tmp_path, name):
    """Results and reports are written under its name."""
    for path in (tmp_path / "studies" / "mine.yaml", tmp_path / "tiny.yaml", tmp_path / "studies" / "a" / "b.yaml"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(GOOD, encoding="utf-8")
    message = refusal(lambda: load_study(name, folder=tmp_path / "studies"))
    assert message.startswith(f"there is no study {name!r}; ")


@pytest.mark.parametrize(
    "name", ["measured", "source-paper", "tsne", "a@b", "a:b", "a,b", " a", "a  b", "-a", "a\nb", "a'b"]
)
def test_a_file_whose_name_has_a_meaning_elsewhere_is_refused(tmp_path, name):
    (tmp_path / f"{name}.yaml").write_text(GOOD, encoding="utf-8")
    assert "of a study needs another name: letters, digits" in refusal(lambda: load_study(name, folder=tmp_path))


@pytest.mark.parametrize("name", ["λ25-μ0.5", "3x512", "no BatchNorm", "größer", "大きい", "हिंदी", "1e+30", "a_b"])
def test_an_arm_is_named_in_letters_of_any_script(study_of, name):
    assert study_of(GOOD.replace("two:", f"{name}:")).arms[1].name == name


def test_the_source_papers_side_studies_cross_what_it_reports():
    size = load_study("batch-size")
    assert size.settings == {"pretrain.backbone": "resnet18"} and size.baseline == "size-128"
    assert [arm.settings["pretrain.batch_size"] for arm in size.arms] == [128, 256]
    rates = load_study("base-lr")
    assert rates.settings == {"pretrain.batch_size": 128}
    assert [arm.settings["pretrain.base_lr"] for arm in rates.arms] == [0.2, 0.8]  # the source paper's, the authors'
    others = load_study("generalisation")
    assert others.settings["pretrain.weights"] == "vicreg-resnet50" and others.settings["pretrain.epochs"] == 0
    assert [arm.settings["pretrain.image_size"] for arm in others.arms] == [32, 64, 128, 224]


def test_the_stems_are_labelled_by_their_first_convolution_and_not_by_a_data_set():
    assert [arm.label for arm in load_study("stem").arms] == ["stem 7x7", "stem 3x3"]


def test_a_study_is_about_collapse_or_says_nothing(tmp_path):
    given = "question: q\nhypothesis: h\nbaseline: a\narms: {a: {}}\n"
    for line, about in (("", None), ("about: collapse\n", "collapse")):
        (tmp_path / "one.yaml").write_text(f"{given}{line}", encoding="utf-8")
        assert load_study("one", folder=tmp_path).about == about
    for line, said in (
        ("about: accuracy\n", "may say about: collapse, or nothing, but says 'accuracy'"),
        ("about:\n", "may say about: collapse, or nothing, but says None"),
        ("about: [collapse]\n", "may say about: collapse, or nothing, but says"),
    ):
        (tmp_path / "one.yaml").write_text(f"{given}{line}", encoding="utf-8")
        with pytest.raises(InputError, match=said):
            load_study("one", folder=tmp_path)
    (tmp_path / "one.yaml").write_text(
        "question: q\nhypothesis: h\nmode: grid\nbaseline: a\nabout: collapse\ngrid: {pretrain.nu: [1, 2]}\n",
        encoding="utf-8",
    )
    with pytest.raises(InputError, match="about is for mode arms, but the mode is grid"):
        load_study("one", folder=tmp_path)


def test_a_headline_is_text_or_is_not_given(tmp_path):
    given = "question: q\nhypothesis: h\nbaseline: a\narms: {a: {pretrain.nu: 1}, b: {pretrain.nu: 2}}\n"
    for line, headline in (("", None), ("headline: '  Which \n  one? '\n", "Which one?")):
        (tmp_path / "one.yaml").write_text(given + line, encoding="utf-8")
        assert load_study("one", folder=tmp_path).headline == headline
    (tmp_path / "one.yaml").write_text(f"{given}headline: 5\n", encoding="utf-8")
    with pytest.raises(InputError, match="must give headline as text, or not at all, but gives 5"):
        load_study("one", folder=tmp_path)

"""params.yaml -> Config: layers, types, and what is said about values that cannot be."""

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from study.config.config import Config, config_from_values
from study.config.load import load_config, load_params
from study.config.seeds import Seeds
from study.config.values import flatten, parse_setting
from tests.study.config.refused import PARAMS, refusal
from vicreg.views.settings import ViewSettings


@pytest.fixture(scope="module")
def source() -> Config:
    return load_config(path=PARAMS, profile="cifar10")


# ---- the source paper's recipe


def test_the_cifar10_profile_is_the_source_papers_recipe(source):
    recipe = source.pretrain
    assert (recipe.backbone, recipe.width, recipe.expander) == ("resnet34", 64, (2048, 2048, 2048))
    assert (recipe.epochs, recipe.batch_size, recipe.warmup_epochs) == (100, 128, 10)
    assert (recipe.optimizer, recipe.weight_decay) == ("lars", 1e-5)
    assert (recipe.base_lr, recipe.lr_batch_size) == (0.2, None)  # the rule: batch_size / 256 * base_lr
    assert (recipe.start_lr, recipe.end_lr) == (0.0, 0.002)
    weights = recipe.method_settings
    assert (recipe.method, weights.lambda_, weights.mu, weights.nu) == ("vicreg", 25, 25, 1)
    assert [view.crop_scale for view in recipe.views] == [(0.2, 1.0)] * 2
    assert source.prepare.dataset == "cifar10"


def test_the_cifar10_profiles_linear_probe_is_the_source_papers(source):
    linear = source.evaluate.linear
    assert (linear.epochs, linear.lr, linear.crop_scale, linear.flip) == (100, (0.01,), (0.2, 1.0), 0.5)
    assert source.evaluate.knn == (20, 200) and source.evaluate.knn_temperature == 0.07


def test_where_the_paper_is_silent_the_authors_values_stand(source):
    recipe = source.pretrain
    loss = recipe.method_settings
    assert (loss.convention, loss.gamma, loss.epsilon) == ("official", 1.0, 1e-4)
    assert (recipe.momentum, recipe.lars_eta, recipe.drop_last) == (0.9, 0.001, True)
    assert (recipe.decay_bias_and_norm, recipe.adapt_bias_and_norm) == (False, False)
    assert recipe.view_passes == "separate"


@pytest.mark.parametrize("profile", ["cifar10", "cifar100"])
def test_the_papers_profiles_add_what_is_measured_to_the_baseline_and_change_nothing_of_it(profile):
    params = load_params(PARAMS)
    sections = ("prepare", "pretrain", "evaluate", "project")
    baseline = flatten({section: params["baseline"][section] for section in sections})
    values = flatten(load_config(path=PARAMS, profile=profile).values)
    different = {key: values[key] for key, value in baseline.items() if values[key] != value}
    added = {"pretrain.probe_every": 1, "project.max_images": 10000}
    added["pretrain.train_on"] = "all"  # as the paper has it; the baseline holds images out, for others choose by it
    of_many = {"prepare.dataset": "cifar100", "project.classes": 10}  # a map of 100 classes would have no colours left
    assert different == added | ({} if profile == "cifar10" else of_many)


# ---- layers


@pytest.mark.parametrize("profile", yaml.safe_load(PARAMS.read_text(encoding="utf-8"))["profiles"])
def test_a_profile_is_the_baseline_but_for_its_own_differences(profile):
    params = load_params(PARAMS)
    differences = flatten(params["profiles"][profile])
    values = flatten(load_config(path=PARAMS, profile=profile).values)
    baseline = flatten(params["baseline"])
    for key, value in baseline.items():
        assert values[key] == differences.get(key, value), key
    assert set(differences) <= set(baseline)


def test_the_profile_named_in_params_is_the_default(edited):
    assert load_config(path=PARAMS).profile == load_params(PARAMS)["profile"]
    path = edited(lambda params: params.update(profile="cifar10"))
    assert load_config(path=path) == load_config(path=PARAMS, profile="cifar10")


def test_settings_lie_over_the_profile_which_lies_over_the_baseline(edited):
    def change(params):
        params["baseline"]["pretrain"].update(epochs=30)
        params["baseline"]["pretrain"]["vicreg"].update(mu=1, nu=1)
        params["profiles"]["cifar10"]["pretrain"].update(nu=2, epochs=30)
        params["profiles"]["cifar10"]["evaluate"] = {"linear": {"lr": [0.5]}}

    config = load_config(path=edited(change), profile="cifar10", settings={"pretrain.epochs": 40})
    weights = config.pretrain.method_settings
    assert (weights.mu, weights.nu, config.pretrain.epochs) == (1, 2, 40)
    assert (config.evaluate.linear.lr, config.evaluate.linear.momentum) == ((0.5,), 0.9)


@pytest.mark.parametrize("key", ["pretrain.nu", "pretrain.vicreg.nu"])
def test_a_setting_of_the_method_has_a_short_and_a_full_spelling(source, key):
    config = source.with_settings({key: 7})
    assert config.pretrain.method_settings.nu == 7 and config.by_key["pretrain.nu"] == config.recipe["pretrain.nu"] == 7


def test_both_spellings_of_one_setting_at_once_are_refused_for_one_would_have_no_effect(source, edited):
    said = "pretrain.nu and pretrain.vicreg.nu are two spellings of one setting, but both are given; give one of the two."
    assert refusal(source.with_settings, {"pretrain.nu": 3, "pretrain.vicreg.nu": 3}) == said
    path = edited(lambda params: params["profiles"]["cifar10"]["pretrain"].update(nu=3, vicreg={"nu": 2}))
    assert refusal(load_config, path=path, profile="cifar10") == said


def test_with_settings_leaves_the_original_as_it_was(source):
    before = copy.deepcopy(source)
    changed = source.with_settings({"pretrain.nu": 7, "evaluate.linear.lr": [0.3], "pretrain.expander": [8]})
    assert (changed.pretrain.method_settings.nu, changed.evaluate.linear.lr, changed.pretrain.expander) == (7, (0.3,), (8,))
    assert source == before and source.values == before.values
    changed.values["pretrain"]["augmentation"]["blur"] = 0.123
    assert source.values == before.values


def test_with_no_settings_it_is_the_same_config(source):
    assert source.with_settings({}) == source == config_from_values(source.values)


def test_a_whole_number_is_taken_for_a_number_and_lists_become_tuples(source):
    config = source.with_settings({"pretrain.nu": 2, "pretrain.expander": [], "ablate.seeds": [3, 5]})
    assert (
        type(config.pretrain.method_settings.nu) is float
        and config.pretrain.expander == ()
        and config.ablate.seeds == Seeds(looks=(3, 5))
    )


def test_augmentation_overrides_its_preset_view_by_view(source):
    config = source.with_settings(
        {"pretrain.augmentation.preset": "official", "pretrain.augmentation.solarize": [0.3, None]}
    )
    assert [view.blur for view in config.pretrain.views] == [1.0, 0.1]
    assert [view.solarize for view in config.pretrain.views] == [0.3, 0.2]
    assert all(isinstance(view, ViewSettings) for view in config.pretrain.views)


def test_a_config_cannot_be_changed(source):
    with pytest.raises(dataclasses.FrozenInstanceError):
        source.profile = "digits"


# ---- the command line


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("pretrain.nu=2", "pretrain.nu", 2),
        ("pretrain.base_lr=1e-3", "pretrain.base_lr", 0.001),
        ("pretrain.base_lr=1E3", "pretrain.base_lr", 1000.0),
        ("pretrain.expander=[512, 512]", "pretrain.expander", [512, 512]),
        ("pretrain.expander=[]", "pretrain.expander", []),
        ("pretrain.drop_last=true", "pretrain.drop_last", True),
        ("pretrain.image_size=null", "pretrain.image_size", None),
        ("pretrain.optimizer=sgd", "pretrain.optimizer", "sgd"),
        ("data.root=/a=b", "data.root", "/a=b"),
    ],
)
def test_set_reads_values_as_params_would(text, key, value):
    parsed = parse_setting(text)
    assert parsed == (key, value) and type(parsed[1]) is type(value)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("pretrain.weight_decay=1e-3", lambda config: config.pretrain.weight_decay == 0.001),
        ("pretrain.expander=[64, 32]", lambda config: config.pretrain.expander == (64, 32)),
        ("pretrain.lambda=3", lambda config: config.pretrain.method_settings.lambda_ == 3.0),
        (
            "evaluate.linear_cached.weight_decay=[1e-3, 0.1]",
            lambda config: config.evaluate.linear_cached_weight_decay == (0.001, 0.1),
        ),
        ("pretrain.augmentation.crop_scale=[0.5, 1]", lambda config: config.pretrain.views[1].crop_scale == (0.5, 1.0)),
        ("prepare.per_class=null", lambda config: config.prepare.per_class is None),
        ("data.root=elsewhere", lambda config: config.data_root == Path("elsewhere")),
    ],
)
def test_what_set_reads_reaches_its_setting(source, text, read):
    assert read(source.with_settings(dict([parse_setting(text)])))


@pytest.mark.parametrize("text", ["pretrain.nu", "=2", ""])
def test_set_without_key_and_value_says_how(text):
    message = refusal(parse_setting, text)
    assert message == f"--set takes key=value, for example pretrain.nu=2, but got {text!r}."


def test_a_value_yaml_cannot_read_is_named():
    assert refusal(parse_setting, "pretrain.expander=[512") == (
        "--set pretrain.expander: '[512' is not a value YAML can read; put quotes around it."
    )


# ---- unknown keys


@pytest.mark.parametrize(
    ("key", "near"),
    [
        ("pretrain.lamda", "pretrain.lambda"),
        ("pretrain.lambda_", "pretrain.lambda"),
        ("pretrain.learning_rate", None),
        ("pretain.nu", "pretrain.nu"),
        ("pretrain.augmentation.solarise", "pretrain.augmentation.solarize"),
        ("evaluate.linear.epoch", "evaluate.linear.epochs"),
        ("prepare.data", "prepare.dataset"),
    ],
)
def test_an_unknown_key_suggests_the_near_one(source, key, near):
    message = refusal(source.with_settings, {key: 1})
    assert message.startswith(f"{key!r} is not a parameter; ")
    if near is not None:
        assert message.endswith(f"did you mean {near!r}?")


def test_a_key_nothing_is_near_to_lists_what_there_is(source):
    message = refusal(source.with_settings, {"xyzzy": 1})
    assert message.startswith("'xyzzy' is not a parameter; known are ") and "pretrain.nu" in message


@pytest.mark.parametrize("key", ["pretrain", "pretrain.augmentation"])
def test_a_section_is_no_parameter(source, key):
    assert refusal(source.with_settings, {key: {}}).startswith(f"{key!r} is not a parameter")


def test_who_sets_the_profile_or_the_studies_as_a_parameter_is_told_where_they_are_set(source):
    assert refusal(source.with_settings, {"profile": "digits"}) == (
        "'profile' is not a setting of a run; choose it by --profile NAME or in params.yaml."
    )
    assert refusal(source.with_settings, {"studies": []}).endswith("set it in params.yaml.")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda p: p["pretrain"].update(lamda=1),
            "'pretrain.lamda' is not a parameter; did you mean 'pretrain.lambda'?",
        ),
        (lambda p: p.update(pretrian={}), "'pretrian' is not a parameter; did you mean 'pretrain'?"),
        (
            lambda p: p["profiles"]["cifar10"]["pretrain"].update(epoch=1),
            "'pretrain.epoch' is not a parameter; did you mean 'pretrain.epochs'?",
        ),
        (
            lambda p: p["evaluate"]["linear"].update(epoch=1),
            "'evaluate.linear.epoch' is not a parameter; did you mean 'evaluate.linear.epochs'?",
        ),
        (lambda p: p["baseline"]["project"].pop("seed"), "params.yaml must give project.seed, but does not; restore it."),
        (
            lambda p: p["baseline"]["pretrain"]["vicreg"].pop("lambda"),
            "params.yaml must give pretrain.vicreg.lambda, but does not; restore it.",
        ),
        (
            lambda p: p["baseline"]["pretrain"]["vicreg"].update({"lambda": None}),
            "pretrain.lambda must be a number, but got None.",
        ),
        (
            lambda p: p["baseline"]["pretrain"]["vicreg"].update(gama=1),
            "'pretrain.vicreg.gama' is not a parameter; did you mean 'pretrain.vicreg.gamma'?",
        ),
        (
            lambda p: p["pretrain"]["vicreg"].update(gama=None),
            "'pretrain.vicreg.gama' is not a parameter; did you mean 'pretrain.vicreg.gamma'?",
        ),
        (
            lambda p: p["baseline"]["pretrain"].pop("vicreg"),
            "section 'vicreg' of params.yaml must hold named values, but holds None.",
        ),
        (
            lambda p: p["baseline"]["pretrain"].update(augmentation="source"),
            "section 'augmentation' of params.yaml must hold named values, but holds 'source'.",
        ),
        (
            lambda p: p["baseline"].update(evaluate=None),
            "section 'evaluate' of params.yaml must hold named values, but holds None.",
        ),
        (
            lambda p: p["baseline"]["evaluate"].update(linear_cached=None),
            "evaluate.linear_cached must hold weight_decay alone, but holds None.",
        ),
    ],
)
def test_a_mistake_in_the_file_is_named(edited, change, sentence):
    assert refusal(load_config, path=edited(change), profile="cifar10") == sentence


@pytest.mark.parametrize("name", [7, "../../dig", "", " x", "-x", "a@b"])
def test_a_profile_whose_name_cannot_be_chosen_or_leads_elsewhere_is_refused(edited, name):
    message = refusal(load_params, edited(lambda p: p["profiles"].update({name: {}})))
    assert "must name a profile by a text of letters, digits" in message and f"but has {name!r}; rename it." in message


# ---- impossible values


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("pretrain.epochs", 2.5, "pretrain.epochs must be a whole number, but got 2.5."),
        ("pretrain.epochs", "many", "pretrain.epochs must be a whole number, but got 'many'."),
        ("pretrain.epochs", True, "pretrain.epochs must be a whole number, but got True."),
        ("pretrain.epochs", None, "pretrain.epochs must be a whole number, but got None."),
        ("pretrain.nu", "high", "pretrain.nu must be a number, but got 'high'."),
        ("pretrain.nu", True, "pretrain.nu must be a number, but got True."),
        ("pretrain.nu", -1, "pretrain.nu must be a finite number of at least 0, but got -1.0."),
        ("pretrain.drop_last", 1, "pretrain.drop_last must be true or false, but got 1."),
        ("pretrain.compile", "auto", "pretrain.compile must be true or false, but got 'auto'."),
        ("pretrain.graph", 1, "pretrain.graph must be true or false, but got 1."),
        ("pretrain.view_passes", True, "pretrain.view_passes must be a word, but got True."),
        ("pretrain.optimizer", 3, "pretrain.optimizer must be a word, but got 3."),
        ("pretrain.expander", 512, "pretrain.expander must be a list, but got 512."),
        ("pretrain.expander", [512, "x"], "every value in pretrain.expander must be a whole number, but got 'x'."),
        (
            "pretrain.augmentation.preset",
            "mine",
            "augmentation preset must be one of source, paper, official, but got 'mine'.",
        ),
        ("pretrain.augmentation.preset", ["paper"], "pretrain.augmentation.preset must be a word, but got ['paper']."),
        ("pretrain.augmentation.flip", 2, "flip must be a number between 0 and 1, but got 2."),
        ("evaluate.linear.flip", 2, "flip must be a number between 0 and 1, but got 2.0."),
        ("data.root", None, "data.root must be a word, but got None."),
        ("project.perplexity", 0, "project.perplexity must be positive, but got 0.0."),
        ("project.iterations", 10, "project.iterations must be at least 250, for early exaggeration, but got 10."),
        ("project.seed", -1, "project.seed must be at least 0, but got -1."),
        ("project.max_images", 3, "project.max_images must be at least 4, but got 3."),
        (
            "project.classes",
            1,
            "project.classes must be at least 2, but got 1; raise it, or set it to null to show all.",
        ),
        ("project.classes", "ten", "project.classes must be a whole number, but got 'ten'."),
        ("ablate.look", 0, "ablate.look must be at least 1, the first look, but got 0."),
        ("ablate.look", None, "ablate.look must be a whole number, but got None."),
        ("ablate.look", "last", "ablate.look must be a whole number, but got 'last'."),
        ("ablate.budget", 0, "ablate.budget must be at least 1 run, but got 0; null leaves it to the looks."),
        ("ablate.budget", 1.5, "ablate.budget must be a whole number, but got 1.5."),
        ("ablate.probes", ["svm"], "ablate.probes must be different ones of knn, linear, linear_cached, but got ['svm']."),
        (
            "ablate.probes",
            ["knn", "knn"],
            "ablate.probes must be different ones of knn, linear, linear_cached, but got ['knn', 'knn'].",
        ),
        ("ablate.workers", 0, "ablate.workers must be at least 1, but got 0."),
        ("ablate.device", "tpu", "ablate.device must be one of auto, cpu, cuda, but got 'tpu'."),
        ("ablate.lock_lease_s", 1, "ablate.lock_lease_s must be from 5 to 86400 seconds, but got 1; 60 suits most."),
        (
            "ablate.storage",
            "optuna.db",
            "ablate.storage must be journal:FILE or an address such as postgresql+psycopg://user@host/database, but got "
            "'optuna.db'; null is the store's own.",
        ),
    ],
)
def test_an_impossible_value_is_refused_in_one_sentence(source, key: str, value: Any, sentence: str):
    assert refusal(source.with_settings, {key: value}) == sentence


def test_an_unknown_profile_lists_the_known_ones():
    known = ", ".join(load_params(PARAMS)["profiles"])
    assert refusal(load_config, path=PARAMS, profile="imagenet") == (f"profile must be one of {known}, but got 'imagenet'.")


# ---- the file itself


def test_a_missing_file_says_where_to_run(tmp_path):
    path = tmp_path / "params.yaml"
    assert refusal(load_params, path) == f"{path} does not exist here; run the command in the project's folder."


@pytest.mark.parametrize("content", [b"a: [1", b"\xff\xfe\x00", b"a: b: c"])
def test_a_file_that_is_no_yaml_says_so(tmp_path, content):
    (tmp_path / "params.yaml").write_bytes(content)
    assert f"{tmp_path / 'params.yaml'} is not valid YAML" in refusal(load_params, tmp_path / "params.yaml")


@pytest.mark.parametrize(("content", "kind"), [("", "nothing"), ("[1]", "a list"), ("text", "text")])
def test_a_file_without_sections_says_so(tmp_path, content, kind):
    (tmp_path / "params.yaml").write_text(content)
    message = refusal(load_params, tmp_path / "params.yaml")
    assert message.endswith(f"must hold named sections, but holds {kind}.")


@pytest.mark.parametrize("section", ["pretrain", "profiles", "data", "studies"])
def test_a_section_that_is_gone_is_named(edited, section):
    assert f"must have a section {section!r}, but has none" in refusal(load_params, edited(lambda p: p.pop(section)))


def test_flattening_gives_dotted_keys():
    assert flatten({"a": {"b": 1, "c": {"d": [2]}}, "e": None}) == {"a.b": 1, "a.c.d": [2], "e": None}


def test_the_password_of_a_storage_is_in_its_setting_and_in_no_value(source):
    config = source.with_settings({"ablate.storage": "postgresql://me:secret@host/trials"})
    assert config.ablate.storage == "postgresql://me:secret@host/trials"
    assert config.values["ablate"]["storage"] == "postgresql://me:***@host/trials"
    assert "secret" not in json.dumps(config.values)

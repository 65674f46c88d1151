"""The sections at the top of params.yaml: what a user sets there wins over every profile, or is refused."""

import copy
import json

import pytest
import yaml

from study.config.load import SECTIONS, load_config, load_params
from study.config.methods import keys_of
from study.config.values import flatten
from tests.study.config.refused import PARAMS, refusal
from vicreg.methods import method_names

OWN = flatten({section: load_params(PARAMS)[section] for section in SECTIONS})
PROFILES = list(load_params(PARAMS)["profiles"])


def place(params, key, value):
    """Set a dotted key in nested sections, as `dvc exp run -S` does; a section that is not there is made."""
    *sections, name = key.split(".")
    for section in sections:
        params = params.setdefault(section, {})
    params[name] = value


@pytest.fixture
def set_by_user(edited):
    """`set_by_user({"pretrain.nu": 2}, profile="digits")`: the resolved values of params.yaml with these set in it."""

    def load(changes, **named):
        def change(params):
            for key, value in changes.items():
                place(params, key, value)

        return load_config(path=edited(change), **named)

    return load


def test_every_setting_there_is_stands_among_the_users_own_values_as_null():
    baseline = set(flatten(load_params(PARAMS)["baseline"]))
    short = {f"pretrain.{key}" for name in method_names() for key in keys_of(name)}
    assert set(OWN) == baseline | short
    assert set(OWN.values()) == {None}


def test_with_nothing_set_a_profile_is_what_it_is():
    bare = copy.deepcopy(load_params(PARAMS))
    for profile in PROFILES:
        expected = flatten(bare["baseline"]) | flatten(bare["profiles"][profile])
        values = flatten(load_config(path=PARAMS, profile=profile).values)
        assert {key: values[key] for key in expected} == expected


@pytest.mark.parametrize("profile", PROFILES)
def test_the_users_value_of_every_key_that_a_profile_sets_wins_over_it(set_by_user, profile):
    """The baseline's own value, too: it is set, and not left to the profile."""
    params = load_params(PARAMS)
    baseline = flatten(params["baseline"])
    changed = [key for key in flatten(params["profiles"][profile]) if key.rpartition(".")[2] != "studies"]
    wanted = {key: "none" if baseline[key] is None else baseline[key] for key in changed}
    values = flatten(set_by_user(wanted, profile=profile).values)
    assert {key: values[key] for key in changed} == {key: baseline[key] for key in changed}


@pytest.mark.parametrize("value", [[8, 8], [16]])
def test_two_values_set_are_two_configs(set_by_user, value):
    assert set_by_user({"pretrain.expander": value}).pretrain.expander == tuple(value)


def test_a_setting_of_the_command_line_lies_over_the_users_own(set_by_user):
    config = set_by_user({"pretrain.epochs": 7, "pretrain.nu": 5}, settings={"pretrain.epochs": 9})
    assert (config.pretrain.epochs, config.pretrain.method_settings.nu) == (9, 5)


def test_the_word_none_sets_null_and_null_leaves_the_value_to_the_profile(set_by_user):
    assert set_by_user({}, profile="images").prepare.per_class == 400
    assert set_by_user({"prepare.per_class": None}, profile="images").prepare.per_class == 400
    for word in ("none", "None", "NONE"):
        given = {"prepare.per_class": word, "pretrain.image_size": word}
        assert set_by_user(given, profile="images").prepare.per_class is None
        assert set_by_user(given, profile="digits").pretrain.image_size is None


def test_none_for_a_view_is_as_the_preset_has_it(set_by_user):
    config = set_by_user({"pretrain.augmentation.blur": "none", "pretrain.augmentation.solarize": [0.3, None]})
    assert [view.blur for view in config.pretrain.views] == [0.5, 0.5]
    assert config.pretrain.views[0].solarize == 0.3


def test_none_for_what_cannot_be_null_is_refused(set_by_user):
    assert refusal(set_by_user, {"pretrain.epochs": "none"}) == "pretrain.epochs must be a whole number, but got None."


@pytest.mark.parametrize("key", ["pretrain.nu", "pretrain.vicreg.nu"])
def test_either_spelling_wins_over_a_profile_that_uses_the_other(edited, key):
    def change(params):
        place(params, key, 5)
        params["profiles"]["digits"]["pretrain"].update(nu=2)

    assert load_config(path=edited(change), profile="digits").pretrain.method_settings.nu == 5


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"pretrain.nonsense": 1}, "'pretrain.nonsense' is not a parameter; did you mean"),
        ({"pretrain.nonsense": None}, "'pretrain.nonsense' is not a parameter; did you mean"),
        ({"pretrain.epoch": 1}, "'pretrain.epoch' is not a parameter; did you mean 'pretrain.epochs'?"),
        ({"pretrian.epochs": 1}, "'pretrian' is not a parameter; did you mean 'pretrain'?"),
        ({"profiles.digits.pretrian.epochs": 1}, "'pretrian.epochs' is not a parameter; did you mean 'pretrain.epochs'?"),
        ({"baseline.pretrian.epochs": 1}, "'pretrian' is not a parameter; did you mean 'pretrain'?"),
        ({"baseline.pretrain.epoch": 1}, "'pretrain.epoch' is not a parameter; did you mean 'pretrain.epochs'?"),
        ({"data.rot": "x"}, "'data.rot' is not a parameter; did you mean 'data.root'?"),
        ({"profiles.digits.data.root": "x"}, "profile 'digits' may not set data.root; set it at the top of"),
        ({"profile": "digit"}, "profile must be one of digits, images, "),
        ({"profile": ["digits"]}, "profile must be the name of one of"),
        ({"profile": 5}, "profile must be the name of one of"),
        ({"studies": "lambda-mu-nu"}, "studies must list names of studies, such as [lambda-mu-nu], but got 'lambda-mu-nu'."),
        ({"studies": ["stem", "stem"]}, "studies must list different names, but got ['stem', 'stem']."),
        ({"studies": [5]}, "studies must list names of studies"),
        ({"pretrain": 5}, "'pretrain' is not a parameter"),
        ({"pretrain.augmentation": None}, "'pretrain.augmentation' is not a parameter"),
        ({"pretrain.vicreg": 5}, "'pretrain.vicreg' is not a parameter"),
        ({"pretrain.epochs": "many"}, "pretrain.epochs must be a whole number, but got 'many'."),
        ({"pretrain.epochs": 10**30}, "pretrain.epochs must be a number of at most 64 bits, but got one of 101."),
        ({"pretrain.epochs": {"x": 1}}, "'pretrain.epochs.x' is not a parameter; did you mean 'pretrain.epochs'?"),
        ({"pretrain.base_lr": float("nan")}, "pretrain.base_lr must be a finite number, but got nan."),
        ({"project.perplexity": float("inf")}, "project.perplexity must be a finite number, but got inf."),
        ({"pretrain.augmentation.flip": 10**400}, "pretrain.augmentation.flip must be a number of at most 64 bits"),
        ({"pretrain.augmentation.blur": [0.1, float("inf")]}, "every value in pretrain.augmentation.blur must be a finite"),
        ({"pretrain.nu": 2, "pretrain.vicreg.nu": 2}, "are two spellings of one setting"),
        ({"prepare.validation": 1.5}, "prepare.validation must be a share between 0 and 1, both excluded, but got 1.5."),
        ({"prepare.test": 0}, "prepare.test must be a share between 0 and 1, both excluded, but got 0.0."),
        ({"prepare.per_class": 1}, "prepare.per_class must be an integer of at least 2 or null, but got 1."),
        ({"prepare.dataset": "mnist"}, "prepare.dataset must be one of digits, "),
        ({"prepare.split_seed": -1}, "prepare.split_seed must be an integer of at least 0, but got -1."),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_one_sentence_by_whichever_stage_comes_first(edited, changes, said):
    def change(params):
        for key, value in changes.items():
            place(params, key, value)

    message = refusal(load_config, path=edited(change))
    assert said in message, message


def test_every_section_must_be_there_for_the_pipeline_names_it(edited):
    def without(layer, name):
        def change(params):
            params["profiles"] = {}  # which take long to read
            (params[layer] if layer else params).pop(name)

        return edited(change)

    for section in (*SECTIONS, "baseline"):
        assert f"must have a section {section!r}" in refusal(load_params, without(None, section))
    for section in SECTIONS:
        assert f"must have a section {section!r}" in refusal(load_params, without("baseline", section))


@pytest.mark.parametrize("layer", ["baseline", "profiles"])
@pytest.mark.parametrize("held", [None, 5, ["digits"]])
def test_a_layer_that_holds_no_sections_is_refused(edited, layer, held):
    path = edited(lambda params: params.update({layer: held}))
    assert refusal(load_config, path=path) == f"section {layer!r} of {path} must hold named sections, but holds {held!r}."


def test_values_written_as_dvc_writes_them_are_read_as_numbers(tmp_path):
    """DVC writes 0.00001 as 1e-05, which YAML 1.1 takes for text."""
    params = json.loads(json.dumps(load_params(PARAMS)))
    text = yaml.safe_dump(params).replace("\n  weight_decay: null\n", "\n  weight_decay: 1e-05\n")
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    assert load_config(path=tmp_path / "params.yaml").pretrain.weight_decay == 1e-5

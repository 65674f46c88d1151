"""A study crossed with seeds: which runs it asks for, in what order, and what each arm is compared with."""

import pytest
import torch

from study.config.seeds import Seeds
from study.spec.plan import make_plan
from study.spec.study_file import Arm, Study
from vicreg.errors import InputError

CPU = torch.device("cpu")
ARMS = (
    Arm(name="nu-1", settings={"pretrain.nu": 1}),
    Arm(name="nu-2", settings={"pretrain.nu": 2}),
    Arm(name="long", settings={"pretrain.epochs": 6, "pretrain.base_lr": 0.01}),
    Arm(name="wide", settings={"pretrain.width": 8}),
    Arm(name="wide-nu-2", settings={"pretrain.width": 8, "pretrain.nu": 2}),
    Arm(name="no-expander", settings={"pretrain.expander": []}),
)


def study(arms=ARMS, *, baseline="nu-2", settings=None, seeds=None) -> Study:
    return Study(
        name="mine", question="?", hypothesis=".", mode="arms", baseline=baseline, settings=settings or {},
        arms=arms, search=None, seeds=seeds, published_source=None,
    )  # fmt: skip


def plan_of(config, asked=None, **changes):
    return make_plan(asked or study(), config, data="sha256:0", device=CPU, **{"seeds": (0, 1, 2), **changes})


def test_every_arm_is_run_at_every_seed(tiny_config):
    trained = [cell for cell in plan_of(tiny_config()).cells if not cell.is_control]
    assert sorted((cell.arm, cell.seed) for cell in trained) == sorted(
        (arm.name, seed) for arm in ARMS for seed in (0, 1, 2)
    )
    for cell in trained:
        settings = {arm.name: arm.settings for arm in ARMS}[cell.arm]
        assert cell.run.config == tiny_config({**settings, "pretrain.seed": cell.seed})


def test_the_studys_settings_lie_between_the_profiles_and_the_arms(tiny_config):
    asked = study((Arm(name="a", settings={}), Arm(name="b", settings={"pretrain.nu": 5})), baseline="a",
                  settings={"pretrain.nu": 3, "pretrain.mu": 4})  # fmt: skip
    cells = plan_of(tiny_config({"pretrain.mu": 9}), asked).cells
    found = {cell.arm: cell.run.config.pretrain.method_settings for cell in cells if not cell.is_control}
    assert (found["a"].nu, found["a"].mu, found["b"].nu, found["b"].mu) == (3, 4, 5, 4)


def test_there_is_one_untrained_control_for_each_architecture_at_every_seed(tiny_config):
    controls = [cell for cell in plan_of(tiny_config()).cells if cell.is_control]
    assert {cell.arm for cell in controls} == {"untrained", "untrained-width8", "untrained-none"}
    assert len(controls) == 9 and len({cell.run.digest for cell in controls}) == 9
    assert all(cell.run.config.pretrain.epochs == 0 and cell.control is None for cell in controls)


def test_two_architectures_have_two_controls_though_they_have_a_value_in_common(tiny_config):
    arms = [
        Arm(name=name, settings={f"pretrain.{name}": value})
        for name, value in (
            ("nu", 1),
            ("width", 12),
            ("image_size", 12),
            ("normalisation", "imagenet"),
            ("stem", "imagenet"),
        )
    ]
    plan = plan_of(tiny_config(), study(arms, baseline="nu"))
    controls = {cell.control for cell in plan.cells if not cell.is_control}
    digests = {(cell.arm, cell.run.digest) for cell in plan.cells if cell.is_control and cell.seed == 0}
    assert len(controls) == len(digests) == len(arms)


def test_an_arm_is_compared_with_the_control_of_its_own_architecture(tiny_config):
    plan = plan_of(tiny_config())
    controls = {cell.arm: cell.run.config.pretrain for cell in plan.cells if cell.is_control}
    for cell in plan.cells:
        if not cell.is_control:
            own, control = cell.run.config.pretrain, controls[cell.control]
            assert (own.width, own.expander, own.stem) == (control.width, control.expander, control.stem)
    assert {c.arm: c.control for c in plan.cells if c.seed == 0 and not c.is_control} == {
        "nu-1": "untrained", "nu-2": "untrained", "long": "untrained",
        "wide": "untrained-width8", "wide-nu-2": "untrained-width8", "no-expander": "untrained-none",
    }  # fmt: skip


def test_controls_are_the_same_runs_whatever_study_asks(tiny_config):
    other = study((Arm(name="lr", settings={"pretrain.base_lr": 0.3, "pretrain.batch_size": 16}),), baseline="lr")

    def controls(plan):
        return {cell.run.digest for cell in plan.cells if cell.is_control}

    assert controls(plan_of(tiny_config(), other)) < controls(plan_of(tiny_config()))


@pytest.mark.parametrize(
    ("key", "value", "name"),
    [
        ("backbone", "resnet34", "untrained-resnet34"),
        ("stem", "imagenet", "untrained-imagenet"),
        ("expander", [8, 8], "untrained-8x8"),
        ("image_size", 12, "untrained-image_size12"),
        ("precision", "bfloat16", "untrained-bfloat16"),
        ("expander_batchnorm", False, "untrained-no-batchnorm"),
    ],
)
def test_a_control_is_named_by_what_sets_its_architecture_apart(tiny_config, key, value, name):
    asked = study((Arm(name="a", settings={}), Arm(name="b", settings={f"pretrain.{key}": value})), baseline="a")
    by_arm = plan_of(tiny_config(), asked).by_arm()
    assert list(by_arm) == ["a", "b", "untrained", name]


def test_controls_run_first_and_the_baseline_before_the_other_arms_of_its_seed(tiny_config):
    cells = plan_of(tiny_config()).cells
    kinds = [cell.is_control for cell in cells]
    assert kinds == sorted(kinds, reverse=True)
    trained = [cell for cell in cells if not cell.is_control]
    assert [cell.seed for cell in trained] == [0] * 6 + [1] * 6 + [2] * 6
    assert [cell.arm for cell in trained][::6] == ["nu-2"] * 3
    assert [cell.arm for cell in trained][:6] == ["nu-2", "nu-1", "long", "wide", "wide-nu-2", "no-expander"]


def test_arms_are_shown_in_the_studys_order_with_controls_at_the_end(tiny_config):
    by_arm = plan_of(tiny_config()).by_arm()
    assert list(by_arm)[:6] == [arm.name for arm in ARMS]
    assert [cell.seed for cell in by_arm["wide"]] == [0, 1, 2]


def test_seeds_are_the_callers_or_else_the_studys_or_else_the_configs(tiny_config):
    def seeds(asked, given):
        plan = plan_of(tiny_config({"ablate.seeds": 2}), asked, seeds=given)
        return sorted({cell.seed for cell in plan.cells})

    assert seeds(study(seeds=Seeds(looks=(3,))), (1, 2)) == [1, 2]
    assert seeds(study(seeds=Seeds(looks=(3,))), None) == [0, 1, 2]
    assert seeds(study(), None) == [0, 1]


def test_only_some_arms_is_a_part_of_the_plan(tiny_config):
    plan = plan_of(tiny_config())
    part = plan.only(["wide", "untrained"])
    assert {cell.arm for cell in part.cells} == {"wide", "untrained"} and len(part.cells) == 6
    assert all(cell in plan.cells for cell in part.cells)


def test_an_arm_that_is_not_there_is_refused_with_those_that_are(tiny_config):
    with pytest.raises(InputError, match=r"study 'mine' has no arm 'nu-3'; it has nu-1, nu-2, .*untrained"):
        plan_of(tiny_config()).only(["nu-3"])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"pretrain.lamda": 1}, "'pretrain.lamda' is not a parameter; did you mean 'pretrain.lambda'?"),
        ({"pretrain.nu": -1}, "pretrain.nu"),
        ({"pretrain.width": "wide"}, "pretrain.width must be a whole number, but got 'wide'"),
        ({"pretrain.epochs": 1}, "pretrain.warmup_epochs must be below pretrain.epochs"),
    ],
)
def test_an_arm_that_no_run_can_be_is_refused_by_name(tiny_config, settings, said):
    asked = study((Arm(name="fine", settings={}), Arm(name="odd", settings=settings)), baseline="fine")
    with pytest.raises(InputError) as raised:
        plan_of(tiny_config(), asked)
    assert str(raised.value).startswith("arm 'odd' of study 'mine': ") and said in str(raised.value)


def test_what_was_tuned_for_an_arm_lies_over_its_settings_and_is_not_in_its_label(tiny_config):
    plan = plan_of(tiny_config(), tuned={"nu-1": {"pretrain.base_lr": 0.3}})
    tuned, other = plan.by_arm()["nu-1"][0], plan.by_arm()["nu-2"][0]
    assert tuned.run.config.pretrain.base_lr == 0.3 and tuned.label == "ν 1"
    assert (tuned.settings, tuned.tuned) == ({"pretrain.nu": 1, "pretrain.base_lr": 0.3}, {"pretrain.base_lr": 0.3})
    assert other.run.config.pretrain.base_lr == tiny_config().pretrain.base_lr and other.tuned == {}


@pytest.mark.parametrize("role", ["trial", "tuning"])
def test_cells_at_seeds_of_their_own_have_no_control(tiny_config, role):
    plan = plan_of(tiny_config(), role=role, seeds=(1000,))
    assert {(cell.role, cell.control) for cell in plan.cells} == {(role, None)}


def test_a_plan_with_more_cells_has_each_arm_at_each_seed_once(tiny_config):
    plan = plan_of(tiny_config(), seeds=(0, 1))
    more = plan_of(tiny_config(), seeds=(1, 2), role="step", arms=[Arm(name="step-1-nu", settings={"pretrain.nu": 2})])
    both = plan.with_cells(more.cells)
    assert both.cells[: len(plan.cells)] == plan.cells
    assert [(cell.arm, cell.seed) for cell in both.cells[len(plan.cells) :]] == [
        ("untrained", 2), ("step-1-nu", 1), ("step-1-nu", 2),
    ]  # fmt: skip


def test_what_a_study_fixes_is_checked_and_named_as_such(tiny_config):
    with pytest.raises(InputError, match="what study 'mine' fixes: 'pretrain.lamda' is not a parameter; did you mean"):
        plan_of(tiny_config(), study(settings={"pretrain.lamda": 1}))


def test_probes_of_a_run_are_the_configs(tiny_config):
    plan = plan_of(tiny_config({"ablate.probes": ["linear"]}))
    assert {cell.run.probes for cell in plan.cells} == {("linear",)}

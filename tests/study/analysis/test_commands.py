"""The commands that run an arm or a run again."""

import dataclasses

from study.analysis.commands import with_looks
from study.results.findings import Looks, Power
from tests.study.made_up import (
    COMMAND,
    arm_of,
    by_seed,
)


def test_each_run_has_a_command_of_its_own_seed(summary_of):
    runs = arm_of(summary_of(by_seed("other", [0.5] * 3), command=f"{COMMAND} --seeds 3"), "other")["runs"]
    assert [run["command"] for run in runs] == [
        f"{COMMAND} --first-seed {seed} --seeds 1 --arm other --again" for seed in range(3)
    ]


def test_a_declared_look_is_the_next_command_where_the_spread_is_too_uncertain_to_say_how_many_seeds_it_takes():
    power = Power(
        n=3,
        asked=3,
        family=2,
        alpha=0.05,
        power=0.8,
        margin=0.01,
        spread=0.02,
        arms=2,
        detectable=0.1,
        needed=None,
        command=None,
    )
    looks = Looks(look=1, planned=(3, 5, 8), declared=True, price=3)
    assert with_looks(power, looks, command="run").command == "run --look 2"
    needed = dataclasses.replace(power, needed=7, command="run --add-seeds 4")
    assert with_looks(needed, looks, command="run").command == "run --look 3"
    enough = dataclasses.replace(power, needed=3)
    assert with_looks(enough, looks, command="run").command is None
    assert with_looks(power, dataclasses.replace(looks, look=3), command="run").command is None
    assert with_looks(power, None, command="run") == power

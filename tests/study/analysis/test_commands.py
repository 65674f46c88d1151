"""The commands that run an arm or a run again."""

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

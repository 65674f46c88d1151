"""What SLURM is asked for: options of sbatch by their own names, of which any may be given."""

import pytest

from study.config.load import load_config
from tests.study.config.refused import PARAMS, refusal


def options(settings=None, **named):
    return dict(load_config(path=PARAMS, settings=settings or {}, **named).ablate.slurm.options)


def test_only_the_time_is_asked_for_where_nothing_is_set():
    assert options() == {"time": 60}


def test_any_option_of_sbatch_is_passed_on_by_its_own_name():
    given = {
        "ablate.slurm.partition": "gpu",
        "ablate.slurm.gpus": 1,
        "ablate.slurm.constraint": "a100|h100",
        "ablate.slurm.account": "vision",
        "ablate.slurm.mail-type": "FAIL",
        "ablate.slurm.exclusive": True,
        "ablate.slurm.comment": "two words",
    }
    assert options(given) == {"time": 60, **{key.rpartition(".")[2]: value for key, value in given.items()}}


def test_an_option_that_the_file_does_not_list_can_be_set_at_its_top(edited):
    def change(params):
        params["ablate"]["slurm"] |= {"account": "vision", "gpus": 2}

    assert dict(load_config(path=edited(change)).ablate.slurm.options) == {"time": 60, "gpus": 2, "account": "vision"}


def test_what_is_null_or_false_is_left_out():
    assert options({"ablate.slurm.partition": None, "ablate.slurm.exclusive": False}) == {"time": 60}


def test_the_processors_of_a_job_are_the_threads_of_its_run_unless_they_are_set():
    assert load_config(path=PARAMS).ablate.slurm.cpus is None
    settings = {"ablate.slurm.cpus-per-task": 8, "ablate.slurm.time": 90}
    slurm = load_config(path=PARAMS, settings=settings).ablate.slurm
    assert (slurm.cpus, slurm.time) == (8, 90)


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("output", "x", "ablate.slurm.output is set by the study's own jobs; leave it out."),
        ("array", "0-3", "ablate.slurm.array is set by the study's own jobs; leave it out."),
        ("time", None, "ablate.slurm.time must be the minutes that a job may take, but is not given; set it."),
        ("time", 0, "ablate.slurm.time must be a whole number of minutes of at least 1, but got 0."),
        (
            "time",
            "1-00:00:00",
            "ablate.slurm.time must be a whole number of minutes of at least 1, but got '1-00:00:00'.",
        ),
        ("cpus-per-task", True, "ablate.slurm.cpus-per-task must be a whole number of at least 1, but got True."),
        (
            "cpus_per_task",
            2,
            "ablate.slurm.cpus_per_task must be named as sbatch's long option, such as cpus-per-task, but is named "
            "'cpus_per_task'.",
        ),
        ("mem", [4], "ablate.slurm.mem must be a word, a whole number, true or null, but got [4]."),
        ("mem", "4G\nexit", "ablate.slurm.mem must be a word, a whole number, true or null, but got '4G\\nexit'."),
        ("mem", 1.5, "ablate.slurm.mem must be a word, a whole number, true or null, but got 1.5."),
    ],
)
def test_what_no_job_can_be_given_is_refused_in_one_sentence(key, value, sentence):
    assert refusal(load_config, path=PARAMS, settings={f"ablate.slurm.{key}": value}) == sentence


def test_a_section_inside_is_not_known():
    assert refusal(load_config, path=PARAMS, settings={"ablate.slurm.a.b": 1}).startswith(
        "'ablate.slurm.a.b' is not a parameter"
    )


def test_a_section_that_holds_something_else_is_refused(edited):
    def change(params):
        params["baseline"]["ablate"]["slurm"] = ["gpu"]

    sentence = "ablate.slurm must hold options of sbatch by name, but holds a list."
    assert refusal(load_config, path=edited(change)) == sentence

"""`dvc.yaml` against the code: a stage depends on the folders of code that decide its result, and on no page."""

import re
from pathlib import Path

import pytest
import yaml

from study.config.load import SECTIONS, load_config
from study.runs.identity import evaluation_code, reading_code, training_code
from study.spec.study_file import available
from vicreg.methods import method_names

ROOT = Path(__file__).parents[2]
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
STAGES = (
    "check", "prepare", "pretrain", "evaluate", "project", "ablate", "verify", "report", "source_paper", "source_page",
    "index",
)  # fmt: skip
PAGES = ("report", "source_page", "index")
WITHOUT_SETTINGS = ("check", "verify", "report", "source_page", "index")  # of their own
# What these stages train or measure comes from a dependency that names it: data by bytes, weights as another stage's out.
COVERED = {"data/prepared": ("vicreg.data.",)}


def stage(name) -> dict:
    content = PIPELINE["stages"][name]
    return content.get("do", content)


def code_deps(name) -> list[str]:
    return [dep for dep in stage(name)["deps"] if dep.startswith(("study/", "vicreg"))]


def lacking(name: str, definitions) -> set[str]:
    """The modules of these definitions that no dependency of a stage holds."""
    modules = {definition.partition(":")[0] for definition in definitions}
    covered = [prefix for out, prefixes in COVERED.items() if out in stage(name)["deps"] for prefix in prefixes]
    files = {module: f"{module.replace('.', '/')}.py" for module in modules}
    return {
        module for module in modules
        if not module.startswith(tuple(covered) or ("-",))
        and not any(files[module] == dep or files[module].startswith(f"{dep}/") for dep in code_deps(name))
    }  # fmt: skip


# ---- names


def test_the_stages_are_those_of_the_study_from_data_to_report():
    assert tuple(PIPELINE["stages"]) == STAGES


def test_no_stage_is_written_twice():
    """PyYAML takes the last of two; DVC takes neither."""
    text = (ROOT / "dvc.yaml").read_text(encoding="utf-8")
    assert tuple(re.findall(r"^  (\w+):$", text, flags=re.M)) == STAGES


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_its_module_and_its_section_of_params_share_one_name(name):
    assert stage(name)["cmd"].startswith(f"python -m study.{name}")
    assert f"study/{name}.py" in stage(name)["deps"]
    if name not in WITHOUT_SETTINGS:
        assert name in SECTIONS and name in PARAMS
        assert {name, f"baseline.{name}", f"profiles.${{profile}}.{name}", "profile"} <= set(stage(name)["params"])


@pytest.mark.parametrize("name", STAGES)
def test_every_dependency_that_is_a_file_of_the_project_exists(name):
    for dep in stage(name)["deps"]:
        if dep.startswith(("study/", "vicreg/")) and "$" not in dep:
            assert (ROOT / dep).exists(), dep


def test_the_studies_that_are_run_exist():
    assert PARAMS["studies"] and set(PARAMS["studies"]) <= set(available())
    for name in ("ablate", "verify", "report"):
        assert PIPELINE["stages"][name]["foreach"] == "${studies}"
    assert "study/studies/${item}.yaml" in stage("ablate")["deps"]


# ---- code


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_depends_on_folders_of_code_and_on_its_own_command(name):
    files = [dep for dep in code_deps(name) if dep.endswith(".py")]
    shared = [dep for dep in files if dep.startswith("vicreg/")]  # what lies directly in vicreg/
    assert files == [*shared, f"study/{name}.py"] and all(dep.count("/") == 1 for dep in shared)
    assert all((ROOT / dep).is_dir() for dep in code_deps(name) if "." not in Path(dep).name)


def test_the_file_of_stages_stays_short():
    assert (ROOT / "dvc.yaml").stat().st_size < 5500


@pytest.mark.parametrize("name", ["pretrain", "ablate", "source_paper"])
def test_what_trains_depends_on_all_the_code_that_decides_weights(name):
    for method in method_names():
        assert lacking(name, training_code(method).definitions) == set()


@pytest.mark.parametrize("name", ["ablate", "source_paper"])
def test_what_measures_depends_on_all_the_code_that_decides_measurements(name):
    assert lacking(name, evaluation_code().definitions) == set()


def test_what_measures_the_baseline_depends_on_what_is_not_in_its_weights():
    found = lacking("evaluate", evaluation_code().definitions)
    assert {module.rpartition(".")[0] for module in found} <= {"vicreg.kernels", "vicreg.models", "vicreg.views"}


def test_preparing_data_depends_on_what_reads_them():
    assert lacking("prepare", reading_code().definitions) == set()


def test_the_certificate_is_made_of_the_results_of_its_study_and_by_what_writes_it_alone():
    """It takes runs, so no other change of code makes it anew; the page says where one was made of earlier code."""
    written_by = {"study/verification", "study/results", "study/verify.py"}
    assert set(stage("verify")["deps"]) == {"results/ablate/${item}/study.json", *written_by}


def test_a_changed_template_runs_the_pages_alone():
    for name in STAGES:
        assert ("study/reporting" in stage(name)["deps"]) == (name in PAGES)
        assert not [dep for dep in stage(name)["deps"] if dep == "study" or dep == "study/reporting/templates"]


def test_a_report_is_made_of_results_and_of_its_own_code_alone():
    deps = stage("report")["deps"]
    assert not [dep for dep in deps if dep.startswith(("vicreg", "data", "models", "store"))]
    assert "params" not in stage("report")


# ---- data and outs


def test_each_stage_takes_what_the_one_before_makes():
    made = {name: [next(iter(out)) if isinstance(out, dict) else out
                   for kind in ("outs", "metrics", "plots") for out in stage(name).get(kind, [])]
            for name in STAGES}  # fmt: skip
    for taker, maker in (
        ("pretrain", "prepare"), ("evaluate", "pretrain"), ("project", "pretrain"), ("ablate", "prepare"),
        ("verify", "ablate"), ("report", "ablate"), ("report", "verify"), ("report", "evaluate"), ("report", "project"),
        ("source_page", "ablate"), ("source_page", "source_paper"), ("index", "ablate"), ("index", "verify"),
    ):  # fmt: skip
        taken = stage(taker)["deps"]
        assert [out for out in made[maker] if any(f"{out}/".startswith(f"{dep}/") for dep in taken)], (taker, maker)
    every = [out for outs in made.values() for out in outs]
    assert len(every) == len(set(every))
    assert not [out for out in every if out.startswith("store")], "the store is no out: it outlives code and settings"


def test_datasets_and_weights_are_outs_and_numbers_are_metrics_and_plots():
    assert stage("prepare")["outs"] == ["data/prepared"]
    assert stage("pretrain")["outs"] == ["models/baseline"]
    for name in ("pretrain", "evaluate", "ablate"):
        assert all(path.endswith(".json") for path in stage(name)["metrics"])
    for name in ("pretrain", "evaluate", "project", "ablate"):
        assert stage(name)["plots"]


def test_no_out_survives_what_it_was_made_from_and_every_stage_has_a_run_cache():
    for name in STAGES:
        options = [
            out for kind in ("outs", "metrics", "plots") for out in stage(name).get(kind, []) if isinstance(out, dict)
        ]
        settings = [set(next(iter(one.values()))) for one in options]
        assert not any({"persist", "cache"} & keys for keys in settings)
        assert "always_changed" not in stage(name) and "frozen" not in stage(name)


def test_what_differs_wherever_it_is_made_is_no_out():
    text = (ROOT / "dvc.yaml").read_text(encoding="utf-8")
    assert not [out for name in STAGES for out in stage(name).get("outs", []) if "timing" in str(out)]
    assert "timing.json" in (ROOT / ".dvcignore").read_text(encoding="utf-8").split("\n") and "timing.json" in text


def test_caches_of_python_and_the_store_are_invisible_to_dvc():
    ignored = (ROOT / ".dvcignore").read_text(encoding="utf-8").split("\n")
    assert {"__pycache__/", "*.pyc", ".venv/", "/store/"} <= set(ignored)


# ---- params


def test_all_parameters_are_checked_before_any_other_stage_which_runs_for_its_own_parameters_alone():
    assert stage("check")["params"] == [{"params.yaml": None}]
    assert set(stage("check")["outs"]) <= set(stage("prepare")["deps"])
    assert not [name for name in STAGES[1:] for one in stage(name).get("params", []) if isinstance(one, dict)]


@pytest.mark.parametrize("name", [name for name in STAGES[1:] if "params" in stage(name)])
def test_a_stage_depends_on_its_settings_in_each_layer(name):
    """The user's own, the profile's and the baseline's: a change of any of them makes the stage stale, and of no other."""
    params = stage(name)["params"]
    if name == "index":
        return
    sections = {one.partition(".")[0] for one in params if one.partition(".")[0] in SECTIONS}
    assert {one.split(".")[1] for one in params if one.startswith("baseline.")} == sections
    assert {one.rpartition(".")[2] for one in params if one.startswith("profiles.")} == sections
    own = [one for one in params if one.partition(".")[0] in SECTIONS]
    assert {f"baseline.{one}" for one in own} <= set(params)


@pytest.mark.parametrize("profile", PARAMS["profiles"])
def test_every_profile_has_all_six_sections_for_the_stages_name_them(profile):
    assert set(PARAMS["profiles"][profile]) == set(SECTIONS)
    load_config(path=ROOT / "params.yaml", profile=profile)


def test_the_profile_that_runs_is_one_of_them():
    assert PARAMS["profile"] in PARAMS["profiles"]

"""`dvc.yaml` against the code: a stage depends on the modules that decide its result, on all of them and on no others."""

import ast
import re
from pathlib import Path

import pytest
import yaml

from study.config.load import SECTIONS, load_config
from study.runs import identity
from study.spec.study_file import available

ROOT = Path(__file__).parents[2]
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
STAGES = ("prepare", "pretrain", "evaluate", "project", "ablate", "verify", "report", "source_paper", "source_page", "index")
TRAINING_STAGES = (  # the last two plan, and plans hold what would be run
    "pretrain", "evaluate", "project", "ablate", "verify", "source_paper", "index",
)  # fmt: skip
PAGES = ("report", "source_page", "index")
WITHOUT_SETTINGS = ("verify", "report", "source_page", "index")  # of their own

# Modules that a stage imports and that decide nothing in its outs.
DECIDE_NOTHING = {
    "study.cli.command": "exit statuses and the choice of a device; the device is in a run's identity",
    "study.execution.progress": "what a person sees while a study runs",
    "study.execution.dry_run": "--dry-run",
    "study.execution.status": "--status, and the notes in the store that it reads; but for the index it says why a cell is stale",
    "study.verification.rerun": "--again; but it is what verification runs with",
    "vicreg.errors": "the class of error messages",
    "study": "an empty package",
    "vicreg": "an empty package",
}
DECIDE_AFTER_ALL = {"verify": {"study.verification.rerun"}, "index": {"study.execution.status"}}
# Followed no further: what it imports are the settings classes of all stages, to check values with. What a stage makes of
# its settings it imports itself.
NOT_FOLLOWED = {"study.config.config"}
# Of study.runs.identity this stage uses the digest of code alone, which knows no settings.
NOT_FOLLOWED_FROM = {"prepare": {"study.runs.identity"}}
# The data set is a dependency by its bytes, and weights of others are known to a run by theirs, so how either is read, decoded
# or downloaded decides nothing more.
MAKE_THE_DATA = {
    "vicreg.data.cache", "vicreg.data.dataset", "vicreg.data.image_folder", "vicreg.models.pretrained", "vicreg.data.cifar_and_fashion_mnist",
}  # fmt: skip
# The outs of these stages hold no measurement, so the code that measures, which study.runs.store imports too, is not theirs.
MEASURE_NOTHING = {"pretrain", "project"}
# Of these, files are written and torchvision's downloads are used; of what else they hold nothing reaches these stages.
SERVE_ONLY = {
    "prepare": {"vicreg.training.checkpoint", "vicreg.torchvision_compat"},
    "report": {"vicreg.training.checkpoint"},
}
# Started as a command of its own, not imported.
COMMANDS = {"study.execution.pool": "study.execution.worker"}


def stage(name) -> dict:
    content = PIPELINE["stages"][name]
    return content.get("do", content)


def source_deps(name) -> set[str]:
    """The modules among the dependencies of a stage, by their dotted names."""
    files = [dep for dep in stage(name)["deps"] if dep.endswith(".py")]
    return {dep.removesuffix(".py").replace("/", ".") for dep in files}


def imported(module) -> set[str]:
    tree = ast.parse((ROOT / (module.replace(".", "/") + ".py")).read_text(encoding="utf-8"))
    names = {name for name in identity._imports(tree) if name.partition(".")[0] in ("study", "vicreg")}
    return names | ({COMMANDS[module]} if module in COMMANDS else set())


def needed(name) -> set[str]:
    """The modules a stage's result depends on, by what is imported."""
    cut = {"vicreg.evaluation.evaluate"} if name in MEASURE_NOTHING else set()
    skipped = set(DECIDE_NOTHING) - DECIDE_AFTER_ALL.get(name, set()) | SERVE_ONLY.get(name, set()) | cut | (MAKE_THE_DATA if name != "prepare" else set())
    found: set[str] = set()
    waiting = [f"study.{name}"]
    while waiting:
        module = waiting.pop()
        if module in found or module in skipped:
            continue
        found.add(module)
        if module not in NOT_FOLLOWED | NOT_FOLLOWED_FROM.get(name, set()):
            waiting += imported(module)
    return found


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
        assert {name, f"profiles.${{profile}}.{name}", "profile"} <= set(stage(name)["params"])


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


@pytest.mark.parametrize("name", ["prepare", *TRAINING_STAGES])
def test_a_stage_depends_on_all_the_code_that_decides_its_result_and_on_no_other(name):
    listed, wanted = source_deps(name), needed(name)
    assert wanted - listed == set(), "its result can change without the stage being run again"
    assert listed - wanted == set(), "it would be run again for nothing"


def test_the_exceptions_are_modules_that_are_really_imported_or_started():
    everywhere = {name for path in (*ROOT.glob("study/*.py"), *ROOT.glob("vicreg/*.py"))
                  for name in imported(f"{path.parent.name}.{path.stem}")}  # fmt: skip
    assert {*DECIDE_NOTHING, *MAKE_THE_DATA, *set().union(*SERVE_ONLY.values())} <= everywhere | {"study", "vicreg"}
    for module, command in COMMANDS.items():
        assert f'"-m", "{command}"' in (ROOT / (module.replace(".", "/") + ".py")).read_text(encoding="utf-8")


def test_all_the_code_that_trains_is_a_dependency_of_all_that_use_a_trained_network():
    trains = set(identity.code_digests(identity.TRAINING)) - {"vicreg", "vicreg.errors"}
    measures = set(identity.code_digests(identity.EVALUATION)) - {"vicreg", "vicreg.errors"}
    for name in TRAINING_STAGES:
        assert trains <= source_deps(name), name
    for name in ("evaluate", "ablate", "verify", "index"):
        assert measures <= source_deps(name), name


def templates(name) -> set[str]:
    """The templates of a page, and those they include."""
    found: set[str] = set()
    waiting = [f"{name}.html.j2", f"{name}.md.j2"]
    while waiting:
        file = waiting.pop()
        found.add(f"study/templates/{file}")
        text = (ROOT / "study/templates" / file).read_text(encoding="utf-8")
        waiting += re.findall(r'{% (?:include|import|extends|from) "([^"]+)"', text)
    return found


def test_a_report_is_made_of_results_and_of_its_own_code_alone():
    deps = stage("report")["deps"]
    assert {"results/ablate/${item}/study.json", "results/verify/${item}.json", "study/report.py"} <= set(deps)
    assert not [dep for dep in deps if dep.startswith(("vicreg", "data", "models", "store"))]
    assert {dep for dep in deps if dep.startswith("study/") and not dep.endswith(".py")} == templates("report")
    assert "params" not in stage("report")
    assert needed("report") == source_deps("report")


def test_the_index_depends_on_its_templates_and_on_the_results_of_every_study():
    deps = stage("index")["deps"]
    assert {dep for dep in deps if dep.startswith("study/templates")} == templates("index")
    assert {"results/ablate", "results/verify", "study/studies", "data/prepared"} <= set(deps)
    assert {"profile", "studies"} <= set(stage("index")["params"])


@pytest.mark.parametrize("name", ["verify", "index"])
def test_what_plans_a_study_anew_depends_on_every_parameter_that_decides_a_run(name):
    assert set(stage("ablate")["params"]) <= set(stage(name)["params"])


@pytest.mark.parametrize("name", ["ablate", "verify", "index"])
def test_what_reads_published_outcomes_depends_on_them(name):
    assert "study/published.yaml" in stage(name)["deps"]


@pytest.mark.parametrize("name", [name for name in STAGES if name not in PAGES])
def test_no_stage_but_the_pages_depends_on_how_a_page_looks(name):
    assert not [dep for dep in stage(name)["deps"] if "report" in dep or "figures" in dep or "templates" in dep]


# ---- data and outs


def test_each_stage_takes_what_the_one_before_makes():
    made = {name: [next(iter(out)) if isinstance(out, dict) else out
                   for kind in ("outs", "metrics", "plots") for out in stage(name).get(kind, [])]
            for name in STAGES}  # fmt: skip
    for taker, maker in (
        ("pretrain", "prepare"), ("evaluate", "pretrain"), ("project", "pretrain"), ("ablate", "prepare"),
        ("verify", "ablate"), ("verify", "prepare"), ("report", "ablate"), ("report", "verify"), ("report", "evaluate"),
        ("report", "project"), ("index", "ablate"), ("index", "verify"), ("index", "prepare"),
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


def test_no_out_survives_what_it_was_made_from_and_only_pages_that_git_keeps_turn_off_the_cache():
    for name in STAGES:
        options = [
            out for kind in ("outs", "metrics", "plots") for out in stage(name).get(kind, []) if isinstance(out, dict)
        ]
        settings = [set(next(iter(one.values()))) for one in options]
        assert not any("persist" in keys for keys in settings)
        # A stage without a cached out has no run-cache either: no loss where it is rendered again in seconds.
        assert name in PAGES or not any("cache" in keys for keys in settings)
        assert "always_changed" not in stage(name) and "frozen" not in stage(name)


def test_caches_of_python_and_the_store_are_invisible_to_dvc():
    ignored = (ROOT / ".dvcignore").read_text(encoding="utf-8").split("\n")
    assert {"__pycache__/", "*.pyc", ".venv/", "/store/"} <= set(ignored)


# ---- params


@pytest.mark.parametrize("profile", PARAMS["profiles"])
def test_every_profile_has_all_six_sections_for_the_stages_name_them(profile):
    assert set(PARAMS["profiles"][profile]) == set(SECTIONS)
    load_config(path=ROOT / "params.yaml", profile=profile)


def test_the_profile_that_runs_is_one_of_them():
    assert PARAMS["profile"] in PARAMS["profiles"]

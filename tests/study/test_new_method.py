"""A second method is one file and one section: nothing else is touched, and no run of VICReg becomes another."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]

# The example that the folder of methods documents: SimSiam's negative cosine, short, and nothing like VICReg.
README = (ROOT / "vicreg/methods/README.md").read_text(encoding="utf-8")
(TOY,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
(SECTION,) = re.findall(r"```yaml\n(.*?)```", README, flags=re.DOTALL)
TINY = {
    "pretrain.backbone": "resnet18", "pretrain.width": 4, "pretrain.stem": "cifar", "pretrain.expander": [8],
    "pretrain.image_size": 8, "pretrain.epochs": 1, "pretrain.warmup_epochs": 0, "prepare.per_class": 12,
}  # fmt: skip
STUDY = """
question: Which method?
hypothesis: Either.
baseline: ours
arms:
  ours: {pretrain.nu: 1}
  toy: {pretrain.method: toy, pretrain.strength: 2.0}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A copy of the project with the toy beside VICReg, and a study of the two."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("study", "vicreg"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["baseline"]["pretrain"] |= yaml.safe_load(SECTION)["baseline"]["pretrain"]
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    (folder / "vicreg/methods/toy.py").write_text(TOY, encoding="utf-8")
    (folder / "study/studies/methods.yaml").write_text(STUDY, encoding="utf-8")
    (folder / "data/raw").mkdir(parents=True)
    return folder


def ablate(folder: Path, study: str, *arguments: str) -> str:
    settings = [text for key, value in TINY.items() for text in ("--set", f"{key}={json.dumps(value)}")]
    command = [sys.executable, "-m", "study.ablate", "--study", study, "--seeds", "1", "--workers", "1"]
    done = subprocess.run([*command, *settings, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@pytest.mark.slow
def test_a_second_method_is_trained_measured_and_compared_with_vicreg(project):
    ablate(project, "methods", "--out", "out")
    results = json.loads((project / "out/study.json").read_bytes())
    arms = {arm["name"]: arm for arm in results["arms"]}
    ours, toy = (arms[name]["runs"][0] for name in ("ours", "toy"))
    assert ours["status"] == toy["status"] == "finished"
    (record,) = toy["history"]
    assert record["total"] == pytest.approx(2.0 * record["cosine"]) and "invariance" not in record
    assert {"invariance", "variance", "covariance", "weighted_covariance"} <= set(ours["history"][0])
    assert toy["verdict"]["name"] and toy["test"]["linear_cached"]["top1"] > 0
    assert results["terms"]["cosine"]["title"] == "Negative cosine" and "invariance" in results["terms"]
    assert arms["toy"]["effective"] == {} and arms["ours"]["effective"]["nu"] == 1
    # each has a control of its own, and the toy's is named by its method
    assert {name for name, arm in arms.items() if arm["is_control"]} == {"untrained", "untrained-toy"}
    done = subprocess.run(
        [sys.executable, "-m", "study.report", "--results", "out/study.json", "--out", "report"],
        cwd=project, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_report_of_two_methods_compares_their_networks_and_costs(project):
    ablate(project, "methods", "--out", "compared")
    results = json.loads((project / "compared/study.json").read_bytes())["methods"]
    ours, toy = (next(one for one in results["compared"] if one["arm"] == name) for name in ("ours", "toy"))
    assert toy["state_bytes"] == 4 and ours["state_bytes"] == 0  # the number of steps, which the toy keeps
    assert 0 < toy["step_operations"] < ours["step_operations"]  # its second view has no gradient
    likeness = results["similarity"]
    assert likeness["arms"] == ["ours", "toy", "untrained"] and likeness["seed"] == 0
    values = likeness["values"]
    assert values[0][0] == values[1][1] == 1 and -1 < values[0][1] == values[1][0] < 1
    timing = json.loads((project / "compared/timing.json").read_bytes())["runs"].values()
    assert sum(run["step_seconds"] is not None and run["step_seconds"] > 0 for run in timing) == 2
    command = [sys.executable, "-m", "study.report", "--results", "compared/study.json", "--out", "pages"]
    done = subprocess.run(
        [*command, "--timing", "compared/timing.json"], cwd=project, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    page = (project / "pages/README.md").read_text(encoding="utf-8")
    assert "## What each method reaches and costs" in page and "## How alike the networks are" in page
    assert (project / "pages/figures/methods-similarity.svg").exists()


@pytest.mark.slow
def test_another_method_changes_no_run_of_vicreg(project):
    def digests(folder: Path) -> list[str]:
        code = (
            "from study.config.load import load_config; from study.runs.identity import run_identity; import torch\n"
            "print(run_identity(load_config(), data='sha256:0', device=torch.device('cpu')).digest)"
        )
        told = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
        return re.findall(r"[0-9a-f]{16}", told.stdout)

    assert digests(project) == digests(ROOT) and len(digests(ROOT)) == 1


@pytest.mark.slow
def test_an_unknown_method_and_a_setting_of_another_method_are_refused_in_one_sentence(project):
    command = [sys.executable, "-m", "study.ablate", "--study", "lambda-mu-nu", "--dry-run", "--set"]
    for given, sentence in (
        ("pretrain.method=nothing", "toy, variational_autoencoder, vibcreg, vicreg, visreg, wmse, but got 'nothing'."),
        ("pretrain.strength=1", "'pretrain.strength' is not a parameter"),
    ):
        done = subprocess.run([*command, given], cwd=project, capture_output=True, text=True, check=False)
        assert done.returncode == 2 and sentence in done.stderr and done.stderr.count("\n") == 1, done.stderr

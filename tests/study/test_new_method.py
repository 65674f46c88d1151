"""A second method is one file and one section: nothing else is touched, and no run of VICReg becomes another."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from study.config.load import load_config
from study.runs.identity import run_identity

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


# All that is asked of the copied project, in one process of its own, whose worker is a copy of it and starts at once.
ASKED = """
import contextlib, io, json, sys
import torch
from study import ablate, report
from study.cli.command import run_command
from study.config.load import load_config
from study.execution.executors import dask
from study.runs.identity import run_identity

def end(main, *argv):
    output, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        try:
            run_command(lambda: main(list(argv)))
        except SystemExit as ended:
            return {"status": ended.code, "output": output.getvalue(), "errors": errors.getvalue()}

if __name__ == "__main__":
    dask.START_METHOD = "fork"
    settings = sys.argv[1:]
    refused = ["--study", "lambda-mu-nu", "--dry-run", "--set"]
    told = {
        "digest": run_identity(load_config(), data="sha256:0", device=torch.device("cpu")).digest,
        "unknown method": end(ablate.main, *refused, "pretrain.method=nothing"),
        "setting of another": end(ablate.main, *refused, "pretrain.strength=1"),
        "ablate": end(ablate.main, "--study", "methods", "--seeds", "1", "--workers", "1", "--out", "out", *settings),
        "report": end(
            report.main, "--results", "out/study.json", "--timing", "out/timing.json", "--out", "pages"
        ),
    }
    print(json.dumps(told))
"""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A copy of the project with the toy beside VICReg, and what came of each thing that was asked of it."""

    folder: Path
    told: dict[str, Any]

    def read(self, name: str) -> Any:
        return json.loads((self.folder / "out" / name).read_bytes())


@pytest.fixture(scope="module")
def asked(tmp_path_factory) -> Asked:
    """The project in which a study of the two was run and reported, for the tests of this file to look at."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("study", "vicreg"):
        shutil.copytree(ROOT / name, folder / name)  # with what Python has compiled of it
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["baseline"]["pretrain"] |= yaml.safe_load(SECTION)["baseline"]["pretrain"]
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    (folder / "vicreg/methods/toy.py").write_text(TOY, encoding="utf-8")
    (folder / "study/studies/methods.yaml").write_text(STUDY, encoding="utf-8")
    (folder / "data/raw").mkdir(parents=True)
    (folder / "asked.py").write_text(ASKED, encoding="utf-8")
    settings = [text for key, value in TINY.items() for text in ("--set", f"{key}={json.dumps(value)}")]
    done = subprocess.run(
        [sys.executable, "asked.py", *settings], cwd=folder, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["ablate"]["status"] == told["report"]["status"] == 0, told
    return Asked(folder=folder, told=told)


@pytest.mark.slow
def test_a_second_method_is_trained_measured_and_compared_with_vicreg(asked):
    results = asked.read("study.json")
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


@pytest.mark.slow
def test_the_report_of_two_methods_compares_their_networks_and_costs(asked):
    results = asked.read("study.json")["methods"]
    ours, toy = (next(one for one in results["compared"] if one["arm"] == name) for name in ("ours", "toy"))
    assert toy["state_bytes"] == 4 and ours["state_bytes"] == 0  # the number of steps, which the toy keeps
    assert 0 < toy["step_operations"] < ours["step_operations"]  # its second view has no gradient
    likeness = results["similarity"]
    assert likeness["arms"] == ["ours", "toy", "untrained"] and likeness["seed"] == 0
    values = likeness["values"]
    assert values[0][0] == values[1][1] == 1 and -1 < values[0][1] == values[1][0] < 1
    timing = asked.read("timing.json")["runs"].values()
    assert sum(run["step_seconds"] is not None and run["step_seconds"] > 0 for run in timing) == 2
    page = (asked.folder / "pages/README.md").read_text(encoding="utf-8")
    assert "## What each method reaches and costs" in page and "## How alike the networks are" in page
    assert (asked.folder / "pages/figures/methods-similarity.svg").exists()


@pytest.mark.slow
def test_another_method_changes_no_run_of_vicreg(asked):
    here = run_identity(load_config(path=ROOT / "params.yaml"), data="sha256:0", device=torch.device("cpu"))
    assert asked.told["digest"] == here.digest and re.fullmatch(r"[0-9a-f]{16}", here.digest)


@pytest.mark.slow
def test_an_unknown_method_and_a_setting_of_another_method_are_refused_in_one_sentence(asked):
    for given, sentence in (
        ("unknown method", "toy, variational_autoencoder, vibcreg, vicreg, visreg, wmse, but got 'nothing'."),
        ("setting of another", "'pretrain.strength' is not a parameter"),
    ):
        ended = asked.told[given]
        assert ended["status"] == 2 and sentence in ended["errors"] and ended["errors"].count("\n") == 1, ended

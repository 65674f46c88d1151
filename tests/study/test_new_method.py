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

# SimSiam's negative cosine (arXiv 2011.10566), without its predictor: short, and nothing like VICReg.
TOY = '''"""A toy: embeddings of two views should point the same way."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vicreg.methods.base import Loss, Method, MethodSettings, Term


@dataclass(frozen=True, kw_only=True)
class ToySettings(MethodSettings):
    strength: float


class Toy(Method):
    Settings = ToySettings
    TERMS = {"cosine": Term(title="Negative cosine")}

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.register_buffer("steps", torch.zeros(()))

    def loss(self, views: Sequence[Tensor], *, progress: Tensor) -> Loss:
        z, z_prime = self.embed(*views)
        cosine = -torch.cosine_similarity(z.float(), z_prime.float().detach(), dim=1).mean()
        return Loss(total=self.settings.strength * cosine, terms={"cosine": cosine.detach()}, embeddings=z)

    def after_step(self, *, progress: Tensor) -> None:
        self.steps += 1

    def reset_state(self, generator: torch.Generator) -> None:
        self.steps.zero_()
'''
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
    params["pretrain"]["toy"] = {"strength": 1.0}
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    (folder / "vicreg/methods/toy.py").write_text(TOY, encoding="utf-8")
    (folder / "study/studies/methods.yaml").write_text(STUDY, encoding="utf-8")
    (folder / "data/raw").mkdir(parents=True)
    return folder


def ablate(folder: Path, study: str, *arguments: str) -> str:
    settings = [text for key, value in TINY.items() for text in ("--set", f"{key}={json.dumps(value)}")]
    command = [sys.executable, "-m", "study.ablate", "--study", study, "--seeds", "1", "--workers", "1", *settings, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
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
    command = [sys.executable, "-m", "study.ablate", "--study", "tiny-of-none", "--dry-run"]
    for given, sentence in (
        ("pretrain.method=simclr", "pretrain.method must be one of toy, vicreg, but got 'simclr'."),
        ("pretrain.strength=1", "'pretrain.strength' is not a parameter"),
    ):
        done = subprocess.run(
            [*command[:4], "lambda-mu-nu", "--dry-run", "--set", given], cwd=project, capture_output=True, text=True, check=False
        )
        assert done.returncode == 2 and sentence in done.stderr and done.stderr.count("\n") == 1, done.stderr

"""Made-up studies whose arms are methods: VICReg, and three that are files of a folder beside the package."""

import functools
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

import vicreg.methods
from study.analysis import methods as analysis
from study.config.load import load_config, load_params
from study.runs import identity
from study.spec.study_file import Arm
from tests.conftest import PARAMS, TINY
from tests.study.made_up import Plans, lifelike_results, study

HEAD = """
import torch
from vicreg.methods.base import Loss, Method, MethodSettings, Term
from dataclasses import dataclass
"""
# SimSiam's negative cosine without its predictor.
TOY = f"""{HEAD}
@dataclass(frozen=True, kw_only=True)
class ToySettings(MethodSettings):
    strength: float


class Toy(Method):
    Settings = ToySettings
    TITLE, SOURCE, FAMILY = "Toy", "arXiv 2011.10566", "non-contrastive"
    TERMS = {{"cosine": Term(title="Negative cosine")}}

    def loss(self, views, *, progress):
        z, z_prime = self.embed(*views)
        cosine = -torch.cosine_similarity(z.float(), z_prime.float().detach(), dim=1).mean()
        return Loss(total=self.settings.strength * cosine, terms={{"cosine": cosine.detach()}}, embeddings=z)
"""
# A queue of 64 embeddings, and a frozen linear map of them; its term has the name of one of VICReg's.
QUEUED = f"""{HEAD}
class Queued(Method):
    TITLE, SOURCE, FAMILY = "Queued", "arXiv 1911.05722", "contrastive"
    PROBED = "The online network is encoded; embeddings are the expander's."
    TERMS = {{"invariance": Term(title="Invariance of a queue")}}

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.map = torch.nn.Linear(self.embedding_dimension, self.embedding_dimension, bias=False).requires_grad_(False)
        self.register_buffer("queue", torch.zeros(64, self.embedding_dimension))

    def loss(self, views, *, progress):
        z, z_prime = self.embed(*views)
        total = (self.map(z).float() @ self.queue.T).square().mean() + (z - z_prime).float().square().mean()
        return Loss(total=total, terms={{"invariance": total.detach()}}, embeddings=z)

    def reset_state(self, generator):
        self.queue.normal_(generator=generator)
"""
TAUGHT = f"""{HEAD}
class Taught(Method):
    TITLE, SOURCE, FAMILY = "Supervised", "arXiv 1512.03385", "control"
    WANTS_LABELS = True
    TERMS = {{"cross_entropy": Term(title="Cross-entropy")}}

    def set_classes(self, classes, generator):
        self.classifier = torch.nn.Linear(self.embedding_dimension, classes)

    def loss(self, views, *, progress):
        *views, labels = views
        z, _ = self.embed(*views)
        total = torch.nn.functional.cross_entropy(z.float(), labels % z.shape[1])
        return Loss(total=total, terms={{"cross_entropy": total.detach()}}, embeddings=z)
"""
FILES = {"toy": TOY, "queued": QUEUED, "taught": TAUGHT}
SECTIONS: dict[str, dict[str, Any]] = {"toy": {"strength": 1.0}, "queued": {}, "taught": {}}
ARMS = (
    Arm(name="vicreg", settings={"pretrain.method": "vicreg"}),
    Arm(name="toy", settings={"pretrain.method": "toy", "pretrain.strength": 2.0}),
    Arm(name="queued", settings={"pretrain.method": "queued"}),
    Arm(name="taught", settings={"pretrain.method": "taught"}),
)
LINEAR = {"vicreg": 0.80, "toy": 0.70, "queued": 0.84, "taught": 0.95}
RANKS = {"vicreg": 12.0, "toy": 5.0, "queued": 9.0, "taught": 7.0}
CKA = 0.9  # of two arms next to each other; it falls with their distance


@contextmanager
def methods_at(folder: Path) -> Iterator[None]:
    """Let the three methods be found like those of the package; their code is taken for VICReg's.

    The operations of a step are counted once for equal settings.
    """
    for name, text in FILES.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    of_vicreg = functools.partial(identity.training_code, "vicreg")  # before it is replaced
    count, counted = analysis.whole_step_operations, {}

    def count_once(settings, dataset, *, model):
        if settings not in counted:
            counted[settings] = count(settings, dataset, model=model)
        return counted[settings]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(analysis, "whole_step_operations", count_once)
        patch.setattr(vicreg.methods, "__path__", [*vicreg.methods.__path__, str(folder)])
        patch.setattr(identity, "training_code", lambda method, **switches: of_vicreg(**switches))
        try:
            yield
        finally:
            for name in FILES:
                sys.modules.pop(f"vicreg.methods.{name}", None)


def method_plans(folder: Path, dataset: Any) -> Plans:
    """Plans under a tiny config that has sections of the three methods. To be called within `methods_at`."""
    params = load_params(PARAMS)
    params["baseline"]["pretrain"] |= SECTIONS
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(params), encoding="utf-8")
    base = load_config(path=path, profile="digits", settings=TINY)
    return Plans(lambda settings=None: base.with_settings(settings or {}), dataset)


def method_summary(
    plans: Plans, arms: Sequence[Arm] = ARMS, *, alike: bool = True, lost: dict[Any, Any] | None = None,
    seeds: Sequence[int] = (0, 1, 2), **changes: Any,
) -> dict[str, Any]:  # fmt: skip
    """The summary of a study of these methods; with `alike` their networks were compared."""
    asked = study(arms, name="methods", question="Which method learns best here?", source=None, **changes)
    plan = plans.plan(asked, seeds=seeds, settings={"ablate.probes": ["knn", "linear_cached"]})

    def outcome_of(arm: str, seed: int) -> dict[str, Any]:
        if arm not in LINEAR:
            return {"linear": 0.5, "rank": 6.0, "std": 0.3}
        return {"linear": LINEAR[arm], "rank": RANKS[arm], "verdict": "dimensional" if arm == "toy" else "healthy"}

    found = lifelike_results(plan, outcome_of)
    for (arm, seed), run in found.items():
        if arm.startswith("untrained"):  # one backbone, one untrained network
            found[arm, seed] = found["untrained", seed]
        elif arm in FILES:
            run["history"] = [_logged_by(arm, record) for record in run["history"]]
    with pytest.MonkeyPatch.context() as patch:
        if alike:
            patch.setattr(analysis, "similarities", made_up_similarities)
        return plans.summary({**found, **(lost or {})}, of=plan)


def made_up_similarities(runs: Sequence[Any], **_: Any) -> list[list[float | None]]:
    return [[round(CKA ** abs(one - other), 4) for other in range(len(runs))] for one in range(len(runs))]


def _logged_by(arm: str, record: dict[str, Any]) -> dict[str, Any]:
    """Return an epoch's record with the terms of the arm's own method in place of VICReg's."""
    names = ("invariance", "variance", "covariance")
    kept = {key: value for key, value in record.items() if key.removeprefix("weighted_") not in names}
    term = {"toy": "cosine", "queued": "invariance", "taught": "cross_entropy"}[arm]
    return {**kept, term: record["invariance"], "knn": 0.5}

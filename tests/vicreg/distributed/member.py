"""One process of a group: it compares its part of the work with one process's whole; number 0 writes how far they are."""

import copy
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from study.config.load import load_config
from tests.conftest import PARAMS, TINY
from vicreg.data.dataset import Dataset, Split
from vicreg.distributed.collectives import gather_rows, group_size, own_rows, rank, sum_gradients
from vicreg.methods import method_class, method_names
from vicreg.methods.vicreg import Coefficients, vicreg_loss
from vicreg.models import resnet as backbones
from vicreg.models.shared_batchnorm import SharedBatchNorm2d
from vicreg.models.view_batchnorm import ViewBatchNorm2d
from vicreg.training.batches import epoch_of_views
from vicreg.training.processes import joined, share
from vicreg.training.settings import PretrainSettings
from vicreg.training.setup import make_optimizer, new_model
from vicreg.training.step import TrainStep

CPU = torch.device("cpu")
Found = dict[str, float]


def work(folder: Path, number: int, count: int) -> None:
    """Be process `number` of `count`, which this process is from now on."""
    torch.set_num_threads(1)
    backbones.ARCHITECTURES["resnet18"] = (backbones.BasicBlock, (1, 1, 1, 1))  # no depth changes what is compared
    with joined(folder, rank=number, count=count, device=CPU):
        found: dict[str, Found] = {}
        for name, check in CHECKS.items():
            found |= {f"{name} {case}": values for case, values in check()}
    if number == 0:
        (folder / "found.json").write_text(json.dumps(found))


# Values with which a method can be trained by several processes.
SETTINGS = {"pretrain.optimizer": "lars", "pretrain.base_lr": 0.5, "pretrain.vibcreg.iterative_normalisation": False}
BASE = load_config(path=PARAMS, profile="digits", settings=TINY | SETTINGS)


def settings_of(count: int, **changes: Any) -> PretrainSettings:
    values = {f"pretrain.{name}": value for name, value in changes.items()}
    return BASE.with_settings(values | {"pretrain.processes": count}).pretrain


def images(count: int, *, channels: int = 1, seed: int = 0) -> Dataset:
    random = torch.Generator().manual_seed(seed)

    def split(n: int) -> Split:
        pixels = torch.randint(0, 256, (n, channels, 8, 8), generator=random, dtype=torch.uint8)
        return Split(images=pixels, labels=torch.arange(n) % 10)

    classes = tuple("abcdefghij")
    return Dataset(
        name="noise", classes=classes, train=split(count), validation=split(4), test=split(4), mean=(0.5,) * channels,
        std=(0.25,) * channels, note=None,
    )  # fmt: skip


@torch.no_grad()
def apart(first: Tensor, second: Tensor, scale: float | None = None) -> float:
    """The largest difference, relative to the largest entry of `second`."""
    if second.numel() == 0:
        return 0.0
    return float((first - second).abs().max()) / (scale or max(float(second.abs().max()), 1e-30))


class Recorded(TrainStep):
    """A step that keeps its losses, which `totals` has in float32."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.losses: list[Tensor] = []
        loss = self.model.loss

        def kept(views: Any, *, progress: Tensor) -> Any:
            found = loss(views, progress=progress)
            self.losses.append(torch.stack([found.total.detach(), *found.terms.values()]).double())
            return found

        self.model.loss = kept  # type: ignore[method-assign]


def whole_and_own(changes: dict[str, Any], *, steps: int = 3) -> tuple[Recorded | None, Recorded]:
    """What one process trains, which number 0 does for all, and what this one does in the group."""
    given: dict[str, Any] = {"batch": changes["batch_size"], "steps": steps}
    one = trained(settings_of(1, **changes), whole=True, **given) if rank() == 0 else None
    return one, trained(settings_of(group_size(), **changes), whole=False, **given)


def trained(settings: PretrainSettings, *, batch: int, steps: int, whole: bool) -> Recorded:
    """A model in float64 after some steps on made-up views: of the whole batch, or of this process's rows."""
    model = new_model(settings, images(32)).double()
    if not whole:
        share(model, settings)
    step = Recorded(settings, model, make_optimizer(settings, model), device=CPU)
    step.reset()
    random = torch.Generator().manual_seed(1)
    for number in range(steps):
        shape = (batch, 1, 8, 8)
        first = torch.randn(shape, generator=random, dtype=torch.float64)
        views = [first, first + 0.3 * torch.randn(shape, generator=random, dtype=torch.float64)][: model.VIEWS]
        labels = [torch.arange(batch) % 10] if model.WANTS_LABELS else []
        views = views if whole else [own_rows(view) for view in views]
        step(*views, *labels, learning_rate=0.3 / (number + 1), progress=number / steps)
    return step


def compare(one: Recorded | None, own: Recorded) -> Found:
    """How far one process and this group are from each other; all relative to the largest entry."""
    ours = own.model.state_dict()
    # 0 where all processes have the same bits
    alike = {"processes": max(float((gather_rows(value[None]) != value).any()) for value in ours.values())}
    if one is None:
        return alike
    largest = max(float(p.grad.abs().max()) for p in one.model.parameters() if p.grad is not None)
    theirs = one.model.state_dict()
    assert ours.keys() == theirs.keys()
    numbers = {name for name, value in theirs.items() if value.is_floating_point()}
    return {
        "losses": max(apart(a, b) for a, b in zip(own.losses, one.losses, strict=True)),
        "gradients": max(
            apart(a.grad, b.grad, largest)
            for a, b in zip(own.model.parameters(), one.model.parameters(), strict=True)
            if b.grad is not None
        ),
        # Some running means are 0 but for rounding.
        "weights": max(
            apart(ours[name], theirs[name], max(float(theirs[name].abs().max()), 1e-3))
            for name in numbers
            if theirs[name].numel()
        ),
        "counters": sum(float(not torch.equal(ours[name], theirs[name])) for name in theirs.keys() - numbers),
        "log": apart(own.totals, one.totals),
        **alike,
    }


def vicreg() -> Iterator[tuple[str, Found]]:
    for passes in ("separate", "together", "joint"):
        for batch, width in ((16, 24), (24, 16)):  # n < d, n >= d
            changes = {"batch_size": batch, "expander": [12, width], "view_passes": passes}
            yield f"{passes} {batch} {width}", compare(*whole_and_own(changes))


def methods() -> Iterator[tuple[str, Found]]:
    """Of two processes alone: the form does not depend on their number, and each method takes some seconds."""
    for name in method_names() if group_size() == 2 else ():
        if method_class(name).GATHERS != "embeddings":
            continue
        yield name, compare(*whole_and_own({"method": name, "batch_size": 32}, steps=2))


def losses() -> Iterator[tuple[str, Found]]:
    random = torch.Generator().manual_seed(2)
    for n, d in ((8, 12), (12, 8), (12, 12)):
        pair = torch.randn(2, n, d, generator=random, dtype=torch.float64)
        for weights in ((25.0, 25.0, 1.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)):
            coefficients = Coefficients(lambda_=weights[0], mu=weights[1], nu=weights[2])
            whole = pair.clone().requires_grad_()
            part = own_rows(pair.transpose(0, 1)).transpose(0, 1).clone().requires_grad_()
            expected = vicreg_loss(*whole, coefficients=coefficients, gamma=1.1)
            found = vicreg_loss(*part, coefficients=coefficients, gamma=1.1, distributed=True)
            expected.total.backward()
            (found.total / group_size()).backward()
            wanted = own_rows(whole.grad.transpose(0, 1)).transpose(0, 1)
            yield (
                f"{n} {d} {weights}",
                {
                    "terms": max(apart(a.detach(), b.detach()) for a, b in zip(found, expected, strict=True)),
                    "gradient": apart(part.grad, wanted, float(whole.grad.abs().max())),
                },
            )


def views() -> Iterator[tuple[str, Found]]:
    for channels in (1, 3):
        for last in (True, False):
            for asymmetric in (True, False):
                preset = {"augmentation.preset": "official" if asymmetric else "source", "batch_size": 16}
                settings = settings_of(group_size(), drop_last=last, **preset)
                dataset = images(40, channels=channels)  # the last batch has 8
                steps = 2 if last else 3
                named: dict[str, Any] = {"device": CPU, "size": 8, "epoch": 1, "steps": steps, "views": 2}
                one = dataclasses.replace(settings, processes=1)
                whole = list(epoch_of_views(one, dataset, dataset.train.images, **named))
                own = list(epoch_of_views(settings, dataset, dataset.train.images, **named))
                assert len(whole) == len(own) == steps
                differing = sum(
                    not torch.equal(gather_rows(part), view)
                    for batch, parts in zip(whole, own, strict=True)
                    for view, part in zip(batch, parts, strict=True)
                )
                yield f"{channels} {last} {asymmetric}", {"differing": float(differing)}


def batchnorm() -> Iterator[tuple[str, Found]]:
    """The gradient by the input too, which a network's first layer needs not."""
    random = torch.Generator().manual_seed(3)
    x, y = torch.randn(2, 8, 3, 4, 4, generator=random, dtype=torch.float64) * 2 + 1
    one = ViewBatchNorm2d(3).double()
    nn.init.uniform_(one.weight, 0.5, 1.5, generator=random)
    own = copy.deepcopy(one)
    own.__class__ = SharedBatchNorm2d
    whole, part = x.clone().requires_grad_(), own_rows(x).clone().requires_grad_()
    (one(whole) * y).sum().backward()
    (own(part) * own_rows(y)).sum().backward()
    sum_gradients(own.parameters())
    yield (
        "",
        {
            "input": apart(part.grad, own_rows(whole.grad), float(whole.grad.abs().max())),
            "weight": apart(own.weight.grad, one.weight.grad),
            "bias": apart(own.bias.grad, one.bias.grad),
            "mean": apart(own.running_mean, one.running_mean),
            "variance": apart(own.running_var, one.running_var),
            "counter": float(own.num_batches_tracked - one.num_batches_tracked),
            "in eval mode": apart(own.eval()(x), one.eval()(x)),
        },
    )


def by_process() -> Iterator[tuple[str, Found]]:
    one, own = whole_and_own({"batch_size": 16, "batchnorm_over": "process"})
    parameters = dict(own.model.named_parameters())
    yield (
        "",
        {
            "weights": max(apart(value, one.model.state_dict()[name]) for name, value in parameters.items()) if one else 0.0,
            "processes": max(float((gather_rows(value[None]) != value).any()) for value in parameters.values()),
        },
    )


def half_precision() -> Iterator[tuple[str, Found]]:
    rows = torch.arange(4 * group_size()).view(-1, 2).bfloat16()
    yield "gather", {"differing": float((gather_rows(own_rows(rows)) != rows).sum()), "rank": float(rank())}


CHECKS = {
    "vicreg": vicreg, "methods": methods, "losses": losses, "views": views, "batchnorm": batchnorm,
    "by process": by_process, "half precision": half_precision,
}  # fmt: skip

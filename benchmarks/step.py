"""Where a training step's time goes, beside the least it could take, in a table and a picture.

    python -m benchmarks.step [--out FILE] [--picture FILE] [--threads 2] [--only NAME]
    python -m benchmarks.step --waits      # two threads beside busy processes (waits.py)

Each network is timed part by part (medians), and the network's own time is divided among kinds of operation by torch's
profiler. A floor is the floating-point operations over what this machine reaches on a large matrix product, or the bytes
that must be moved (each input read once, each output written once) over what it reaches on a large copy.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from benchmarks.measure import (
    RESULTS,
    ROOT,
    arguments_of,
    copy_rate,
    foreign_share,
    machine,
    median_of,
    noise_images,
    on_device,
    operations_of,
    processor_time,
    product_rate,
    table,
    write,
)
from benchmarks.waits import compare_waits
from study.cli.command import run_command
from study.config.device import choose_device
from study.config.load import load_config
from vicreg.data.dataset import Dataset
from vicreg.errors import InputError
from vicreg.methods.base import Loss
from vicreg.methods.vicreg import VICRegSettings, vicreg_loss
from vicreg.models.live_taps import LiveTapConv2d
from vicreg.training.batches import epoch_of_views
from vicreg.training.dry_pass import compact_dead_taps
from vicreg.training.memory import keep_freed_memory, place
from vicreg.training.settings import PretrainSettings
from vicreg.training.setup import make_optimizer, new_model, set_deterministic
from vicreg.training.step import TrainStep, step_metrics

SIDE = 32  # pixels, of the views
STEPS = 4  # whose views are timed together, as an epoch makes them
FLOAT = 4  # bytes


class Network(NamedTuple):
    """One row of the picture: what it is called, the profile it starts from, what differs, its convolutions and images."""

    name: str
    profile: str
    changes: dict[str, Any]
    plain: bool = False
    channels: int = 3  # of an image, and its side in pixels; views are 32 pixels wide
    side: int = 32


_CIFAR = {"pretrain.stem": "cifar", "pretrain.batch_size": 64}
NETWORKS = (
    Network("digits profile: width 16, batch 64, 1 thread", "digits", {}, channels=1, side=8),
    Network("ResNet-18, imagenet stem, batch 256", "cifar10", {"pretrain.backbone": "resnet18", "pretrain.batch_size": 256}),
    Network(
        "the same, plain convolutions", "cifar10", {"pretrain.backbone": "resnet18", "pretrain.batch_size": 256}, plain=True
    ),
    Network("ResNet-18, cifar stem, batch 64", "cifar10", {"pretrain.backbone": "resnet18", **_CIFAR}),
)

# Kinds of operation in the order they are drawn, and how the profiler's names, in small letters, are told apart (the first
# that fits). `_SumsOfTaps`, `_Convolution` and `_Normalise` are our own, with their backward passes.
KINDS = {
    "convolutions": ("convolution", "conv2d", "_sumsoftaps"),
    "matrix products": ("mm", "linear", "bmm"),
    "BatchNorm": ("batch_norm", "batchnorm", "_normalise"),
    "ReLU, pooling, sums, copies": ("",),
}
OTHER_PARTS = ("views", "loss", "metrics", "optimizer")
COLOURS = ("#0072b2", "#56b4e9", "#e69f00", "#999999", "#009e73", "#cc79a7", "#f0e442", "#d55e00")


def main() -> int:
    parser = arguments_of("step", __doc__)
    parser.add_argument("--picture", type=Path, default=RESULTS / "step.svg")
    parser.add_argument("--waits", action="store_true", help="instead: two threads beside busy processes")
    parser.add_argument("--only", action="append", choices=[one.name for one in NETWORKS])
    arguments = parser.parse_args()
    if arguments.waits:
        return compare_waits(rounds=arguments.rounds, out=arguments.out)
    device = choose_device(arguments.device)
    if device.type != "cpu":
        raise InputError(
            f"--device must be cpu, whose operations alone are profiled, but got {device.type}; "
            "`python -m benchmarks.gpu --out OUT --only parts` times the parts of a step on a GPU."
        )
    before = processor_time()
    measured = {
        one.name: measure(one, threads=arguments.threads, rounds=arguments.rounds, device=device)
        for one in NETWORKS
        if not arguments.only or one.name in arguments.only
    }
    results = {"machine": machine(device), "networks": measured, "foreign_load": foreign_share(before, processor_time())}
    write(arguments.out or RESULTS / "step.json", results)
    for name, found in measured.items():
        print(f"\n{name}: {found['images_per_second']:,.0f} images/s")
        print(table(rows_of(found)))
    draw(measured, arguments.picture)
    print(f"\nothers used {results['foreign_load']:.0%} of this machine meanwhile; picture: {arguments.picture.name}")
    return 0


def measure(network: Network, *, threads: int, rounds: int, device: torch.device) -> dict[str, Any]:
    """Milliseconds of each part of one step, their floors, the network's kinds, and images a second of the whole step."""
    changes = {"pretrain.threads": threads} if network.profile == "cifar10" else {}
    settings = load_config(
        path=ROOT / "params.yaml", profile=network.profile, settings={**changes, **network.changes}
    ).pretrain
    set_deterministic(settings)
    keep_freed_memory()
    dataset = noise_images(network.side, count=STEPS * settings.batch_size, channels=network.channels)
    model = on_device(new_model(settings, dataset), device)
    if network.plain:
        with_plain_convolutions(model)
    compact_dead_taps(model, settings, dataset)  # of `LiveTapConv2d`, which plain ones are not
    step = TrainStep(settings, model, make_optimizer(settings, model), device=device)
    functions = parts_of(settings, dataset, step, size=SIDE, device=device)
    whole = functions.pop("step")
    milliseconds = {name: 1000 * median_of(one, device=device, repeats=rounds) for name, one in functions.items()}
    milliseconds["views"] /= STEPS
    seconds = median_of(whole, device=device, repeats=rounds) + milliseconds["views"] / 1000
    return {
        "threads": settings.threads,
        "milliseconds": milliseconds,
        "floors": floors_of(settings, step, functions["network"], device=device),
        "kinds": kinds_of(functions["network"], milliseconds["network"]),
        "images_per_second": settings.batch_size / seconds,
    }


def parts_of(
    settings: PretrainSettings, dataset: Dataset, step: TrainStep, *, size: int, device: torch.device
) -> dict[str, Callable[[], Any]]:
    """A function for each part of a step: `views` makes those of `STEPS` steps, `size` pixels wide, and `step` all but the
    views."""
    images = place(dataset.train.images, device)

    def views() -> list[tuple[Tensor, ...]]:
        return list(epoch_of_views(settings, dataset, images, device=device, size=size, epoch=0, steps=STEPS))

    view, view_prime = views()[0]
    step.reset()
    step(view, view_prime, learning_rate=0.0)  # gradients and the optimiser's state are there from now on
    z, z_prime = (torch.randn(len(view), settings.embedding_dimension, device=device, requires_grad=True) for _ in range(2))
    own = settings.method_settings
    assert isinstance(own, VICRegSettings), "the step that is timed is VICReg's"
    coefficients = own.coefficients(settings.embedding_dimension)
    terms = vicreg_loss(z, z_prime, coefficients=coefficients, check_finite=False)

    named = {name: getattr(terms, name) for name in step.model.TERMS}
    measured = Loss(total=terms.total.detach(), terms=named, embeddings=z.detach())

    def network() -> None:
        step.optimizer.zero_grad(set_to_none=True)
        pair = step.model.embed_views(view, view_prime, passes=settings.view_passes)
        torch.autograd.backward(pair, [torch.ones_like(one) for one in pair])

    def loss() -> None:
        vicreg_loss(z, z_prime, coefficients=coefficients, check_finite=False).total.backward()

    return {
        "views": views,
        "network": network,
        "loss": loss,
        "metrics": lambda: step_metrics(
            measured,
            step.model,
            target_std=step.model.target_std,
            gradient_norm=getattr(step.optimizer, "gradient_norm", None),
        ),
        "optimizer": step.optimizer.step,
        "step": lambda: step(view, view_prime, learning_rate=0.0),
    }


def with_plain_convolutions(model: nn.Module) -> nn.Module:
    """The same network without `LiveTapConv2d`'s shortcut."""
    for layer in model.modules():
        if isinstance(layer, LiveTapConv2d):
            layer.__class__ = nn.Conv2d  # type: ignore[assignment]  # its state is that of its base class
    return model


def floors_of(
    settings: PretrainSettings, step: TrainStep, network: Callable[[], Any], *, device: torch.device
) -> dict[str, float]:
    """The least milliseconds of views, network, loss and optimiser at this machine's measured ceilings."""
    operations, moved = product_rate(device), copy_rate(device)
    weights = sum(parameter.numel() for parameter in step.model.parameters())
    n, d = settings.batch_size, settings.embedding_dimension
    smaller = min(n, d)
    pixels = n * SIDE**2 * step.model.backbone.conv1.in_channels
    return {
        "views": 1000 * 2 * pixels * (1 + FLOAT) / moved,  # a byte read and a float written, for each view
        "network": 1000 * operations_of(network) / operations,
        "loss": 1000 * 2 * 2 * (2 * n * d * smaller) / operations,  # two products for each view
        "optimizer": 1000 * 5 * FLOAT * weights / moved,  # weight, gradient and buffer read, weight and buffer written
    }


def kinds_of(network: Callable[[], Any], milliseconds: float) -> dict[str, float]:
    """`milliseconds` of the network, divided among `KINDS` as the profiler divides its operations' own time."""
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        network()
    own = dict.fromkeys(KINDS, 0.0)
    for event in profiled.key_averages():
        if "sidebyside" not in event.key.lower():  # whose own time is this thread's wait for the other's view
            own[kind_of(event.key)] += event.self_cpu_time_total
    return {kind: milliseconds * value / sum(own.values()) for kind, value in own.items()}


def kind_of(operation: str) -> str:
    """The one of `KINDS` that an operation belongs to, by the profiler's name of it."""
    name = operation.lower()
    return next(kind for kind, words in KINDS.items() if any(word in name for word in words))


def rows_of(found: dict[str, Any]) -> list[dict[str, str]]:
    """A row a part for `table`."""
    rows = []
    for name, value in found["milliseconds"].items():
        floor = found["floors"].get(name)
        rows.append({"part": name, "ms": f"{value:.2f}", "floor, ms": "" if floor is None else f"{floor:.2f}"})
        if name == "network":
            rows += [{"part": f"  {kind}", "ms": f"{ms:.2f}", "floor, ms": ""} for kind, ms in found["kinds"].items()]
    return rows


def draw(measured: dict[str, Any], path: Path) -> None:
    """Each network a bar of its parts, as shares of the step of all; the floor of the whole as a line across it."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    matplotlib.rcParams["svg.hashsalt"] = "vicreg-study"
    figure, axes = plt.subplots(figsize=(8, 0.9 + 0.62 * len(measured)), layout="constrained")
    names = [*KINDS, *OTHER_PARTS]
    for row, found in enumerate(measured.values()):
        values = [*found["kinds"].values(), *(found["milliseconds"][part] for part in OTHER_PARTS)]
        total, start = sum(values), 0.0
        for name, value, colour in zip(names, values, COLOURS, strict=True):
            axes.barh(row, 100 * value / total, left=start, color=colour, height=0.55, label=name if row == 0 else None)
            start += 100 * value / total
        floor = 100 * sum(found["floors"].values()) / total
        label = "floor" if row == 0 else None
        axes.plot([floor, floor], [row - 0.36, row + 0.36], color="black", linewidth=1.6, label=label)
        text = f"{total:,.0f} ms, {found['images_per_second']:,.0f} images/s"
        axes.text(101, row, text, va="center", fontsize=8)
    labels = [name.replace(": ", "\n").replace(", batch", "\nbatch") for name in measured]
    axes.set_yticks(range(len(measured)), labels, fontsize=8)
    axes.set(xlim=(0, 100), xlabel="share of a step's time, %")
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper left", ncols=5, fontsize=8, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    run_command(main)

"""Training: images a second of our loop against lightly's with the same network, batch, arithmetic and images.

    python -m benchmarks.peers [--stem imagenet|cifar] [--batch 256] [--backbone resnet18] [--threads 2] [--out FILE]

lightly's loop is that of its documentation (docs.lightly.ai, "VICReg"), with its transform, head, loss and LARS. Ours is
`vicreg.training.loop.train_epoch` with the settings of params.yaml. Both train on random 32 x 32 images in float32 without
TF32, in torch's deterministic kernels, with views of the paper's kind and BatchNorm of each view by itself. Each has a
process of its own, as its user would run it, so that what `pretrain` asks of the allocator is not asked for lightly; while
one trains, the other waits.

A round is one epoch of `--steps` steps of each loop, and holds all of the epoch's work: lightly's workers are kept, but
begin with the epoch and have nothing left to do at its end. So lightly waits for its first batch as it does in every epoch;
with few steps that weighs more than in a long one, which is why the ratio without that wait is given too (it flatters
lightly by the batches made meanwhile). Steps are best a multiple of the workers.
"""

import dataclasses
import multiprocessing
import os
import signal
import time
from contextlib import ExitStack
from multiprocessing.connection import Connection
from statistics import median
from typing import Any, Self

import torch
from torch import nn

from benchmarks.augment import as_pil, loader_of
from benchmarks.measure import (
    RESULTS,
    ROOT,
    Measured,
    alternate,
    arguments_of,
    installed,
    machine,
    noise_images,
    on_device,
    table,
    write,
)
from study.cli.arguments import positive
from study.cli.command import run_command
from study.config.device import choose_device
from study.config.load import load_config
from vicreg.data.dataset import Dataset
from vicreg.errors import InputError
from vicreg.methods.vicreg import VICRegSettings
from vicreg.optim.learning_rate import peak_learning_rate
from vicreg.torchvision_compat import torchvision
from vicreg.training.cuda_graph import GraphedStep
from vicreg.training.dry_pass import compact_dead_taps
from vicreg.training.loop import train_epoch
from vicreg.training.memory import keep_freed_memory, place
from vicreg.training.settings import PretrainSettings
from vicreg.training.setup import make_optimizer, new_model, set_deterministic
from vicreg.training.step import TrainStep

SIDE = 32  # pixels
EXPANDER = (2048, 2048, 2048)  # the source paper's
STEPS = {"imagenet": 4, "cifar": 2}  # on a CPU, where a step of the cifar stem takes several times as long
WORKERS = 2  # of lightly's loader on a CPU, beside torch's threads; on a GPU the CPU has nothing else to do
OURS, LIGHTLY = "ours", "lightly"


def main() -> int:
    parser = arguments_of("peers", __doc__)
    parser.add_argument("--stem", default="imagenet", choices=tuple(STEPS))
    parser.add_argument("--backbone", default="resnet18", choices=("resnet18", "resnet34", "resnet50"))
    parser.add_argument("--batch", type=positive, default=256)
    parser.add_argument("--steps", type=positive, help="in a round; by default 4 (cifar: 2), on a GPU 4 for each worker")
    parser.add_argument("--workers", type=positive, help="of lightly's loader; by default 2, on a GPU one for each core")
    arguments = parser.parse_args()
    device = choose_device(arguments.device)
    on_gpu = device.type == "cuda"
    workers = arguments.workers or (os.cpu_count() or 1 if on_gpu else WORKERS)
    steps = arguments.steps or (4 * workers if on_gpu else STEPS[arguments.stem])
    results = compare(
        stem=arguments.stem, backbone=arguments.backbone, batch=arguments.batch, steps=steps, rounds=arguments.rounds,
        threads=arguments.threads, workers=workers, device=device,
    )  # fmt: skip
    write(arguments.out or RESULTS / f"peers-{arguments.stem}.json", results)
    print(table(results["rows"]))
    wait, ratio = results["lightly_first_batch_seconds"], results["times_lightly_without_its_first_wait"]
    print(f"lightly waits {wait:.2f} s a round for its first batch; without that wait ours is {ratio:.2f} times as fast")
    return 0


def compare(
    *, stem: str, backbone: str, batch: int, steps: int, rounds: int, threads: int, workers: int, device: torch.device
) -> dict[str, Any]:
    """Times both loops in alternating rounds.

    Raises:
        InputError: where lightly is not installed.
    """
    if not installed("lightly"):
        raise InputError("lightly is not installed; install benchmarks/requirements.txt, or time ours by benchmarks.gpu.")
    settings = settings_of(stem=stem, backbone=backbone, batch=batch, epochs=rounds + 1, threads=threads)
    set_deterministic(settings)
    images = batch * steps
    with ExitStack() as stack:
        ours = stack.enter_context(Elsewhere(OurLoop, settings, images, device=device))
        lightlys = stack.enter_context(Elsewhere(LightlyLoop, settings, images, workers=workers, device=device))
        measured = alternate({OURS: ours, LIGHTLY: lightlys}, reference=LIGHTLY, repeats=rounds)
    waits = lightlys.replies[1:]  # the first is that of the round that warms up, and holds the workers' start
    return {
        "machine": machine(device, packages=("torchvision", "lightly", "pillow")),
        "settings": {"steps": steps, "workers": workers, "pretrain": dataclasses.asdict(settings)},
        "parameters": {OURS: ours.parameters, LIGHTLY: lightlys.parameters},
        "images_per_second": {name: images / measured.median(name) for name in (OURS, LIGHTLY)},
        "lightly_first_batch_seconds": median(waits),
        "times_lightly_without_its_first_wait": ratio_without(waits, measured),
        "measured": measured.to_dict(),
        "rows": measured.rows(work=images, unit="images"),
    }


def ratio_without(waits: list[float], measured: Measured) -> float:
    """How many times as fast ours is where lightly is spared its wait for the first batch: the median over rounds."""
    both = zip(measured.seconds[OURS], measured.seconds[LIGHTLY], waits, strict=True)
    return median((lightlys - wait) / ours for ours, lightlys, wait in both)


def settings_of(*, stem: str, backbone: str, batch: int, epochs: int, threads: int) -> PretrainSettings:
    """params.yaml's recipe with the network, the batch and the views that both loops have."""
    return load_config(
        path=ROOT / "params.yaml",
        profile="cifar10",
        settings={
            "pretrain.backbone": backbone,
            "pretrain.stem": stem,
            "pretrain.width": 64,
            "pretrain.expander": list(EXPANDER),
            "pretrain.image_size": None,
            "pretrain.batch_size": batch,
            "pretrain.epochs": epochs,
            "pretrain.warmup_epochs": 0,
            "pretrain.precision": "float32",
            "pretrain.threads": threads,
            "pretrain.augmentation.preset": "paper",
        },
    ).pretrain


def parameters_of(model: nn.Module) -> int:
    """How many numbers a network learns."""
    return sum(parameter.numel() for parameter in model.parameters())


class Elsewhere:
    """A loop in a process of its own: a call trains one epoch there, and what the loop returned is added to `replies`."""

    def __init__(self, loop: type, settings: PretrainSettings, images: int, **arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        self._process = context.Process(target=_train_when_told, args=(other, loop, settings, images, arguments))
        self._process.start()
        other.close()
        self.parameters: int = self._reply()
        self.replies: list[Any] = []

    def __call__(self) -> None:
        self.replies.append(self._reply(say=True))

    def _reply(self, *, say: bool = False) -> Any:
        try:
            if say:
                self._connection.send(True)
            return self._connection.recv()
        except (EOFError, OSError):
            self._process.join()
            raise RuntimeError(f"a loop ended with exit status {self._process.exitcode}; what it said is above") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()  # which its process takes for the end
        self._process.join()


def _train_when_told(
    connection: Connection, loop: type, settings: PretrainSettings, images: int, arguments: dict[str, Any]
) -> None:
    """The other process: an epoch for each message, answered with what it returned, until the connection closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of Ctrl-C the other end tells, by closing the connection
    torch.manual_seed(0)  # of lightly's weights and views; they are drawn from torch's global state
    set_deterministic(settings)
    train = loop(settings, noise_images(SIDE, count=images), **arguments)
    connection.send(parameters_of(train.model))
    while True:
        try:
            connection.recv()
        except EOFError:
            return
        reply = train()
        if arguments["device"].type == "cuda":
            torch.cuda.synchronize()
        try:
            connection.send(reply)
        except OSError:  # nobody waits any more
            return


class OurLoop:
    """An epoch of ours at each call, as `vicreg.training.loop.pretrain` trains it."""

    def __init__(self, settings: PretrainSettings, dataset: Dataset, *, device: torch.device) -> None:
        keep_freed_memory()  # as `pretrain` does
        self.model = on_device(new_model(settings, dataset), device)
        compact_dead_taps(self.model, settings, dataset)
        self.step: TrainStep | GraphedStep = TrainStep(
            settings, self.model, make_optimizer(settings, self.model), device=device
        )
        self.images = place(dataset.train.images, device)
        self.settings, self.dataset, self.device = settings, dataset, device
        self.steps = len(self.images) // settings.batch_size
        self.epoch = 0

    def __call__(self) -> None:
        _, self.step = train_epoch(
            self.settings, self.dataset, self.step, self.images, device=self.device, epoch=self.epoch, steps=self.steps
        )
        self.epoch += 1


class LightlyModel(nn.Module):
    """The network of lightly's documentation, with our expander's three layers: the batch's embeddings (N, 2048)."""

    def __init__(self, backbone: str, stem: str) -> None:
        super().__init__()
        from lightly.models.modules.heads import VICRegProjectionHead

        resnet = getattr(torchvision.models, backbone)()
        if stem == "cifar":
            resnet.conv1 = nn.Conv2d(3, 64, kernel_size=3, stride=1, padding=1, bias=False)
            resnet.maxpool = nn.Identity()
        self.backbone = nn.Sequential(*list(resnet.children())[:-1])
        self.projection_head = VICRegProjectionHead(
            input_dim=resnet.fc.in_features, hidden_dim=EXPANDER[0], output_dim=EXPANDER[-1], num_layers=len(EXPANDER)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.backbone(x).flatten(start_dim=1)
        return self.projection_head(x)


class LightlyLoop:
    """An epoch of lightly's loop at each call, which returns the seconds until its first batch."""

    def __init__(self, settings: PretrainSettings, dataset: Dataset, *, workers: int, device: torch.device) -> None:
        from lightly.loss import VICRegLoss
        from lightly.models.utils import get_weight_decay_parameters
        from lightly.transforms import VICRegTransform
        from lightly.utils.lars import LARS

        self.model, self.device = LightlyModel(settings.backbone, settings.stem).to(device), device
        transform = VICRegTransform(input_size=SIDE)
        images = as_pil(dataset.train.images)
        self.loader = loader_of(images, transform, batch=settings.batch_size, workers=workers)
        own = settings.method_settings
        assert isinstance(own, VICRegSettings), "the peer's loss is VICReg's"
        self.criterion = VICRegLoss(lambda_param=own.lambda_, mu_param=own.mu, nu_param=own.nu)
        # As lightly's own benchmark of VICReg has it; the same parameters are left out of decay and adaptation as in ours.
        decayed, others = get_weight_decay_parameters([self.model.backbone, self.model.projection_head])
        self.optimizer = LARS(
            [{"params": decayed}, {"params": others, "weight_decay": 0.0}],
            lr=peak_learning_rate(base_lr=settings.base_lr, batch_size=settings.batch_size),
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
        )

    def __call__(self) -> float:
        started = time.perf_counter()
        total_loss = 0.0
        for number, ((x0, x1), _) in enumerate(self.loader):
            if number == 0:
                waited = time.perf_counter() - started
            x0, x1 = x0.to(self.device), x1.to(self.device)
            z0 = self.model(x0)
            z1 = self.model(x1)
            loss = self.criterion(z0, z1)
            total_loss += loss.detach()
            loss.backward()
            self.optimizer.step()
            self.optimizer.zero_grad()
        return waited


if __name__ == "__main__":
    run_command(main)

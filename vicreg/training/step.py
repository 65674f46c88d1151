"""One step of training: two views -> embeddings -> loss -> gradients -> optimiser; eager, or captured as a CUDA graph.

Nothing in a step waits for the device: the learning rate is a tensor that a step reads, and the numbers a log wants are
summed on the device and read once an epoch.
"""

from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from vicreg.methods.vicreg import LossTerms, vicreg_loss
from vicreg.models.joint_embedding import VICRegModel
from vicreg.training.settings import PretrainSettings

STEP_METRICS = (
    "total", "invariance", "variance", "covariance", "gradient_norm",
    "embedding_std_mean", "embedding_std_min", "embedding_share_below_gamma",
)  # fmt: skip

_WARM_UP = 3  # steps before a capture, as torch's notes on CUDA graphs ask: libraries allocate and choose in the first ones


class TrainStep:
    """A step as it is written: call it with two views and a learning rate.

    `totals` holds the sum of `STEP_METRICS` over the steps since `reset`, float64, on the device.
    """

    def __init__(
        self, settings: PretrainSettings, model: VICRegModel, optimizer: torch.optim.Optimizer, *, device: torch.device
    ) -> None:
        self.model, self.optimizer = model, optimizer
        self.totals = torch.zeros(len(STEP_METRICS), dtype=torch.float64, device=device)
        self._settings, self._device = settings, device
        self._coefficients = settings.coefficients
        self._embed = model.embed_views
        if settings.compile:
            # What an earlier run of this process compiled must neither be used for other shapes nor use up the number of
            # variants torch keeps, beyond which it falls back to the eager step without an error.
            torch._dynamo.reset()
            self._embed = torch.compile(model.embed_views, dynamic=False)
        self._learning_rate = torch.zeros((), device=device)
        for group in optimizer.param_groups:
            group["lr"] = self._learning_rate

    def __call__(self, view: Tensor, view_prime: Tensor, *, learning_rate: float) -> None:
        self._learning_rate.fill_(learning_rate)
        self.run(view, view_prime)

    def run(self, view: Tensor, view_prime: Tensor) -> None:
        """The step at the learning rate last given: no value in it is read by the host."""
        settings = self._settings
        with _autocast(settings, self._device):
            z, z_prime = self._embed(view, view_prime, passes=settings.view_passes)
        terms = vicreg_loss(
            z, z_prime, coefficients=self._coefficients, gamma=settings.gamma, epsilon=settings.epsilon, check_finite=False
        )
        self.optimizer.zero_grad(set_to_none=True)
        terms.total.backward()
        self.totals += step_metrics(terms, z, self.model, gamma=settings.gamma)
        self.optimizer.step()

    def reset(self) -> None:
        """Starts an epoch: training mode, and nothing summed."""
        self.model.train()
        self.totals.zero_()


class GraphedStep:
    """The same step captured once as a CUDA graph and replayed: the same kernels, without the cost of launching each.

    A batch of another size than the captured one, the short last of an epoch, takes the eager step.
    """

    def __init__(self, step: TrainStep, view: Tensor, view_prime: Tensor) -> None:
        self._step = step
        self._view, self._view_prime = torch.empty_like(view), torch.empty_like(view_prime)
        self._view.copy_(view)
        self._view_prime.copy_(view_prime)
        before = snapshot(step)
        stream = torch.cuda.Stream(view.device)
        stream.wait_stream(torch.cuda.current_stream(view.device))
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UP):
                step.run(self._view, self._view_prime)
        torch.cuda.current_stream(view.device).wait_stream(stream)
        step.optimizer.zero_grad(set_to_none=True)  # so that gradients are allocated in the graph's own memory
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            step.run(self._view, self._view_prime)
        restore(step, before)

    @property
    def totals(self) -> Tensor:
        return self._step.totals

    @property
    def model(self) -> VICRegModel:
        return self._step.model

    def __call__(self, view: Tensor, view_prime: Tensor, *, learning_rate: float) -> None:
        if view.shape != self._view.shape:
            self._step(view, view_prime, learning_rate=learning_rate)
            return
        self._step._learning_rate.fill_(learning_rate)
        self._view.copy_(view)
        self._view_prime.copy_(view_prime)
        self._graph.replay()

    def reset(self) -> None:
        self._step.reset()


def snapshot(step: TrainStep) -> dict[str, Any]:
    """Copies of all that a step changes."""
    return {
        "model": {name: value.detach().clone() for name, value in step.model.state_dict().items()},
        "optimizer": {
            parameter: {name: value.clone() for name, value in state.items() if isinstance(value, Tensor)}
            for parameter, state in step.optimizer.state.items()
        },
        "totals": step.totals.clone(),
    }


@torch.no_grad()
def restore(step: TrainStep, before: dict[str, Any]) -> None:
    """Puts a snapshot back in place, where a captured graph looks for it. What the optimiser has made since then is set
    to 0, which is where its first step starts from."""
    for name, value in step.model.state_dict().items():
        value.copy_(before["model"][name])
    for parameter, state in step.optimizer.state.items():
        earlier = before["optimizer"].get(parameter, {})
        for name, value in state.items():
            if isinstance(value, Tensor):
                value.copy_(earlier[name]) if name in earlier else value.zero_()
    step.totals.copy_(before["totals"])


@torch.no_grad()
def step_metrics(terms: LossTerms, z: Tensor, model: nn.Module, *, gamma: float) -> Tensor:
    """The numbers of `STEP_METRICS` for one step, (8,) float64, left on the device.

    The three terms in the official code's units, unweighted; the L2 norm of the whole gradient; and the standard
    deviation of each embedding dimension over this batch of the first view: its mean, its minimum, and the share of
    dimensions below gamma, which is where the variance term acts.
    """
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    norm = torch.stack(torch._foreach_norm(gradients)).norm()
    std = z.float().std(dim=0)  # (d,)
    below = (std < gamma).float().mean()
    values = (terms.total, terms.invariance, terms.variance, terms.covariance, norm, std.mean(), std.min(), below)
    return torch.stack([value.float() for value in values]).double()


def _autocast(settings: PretrainSettings, device: torch.device) -> Any:
    if settings.precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)

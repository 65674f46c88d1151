"""One step of training: views -> loss -> gradients -> optimiser.

Nothing in a step waits for the device. It reads the learning rate and the progress from tensors. It sums the metrics for
the log on the device, and they are read once an epoch. On a GPU it is captured as a CUDA graph (`cuda_graph.py`).
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from vicreg.distributed.collectives import gather_rows, group_size, sum_gradients
from vicreg.methods.base import Loss, Method
from vicreg.methods.batch_statistics import centre, column_variances
from vicreg.optim.learning_rate import peak_learning_rate
from vicreg.optim.rates import own_tensors, set_rates
from vicreg.training.rounded_weights import RoundedWeights
from vicreg.training.settings import PretrainSettings


def step_metric_names(method: Method | type[Method]) -> tuple[str, ...]:
    """Return the names of the numbers that `step_metrics` returns, in order."""
    return (
        "total", *method.TERMS, "gradient_norm",
        "embedding_std_mean", "embedding_std_min", "embedding_share_below_gamma",
    )  # fmt: skip


class TrainStep:
    """An eager training step: call it with the views of a batch, a learning rate and the progress.

    `totals` holds the sums of the step's metrics since `reset`, float64, on the device.

    Args:
        settings: of the run: its precision, and whether networks are compiled.
        model: in training mode after `reset`.
        optimizer: of the model's parameters; its learning rate becomes a tensor.
        device: where the model is.
    """

    def __init__(
        self, settings: PretrainSettings, model: Method, optimizer: torch.optim.Optimizer, *, device: torch.device
    ) -> None:
        self.model, self.optimizer = model, optimizer
        self.totals = torch.zeros(len(step_metric_names(model)), dtype=torch.float64, device=device)
        self._precision, self._device = settings.precision, device
        rounds = settings.precision == "bfloat16" and device.type == "cpu" and not (settings.compile or settings.distributed)
        self._rounded = RoundedWeights(model, optimizer) if rounds else None
        if settings.compile:
            model.compile_networks()
        self._learning_rate = torch.zeros((), device=device)
        self._progress = torch.zeros((), device=device)
        for group in optimizer.param_groups:
            group["lr"] = self._learning_rate
        if model.OWN_RATES:
            own_tensors(optimizer)
            self._peak = peak_learning_rate(
                base_lr=settings.base_lr, batch_size=settings.lr_batch_size or settings.batch_size
            )

    def __call__(self, *views: Tensor, learning_rate: float, progress: float = 0.0) -> None:
        """Take a step on views (N, C, H, W); `progress` is the share of training done, in [0, 1]."""
        self.set_course(learning_rate=learning_rate, progress=progress)
        self.run(views)

    def set_course(self, *, learning_rate: float, progress: float) -> None:
        """Set the learning rate and the share of training done, in [0, 1], of the next step."""
        self._learning_rate.fill_(learning_rate)
        self._progress.fill_(progress)
        if self.model.OWN_RATES:
            set_rates(self.optimizer, learning_rate, self._peak)

    def run(self, views: Sequence[Tensor]) -> None:
        """Take a step at the learning rate last set. The host reads no value in it, so a CUDA graph can hold it."""
        networks = self.model if self._rounded is None else self._rounded
        with self._autocast():
            loss = networks.loss(views, progress=self._progress)
        self.optimizer.zero_grad(set_to_none=True)
        if self.model.distributed:
            loss = differentiate_over_processes(loss, self.model)
        else:
            loss.total.backward()
        (self.optimizer if self._rounded is None else self._rounded).step()
        norm = getattr(self.optimizer, "gradient_norm", None)  # LARS may have found it on its way
        self.totals += step_metrics(loss, self.model, target_std=self.model.target_std, gradient_norm=norm)
        self.model.after_step(progress=self._progress)

    def reset(self) -> None:
        """Start an epoch: set training mode, and the sums to 0."""
        self.model.train()
        self.totals.zero_()

    def round_weights(self) -> None:
        """Make the step use weights that were changed from outside, where it has copies of them."""
        if self._rounded is not None:
            self._rounded.round()

    def _autocast(self) -> AbstractContextManager[object]:
        if self._precision == "float32":
            return nullcontext()
        return torch.autocast(self._device.type, dtype=torch.bfloat16)


def differentiate_over_processes(loss: Loss, model: Method) -> Loss:
    """Set the gradients of the whole batch's loss, the same in every process; return the loss for `step_metrics`.

    The loss of the batch is the mean of what the processes return, and all of them return it whole.
    """
    (loss.total / group_size()).backward()
    sum_gradients(model.parameters())
    return loss._replace(embeddings=gather_rows(loss.embeddings)) if model.GATHERS == "statistics" else loss


@torch.no_grad()
def step_metrics(loss: Loss, model: nn.Module, *, target_std: float | None, gradient_norm: Tensor | None = None) -> Tensor:
    """Return the metrics of one step that `step_metric_names` names, float64, on the device.

    They are the total, the method's terms, unweighted, and the L2 norm of the whole gradient. Three more are of the standard
    deviations of the first view's embedding dimensions over the batch: mean, minimum, and share below `target_std`. Below
    it VICReg's variance term acts. The share is 0 where the method has no such target.

    The gradient's norm is computed where it is not given.
    """
    if gradient_norm is None:
        gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
        gradient_norm = torch.stack(torch._foreach_norm(gradients)).norm()
    std = column_variances(centre(loss.embeddings)).sqrt()  # (d,)
    below = (std < (target_std or 0.0)).float().mean()
    values = (loss.total, *loss.terms.values(), gradient_norm, std.mean(), std.min(), below)
    return torch.stack([value.float() for value in values]).double()

"""What a run starts with: normalisation, model, optimiser, schedule, arithmetic."""

import dataclasses
import functools
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from vicreg.data.dataset import Dataset
from vicreg.data.statistics import channel_statistics
from vicreg.errors import InputError
from vicreg.methods import method_class
from vicreg.methods.base import Method
from vicreg.models.compact_taps import joined_parameters
from vicreg.models.joint_embedding import build_model
from vicreg.optim.lars import LARS
from vicreg.optim.learning_rate import learning_rate, peak_learning_rate
from vicreg.optim.rates import split_by_rate
from vicreg.randomness import make_generator
from vicreg.training.settings import PretrainSettings

# Mean and standard deviation of ImageNet's channels. Networks trained on ImageNet expect pixels normalised by these
# (pytorch.org/vision, models; the VICReg authors' evaluate.py).
_IMAGENET_STATISTICS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def normalised(settings: PretrainSettings, dataset: Dataset) -> Dataset:
    """Return the data set with the channel statistics that the settings normalise pixels by; images are unchanged.

    For `data` they are those of the images that are trained on.

    Raises:
        InputError: for `imagenet`, where images do not have three channels.
    """
    if settings.normalisation == "data":
        if not settings.trains_on_all:
            return dataset
        mean, std = _statistics_of_all(dataset)
        return dataclasses.replace(dataset, mean=mean, std=std)
    if (channels := dataset.train.images.shape[1]) != 3:
        raise InputError(
            f"pretrain.normalisation imagenet is for images of 3 channels, but {dataset.name} has {channels}; "
            "set it to data."
        )
    mean, std = _IMAGENET_STATISTICS
    return dataclasses.replace(dataset, mean=mean, std=std)


@functools.lru_cache(maxsize=2)
def _statistics_of_all(dataset: Dataset) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of each channel of train and validation together, once for a data set."""
    return channel_statistics(torch.cat([dataset.train.images, dataset.validation.images]))


def training_images(settings: PretrainSettings, dataset: Dataset) -> Tensor:
    """Return the images that are trained on, uint8 (N, C, H, W): the train split, with validation behind it for `all`."""
    if settings.trains_on_all:
        return torch.cat([dataset.train.images, dataset.validation.images])
    return dataset.train.images


def training_labels(settings: PretrainSettings, dataset: Dataset) -> Tensor:
    """Return the labels (N,), int64, of `training_images`."""
    if settings.trains_on_all:
        return torch.cat([dataset.train.labels, dataset.validation.labels])
    return dataset.train.labels


def training_count(settings: PretrainSettings, dataset: Dataset) -> int:
    """Return the number of images that are trained on."""
    return len(dataset.train.labels) + (len(dataset.validation.labels) if settings.trains_on_all else 0)


def check_fit(settings: PretrainSettings, dataset: Dataset) -> None:
    """Refuse settings that no run on this data set can have. Nothing is built, so it takes no time.

    Raises:
        InputError: for a normalisation or a batch size that does not suit the images, or the method.
    """
    normalised(settings, dataset)
    images = training_count(settings, dataset)
    steps_per_epoch(settings, images)
    if settings.epochs > 0:
        full, rest = divmod(images, settings.batch_size)
        sizes = [settings.batch_size] * (full > 0) + [rest] * (rest > 1 and not settings.drop_last)
        for size in sizes:
            settings.method_settings.check_batch(size)
    if settings.distributed:
        check_last_batch(settings, images)


def check_last_batch(settings: PretrainSettings, images: int) -> None:
    """Refuse a short last batch of an epoch of so many images that the settings' processes cannot share equally.

    Raises:
        InputError: where it is no multiple of their number, or gives one of them less than two images.
    """
    rest, count = images % settings.batch_size, settings.processes
    if not settings.drop_last and rest > 1 and (rest % count or rest < 2 * count):
        raise InputError(
            f"pretrain.drop_last must be true where pretrain.processes, {count}, cannot share the last batch of an epoch, "
            f"but it is false and that batch has {rest} images; set it so."
        )


def new_model(settings: PretrainSettings, dataset: Dataset, *, start: Mapping[str, Tensor] | None = None) -> Method:
    """Return the model that a run starts from, on the CPU.

    Its weights depend on the settings of the network and the seed alone. Where `start`, a state dict of the backbone, is
    given, the backbone's are those.
    """
    generator = make_generator(settings.seed, "weights")
    model = build_model(
        architecture=settings.backbone,
        stem=settings.stem,
        width=settings.width,
        in_channels=dataset.train.images.shape[1],
        expander=settings.expander,
        batchnorm=settings.expander_batchnorm,
        generator=generator,
        zero_init_residual=settings.zero_init_residual,
        make=method_class(settings.method),
        settings=settings.method_settings,
        view_passes=settings.view_passes,
    )
    if model.WANTS_LABELS:
        model.set_classes(len(dataset.classes), generator)
    if start is not None:
        model.backbone.load_state_dict(dict(start))
    model.reset_state(generator)
    return model


def make_optimizer(settings: PretrainSettings, model: nn.Module) -> torch.optim.Optimizer:
    """Return LARS, SGD or AdamW for a model's parameters, with a learning rate of 0 until a step sets it.

    Parameters of one dimension (biases, BatchNorm) have no weight decay unless the settings say so. All three can read
    their learning rate from a tensor on the device, so a CUDA graph can hold them.
    """
    optimizer = _one_rate_for_all(settings, list(model.parameters()), joined_parameters(model))
    if model.OWN_RATES:
        split_by_rate(optimizer, model.parameter_groups())  # type: ignore[operator]  # a method's
    return optimizer


def _one_rate_for_all(
    settings: PretrainSettings, parameters: list[Tensor], joined: dict[Tensor, Tensor]
) -> torch.optim.Optimizer:
    """Return the optimiser of parameters, of which some are `joined`: weight -> the parameter of its dead taps."""
    if settings.optimizer == "lars":
        return LARS(
            parameters,
            lr=0.0,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
            eta=settings.lars_eta,
            decay_bias_and_norm=settings.decay_bias_and_norm,
            adapt_bias_and_norm=settings.adapt_bias_and_norm,
            lars_clip=settings.lars_clip,
            nesterov=settings.nesterov,
            joined=joined,
        )
    decayed = [p for p in parameters if p.ndim > 1 or settings.decay_bias_and_norm]
    others = [p for p in parameters if not (p.ndim > 1 or settings.decay_bias_and_norm)]
    groups = [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimizer: torch.optim.Optimizer
    if settings.optimizer == "sgd":
        optimizer = torch.optim.SGD(groups, lr=0.0, momentum=settings.momentum, fused=True, nesterov=settings.nesterov)
    else:
        on_gpu = any(parameter.is_cuda for parameter in parameters)
        optimizer = torch.optim.AdamW(groups, lr=0.0, betas=(settings.momentum, 0.999), fused=True, capturable=on_gpu)
    if joined:
        optimizer.register_step_pre_hook(lambda *_: _set_gradients_of_0(joined))
    return optimizer


def _set_gradients_of_0(joined: dict[Tensor, Tensor]) -> None:
    """Give the parameters of dead taps, the values, a gradient of 0 where the live ones have a gradient."""
    for weight, dead_norm in joined.items():
        dead_norm.grad = None if weight.grad is None else torch.zeros_like(dead_norm)


def set_deterministic(settings: PretrainSettings) -> None:
    """Make the rounding of sums depend on the settings alone, for the rest of the process.

    On a CPU it sets the number of threads. On a GPU it turns off TF32, which has 10 bits for float32's 23, and the timing of
    kernels that chooses convolutions.
    """
    torch.set_num_threads(settings.threads)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False


def steps_per_epoch(settings: PretrainSettings, images: int) -> int:
    """Return the number of batches in an epoch of so many images.

    A short last batch counts unless the settings drop it. A last batch of one image is always dropped: it has no variance.

    Raises:
        InputError: where a run that trains has too few images for one batch.
    """
    full, rest = divmod(images, settings.batch_size)
    steps = full if settings.drop_last or rest < 2 else full + 1
    if steps == 0 and settings.epochs > 0:
        raise InputError(
            f"pretrain.batch_size must not exceed the number of training images, but got {settings.batch_size} and "
            f"{images}; lower it or set pretrain.drop_last to false."
        )
    return steps


def view_size(settings: PretrainSettings, images: Tensor) -> int:
    """Return the side of a view in pixels: the settings', or that of the images (N, C, H, W)."""
    return settings.image_size or images.shape[-1]


def learning_rates(settings: PretrainSettings, steps: int, epoch: int) -> list[float]:
    """Return the learning rate of each step of an epoch, counted from 0, of `steps` steps."""
    peak = peak_learning_rate(base_lr=settings.base_lr, batch_size=settings.lr_batch_size or settings.batch_size)
    return [
        learning_rate(
            step,
            steps_per_epoch=steps,
            epochs=settings.epochs,
            warmup_epochs=settings.warmup_epochs,
            peak_lr=peak,
            start_lr=settings.start_lr,
            end_lr=settings.end_lr,
        )
        for step in range(epoch * steps, (epoch + 1) * steps)
    ]

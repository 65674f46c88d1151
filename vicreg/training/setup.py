"""What a run starts from: its data's normalisation, model, optimiser, schedule and arithmetic."""

import dataclasses
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from vicreg.data.dataset import Dataset
from vicreg.errors import InputError
from vicreg.methods import method_class
from vicreg.methods.base import Method
from vicreg.models.joint_embedding import build_model
from vicreg.optim.lars import LARS
from vicreg.optim.learning_rate import learning_rate, peak_learning_rate
from vicreg.randomness import make_generator
from vicreg.training.settings import PretrainSettings

# Mean and standard deviation of ImageNet's channels, by which networks trained on it expect pixels to be normalised
# (pytorch.org/vision, models; the VICReg authors' evaluate.py).
_IMAGENET_STATISTICS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def normalised(settings: PretrainSettings, dataset: Dataset) -> Dataset:
    """The data set with the channel statistics that the settings ask pixels to be normalised by; its images stay.

    Raises:
        InputError: for ImageNet's, of three channels, where images have another number of them.
    """
    if settings.normalisation == "data":
        return dataset
    if (channels := dataset.train.images.shape[1]) != 3:
        raise InputError(
            f"pretrain.normalisation imagenet is for images of 3 channels, but {dataset.name} has {channels}; "
            "set it to data."
        )
    mean, std = _IMAGENET_STATISTICS
    return dataclasses.replace(dataset, mean=mean, std=std)


def new_model(settings: PretrainSettings, dataset: Dataset, *, start: Mapping[str, Tensor] | None = None) -> Method:
    """The model a run starts from: its weights depend on the settings' network and seed alone, but for the backbone's where
    `start`, a state dict of it, is given."""
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
    if start is not None:
        model.backbone.load_state_dict(dict(start))
    model.reset_state(generator)
    return model


def make_optimizer(settings: PretrainSettings, model: nn.Module) -> torch.optim.Optimizer:
    """LARS, SGD or AdamW; 1-d parameters (biases, BatchNorm) are left out of weight decay unless the settings say so.

    All three take their learning rate from a tensor without waiting for the device, so a graph can hold them."""
    if settings.optimizer == "lars":
        return LARS(
            model.parameters(),
            lr=0.0,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
            eta=settings.lars_eta,
            decay_bias_and_norm=settings.decay_bias_and_norm,
            adapt_bias_and_norm=settings.adapt_bias_and_norm,
        )
    decayed = [p for p in model.parameters() if p.ndim > 1 or settings.decay_bias_and_norm]
    others = [p for p in model.parameters() if not (p.ndim > 1 or settings.decay_bias_and_norm)]
    groups = [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}]
    if settings.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=0.0, momentum=settings.momentum, fused=True)
    on_gpu = any(parameter.is_cuda for parameter in model.parameters())
    return torch.optim.AdamW(groups, lr=0.0, betas=(settings.momentum, 0.999), fused=True, capturable=on_gpu)


def set_deterministic(settings: PretrainSettings) -> None:
    """Makes sums independent of everything but the settings: the CPU's threads, and on a GPU neither TF32 under the name
    of float32 (views and statistics are exact only without it) nor convolutions chosen by a race between kernels."""
    torch.set_num_threads(settings.threads)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False


def steps_per_epoch(settings: PretrainSettings, images: int) -> int:
    """Batches in an epoch; a short last batch counts unless `drop_last`, and a last batch of one image never does.

    Raises:
        InputError: if the training images do not fill one batch.
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
    """The side of a view in pixels: the settings' or the images' own."""
    return settings.image_size or images.shape[-1]


def learning_rates(settings: PretrainSettings, steps: int, epoch: int) -> list[float]:
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

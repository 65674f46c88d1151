"""Weights of others that runs start from, checked against the run's architecture."""

import functools

from vicreg.data.dataset import Dataset
from vicreg.errors import InputError
from vicreg.models.pretrained import Encoder, load_encoder
from vicreg.training.settings import PretrainSettings


def starting_weights(settings: PretrainSettings) -> Encoder | None:
    """Return the encoder that `pretrain.weights` names, or None where a run starts from its seed alone.

    Raises:
        InputError: if it cannot be had or read, or is of another architecture than the settings say.
    """
    if settings.weights is None:
        return None
    encoder = load_once(settings.weights)
    holds: dict[str, str | int] = {"backbone": encoder.backbone, "width": encoder.width}
    holds["stem"] = "cifar-padded" if encoder.border else encoder.stem
    for name, found in holds.items():
        wanted = getattr(settings, name)
        if wanted != found:
            raise InputError(
                f"pretrain.{name} must be that of pretrain.weights, but is {wanted}, and {settings.weights} holds {found}; "
                f"set pretrain.{name} to {found}."
            )
    return encoder


def fitting_weights(settings: PretrainSettings, dataset: Dataset) -> Encoder | None:
    """Return the encoder that a run starts from, if any, checked to be of a network for these images.

    Raises:
        InputError: as `starting_weights`, or where the images have another number of channels.
    """
    encoder, channels = starting_weights(settings), dataset.train.images.shape[1]
    if encoder is not None and encoder.in_channels != channels:
        raise InputError(
            f"pretrain.weights must be of a network for images of {channels} channels, as {dataset.name} has, but "
            f"{settings.weights} takes {encoder.in_channels}; choose other weights or images."
        )
    return encoder


@functools.cache
def load_once(source: str) -> Encoder:
    """Return the encoder of a name or path, read once a process; `load_once.cache_clear()` forgets them."""
    return load_encoder(source)

"""Weights of others that runs start from: read once, held against the run's architecture, known by their digest."""

import functools

from vicreg.errors import InputError
from vicreg.models.pretrained import Encoder, load_encoder
from vicreg.training.settings import PretrainSettings


def starting_weights(settings: PretrainSettings) -> Encoder | None:
    """The encoder that `pretrain.weights` names, or None where a run starts from its seed alone.

    Raises:
        InputError: if it cannot be had or read, or is of another architecture than the settings say.
    """
    if settings.weights is None:
        return None
    encoder = _load(settings.weights)
    holds = {"backbone": encoder.backbone, "width": encoder.width}
    holds["stem"] = "cifar-padded" if encoder.border else encoder.stem
    for name, found in holds.items():
        wanted = getattr(settings, name)
        if wanted != found:
            raise InputError(
                f"pretrain.{name} must be that of pretrain.weights, but is {wanted}, and {settings.weights} holds {found}; "
                f"set pretrain.{name} to {found}."
            )
    return encoder


@functools.cache
def _load(source: str) -> Encoder:
    return load_encoder(source)

"""Whatever is done to a file of weights, it is read or refused in one sentence that names it."""

import io
import logging
import math
import random
import warnings

import pytest
import safetensors.torch
import torch

from vicreg.errors import InputError
from vicreg.models.pretrained import load_encoder
from vicreg.models.resnet import ResNet

NAMES = [
    "",
    "\n",
    "x" * 300,
    "conv1.weight.",
    "..",
    "0.weight",
    "layer1",
    "é",
    "module.conv1.weight",
    "layer9.9.conv1.weight",
]
DTYPES = [torch.int8, torch.bool, torch.complex64, torch.float16, torch.int64, torch.float64, torch.bfloat16]
FACTORS = [math.nan, math.inf, -1.0, 0.0, 1e38]


def mutated_tensors(network, rng):
    """The network with some tensors lost, renamed, swapped, or of another shape, dtype or kind, or all of it nested."""
    tensors = dict(network)
    for _ in range(rng.choice([1, 1, 2, 5])):
        name = rng.choice(list(tensors))
        tensors |= mutated_tensor(name, tensors.pop(name), tensors, rng)
    wrapped = {rng.choice(["net", "teacher", "unknown", "0"]): tensors, rng.choice(["student", "encoder"]): dict(network)}
    return tensors if rng.random() < 0.8 else wrapped


def mutated_tensor(name, tensor, others, rng):
    other = rng.choice(list(others))
    return rng.choice([
        lambda: {name: others[other], other: tensor},
        dict,
        lambda: {name: tensor.to(rng.choice(DTYPES))},
        lambda: {rng.choice(NAMES): tensor},
        lambda: {name: tensor.flatten()[: rng.choice([0, 1, 10**6])]},
        lambda: {name: tensor.float() * rng.choice(FACTORS)},
        lambda: {name: tensor.to("meta")},
        lambda: {name: tensor.unsqueeze(0)},
        lambda: {name: tensor.to_sparse()},
    ])()  # fmt: skip


def mutated_bytes(content, rng):
    """The file cut short, with bytes changed or lost, or random bytes in its place."""
    start = rng.randrange(len(content))
    if (how := rng.randrange(5)) == 0:
        return content[:start]
    if how == 1:
        return content[:start] + content[start + rng.randrange(1, 500) :]
    if how == 2:
        return rng.randbytes(rng.randrange(3000))
    changed = bytearray(content)
    for _ in range(rng.choice([1, 3, 30, 300])):
        changed[rng.randrange(len(content) if how == 3 else 2000)] = rng.randrange(256)
    return bytes(changed)


def written(content, rng):
    file, protocol = io.BytesIO(), rng.choice([2, 2, 4])
    torch.save(content, file, pickle_protocol=protocol, _use_new_zipfile_serialization=rng.random() < 0.6)
    return file.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.exhaustive) for seed in (1, 2, 3))])
def test_fifty_mutated_files_are_read_or_refused(tmp_path, seed, caplog):
    caplog.set_level(logging.CRITICAL)
    rng, ended = random.Random(seed), {"read": 0, "refused": 0}
    network = ResNet(architecture="resnet18", stem="cifar", width=4).state_dict()
    for number in range(50):
        path = tmp_path / f"{number}.{rng.choice(['pth', 'safetensors', 'bin'])}"
        if rng.random() < 0.5:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch's, about the state of sparse tensors
                path.write_bytes(written(mutated_tensors(network, rng), rng))
        else:
            path.write_bytes(mutated_bytes(rng.choice([written(network, rng), safetensors.torch.save(network)]), rng))
        try:
            encoder = load_encoder(str(path))
        except InputError as error:
            message = str(error)
            assert str(path) in message and message.endswith(".") and "\n" not in message and len(message) < 700
            ended["refused"] += 1
        else:
            assert all(bool(tensor.isfinite().all()) for tensor in encoder.tensors.values())
            ended["read"] += 1
    assert min(ended.values()) > 0

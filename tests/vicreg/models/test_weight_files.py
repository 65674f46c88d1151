"""Checkpoints are read without running code from them, and damaged ones are refused."""

import argparse
import io
import itertools
import os
import pickle
from collections import defaultdict
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from torch import nn

from tests.vicreg.models.others import (
    refusal,
    saved,
)
from vicreg.models.pretrained import load_encoder
from vicreg.models.resnet import ResNet


class Attack:
    def __init__(self, call, *arguments):
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


def test_code_in_a_file_is_not_run(tmp_path):
    path, trace = tmp_path / "weights.pth", tmp_path / "trace"
    export = "export the network with torch.save(network.state_dict(), path) and point at that file."

    def refused(what):
        rule = f"{path} must hold tensors by name, but holds"
        return f"{rule} {what}, which cannot be read without running code from the file; {export}"

    network = ResNet(architecture="resnet18", width=4)
    code, allowed = f"open({str(trace)!r}, 'w')", set(torch.serialization.get_safe_globals())
    attack = {"x": Attack(os.mkdir, str(trace))} | network.state_dict()
    assert refusal(saved(path, attack)) == refused("a call of posix.mkdir")
    assert refusal(saved(path, network)) == refused("a whole network as an object")
    state = {0: {"momentum_buffer": torch.zeros(4, 3, 7, 7)}}
    for content in ({"net": network}, {"net": network, "optimizer": {"state": state, "param_groups": []}}):
        assert refusal(saved(path, content)) == refused("a whole network under net as an object")
    message = refusal(saved(path, [network.state_dict()]))
    assert message == f"{path} must hold tensors by name, but holds a list; {export}"
    assert load_encoder(saved(path, {"x": Attack(eval, code)} | network.state_dict())).backbone == "resnet18"
    before_16 = {"_use_new_zipfile_serialization": False}
    torch.save({"x": Attack(eval, code)} | network.state_dict(), path, **before_16)
    assert load_encoder(str(path)).backbone == "resnet18"
    torch.save(attack, path, **before_16)
    assert refusal(str(path)) == refused("a call of posix.mkdir")
    torch.save(network, path, **before_16)
    assert refusal(str(path)) == refused("a whole network as an object")
    assert not trace.exists()
    assert set(torch.serialization.get_safe_globals()) == allowed  # what stood for `eval` is forgotten


def test_what_else_a_checkpoint_holds_is_left_aside(tmp_path):
    network = ResNet(architecture="resnet18", width=4).state_dict()
    plain = load_encoder(saved(tmp_path / "plain.pth", network))
    others = [
        np.float64(0.5),
        np.ones(3),
        argparse.Namespace(lr=0.1),
        argparse.Namespace(items=[1], keys=2, values=None),
        Path("data"),
        defaultdict(list, a=[1]),
        nn.ReLU(),
    ]
    for other, legacy in itertools.product(others, (False, True)):
        content = {"state_dict": network, "other": other, "epoch": 3}
        torch.save(content, tmp_path / "more.ckpt", _use_new_zipfile_serialization=not legacy)
        if legacy and isinstance(other, nn.Module):  # of which files of before torch 1.6 keep the class apart
            assert "holds a whole network as an object, which cannot be read" in refusal(str(tmp_path / "more.ckpt"))
        else:
            assert load_encoder(str(tmp_path / "more.ckpt")).digest == plain.digest


def test_damaged_files_are_refused(tmp_path):
    network = ResNet(architecture="resnet18", width=4).state_dict()
    whole, old = io.BytesIO(), io.BytesIO()
    torch.save(network, whole)
    torch.save(network, old, _use_new_zipfile_serialization=False)
    tensors = safetensors.torch.save(network)
    contents = {
        "cut.pth": whole.getvalue()[:-100], "old.tar": old.getvalue()[:-100], "empty.ckpt": b"",
        "page.pth": b"<!DOCTYPE html><title>404</title>", "pickle.pth": pickle.dumps({"a": [1]}),
        "cut.safetensors": tensors[:-100], "header.safetensors": tensors[:100], "empty.safetensors": b"",
    }  # fmt: skip
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        message = refusal(str(tmp_path / name))
        assert message.startswith(f"{tmp_path / name} is damaged, truncated or not a file of tensors (")
        assert message.endswith("); fetch or export it again.")

"""Only dense, finite, floating-point tensors of the right shapes are taken for a network's weights."""

import pytest
import safetensors.torch
import torch

from tests.vicreg.models.others import refusal, saved, under
from vicreg.models.pretrained import load_encoder
from vicreg.models.resnet import ResNet


@pytest.fixture(scope="module")
def network():
    return ResNet(architecture="resnet18", stem="cifar", width=4).state_dict()


def changed(network, change, names=("conv1.weight",)):
    return network | {name: change(network[name].clone()) for name in names}


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda t: t.long(), "of torch.int64"),
        (lambda t: t.bool(), "of torch.bool"),
        (lambda t: t.to(torch.uint8), "of torch.uint8"),
        (lambda t: t.to(torch.complex64), "of torch.complex64"),
        (lambda t: t.to_sparse(), "sparse (torch.sparse_coo)"),
        (lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8), "quantized (torch.qint8)"),
        (lambda t: t.to("meta"), "on the device meta, which keeps no values"),
    ],
)
@pytest.mark.parametrize("name", ["conv1.weight", "layer4.1.bn2.running_var"])
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")  # torch's, about quantized tensors
def test_tensors_that_are_no_weights_are_refused_by_name(tmp_path, network, change, what, name):
    path = saved(tmp_path / "weights.pth", changed(network, change, [name]))
    assert refusal(path) == (
        f"{path} must hold a network's weights as dense floating-point tensors, but {name} is {what}; export the network's "
        "own state dict as it was trained."
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e300])
def test_weights_that_are_not_finite_in_float32_are_refused_with_the_files_name(tmp_path, network, value):
    def spoil(tensor):
        tensor = tensor.double()
        tensor.view(-1)[5] = value
        return tensor

    path = saved(tmp_path / "weights.pth", changed(network, spoil, ["layer2.0.conv1.weight"]))
    assert refusal(path) == (
        f"{path} must hold finite weights, but of layer2.0.conv1.weight 1 of 288 are NaN or infinite; point at an earlier "
        "checkpoint."
    )


def test_a_variance_below_zero_is_refused(tmp_path, network):
    path = saved(tmp_path / "weights.pth", changed(network, lambda t: t - 2, ["bn1.running_var"]))
    assert refusal(path) == (
        f"{path} must hold variances of at least 0, but bn1.running_var has some below; fetch or export it again."
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floating_point_numbers_become_float32_and_it_is_said(tmp_path, network, dtype, caplog):
    converted = {name: t.to(dtype) if t.is_floating_point() else t for name, t in network.items()}
    path = saved(tmp_path / "weights.pth", converted)
    encoder = load_encoder(path)
    said = f"{path} holds weights of {str(dtype).removeprefix('torch.')}, which are converted to float32"
    assert encoder.notes == (said,) and caplog.messages == [said]
    for name, tensor in encoder.tensors.items():
        assert tensor.dtype == network[name].dtype and torch.equal(tensor, converted[name].to(tensor.dtype))


def test_safetensors_with_prefixes_and_under_any_suffix_are_read(tmp_path, network):
    plain = load_encoder(saved(tmp_path / "plain.pth", network)).digest
    for name in ("a.safetensors", "b.SAFETENSORS", "c.pth", "d"):
        safetensors.torch.save_file(under("module.encoder_q.", network), tmp_path / name)
        assert load_encoder(str(tmp_path / name)).digest == plain
    assert load_encoder(saved(tmp_path / "zip.safetensors", {"net": network})).digest == plain


def test_tensors_that_share_one_storage_are_kept_apart(tmp_path, network):
    numbers = torch.linspace(-1, 1, 10_000)
    shared = {name: numbers[: t.numel()].view(t.shape) if t.ndim == 4 else t for name, t in network.items()}
    encoder = load_encoder(saved(tmp_path / "shared.pth", shared))
    first, second = encoder.tensors["layer1.0.conv1.weight"], encoder.tensors["layer1.0.conv2.weight"]
    assert torch.equal(first, shared["layer1.0.conv1.weight"]) and torch.equal(first, second)
    first.zero_()
    assert second.abs().sum() > 0


def test_a_class_count_does_not_matter_and_a_missing_or_extra_tensor_is_named(tmp_path, network):
    plain = load_encoder(saved(tmp_path / "plain.pth", network)).digest
    for classes in (1, 10, 1000):
        head = {"fc.weight": torch.zeros(classes, 32), "fc.bias": torch.zeros(classes)}
        assert load_encoder(saved(tmp_path / "head.pth", network | head)).digest == plain
    without = {name: tensor for name, tensor in network.items() if name != "layer3.0.conv2.weight"}
    assert "but layer3.0.conv2.weight is missing" in refusal(saved(tmp_path / "less.pth", without))
    assert "but queue is left over" in refusal(saved(tmp_path / "more.pth", network | {"queue": torch.zeros(3)}))
    clip = {"visual.conv2.weight": torch.zeros(4, 4, 3, 3), "visual.attnpool.k_proj.weight": torch.zeros(4, 4)}
    message = refusal(saved(tmp_path / "clip.pth", under("visual.", network) | clip))
    assert "but conv2.weight, attnpool.k_proj.weight is left over" in message


def test_a_tensor_of_another_rank_is_refused_by_its_shape(tmp_path, network):
    path = saved(tmp_path / "flat.pth", changed(network, lambda t: t.flatten(), ["layer1.0.conv1.weight"]))
    assert "so layer1.0.conv1.weight must be (4, 4, 3, 3), but is (144,); point at" in refusal(path)
    assert "its tensors are those of conv1, bn1, layer1, layer2 and 2 more" in refusal(
        saved(tmp_path / "first.pth", changed(network, lambda t: t.flatten()))
    )

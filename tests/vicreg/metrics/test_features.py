"""Features are those of a frozen model in eval mode, with any batch size."""

import dataclasses
import itertools

import pytest
import torch

from vicreg.data.dataset import Dataset, Split
from vicreg.metrics.features import HELD_OUT_IMAGES, encode, encode_views, encoded_at_once, held_out, represent
from vicreg.models.joint_embedding import JointEmbedding, build_model
from vicreg.views.pipeline import plain_view

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


@pytest.fixture
def model() -> JointEmbedding:
    """BatchNorm statistics away from their start, so that eval mode and training mode differ."""
    made = build_model(
        architecture="resnet18", stem="cifar", width=4, in_channels=3, expander=(16, 8), batchnorm=True,
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    made.train()(torch.randn(32, 3, 8, 8, generator=torch.Generator().manual_seed(1)))
    return made


def images(n: int, *, side: int = 8) -> torch.Tensor:
    return torch.randint(0, 256, (n, 3, side, side), generator=torch.Generator().manual_seed(2), dtype=torch.uint8)


def run(model: JointEmbedding, batch: torch.Tensor, *, size: int = 8, batch_size: int = 7):
    return encode(model, batch, size=size, mean=MEAN, std=STD, batch_size=batch_size)


def test_features_are_those_of_the_plain_views_in_eval_mode(model):
    encoded = run(model, images(20))
    model.eval()
    with torch.no_grad():
        representations, embeddings = model(plain_view(images(20), size=8, mean=MEAN, std=STD))
    torch.testing.assert_close(encoded.representations, representations, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(encoded.embeddings, embeddings, rtol=1e-4, atol=1e-5)
    assert (encoded.representations.shape, encoded.embeddings.shape) == ((20, 32), (20, 8))


@pytest.mark.parametrize("training", [True, False])
def test_representations_alone_are_those_with_embeddings_bit_for_bit_and_no_expander_is_run(model, training):
    whole = run(model.train(training), images(20))
    model.expander.register_forward_pre_hook(lambda *_: pytest.fail("the expander was run"))
    alone = represent(model, images(20), size=8, mean=MEAN, std=STD, batch_size=7)
    assert torch.equal(alone, whole.representations) and model.training == training


def test_a_network_whose_representations_are_not_its_backbones_makes_them_itself(model):
    class Doubled(JointEmbedding):
        def forward(self, views):
            representations, embeddings = super().forward(views)
            return 2 * representations, embeddings

    whole = run(model, images(20)).representations
    model.__class__ = Doubled
    assert torch.equal(represent(model, images(20), size=8, mean=MEAN, std=STD, batch_size=7), 2 * whole)


@pytest.mark.parametrize("batch_size", [1, 3, 20, 100])
def test_the_batch_size_changes_nothing_but_rounding(model, batch_size):
    for one, other in zip(run(model, images(20)), run(model, images(20), batch_size=batch_size), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_a_gpu_encodes_as_many_images_at_once_as_fit_and_a_cpu_512():
    gpu, cpu = torch.device("cuda"), torch.device("cpu")
    assert encoded_at_once(gpu, channels=3, size=32) == 8192 and encoded_at_once(cpu, channels=3, size=32) == 512
    assert encoded_at_once(gpu, channels=3, size=224) * 3 * 224**2 * 4 <= 8192 * 3 * 32**2 * 4
    assert encoded_at_once(gpu, channels=3, size=10_000) == 1


def test_images_are_resized_to_the_size_that_was_trained_on(model):
    seen = []
    model.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].shape))
    run(model, images(4, side=12), size=8)
    assert seen == [(4, 3, 8, 8)]


@pytest.mark.parametrize("training", [True, False])
def test_encoding_changes_nothing_of_the_model(model, training):
    model.train(training)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    encoded = run(model, images(20))
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(module.training == training for module in model.modules())
    assert not encoded.representations.requires_grad and not encoded.embeddings.requires_grad


def test_views_are_encoded_in_the_models_present_mode(model):
    views = torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(3))
    in_training, in_eval = encode_views(model.train(), views), encode_views(model.eval(), views)
    assert not torch.allclose(in_training.representations, in_eval.representations)


def test_features_of_a_half_precision_model_are_float32(model):
    encoded = encode_views(model.to(torch.bfloat16), torch.zeros(2, 3, 8, 8, dtype=torch.bfloat16))
    assert encoded.representations.dtype == encoded.embeddings.dtype == torch.float32


# ---- the fixed held-out images


def with_validation_of(n: int, dataset: Dataset) -> Dataset:
    """A data set whose n validation images carry their own number in their first four pixels."""
    numbers = torch.arange(n)
    pixels = torch.stack([numbers // 256**place % 256 for place in range(4)], dim=1).to(torch.uint8)
    split = Split(images=pixels.reshape(n, 1, 2, 2), labels=numbers % 10)
    return dataclasses.replace(dataset, validation=split)


def numbers_of(kept: torch.Tensor) -> list[int]:
    return (kept.reshape(-1, 4).long() * torch.tensor([1, 256, 256**2, 256**3])).sum(dim=1).tolist()


@pytest.mark.parametrize("n", [2, HELD_OUT_IMAGES])
def test_a_small_validation_split_is_held_out_whole(digits, n):
    assert numbers_of(held_out(with_validation_of(n, digits))) == list(range(n))


@pytest.mark.parametrize("n", [HELD_OUT_IMAGES + 1, 3000, 5000, 50_000])
def test_of_a_large_validation_split_evenly_spread_images_are_held_out(digits, n):
    kept = numbers_of(held_out(with_validation_of(n, digits)))
    assert len(set(kept)) == len(kept) == HELD_OUT_IMAGES
    assert (kept[0], kept[-1]) == (0, n - 1)
    gaps = {after - before for before, after in itertools.pairwise(kept)}
    assert max(gaps) - min(gaps) <= 1

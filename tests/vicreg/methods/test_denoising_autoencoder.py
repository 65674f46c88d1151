"""The denoising autoencoder: its corruption, its error, and a training run."""

import dataclasses

import pytest
import torch

from tests.vicreg.methods.helpers import (
    assert_same_loss,
    diagnosis,
    progress,
    random_views,
    take_steps,
    tiny_method,
    value_and_gradients,
)
from tests.vicreg.methods.host_reads import refused
from vicreg.errors import InputError
from vicreg.methods import counter_random, method_class
from vicreg.methods.denoising_autoencoder import (
    DenoisingAutoencoder,
    DenoisingAutoencoderSettings,
    corrupt,
    mask_patches,
    reconstruction_error,
)

GIVEN = DenoisingAutoencoderSettings(noise_std=0.5, masked_share=0.5, masked_patch=2, loss_on="image")
MASKED = dataclasses.replace(GIVEN, noise_std=0.0, loss_on="masked")
NAN = float("nan")


def counter(value: int = 7) -> torch.Tensor:
    return torch.tensor(value)


def images(n: int = 6, *, channels: int = 3, side: int = 8, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, channels, side, side, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"noise_std": -1.0}, "pretrain.noise_std must be a finite number of at least 0, but got -1.0."),
        ({"noise_std": NAN}, "pretrain.noise_std must be a finite number of at least 0, but got nan."),
        ({"masked_share": 1.0}, "pretrain.masked_share must be at least 0 and below 1, but got 1.0; 0 masks nothing."),
        ({"masked_share": NAN}, "pretrain.masked_share must be at least 0 and below 1, but got nan; 0 masks nothing."),
        ({"masked_patch": 0}, "pretrain.masked_patch must be at least 1 pixel, but got 0."),
        ({"loss_on": "all"}, "pretrain.loss_on must be one of image, masked, but got 'all'."),
        (
            {"loss_on": "masked", "masked_share": 0.0},
            "pretrain.loss_on masked needs pretrain.masked_share above 0, but got 0.0; raise it or set pretrain.loss_on to "
            "image.",
        ),
    ],
)
def test_a_value_no_run_can_have_is_refused_in_one_sentence(change, sentence):
    with pytest.raises(InputError) as raised:
        dataclasses.replace(GIVEN, **change)
    assert str(raised.value) == sentence


# ---- the error


def by_loops(reconstruction, clean, weights):
    total, share = 0.0, 0.0
    for n in range(len(clean)):
        for c in range(clean.shape[1]):
            for i in range(clean.shape[2]):
                for j in range(clean.shape[3]):
                    total = total + weights[n, 0, i, j] * (reconstruction[n, c, i, j] - clean[n, c, i, j]) ** 2
                    share = share + weights[n, 0, i, j]
    return total / share


@pytest.mark.parametrize("is_masked", [False, True])
def test_the_error_is_the_mean_square_over_all_or_over_masked_values(is_masked):
    clean, reconstruction = images(3, side=4), images(3, side=4, seed=1)
    masks = (torch.rand(3, 1, 4, 4, dtype=torch.float64) < 0.4).double()
    given = masks if is_masked else None
    assert_same_loss(
        lambda x: reconstruction_error(x, clean, weights=given),
        lambda x: by_loops(x, clean, masks if is_masked else torch.ones_like(masks)),
        reconstruction,
    )


def test_the_error_of_identical_images_is_zero_and_of_constant_ones_finite():
    for clean in (images(), torch.zeros(2, 1, 4, 4), torch.ones(2, 1, 4, 4)):
        value, (gradient,) = value_and_gradients(lambda x, clean=clean: reconstruction_error(x, clean), clean)
        assert value == 0 and not gradient.any()


def test_an_error_of_images_of_two_shapes_is_refused():
    with pytest.raises(InputError, match=r"but got \(2, 3, 8, 8\) and \(2, 3, 4, 4\); decode at their size"):
        reconstruction_error(images(2), images(2, side=4))


# ---- the corruption


@pytest.mark.parametrize(
    ("side", "patch", "share", "squares"),
    [(8, 2, 0.5, 8), (8, 2, 0.6, 10), (8, 4, 0.1, 1), (8, 2, 0.99, 15), (20, 2, 0.55, 55)],
)
def test_each_image_has_the_same_number_of_masked_squares_and_keeps_one(side, patch, share, squares):
    masks = mask_patches(counter(), 5, side=side, patch=patch, share=share)
    assert masks.shape == (5, 1, side, side) and set(masks.unique().tolist()) <= {0.0, 1.0}
    assert masks.sum(dim=(1, 2, 3)).tolist() == [squares * patch**2] * 5
    coarse = masks[:, :, ::patch, ::patch]
    assert torch.equal(coarse.repeat_interleave(patch, 2).repeat_interleave(patch, 3), masks)


def test_a_square_that_is_the_whole_image_is_refused():
    with pytest.raises(InputError, match="pretrain.masked_patch must be below the side of a view, 8 pixels, but got 8"):
        mask_patches(counter(), 5, side=8, patch=8, share=0.5)
    assert mask_patches(counter(), 5, side=8, patch=8, share=0.0).sum() == 0


def test_squares_at_the_border_may_be_narrower():
    masks = mask_patches(counter(), 50, side=7, patch=4, share=0.25)  # squares of 4 x 4, 4 x 3, 3 x 4 and 3 x 3 pixels
    assert set(masks.sum(dim=(1, 2, 3)).tolist()) == {16.0, 12.0, 9.0}


def test_all_squares_are_masked_equally_often_and_images_differ():
    masks = mask_patches(counter(), 4000, side=4, patch=1, share=0.5)
    assert (masks.mean(dim=0) - 0.5).abs().max() < 0.04  # five standard errors
    assert len({tuple(mask.flatten().tolist()) for mask in masks[:20]}) == 20


def test_noise_has_the_given_std_and_masked_pixels_are_zero():
    clean = images(200, side=8).float()
    corrupted, masked = corrupt(clean, counter(), noise_std=0.3, masked_share=0.25, masked_patch=2)
    hidden = masked.bool().expand_as(clean)
    assert not corrupted[hidden].any()
    noise = (corrupted - clean)[~hidden]
    assert noise.std().item() == pytest.approx(0.3, rel=0.02) and abs(noise.mean().item()) < 0.01
    assert torch.equal(
        corrupted, clean * (1 - masked) + (0.3 * counter_random.normal(counter(), clean.shape)) * (1 - masked)
    )


def test_a_corruption_is_a_function_of_the_counter():
    clean = images(4).float()
    drawn = [corrupt(clean, counter(at), noise_std=0.5, masked_share=0.5, masked_patch=2) for at in (7, 7, 8)]
    assert torch.equal(drawn[0].images, drawn[1].images)
    assert not torch.equal(drawn[0].masked, drawn[2].masked) and not torch.equal(drawn[0].images, drawn[2].images)


def test_without_noise_and_masks_images_are_as_they_were():
    corrupted, masked = corrupt(images(), counter(), noise_std=0.0, masked_share=0.0, masked_patch=2)
    assert torch.equal(corrupted, images()) and not masked.any()


# ---- the method


def test_the_registry_knows_it_by_the_name_of_its_file():
    assert method_class("denoising_autoencoder") is DenoisingAutoencoder and DenoisingAutoencoder.VIEWS == 1


@pytest.mark.parametrize("settings", [GIVEN, MASKED], ids=["noise and masks", "masked"])
def test_the_loss_is_the_error_of_the_decoded_embedding_of_the_corrupted_view(settings):
    method, (view,) = tiny_method(DenoisingAutoencoder, settings), random_views(1)
    loss = method.loss([view], progress=progress(0.5))
    corrupted, masked = corrupt(view, method.noise_counter, noise_std=settings.noise_std, masked_share=0.5, masked_patch=2)
    embeddings = method(corrupted)[1]
    squares = (method.decoder(embeddings, 8) - view).square()
    hidden = masked.bool() if settings is MASKED else torch.ones_like(masked, dtype=torch.bool)
    assert loss.total.item() == pytest.approx(squares[hidden].mean().item(), rel=1e-5)
    torch.testing.assert_close(loss.embeddings, embeddings)
    assert loss.terms.keys() == DenoisingAutoencoder.TERMS.keys() and not loss.terms["reconstruction"].requires_grad
    assert method.coefficients() == {"reconstruction": 1.0} and method.target_std is None


def test_the_target_is_the_clean_view():
    """Where all noise is in the input, a target with noise would raise the error by the noise's variance."""
    view = torch.zeros(64, 1, 8, 8)
    method = tiny_method(DenoisingAutoencoder, dataclasses.replace(GIVEN, noise_std=3.0, masked_share=0.0))
    method.decoder.output.weight.data.zero_()
    assert method.loss([view], progress=progress(0.0)).total == 0


def test_each_step_draws_new_noise_and_each_seed_its_own():
    method = tiny_method(DenoisingAutoencoder, GIVEN)
    first = method.noise_counter.clone()
    method.after_step(progress=progress(0.0))
    assert method.noise_counter == first + 1
    method.reset_state(torch.Generator().manual_seed(1))
    assert method.noise_counter not in (first, first + 1)


@pytest.mark.parametrize("settings", [GIVEN, MASKED], ids=["noise and masks", "masked"])
def test_the_loss_of_a_fixed_batch_falls(settings):
    (corners,) = random_views(1, size=2)
    view = corners.repeat_interleave(4, 2).repeat_interleave(4, 3)  # a masked square is next to one that is not
    totals = take_steps(tiny_method(DenoisingAutoencoder, settings), [view], steps=60)
    assert sum(totals[-10:]) < 0.8 * sum(totals[:10])


def test_a_step_reads_no_value_on_the_host():
    method, views = tiny_method(DenoisingAutoencoder, GIVEN), random_views(1)
    with refused():
        method.loss(views, progress=progress(0.0)).total.backward()
        method.after_step(progress=progress(0.0))


def test_collapsed_and_healthy_codes_are_named_rightly_at_any_scale():
    generator = torch.Generator().manual_seed(2)
    healthy, noise = torch.randn(2, 400, 32, generator=generator)
    for scale in (0.01, 1.0, 100.0):
        assert diagnosis(scale * healthy, target_std=None) == "healthy"
        assert diagnosis(scale * (1 + 0.001 * noise), target_std=None) == "complete"
        assert diagnosis(scale * healthy[:, :1].repeat(1, 32) + 0.01 * scale * noise, target_std=None) == "informational"

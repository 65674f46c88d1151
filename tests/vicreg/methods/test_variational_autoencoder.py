"""The variational autoencoder: its bound against torch.distributions, its sampling, and posterior collapse."""

import dataclasses

import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

from tests.vicreg.methods.helpers import (
    DEGENERATE,
    FEW,
    SHAPES,
    assert_finite,
    assert_same_loss,
    diagnosis,
    inputs,
    progress,
    random_views,
    take_steps,
    tiny_method,
)
from tests.vicreg.methods.host_reads import refused
from vicreg.errors import InputError
from vicreg.methods import counter_random, method_class, target_std_of
from vicreg.methods import variational_autoencoder as module
from vicreg.methods.variational_autoencoder import (
    VariationalAutoencoder,
    VariationalAutoencoderSettings,
    sample_posterior,
    vae_loss,
)

GIVEN = VariationalAutoencoderSettings(beta=1.0)


def pictures(n: int, *, seed: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    clean, reconstruction = torch.randn(2, n, 3, 4, 4, generator=generator, dtype=torch.float64)
    return clean, reconstruction


@pytest.mark.parametrize("beta", [-1.0, float("nan"), float("inf")])
def test_a_beta_no_run_can_have_is_refused_in_one_sentence(beta):
    with pytest.raises(InputError) as raised:
        VariationalAutoencoderSettings(beta=beta)
    assert str(raised.value) == f"pretrain.beta must be a finite number of at least 0, but got {beta}; 1 is the VAE's."


# ---- the loss


@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_the_divergence_and_its_gradients_are_those_of_torch_distributions(n, d):
    def reference(mean, log_variance):
        posterior = Independent(Normal(mean, log_variance.exp().sqrt()), 1)
        prior = Independent(Normal(torch.zeros_like(mean), torch.ones_like(mean)), 1)
        return kl_divergence(posterior, prior).mean()

    assert_same_loss(lambda mean, log: module.kl_divergence(mean, log).mean(), reference, *inputs(n, d))


@pytest.mark.parametrize("beta", [1.0, 4.0])
@pytest.mark.parametrize(("n", "d"), FEW)
def test_the_total_is_the_negative_bound_over_the_values_of_an_image_up_to_the_likelihoods_constant(n, d, beta):
    clean, reconstruction = pictures(n)
    mean, log_variance = inputs(n, d)

    def naive(reconstruction, mean, log_variance):
        likelihood = Independent(Normal(reconstruction, torch.ones_like(reconstruction)), 3).log_prob(clean)
        constant = 0.5 * torch.log(torch.tensor(2 * torch.pi, dtype=torch.float64)) * 48
        total = 0.0
        for i in range(n):
            divergence = 0.0
            for j in range(d):
                variance = log_variance[i, j].exp()
                divergence = divergence + 0.5 * (mean[i, j] ** 2 + variance - variance.log() - 1)
            total = total - likelihood[i] - constant + beta * divergence
        return total / n / 48

    assert_same_loss(
        lambda x, *posterior: vae_loss(x, clean, *posterior, beta=beta).total, naive, reconstruction, mean, log_variance
    )


def test_the_total_is_the_sum_of_the_terms_times_beta():
    clean, reconstruction = pictures(5)
    terms = vae_loss(reconstruction, clean, *inputs(16, 48), beta=3.0)
    assert terms.total.item() == pytest.approx((terms.reconstruction + 3.0 * terms.kl).item(), rel=1e-12)
    assert not terms.reconstruction.requires_grad and not terms.kl.requires_grad
    assert vae_loss(reconstruction, clean, *inputs(16, 48), beta=0.0).total == terms.reconstruction


def test_the_divergence_is_zero_at_the_prior_and_nowhere_else():
    zeros = torch.zeros(3, 5, dtype=torch.float64)
    assert not module.kl_divergence(zeros, zeros).any()
    for mean, log_variance in ((0.1, 0.0), (-0.1, 0.0), (0.0, 0.1), (0.0, -0.1)):
        assert (module.kl_divergence(zeros + mean, zeros + log_variance) > 1e-3).all()


def test_a_sample_has_the_posteriors_moments_and_carries_gradients_to_both():
    mean, log_variance = torch.tensor([[0.5, -2.0]]), torch.tensor([[-1.0, 1.0]])
    noise = counter_random.normal(torch.tensor(0), (200_000, 2))
    drawn = sample_posterior(mean, log_variance, noise)
    torch.testing.assert_close(drawn.mean(dim=0), mean[0], atol=0.02, rtol=0)
    torch.testing.assert_close(drawn.var(dim=0), log_variance.exp()[0], atol=0, rtol=0.02)
    leaves = [one.clone().requires_grad_() for one in (mean, log_variance)]
    gradients = torch.autograd.grad(sample_posterior(*leaves, torch.ones(1, 2)).sum(), leaves)
    torch.testing.assert_close(gradients[0], torch.ones(1, 2))
    torch.testing.assert_close(gradients[1], 0.5 * (0.5 * log_variance).exp())


@pytest.mark.parametrize("case", DEGENERATE)
def test_value_and_gradients_are_finite_for_degenerate_posteriors(case):
    clean, reconstruction = pictures(64)
    assert_finite(lambda mean, log: vae_loss(reconstruction, clean, mean, log, beta=1.0).total, case)


def test_images_or_posteriors_of_two_shapes_are_refused():
    clean, reconstruction = pictures(5)
    with pytest.raises(InputError, match="a reconstruction must have the shape of its images"):
        vae_loss(reconstruction[:4], clean, *inputs(16, 48), beta=1.0)
    with pytest.raises(InputError, match="must have embeddings of one shape"):
        vae_loss(reconstruction, clean, torch.zeros(5, 4), torch.zeros(5, 3), beta=1.0)


# ---- the method


def test_the_registry_knows_it_by_the_name_of_its_file():
    assert method_class("variational_autoencoder") is VariationalAutoencoder and VariationalAutoencoder.VIEWS == 1


@pytest.mark.parametrize("expander", [(16,), (16, 12), (24, 16, 12)], ids=str)
def test_the_loss_is_of_a_decoded_sample_and_the_embedding_is_the_mean(expander):
    method, (view,) = tiny_method(VariationalAutoencoder, GIVEN, expander=expander), random_views(1)
    loss = method.loss([view], progress=progress(0.5))
    mean, log_variance = method.posterior(view)
    torch.testing.assert_close(mean, method(view)[1])
    torch.testing.assert_close(loss.embeddings, mean)
    noise = counter_random.normal(method.noise_counter, (16, expander[-1]))
    reconstruction = method.decoder(mean + (0.5 * log_variance).exp() * noise, 8)
    expected = vae_loss(reconstruction, view, mean, log_variance, beta=1.0)
    assert loss.total.item() == pytest.approx(expected.total.item(), rel=1e-5)
    assert {name: term.item() for name, term in loss.terms.items()} == pytest.approx(
        {name: getattr(expected, name).item() for name in VariationalAutoencoder.TERMS}, rel=1e-5
    )


def test_the_mean_and_the_log_variance_are_of_one_hidden_layer():
    method, (view,) = tiny_method(VariationalAutoencoder, GIVEN, expander=(24, 12)), random_views(1)
    hidden = method.expander[2](method.expander[1](method.expander[0](method.backbone(view))))
    mean, log_variance = method.posterior(view)
    torch.testing.assert_close(mean, method.expander[3](hidden))
    torch.testing.assert_close(log_variance, method.log_variance(hidden))


def test_a_huge_log_variance_is_clamped():
    method, (view,) = tiny_method(VariationalAutoencoder, GIVEN), random_views(1)
    method.log_variance.bias.data.fill_(1e4)
    loss = method.loss([view], progress=progress(0.0))
    loss.total.backward()
    assert loss.total.isfinite() and all(one.grad.isfinite().all() for one in method.parameters())


def test_without_an_expander_it_is_refused():
    with pytest.raises(
        InputError, match=r"pretrain.expander must have at least one layer for variational_autoencoder, but got \[\]"
    ):
        tiny_method(VariationalAutoencoder, GIVEN, expander=())


def test_each_step_draws_new_noise_and_each_seed_its_own():
    method = tiny_method(VariationalAutoencoder, GIVEN)
    first = method.noise_counter.clone()
    method.after_step(progress=progress(0.0))
    assert method.noise_counter == first + 1
    method.reset_state(torch.Generator().manual_seed(1))
    assert method.noise_counter not in (first, first + 1)


def test_the_loss_of_a_fixed_batch_falls():
    (corners,) = random_views(1, size=2)
    view = corners.repeat_interleave(4, 2).repeat_interleave(4, 3)
    totals = take_steps(tiny_method(VariationalAutoencoder, GIVEN), [view], steps=40)
    assert sum(totals[-10:]) < 0.9 * sum(totals[:10])


def test_a_large_beta_collapses_the_posteriors_and_a_small_one_does_not():
    (corners,) = random_views(1, size=2)
    view = corners.repeat_interleave(4, 2).repeat_interleave(4, 3)
    spread = {}
    for beta in (0.01, 10.0):
        method = tiny_method(VariationalAutoencoder, dataclasses.replace(GIVEN, beta=beta))
        take_steps(method, [view], steps=40, lr=0.03)
        spread[beta] = method.encode(view).embeddings.std(dim=0).mean().item()
    assert spread[10.0] < 0.1 < 0.4 < spread[0.01]  # 0.34 before training


def test_a_step_reads_no_value_on_the_host():
    method, views = tiny_method(VariationalAutoencoder, GIVEN), random_views(1)
    with refused():
        method.loss(views, progress=progress(0.0)).total.backward()
        method.after_step(progress=progress(0.0))


def test_means_are_judged_without_a_scale_so_that_pruned_dimensions_are_no_complete_collapse():
    generator = torch.Generator().manual_seed(2)
    healthy, noise = torch.randn(2, 400, 32, generator=generator)
    target = target_std_of("variational_autoencoder", GIVEN)
    assert target is None
    assert diagnosis(0.9 * healthy, target_std=target) == "healthy"
    pruned = torch.cat((healthy[:, :2], 0.001 * noise[:, 2:]), dim=1)  # 30 of 32 dimensions are inactive
    assert diagnosis(pruned, target_std=1.0) == "complete" and diagnosis(pruned, target_std=target) != "complete"
    assert diagnosis(1 + 0.001 * noise, target_std=target) == "complete"
    assert diagnosis(healthy[:, :1].repeat(1, 32) + 0.01 * noise, target_std=target) == "informational"

"""What holds for every method, whatever it computes: descriptions, terms, state, sections, and a run that is resumed."""

import dataclasses
import math
from pathlib import Path

import pytest
import torch
import yaml

from tests.vicreg.methods.helpers import assert_resumes, batch_of
from vicreg.methods import method_class, method_names
from vicreg.methods.base import FAMILIES
from vicreg.metrics.features import represent_views
from vicreg.models.joint_embedding import VIEW_PASSES
from vicreg.training.setup import make_optimizer, new_model

ROOT = Path(__file__).parents[3]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
NAMES = method_names()
ONE_VIEW_A_NETWORK = ("tico",)  # no network sees both views, so that none has statistics of both


@pytest.mark.parametrize("name", NAMES)
def test_a_method_says_what_it_is(name):
    kind = method_class(name)
    assert kind.TITLE and kind.SOURCE and kind.FAMILY in FAMILIES and kind.AUTHORS_VIEW_PASSES in VIEW_PASSES
    assert kind.PROBED.endswith(".") and max(len(sentence.split()) for sentence in kind.PROBED.split(". ")) <= 25
    assert kind.TERMS and all(term.title for term in kind.TERMS.values())


@pytest.mark.parametrize("name", NAMES)
def test_a_methods_section_gives_a_value_to_each_of_its_settings(name):
    keys = [field.name.rstrip("_") for field in dataclasses.fields(method_class(name).Settings)]
    assert sorted(PARAMS["baseline"]["pretrain"][name]) == sorted(keys)
    if keys:
        assert PARAMS["pretrain"][name] == dict.fromkeys(keys)
        assert not set(keys) - set(PARAMS["pretrain"])  # the short spellings


@pytest.mark.parametrize("name", NAMES)
def test_a_step_logs_the_terms_that_the_method_names_and_no_gradient_with_them(tiny, digits, name):
    model = new_model(tiny(name), digits).train()
    loss = model.loss(batch_of(model), progress=torch.tensor(0.5))
    assert list(loss.terms) == list(model.TERMS) and set(model.coefficients()) <= set(model.TERMS)
    assert loss.total.shape == () and loss.total.requires_grad
    assert all(term.shape == () and not term.requires_grad for term in loss.terms.values())
    assert loss.embeddings.shape[0] == 32 and loss.embeddings.ndim == 2
    if model.coefficients():
        weighted = sum(weight * loss.terms[term].item() for term, weight in model.coefficients().items())
        assert loss.total.item() == pytest.approx(weighted, rel=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_the_backbone_starts_with_the_same_weights_for_every_method(tiny, digits, name):
    theirs = new_model(tiny("vicreg"), digits).backbone.state_dict()
    ours = new_model(tiny(name), digits).backbone.state_dict()
    assert all(torch.equal(ours[key], value) for key, value in theirs.items())


@pytest.mark.parametrize("name", NAMES)
def test_a_methods_state_is_all_set_before_the_first_step(tiny, digits, name):
    """Networks are built on the meta device: what nobody sets is whatever memory holds, and differs between two."""
    first, second = (new_model(tiny(name), digits).state_dict() for _ in range(2))
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert all(value.isfinite().all() for value in first.values() if value.is_floating_point())


@pytest.mark.parametrize("name", NAMES)
def test_features_of_one_image_depend_on_no_other_image(tiny, digits, name):
    model = new_model(tiny(name), digits).eval()
    images = torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        whole, part = model.encode(images), model.encode(images[:2])
        assert torch.equal(represent_views(model, images), whole.representations)  # probes leave the expander out
    assert whole.representations.dtype == whole.embeddings.dtype == torch.float32
    for ours, theirs in zip(part, whole, strict=True):
        torch.testing.assert_close(ours, theirs[:2], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_that_learns_gets_a_gradient_and_no_other_moves(tiny, digits, name):
    given = tiny(name, optimizer="sgd", weight_decay=0.0)
    model = new_model(given, digits).train()
    optimizer = make_optimizer(given, model)
    before = {key: value.clone() for key, value in model.named_parameters()}
    model.loss(batch_of(model), progress=torch.tensor(0.5)).total.backward()
    learns = {key for key, value in model.named_parameters() if value.grad is not None}
    assert learns and all(value.requires_grad for key, value in model.named_parameters() if key in learns)
    for group in optimizer.param_groups:
        group["lr"] = 0.1
    optimizer.step()
    assert all(torch.equal(value, before[key]) for key, value in model.named_parameters() if key not in learns)


@pytest.mark.parametrize("name", NAMES)
def test_views_of_one_pass_have_the_loss_of_separate_passes_unless_their_statistics_are_joint(tiny, digits, name):
    totals = {}
    for passes in VIEW_PASSES:
        loss = (model := new_model(tiny(name, view_passes=passes), digits).train()).loss(
            batch_of(model), progress=torch.tensor(0.5)
        )
        loss.total.backward()
        totals[passes] = loss.total.item()
    assert totals["together"] == pytest.approx(totals["separate"], rel=1e-4)
    one_a_network = method_class(name).VIEWS == 1 or name in ONE_VIEW_A_NETWORK
    assert math.isfinite(totals["joint"]) and one_a_network == (totals["joint"] == totals["separate"])


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_run_that_is_stopped_and_resumed_ends_bit_for_bit_as_an_uninterrupted_one(tiny, digits, tmp_path, name):
    assert_resumes(tiny(name, epochs=2, warmup_epochs=0, batch_size=96, drop_last=False), digits, tmp_path)

"""Two views on two threads: what comes out is what two passes one after the other make."""

import copy
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from vicreg.models import joint_embedding
from vicreg.models.iterative_normalisation import IterativeNormalisation
from vicreg.models.joint_embedding import JointEmbedding, build_model
from vicreg.models.two_threads import can_encode, encode_side_by_side
from vicreg.models.view_batchnorm import batchnorms, taken_in_turn


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


@pytest.fixture(autouse=True)
def threads():
    """`threads(n)` sets the number of threads; it is two at first."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.fixture
def model() -> JointEmbedding:
    return build_model(
        architecture="resnet18", stem="imagenet", width=4, in_channels=3, expander=(16, 24, 8), batchnorm=True,
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip


@pytest.fixture
def used(monkeypatch) -> list[int]:
    """How many pairs went side by side: one entry each."""
    found = []

    def watched(*arguments):
        found.append(1)
        return encode_side_by_side(*arguments)

    monkeypatch.setattr(joint_embedding, "encode_side_by_side", watched)
    return found


def trained(model: nn.Module, *, dtype: torch.dtype, times: int = 2) -> dict[str, Tensor]:
    """Embeddings, gradients and BatchNorm's statistics of a copy of a model, after some passes."""
    model = copy.deepcopy(model).to(dtype).train()
    for number in range(times):
        views = noise(6, 3, 32, 32, seed=2 * number, dtype=dtype), 3 * noise(6, 3, 32, 32, seed=2 * number + 1, dtype=dtype)
        z, z_prime = model.embed_views(*views, passes="separate")
        torch.autograd.backward((z, z_prime), (noise(6, 8, seed=7, dtype=dtype), noise(6, 8, seed=8, dtype=dtype)))
    return {
        "z": z.detach(), "z_prime": z_prime.detach(), **dict(model.named_buffers()),
        **{name: parameter.grad for name, parameter in model.named_parameters()},
    }  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("count", [2, 4])
def test_embeddings_gradients_and_statistics_are_those_of_one_pass_after_the_other(model, used, threads, dtype, count):
    threads(1)
    expected = trained(model, dtype=dtype)
    assert not used
    threads(count)
    found = trained(model, dtype=dtype)
    assert len(used) == 2 and torch.get_num_threads() == count
    share = 1e-12 if dtype == torch.float64 else 1e-4
    for name, value in expected.items():
        assert (found[name] - value).double().norm() <= share * value.double().norm() + 0.1 * share, name


def test_the_same_bits_come_out_every_time(model, used):
    first = trained(model, dtype=torch.float32)
    for _ in range(5):
        again = trained(model, dtype=torch.float32)
        assert all(torch.equal(again[name], value) for name, value in first.items())
    assert len(used) == 12


@pytest.mark.parametrize("slow", [0, 1])
@pytest.mark.parametrize("whitens", [False, True])
def test_statistics_change_in_the_order_of_the_views_whichever_is_ahead(model, threads, slow, whitens):
    if whitens:
        model.expander[1] = IterativeNormalisation(16, groups=4)
    views = [noise(24, 3, 32, 32), 3 * noise(24, 3, 32, 32, seed=1) + 1]
    model = model.double().train()

    def after(passes) -> list[Tensor]:
        taken = copy.deepcopy(model)
        passes(taken)
        return [buffer for layer in batchnorms(taken) for buffer in layer.buffers()]

    def encode(taken: JointEmbedding, view: Tensor) -> Tensor:
        if view is views[slow]:
            time.sleep(0.2)
        return taken(view)[1]

    threads(1)
    in_order = after(lambda taken: [taken(view) for view in views])
    other_order = after(lambda taken: [taken(view) for view in reversed(views)])
    threads(2)
    found = after(lambda taken: encode_side_by_side([taken], lambda view: encode(taken, view), *views))
    assert all(torch.equal(one, other) for one, other in zip(found, in_order, strict=True))
    assert not all(torch.equal(one, other) for one, other in zip(found, other_order, strict=True))


@pytest.mark.parametrize("failing", [0, 1])
def test_an_error_in_either_view_is_raised_and_the_next_pair_goes_through(model, failing):
    views, model = [noise(4, 3, 32, 32), noise(4, 3, 32, 32, seed=1)], model.double().train()

    def encode(view: Tensor) -> Tensor:
        if view is views[failing]:
            raise RuntimeError("this view")
        return model(view)[1]

    with pytest.raises(RuntimeError, match="this view"):
        encode_side_by_side([model], encode, *views)
    assert encode_side_by_side([model], lambda view: model(view)[1], *views)[0].shape == (4, 8)


def test_under_autocast_both_views_are_in_bfloat16(model):
    model.train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        pair = model.embed_views(*noise(2, 4, 3, 32, 32, dtype=torch.float32), passes="separate")
    assert [one.dtype for one in pair] == [torch.bfloat16, torch.bfloat16]


def test_it_is_for_training_on_a_cpu_with_two_threads_and_statistics_of_batchnorm_alone(model, threads):
    networks, view = (model.train(),), noise(4, 3, 32, 32, dtype=torch.float32)
    assert can_encode(networks, view)
    for other in (view.to("meta"), view.clone().requires_grad_()):
        assert not can_encode(networks, view, other) and not can_encode(networks, other, view)
    with torch.no_grad():
        assert not can_encode(networks, view)
    with FlopCounterMode(display=False):
        assert not can_encode(networks, view)
    counting = nn.Sequential()
    counting.register_buffer("passes", torch.zeros(()))
    assert not can_encode((*networks, counting), view)
    assert can_encode((*networks, IterativeNormalisation(8)), view)
    model.expander.eval()
    assert not can_encode((model.backbone, model.expander), view) and can_encode((model.backbone,), view)
    model.train()
    threads(1)
    assert not can_encode(networks, view)


def test_a_second_thread_waits_nowhere_once_the_turns_are_over(model):
    """As where Ctrl-C comes while it is let through."""
    view, model = noise(4, 3, 32, 32), model.double().train()
    with ThreadPoolExecutor(1) as pool:
        with taken_in_turn(batchnorms(model)):
            waiting = pool.submit(model, view)
            with pytest.raises(TimeoutError):
                waiting.result(0.3)
        assert waiting.result(10)[1].shape == (4, 8)


def test_parts_of_a_batch_in_several_processes_are_encoded_one_after_the_other(model, used):
    model.distributed = True  # two threads would gather statistics in an order of their own
    trained(model, dtype=torch.float32)
    assert not used


def test_a_methods_own_state_does_not_keep_its_networks_from_it(model, used):
    model.register_buffer("counter", torch.zeros(()))
    trained(model, dtype=torch.float32)
    assert len(used) == 2

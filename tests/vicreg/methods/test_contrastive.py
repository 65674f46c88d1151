"""Contrastive cross-entropies: by lightly, by loops, by closed forms, and on degenerate embeddings."""

import math

import pytest
import torch
from lightly.loss import DCLLoss, NTXentLoss
from torch.nn import functional

import vicreg.torchvision_compat  # noqa: F401  (lightly imports torchvision)
from tests.vicreg.methods.helpers import DEGENERATE, FEW, SHAPES, assert_finite, assert_same_loss, degenerate, inputs
from vicreg.errors import InputError
from vicreg.methods.contrastive import DENOMINATORS, contrast, info_nce, nt_xent, queue_info_nce

EULER = math.e


def total(function, **settings):
    return lambda *batches: function(*batches, **settings).total


def naive_nt_xent(z, z_prime, *, temperature, denominator):
    """Each term of each denominator by itself, by which rows it may hold."""
    n = len(z)
    rows = [row / row.norm() for row in (*z, *z_prime)]
    losses = []
    for i in range(2 * n):
        positive = (i + n) % (2 * n)
        others = [k for k in range(2 * n) if k != i]
        if denominator == "2n-2":
            others.remove(positive)
        if denominator == "n":
            others = [k for k in others if (k < n) != (i < n)]
        assert len(others) == {"2n-1": 2 * n - 1, "2n-2": 2 * n - 2, "n": n}[denominator]
        terms = torch.stack([(rows[i] @ rows[k] / temperature).exp() for k in others])
        losses.append(-rows[i] @ rows[positive] / temperature + terms.sum().log())
    return torch.stack(losses).mean()


def earlier_keys(d, *, count=128):
    """The queue of which the reference value was computed: unit rows (count, d)."""
    state = torch.get_rng_state()
    torch.manual_seed(1)
    torch.randn(20, d, dtype=torch.float64)  # rows that another method's reference draws first
    queue = functional.normalize(torch.randn(count, d, dtype=torch.float64), dim=1)
    torch.set_rng_state(state)
    return queue


# ---- against references


@pytest.mark.parametrize("temperature", [0.1, 0.5])
@pytest.mark.parametrize(("n", "d"), SHAPES)
@pytest.mark.parametrize(("denominator", "reference"), [("2n-1", NTXentLoss), ("2n-2", DCLLoss)])
def test_value_and_gradient_are_lightlys(denominator, reference, n, d, temperature):
    ours = total(nt_xent, temperature=temperature, denominator=denominator)
    assert_same_loss(ours, reference(temperature=temperature), *inputs(n, d))


@pytest.mark.parametrize(("n", "d"), FEW)
@pytest.mark.parametrize("denominator", DENOMINATORS)
def test_value_and_gradient_are_those_of_a_loop_over_the_terms_of_the_denominator(denominator, n, d):
    settings = {"temperature": 0.2, "denominator": denominator}
    assert_same_loss(total(nt_xent, **settings), lambda a, b: naive_nt_xent(a, b, **settings), *inputs(n, d))


@pytest.mark.parametrize(("n", "d"), SHAPES)
@pytest.mark.parametrize("normalise", [True, False])
def test_info_nce_is_torchs_cross_entropy_of_queries_to_all_keys(n, d, normalise):
    def reference(queries, keys):
        if normalise:
            queries, keys = functional.normalize(queries, dim=1), functional.normalize(keys, dim=1)
        return functional.cross_entropy(queries @ keys.T / 0.2, torch.arange(n))

    assert_same_loss(total(info_nce, temperature=0.2, normalise=normalise), reference, *inputs(n, d))


@pytest.mark.parametrize(("n", "d"), FEW)
def test_info_nce_is_the_loop_over_keys(n, d):
    def loop(queries, keys):
        q, k = [[row / row.norm() for row in batch] for batch in (queries, keys)]
        return (
            sum(torch.stack([(q[i] @ k[j] - q[i] @ k[i]) / 0.2 for j in range(n)]).exp().sum().log() for i in range(n)) / n
        )

    assert_same_loss(total(info_nce, temperature=0.2), loop, *inputs(n, d))


@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_the_denominator_of_n_terms_is_info_nce_in_both_directions(n, d):
    def both(a, b):
        return info_nce(a, b, temperature=0.1).total / 2 + info_nce(b, a, temperature=0.1).total / 2

    assert_same_loss(total(nt_xent, temperature=0.1, denominator="n"), both, *inputs(n, d))


@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_a_queue_serves_as_lightlys_memory_bank(n, d):
    queue = earlier_keys(d)

    def reference(queries, keys):
        loss = NTXentLoss(temperature=0.1, memory_bank_size=(len(queue), d))
        loss.memory_bank.bank, loss.memory_bank.bank_ptr = queue.clone(), torch.zeros(1, dtype=torch.long)
        return loss(queries, keys.detach())

    def ours(queries, keys):
        return queue_info_nce(queries, keys.detach(), queue, temperature=0.1).total

    assert_same_loss(ours, reference, *inputs(n, d))


@pytest.mark.parametrize(("n", "d"), FEW)
@pytest.mark.parametrize("normalise", [True, False])
def test_a_query_is_told_from_its_key_and_the_queue_by_one_plus_k_terms(n, d, normalise):
    queue = earlier_keys(d, count=8)

    def loop(queries, keys):
        losses = []
        for q, k in zip(queries, keys, strict=True):
            if normalise:
                q, k = q / q.norm(), k / k.norm()
            logits = torch.stack([q @ k, *(q @ row for row in queue)]) / 0.5
            assert len(logits) == 1 + 8
            losses.append(-logits[0] + logits.exp().sum().log())
        return torch.stack(losses).mean()

    assert_same_loss(total(queue_info_nce, queue=queue, temperature=0.5, normalise=normalise), loop, *inputs(n, d))


@pytest.mark.parametrize(
    ("function", "settings", "expected"),
    [
        (nt_xent, {"temperature": 0.5}, (4.8833996923, 3.4344398982)),
        (nt_xent, {"temperature": 0.2}, (5.1660903690, 3.5993266542)),
        (nt_xent, {"temperature": 0.1, "denominator": "2n-2"}, (6.1563426378, 4.2268800914)),
        (queue_info_nce, {"temperature": 0.1}, (6.2029652103, 5.6711933577)),
        (info_nce, {"temperature": 0.2}, (1.7844884135 / 0.4, 1.1239633960 / 0.4)),  # MoCo v3's is 2 x 0.2 times as large
    ],
)
def test_values_are_those_once_computed_from_the_same_inputs(function, settings, expected):
    for (n, d), value in zip(SHAPES, expected, strict=True):
        queue = {"queue": earlier_keys(d)} if function is queue_info_nce else {}
        assert function(*inputs(n, d), **settings, **queue).total.item() == pytest.approx(value, rel=1e-9)


# ---- closed forms


@pytest.mark.parametrize(("denominator", "terms"), [("2n-1", 127), ("2n-2", 126), ("n", 64)])
def test_at_constant_rows_the_loss_is_the_logarithm_of_the_count_of_terms(denominator, terms):
    a, b = degenerate("constant rows")
    for temperature in (0.1, 1.0):
        value = nt_xent(a, b, temperature=temperature, denominator=denominator).total.item()
        assert value == pytest.approx(math.log(terms), abs=1e-9)


def test_at_constant_rows_one_direction_counts_the_keys_and_a_queue_one_more_than_its_keys():
    a, b = degenerate("constant rows")
    assert info_nce(a, b, temperature=0.1).total.item() == pytest.approx(math.log(64), abs=1e-9)
    queue = functional.normalize(a[:8], dim=1)
    assert queue_info_nce(a, b, queue, temperature=0.1).total.item() == pytest.approx(math.log(9), abs=1e-9)


@pytest.mark.parametrize(("denominator", "negatives"), [("2n-1", 2), ("n", 1)])
def test_two_images_at_right_angles_have_a_closed_form_without_their_own_rows(denominator, negatives):
    axes = torch.eye(2, dtype=torch.float64)
    found = nt_xent(axes, 3 * axes, temperature=0.5, denominator=denominator)
    assert found.total.item() == pytest.approx(math.log(1 + negatives * EULER**-2))
    assert found.positive_pairs.item() == pytest.approx(-2) and found.contrast_accuracy.item() == 1
    decoupled = nt_xent(axes, axes, temperature=0.5, denominator="2n-2")
    assert decoupled.total.item() == pytest.approx(math.log(2) - 2)


# ---- invariances


@pytest.mark.parametrize("denominator", DENOMINATORS)
def test_lengths_order_and_the_names_of_the_views_do_not_matter(denominator):
    a, b = inputs(16, 48)
    order = torch.randperm(16, generator=torch.Generator().manual_seed(3))
    lengths = torch.linspace(0.1, 5, 16, dtype=torch.float64)[:, None]
    value = nt_xent(a, b, temperature=0.2, denominator=denominator).total.item()
    for pair in ((b, a), (a[order], b[order]), (lengths * a, 7 * b)):
        assert nt_xent(*pair, temperature=0.2, denominator=denominator).total.item() == pytest.approx(value, rel=1e-12)
    assert nt_xent(a[order], b, temperature=0.2, denominator=denominator).total.item() != pytest.approx(value, rel=1e-4)


def test_directions_differ_where_queries_and_keys_are_not_normalised():
    a, b = inputs(16, 48)
    one, other = (info_nce(x, y, temperature=1.0).total.item() for x, y in ((a, b), (b, a)))
    assert one != pytest.approx(other, rel=1e-6)


# ---- parts


@pytest.mark.parametrize("denominator", DENOMINATORS)
def test_the_parts_add_up_and_carry_no_gradient(denominator):
    a, b = (batch.requires_grad_() for batch in inputs(16, 48))
    found = nt_xent(a, b, temperature=0.2, denominator=denominator)
    assert found.total.item() == pytest.approx((found.positive_pairs + found.log_denominator).item(), rel=1e-12)
    assert found.total.requires_grad and not any(part.requires_grad for part in found.terms().values())
    cosine = functional.cosine_similarity(a, b).mean().item()
    assert found.positive_pairs.item() == pytest.approx(-cosine / 0.2)


def test_accuracy_is_the_share_of_queries_whose_positive_is_the_most_similar():
    positives = torch.tensor([1.0, 1.0, 1.0, 0.5])
    negatives = torch.tensor([[0.9, -torch.inf], [1.1, 0.0], [1.0, 0.2], [0.4, 0.3]])
    assert contrast(positives, negatives).contrast_accuracy.item() == 0.5  # the third is a tie
    for dtype in (torch.float32, torch.float64):
        constant = (batch.to(dtype) for batch in degenerate("constant rows", 61, 37))
        assert nt_xent(*constant, temperature=0.2).contrast_accuracy.item() == 0
    assert nt_xent(*degenerate("identical views"), temperature=0.2).contrast_accuracy.item() == 1


def test_a_weight_of_a_positive_scales_its_attraction_alone():
    positives, negatives = torch.tensor([1.0, 2.0]), torch.zeros(2, 3)
    found = contrast(positives, negatives, with_positive=False, weights=torch.tensor([0.5, -1.0]))
    assert found.positive_pairs.item() == pytest.approx(0.75)
    assert found.log_denominator.item() == pytest.approx(math.log(3))


# ---- degenerate and low-precision inputs


@pytest.mark.parametrize("case", DEGENERATE)
@pytest.mark.parametrize("denominator", DENOMINATORS)
def test_degenerate_embeddings_have_a_finite_loss_and_gradient(denominator, case):
    assert_finite(total(nt_xent, temperature=0.1, denominator=denominator), case)


@pytest.mark.parametrize("case", DEGENERATE)
@pytest.mark.parametrize("normalise", [True, False])
def test_degenerate_queries_and_keys_have_a_finite_loss_and_gradient(normalise, case):
    queue = earlier_keys(32)
    assert_finite(total(info_nce, temperature=0.1, normalise=normalise), case)
    assert_finite(total(queue_info_nce, queue=queue, temperature=0.1, normalise=normalise), case)


def test_exactly_constant_rows_are_a_stationary_point():
    a, b = (batch.requires_grad_() for batch in degenerate("constant rows"))
    nt_xent(a, b, temperature=0.1).total.backward()
    assert a.grad.abs().max() < 1e-14 and b.grad.abs().max() < 1e-14


@pytest.mark.parametrize("denominator", DENOMINATORS)
def test_low_precision_embeddings_are_contrasted_in_float32_under_autocast_too(denominator):
    a, b = (batch.half() for batch in inputs(16, 48))
    expected = nt_xent(a.float(), b.float(), temperature=0.01, denominator=denominator).total
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = nt_xent(a, b, temperature=0.01, denominator=denominator).total
    assert found.dtype == torch.float32 and found.isfinite() and torch.equal(found, expected)


# ---- bad arguments


@pytest.mark.parametrize(
    ("function", "arguments", "sentence"),
    [
        (nt_xent, {"denominator": "2n"}, "denominator must be one of 2n-1, 2n-2, n, but got '2n'; choose one."),
        (nt_xent, {"temperature": 0.0}, "temperature must be a finite number above 0, but got 0.0"),
        (info_nce, {"temperature": math.nan}, "temperature must be a finite number above 0, but got nan"),
        (queue_info_nce, {"queue": torch.ones(5, 3)}, "The queue must have shape (K, 4), but got (5, 3)"),
        (queue_info_nce, {"queue": torch.ones(4)}, "The queue must have shape (K, 4), but got (4,)"),
    ],
)
def test_bad_arguments_are_refused_in_one_sentence(function, arguments, sentence):
    with pytest.raises(InputError) as raised:
        function(torch.ones(6, 4), torch.ones(6, 4), **{"temperature": 0.5, **arguments})
    assert str(raised.value).startswith(sentence)


@pytest.mark.parametrize("function", [nt_xent, info_nce])
def test_bad_batches_are_refused(function):
    for pair, sentence in (
        ((torch.ones(6, 4), torch.ones(5, 4)), "Two views must have embeddings of one shape"),
        ((torch.ones(1, 4), torch.ones(1, 4)), "A batch must hold at least 2 samples"),
        ((torch.ones(6), torch.ones(6)), r"Embeddings must have shape \(n, d\)"),
        ((torch.full((6, 4), torch.inf), torch.ones(6, 4)), "Embeddings must be finite"),
    ):
        with pytest.raises(InputError, match=sentence):
            function(*pair, temperature=0.5)

"""A run is pruned by its log alone, whoever ran it and however far."""

import pytest
import torch

from study.runs import pruning
from study.runs.pruning import apply_pruning, prune_reason
from study.runs.run import make_run
from vicreg.evaluation.collapse_diagnosis import CollapseDiagnosis, diagnose_collapse
from vicreg.metrics.collapse import collapse_trace


@pytest.fixture
def run(tiny_config):
    config = tiny_config({"pretrain.epochs": 6, "pretrain.warmup_epochs": 1})
    return make_run(config, data="sha256:" + "a" * 64, device=torch.device("cpu"), probes=("knn",))


@pytest.fixture(autouse=True)
def named(monkeypatch):
    """Logs say by a letter what each epoch is taken for: c for complete collapse."""
    names = {"c": "complete", "h": "healthy"}
    monkeypatch.setattr(
        pruning, "diagnose_collapse", lambda embeddings, **_: CollapseDiagnosis(names[embeddings], "Nothing is left.")
    )


def log(letters):
    return [{"embeddings": letter, "representations": letter} for letter in letters]


def result(letters, *, status="finished"):
    measured = {"validation": {"knn_5": {"top1": 0.5}}, "test": {"knn_5": {"top1": 0.5}}, "collapse": {}, "verdict": None}
    return {"status": status, "reason": None, "history": log(letters), **measured}


@pytest.mark.parametrize(
    ("letters", "pruned"),
    [("ccc", False), ("cccc", True), ("hhcc", True), ("hcch", False), ("cchc", False), ("cchcc", True), ("hhhhhh", False)],
)
def test_two_collapsed_epochs_in_a_row_after_the_warm_up_end_a_run(run, letters, pruned):
    reason = prune_reason(log(letters), run, 2)
    assert (reason is not None) == pruned
    if reason:
        assert reason == f"complete collapse for 2 epochs, at epoch {len(letters)}: Nothing is left."


def test_without_a_rule_nothing_is_pruned(run):
    assert prune_reason(log("cccccc"), run, None) is None
    assert apply_pruning(result("cccccc"), run, None) == result("cccccc")


@pytest.mark.parametrize("status", ["finished", "diverged"])
def test_a_run_that_went_on_is_seen_as_it_was_at_the_epoch_that_would_have_ended_it(run, status):
    seen = apply_pruning(result("hhcchh", status=status), run, 2)
    assert (seen["status"], seen["history"]) == ("pruned", log("hhcc"))
    assert seen["reason"] == "complete collapse for 2 epochs, at epoch 4: Nothing is left."
    assert seen["validation"] == seen["test"] == {}


def test_a_run_that_the_rule_does_not_end_is_seen_as_it_is(run):
    assert apply_pruning(result("hhchch"), run, 2) == result("hhchch")


@pytest.mark.parametrize("status", ["killed", "failed", "missing", "pruned"])
def test_a_run_without_a_full_log_is_seen_as_it_is(run, status):
    assert apply_pruning(result("hhcc", status=status), run, 2)["status"] == status


@pytest.mark.parametrize("gamma", [1.0, 2.0])
def test_std_is_judged_in_units_of_what_the_method_drives_it_to(tiny_config, monkeypatch, gamma):
    asked = []

    def diagnose(*, target_std, **_):
        asked.append(target_std)
        return CollapseDiagnosis("healthy", "")

    monkeypatch.setattr(pruning, "diagnose_collapse", diagnose)
    config = tiny_config({"pretrain.epochs": 6, "pretrain.warmup_epochs": 1, "pretrain.gamma": gamma})
    run = make_run(config, data="sha256:" + "a" * 64, device=torch.device("cpu"), probes=("knn",))
    prune_reason(log("cccc"), run, 2)
    assert asked == [gamma, gamma]


def test_embeddings_of_unit_length_are_pruned_for_their_directions_alone_where_the_scale_is_free(run, monkeypatch):
    generator = torch.Generator().manual_seed(0)
    sphere = torch.nn.functional.normalize(torch.randn(150, 128, generator=generator))  # of std 0.088
    monkeypatch.setattr(pruning, "diagnose_collapse", diagnose_collapse)
    for target, offset, pruned in ((1.0, 0.0, True), (None, 0.0, False), (None, 1.0, True)):
        monkeypatch.setattr(pruning, "target_std_of", lambda name, settings, target=target: target)
        trace = collapse_trace(sphere + offset)
        history = [{"embeddings": trace, "representations": trace}] * 4
        assert (prune_reason(history, run, 2) is not None) == pruned

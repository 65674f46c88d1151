"""The store: what has ended is never computed again, what was cut short goes on, and each ending is called what it is."""

import json
import math
import re
import shutil

import pytest
import torch
from filelock import FileLock, Timeout

from study.config.config import UNTRAINED
from study.runs import execute as executing
from study.runs import pruning
from study.runs.execute import execute
from study.runs.identity import Identity
from study.runs.models import model_from, trained_model
from study.runs.revision import current_commit
from study.runs.run import make_run
from study.runs.store import Store
from vicreg.errors import InputError
from vicreg.evaluation.collapse_diagnosis import CollapseDiagnosis
from vicreg.training.checkpoint import latest_checkpoint, load_weights
from vicreg.training.loop import Diverged

CPU = torch.device("cpu")
EPOCHS = 4
QUICK = {"pretrain.epochs": EPOCHS, "pretrain.batch_size": 80}  # two steps an epoch


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def run_of(tiny_config, digits):
    def build(settings=None, *, probes=("knn",)):
        return make_run(tiny_config(QUICK | (settings or {})), data=digits.digest, device=CPU, probes=probes)

    return build


@pytest.fixture
def go(store, digits):
    """`go(run)` executes a run and returns how it ended and the epochs it trained."""

    def execute_and_watch(run, *, on_epoch=lambda record: None, store=store, **named):
        epochs = []

        def watch(record):
            epochs.append(record["epoch"])
            on_epoch(record)

        status = execute(run, store=store, dataset=digits, device=CPU, on_epoch=watch, **named)
        return status, epochs

    return execute_and_watch


def stop_at(epoch, error=KeyboardInterrupt):
    def on_epoch(record):
        if record["epoch"] == epoch:
            raise error

    return on_epoch


def cut_short(go, run, *, after, **named):
    """Trains `after` epochs and is interrupted there, as by Ctrl-C: the checkpoint is on disk, no ending is."""
    with pytest.raises(KeyboardInterrupt):
        go(run, on_epoch=stop_at(after), **named)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, tiny_config, digits):
    """The baseline run of this file, trained in one go: (store, run)."""
    store = Store(tmp_path_factory.mktemp("undisturbed"))
    run = make_run(tiny_config(QUICK), data=digits.digest, device=CPU, probes=("knn",))
    assert execute(run, store=store, dataset=digits, device=CPU) == "finished"
    return store, run


def same_weights(store, other, run):
    one, two = (load_weights(where.folder(run.digest) / "model.safetensors") for where in (store, other))
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def result_of(store, run):
    """A run's result without what depends on where and when it was computed."""
    return {key: value for key, value in store.result(run).items() if key not in ("commit", "images_per_second", "joules")}


# ---- finished


def test_a_finished_run_is_kept_whole_and_holds_no_clock_time(undisturbed, digits):
    store, run = undisturbed
    assert store.status(run) == ("finished", None)
    result = store.result(run)
    assert (result["status"], result["digest"], result["seed"]) == ("finished", run.digest, 0)
    assert [record["epoch"] for record in result["history"]] == [1, 2, 3, 4]
    assert not any("images_per_second" in record for record in result["history"])
    assert set(result["test"]) == {"knn_5", "knn_20"} and result["verdict"]["name"]
    folder = store.folder(run.digest)
    assert latest_checkpoint(folder) is None and (folder / "model.safetensors").exists()
    model = trained_model(run, store=store, dataset=digits, device=CPU)
    written = load_weights(folder / "model.safetensors")
    assert all(torch.equal(value, written[name]) for name, value in model.state_dict().items())


def test_a_finished_run_is_never_trained_again_whoever_asks(undisturbed, go, run_of, monkeypatch):
    store, run = undisturbed
    monkeypatch.setattr(executing, "pretrain", lambda *_, **__: pytest.fail("was trained again"))
    before = (store.folder(run.digest) / "history.json").read_bytes()
    assert go(run, store=store) == ("finished", [])
    # other settings of evaluation, of the harness and of how often to save: another measurement, the same training
    other = run_of({"evaluate.knn": [3], "ablate.seeds": 4, "pretrain.checkpoint_every": 3})
    assert go(other, store=store) == ("finished", [])
    assert other.digest == run.digest
    assert (store.folder(run.digest) / "history.json").read_bytes() == before


def test_what_is_measured_is_asked_for_by_itself(undisturbed, go, run_of, monkeypatch):
    store, run = undisturbed
    other = run_of({"evaluate.knn": [7]})
    assert store.status(other) == ("partial", "trained, but not yet measured with these probes")
    assert store.result(other)["test"] == {}
    monkeypatch.setattr(executing, "pretrain", lambda *_, **__: pytest.fail("was trained again"))
    assert go(other, store=store) == ("finished", [])
    assert set(store.result(other)["test"]) == {"knn_7"}
    assert set(store.result(run)["test"]) == {"knn_5", "knn_20"}


def test_what_was_measured_is_not_measured_again(undisturbed, go, monkeypatch):
    store, run = undisturbed
    monkeypatch.setattr(executing, "evaluate", lambda *_, **__: pytest.fail("was measured again"))
    assert go(run, store=store) == ("finished", [])


def test_an_untrained_run_is_measured_and_has_no_history(store, go, run_of):
    run = run_of({"pretrain.epochs": 0, "pretrain.warmup_epochs": 0})
    assert go(run) == ("finished", [])
    assert store.result(run)["history"] == [] and store.result(run)["test"]


def test_another_setting_is_another_folder(store, go, run_of, undisturbed):
    shared, run = undisturbed
    assert store.status(run) == ("missing", None)
    assert shared.status(run_of({"pretrain.nu": 2})) == ("missing", None)


def test_a_run_is_executed_on_the_data_it_names_and_on_no_other(store, tiny_config, digits):
    run = make_run(tiny_config(), data="sha256:other", device=CPU, probes=("knn",))
    with pytest.raises(AssertionError):
        execute(run, store=store, dataset=digits, device=CPU)


def test_the_identities_of_all_runs_can_be_read_back(undisturbed):
    store, run = undisturbed
    ((digest, identity),) = store.identities()
    assert digest == run.digest == identity.digest and isinstance(identity, Identity)
    assert identity == run.identity


# ---- cut short


def test_a_run_that_was_cut_short_says_how_far_it_came(store, go, run_of):
    run = run_of()
    assert store.status(run) == ("missing", None)
    cut_short(go, run, after=2)
    assert store.status(run) == ("partial", "2 of 4 epochs are trained")
    result = store.result(run)
    assert (result["status"], result["test"], len(result["history"])) == ("partial", {}, 2)


@pytest.mark.parametrize("endings", [(), ("out-of-memory", "failed", "killed")], ids=str)
def test_what_was_cut_short_goes_on_from_its_checkpoint_and_ends_as_if_it_had_not_been(
    store, go, run_of, undisturbed, endings
):
    run = run_of()
    cut_short(go, run, after=2)
    for ending in endings:
        store.record_ending(run, ending, "a reason")
        assert store.status(run) == (ending, "a reason")
    assert go(run) == ("finished", [3, 4])
    assert same_weights(store, undisturbed[0], run)
    assert result_of(store, run) == result_of(undisturbed[0], run)


def test_a_run_cut_short_after_its_last_epoch_trains_nothing_more(store, go, run_of, undisturbed):
    run = run_of()
    cut_short(go, run, after=EPOCHS)
    assert go(run) == ("finished", [])
    assert same_weights(store, undisturbed[0], run) and result_of(store, run) == result_of(undisturbed[0], run)


def test_running_out_of_memory_is_an_ending_that_is_tried_again(store, go, run_of):
    run = run_of()
    status, _ = go(run, on_epoch=stop_at(2, MemoryError("cannot allocate 5 GB\nmore lines")))
    assert status == "out-of-memory"
    assert store.status(run) == ("out-of-memory", "cannot allocate 5 GB")
    assert [record["epoch"] for record in store.result(run)["history"]] == [1, 2]
    assert go(run) == ("finished", [3, 4])


@pytest.mark.parametrize(("error", "ending"), [(MemoryError(), "out-of-memory"), (None, "killed")])
def test_what_goes_wrong_while_measuring_does_not_cost_the_training(
    store, go, run_of, undisturbed, monkeypatch, error, ending
):
    run = run_of()
    with monkeypatch.context() as patch:

        def measure(*_, **__):
            raise error or KeyboardInterrupt

        patch.setattr(executing, "evaluate", measure)
        if error is None:
            with pytest.raises(KeyboardInterrupt):
                go(run)
            store.record_ending(run, "killed", "by a signal")  # as the command does for a worker that died
        else:
            assert go(run)[0] == ending
    assert store.status(run)[0] == ending
    assert store.status(run_of(probes=("knn", "linear_cached")))[0] == "partial"  # only that measurement went wrong
    monkeypatch.setattr(executing, "pretrain", lambda *_, **__: pytest.fail("was trained again"))
    assert go(run) == ("finished", [])
    assert store.status(run) == ("finished", None)
    assert result_of(store, run) == result_of(undisturbed[0], run)


# ---- diverged


def test_a_diverged_run_keeps_its_log_up_to_the_last_good_epoch_and_is_not_tried_again(store, go, run_of, monkeypatch):
    run = run_of()
    status, epochs = go(run, on_epoch=stop_at(3, Diverged("the loss stopped being finite in epoch 4 of 4")))
    assert (status, epochs) == ("diverged", [1, 2, 3])
    assert store.status(run) == ("diverged", "the loss stopped being finite in epoch 4 of 4")
    assert [record["epoch"] for record in store.result(run)["history"]] == [1, 2, 3]
    monkeypatch.setattr(executing, "pretrain", lambda *_, **__: pytest.fail("was tried again"))
    assert go(run) == ("diverged", [])


@pytest.mark.parametrize("error", [Diverged("the loss stopped being finite in epoch 4 of 4"), MemoryError()], ids=repr)
def test_a_run_that_ends_early_keeps_the_log_of_epochs_since_its_last_checkpoint(store, go, run_of, error):
    run = run_of({"pretrain.checkpoint_every": 2})
    assert go(run, on_epoch=stop_at(3, error))[1] == [1, 2, 3]
    assert latest_checkpoint(store.folder(run.digest)).name == "checkpoint-00002"
    assert [record["epoch"] for record in store.result(run)["history"]] == [1, 2, 3]


def test_a_learning_rate_beyond_all_measure_diverges(store, go, run_of):
    run = run_of({"pretrain.base_lr": 1e30, "pretrain.optimizer": "sgd"})
    assert go(run) == ("diverged", [])
    status, reason = store.status(run)
    assert status == "diverged" and "stopped being finite in epoch" in reason
    result = store.result(run)
    assert result["verdict"] is None and result["history"] == [] and result["test"] == {}


# ---- pruned


@pytest.fixture
def collapsed(monkeypatch):
    """Every network is taken for completely collapsed."""
    monkeypatch.setattr(pruning, "diagnose_collapse", lambda **_: CollapseDiagnosis("complete", "Nothing is left."))


def test_a_search_prunes_a_run_once_it_has_been_collapsed_for_so_many_epochs_after_warming_up(store, go, run_of, collapsed):
    run = run_of({"pretrain.epochs": 6})  # one epoch of warm-up
    assert go(run, prune_after=2) == ("pruned", [1, 2, 3, 4])
    assert store.status(run) == ("pruned", "complete collapse for 2 epochs, at epoch 4: Nothing is left.")
    assert go(run, prune_after=2) == ("pruned", [])


def by_name(record, names):
    """Let an epoch be diagnosed as the one of these names that is its turn."""
    record["embeddings"]["named"] = names[(record["epoch"] - 1) % len(names)]


@pytest.fixture
def named(monkeypatch):
    """Every network is taken for what `by_name` has said of its epoch."""
    monkeypatch.setattr(pruning, "diagnose_collapse", lambda embeddings, **_: CollapseDiagnosis(embeddings["named"], ""))


def test_nothing_but_complete_collapse_is_pruned(go, run_of, named):
    names = ("healthy", "dimensional", "informational", "view-dependent", "chance-level")  # the first epoch warms up
    run = run_of({"pretrain.epochs": 1 + len(names)})
    assert go(run, prune_after=1, on_epoch=lambda record: by_name(record, names)) == ("finished", [1, 2, 3, 4, 5, 6])


@pytest.mark.parametrize(("names", "ending"), [("cchch", "finished"), ("cchcc", "pruned")])
def test_a_run_that_recovers_starts_to_count_anew(go, run_of, named, names, ending):
    words = [{"c": "complete", "h": "healthy"}[letter] for letter in names]
    run = run_of({"pretrain.epochs": 5})
    assert go(run, prune_after=2, on_epoch=lambda record: by_name(record, words)) == (ending, [1, 2, 3, 4, 5])


def test_a_run_that_is_really_collapsed_is_recognised_by_its_log(go, run_of):
    collapsing = {"pretrain.mu": 0, "pretrain.nu": 0, "pretrain.base_lr": 0.5, "pretrain.epochs": 6}
    status, epochs = go(run_of(collapsing), prune_after=1)
    assert status == "pruned" and epochs[-1] < 6


def test_a_run_that_was_cut_short_is_pruned_where_it_would_have_been_otherwise(go, run_of, collapsed, tmp_path):
    run, whole = run_of({"pretrain.epochs": 6}), Store(tmp_path / "whole")
    go(run, prune_after=2, store=whole)
    for cut in (3, 4):  # in the middle of the count, and at its end
        own = Store(tmp_path / f"cut-{cut}")
        cut_short(go, run, after=cut, prune_after=2, store=own)
        assert go(run, prune_after=2, store=own) == ("pruned", list(range(cut + 1, 5)))
        assert result_of(own, run) == result_of(whole, run)


def test_an_arm_that_asks_for_the_whole_of_a_pruned_run_continues_it(store, go, run_of, undisturbed, collapsed):
    run = run_of()
    assert go(run, prune_after=1) == ("pruned", [1, 2, 3])
    assert go(run) == ("finished", [4])
    assert same_weights(store, undisturbed[0], run)
    assert go(run, prune_after=1) == ("finished", [])


# ---- damage


@pytest.fixture
def copied(undisturbed, tmp_path):
    """A store of one's own that holds the finished run of this file: (store, run)."""
    whole, run = undisturbed
    shutil.copytree(whole.root, tmp_path / "copied")
    return Store(tmp_path / "copied"), run


DAMAGE = {
    "cut short": lambda content: content[: len(content) // 2], "emptied": lambda content: b"",
    "no text": lambda content: b"\xff\xfe", "another kind": lambda content: b"5", "other keys": lambda content: b'{"no": 1}',
}  # fmt: skip


@pytest.mark.parametrize("name", ["status.json", "history.json"])
def test_a_run_whose_ending_or_log_is_damaged_is_trained_again_and_not_measured_again(
    copied, undisturbed, go, monkeypatch, name
):
    store, run = copied
    path = store.folder(run.digest) / name
    good = path.read_bytes()
    for damage in DAMAGE.values():
        path.write_bytes(damage(good))
        assert store.status(run) == ("missing", None) and store.result(run)["test"] == {}
    monkeypatch.setattr(executing, "evaluate", lambda *_, **__: pytest.fail("was measured again"))
    assert go(run, store=store) == ("finished", [1, 2, 3, 4])
    assert same_weights(store, undisturbed[0], run) and result_of(store, run) == result_of(undisturbed[0], run)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("history.json", "[1, 2]"), ("history.json", "[[]]"), ("history.json", "[null]"),
        ("status.json", '{"status": 5, "reason": null}'), ("status.json", '{"status": "foo", "reason": null}'),
        ("status.json", '{"status": [], "reason": null}'), ("status.json", '{"status": "failed", "reason": {}}'),
        ("status.json", '{"status": null, "reason": null}'),
    ],
)  # fmt: skip
def test_an_ending_or_a_log_that_is_json_of_other_values_counts_as_missing(copied, name, content):
    store, run = copied
    (store.folder(run.digest) / name).write_text(content)
    assert store.status(run) == ("missing", None) and store.result(run)["test"] == {}
    assert store.forget_ending(run)


@pytest.mark.parametrize("key", ["validation", "test", "collapse", "verdict"])
@pytest.mark.parametrize("value", [None, {}, 5, [1]])
def test_a_measurement_with_nothing_in_it_is_none(copied, key, value):
    store, run = copied
    path = store.evaluation_path(run)
    path.write_text(json.dumps({**json.loads(path.read_bytes()), key: value}))
    assert store.status(run) == ("partial", "trained, but not yet measured with these probes")


def test_a_note_of_why_a_run_is_not_measured_may_be_damaged(copied):
    store, run = copied
    store.evaluation_path(run).unlink()
    store.record_ending(run, "failed", "no space")
    assert store.status(run) == ("failed", "no space")
    (path,) = store.folder(run.digest).glob("unmeasured-*.json")
    path.write_text('{"status": 5, "reason": "x"}')
    assert store.status(run) == ("partial", "trained, but not yet measured with these probes")


@pytest.mark.parametrize(
    ("key", "value"), [("settings", "x"), ("machinery", None), ("machinery", {"torch": 5}), ("data", 5), ("definitions", [])]
)
def test_an_identity_of_other_kinds_of_values_is_left_out(copied, key, value):
    store, run = copied
    path = store.folder(run.digest) / "identity.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), key: value}))
    assert list(store.identities()) == []


def test_a_measurement_that_is_damaged_is_made_again_and_nothing_is_trained(copied, go, monkeypatch):
    store, run = copied
    path = store.evaluation_path(run)
    good = path.read_bytes()
    for damage in DAMAGE.values():
        path.write_bytes(damage(good))
        assert store.status(run) == ("partial", "trained, but not yet measured with these probes")
    monkeypatch.setattr(executing, "pretrain", lambda *_, **__: pytest.fail("was trained again"))
    assert go(run, store=store) == ("finished", []) and path.read_bytes() == good


@pytest.mark.parametrize("name", ["provenance.json", "energy.json", "identity.json"])
def test_what_a_run_says_beside_its_results_may_be_damaged(copied, undisturbed, name):
    store, run = copied
    (store.folder(run.digest) / name).write_bytes(b"{")
    assert result_of(store, run) == result_of(undisturbed[0], run)
    assert len(list(store.identities())) == (name != "identity.json")
    store.add_energy(run, 2.0)
    assert store.result(run)["joules"] == 2.0


def test_a_note_of_energy_that_is_no_number_counts_as_none(copied):
    store, run = copied
    (store.folder(run.digest) / "energy.json").write_bytes(b'{"joules": null}')
    store.add_energy(run, 2.0)
    assert store.result(run)["joules"] == 2.0


def test_a_note_of_energy_that_cannot_be_written_stops_nothing(copied):
    store, run = copied
    path = store.folder(run.digest) / "energy.json"
    path.unlink(missing_ok=True)
    path.mkdir()
    store.add_energy(run, 2.0)
    assert store.result(run)["joules"] is None and store.status(run) == ("finished", None)


def lose_weights(path):
    path.unlink()


def change_a_bit_of_weights(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("lose", [lose_weights, change_a_bit_of_weights])
def test_weights_that_are_lost_are_trained_again_where_another_measurement_needs_them(copied, undisturbed, go, run_of, lose):
    store, run = copied
    path = store.weights_path(run.digest)
    good = path.read_bytes()
    lose(path)
    assert go(run, store=store) == ("finished", [])  # it is measured, so it needs none
    other = run_of({"evaluate.knn": [9]})
    assert go(other, store=store) == ("finished", [1, 2, 3, 4])
    assert path.read_bytes() == good and set(store.result(other)["test"]) == {"knn_9"}
    assert result_of(store, run) == result_of(undisturbed[0], run)
    assert go(other, store=store) == ("finished", [])


def test_weights_of_an_earlier_version_that_recorded_no_digest_are_trained_again_where_they_cannot_be_read(
    copied, go, run_of
):
    store, run = copied
    (store.folder(run.digest) / "status.json").write_text('{"status": "finished", "reason": null}')
    other = run_of({"evaluate.knn": [9]})
    assert go(other, store=store) == ("finished", [])  # they are good
    path = store.weights_path(run.digest)
    path.write_bytes(path.read_bytes()[:-1])
    assert go(run_of({"evaluate.knn": [11]}), store=store) == ("finished", [1, 2, 3, 4])


def test_a_run_cut_short_while_its_lost_weights_are_trained_keeps_its_results_and_goes_on(copied, undisturbed, go, run_of):
    store, run = copied
    store.weights_path(run.digest).unlink()
    other = run_of({"evaluate.knn": [9]})
    cut_short(go, other, after=2, store=store)
    assert result_of(store, run) == result_of(undisturbed[0], run)
    assert go(other, store=store) == ("finished", [3, 4])
    assert same_weights(store, undisturbed[0], run)


def test_running_out_of_memory_while_lost_weights_are_trained_costs_the_new_measurement_alone(
    copied, undisturbed, go, run_of
):
    store, run = copied
    store.weights_path(run.digest).unlink()
    other = run_of({"evaluate.knn": [9]})
    assert go(other, store=store, on_epoch=stop_at(2, MemoryError("no memory")))[0] == "out-of-memory"
    assert store.status(other) == ("out-of-memory", "no memory")
    assert result_of(store, run) == result_of(undisturbed[0], run)


def test_a_corrupt_checkpoint_is_refused_and_nothing_is_lost(store, go, run_of):
    run = run_of()
    cut_short(go, run, after=1)
    checkpoint = latest_checkpoint(store.folder(run.digest))
    for name in ("model.safetensors", "state.safetensors", "history.json", "manifest.json"):
        good = (checkpoint / name).read_bytes()
        (checkpoint / name).write_bytes(good[: len(good) // 2])
        with pytest.raises(InputError, match=r"checkpoint-00001.* (delete|start)"):
            go(run)
        (checkpoint / name).write_bytes(good)
    assert go(run) == ("finished", [2, 3, 4])


def test_deleting_a_corrupt_checkpoint_heals_the_run_as_its_message_says(store, go, run_of, undisturbed):
    run = run_of()
    cut_short(go, run, after=2)
    checkpoint = latest_checkpoint(store.folder(run.digest))
    (checkpoint / "state.safetensors").write_bytes(b"")
    with pytest.raises(InputError) as raised:
        go(run)
    shutil.rmtree(re.search(r"delete (\S+) and start again", str(raised.value))[1])
    assert go(run) == ("finished", [1, 2, 3, 4]) and result_of(store, run) == result_of(undisturbed[0], run)


def test_a_checkpoint_of_another_run_is_refused(store, go, run_of):
    run, other = run_of(), run_of({"pretrain.seed": 1})
    cut_short(go, run, after=1)
    store.folder(other.digest).mkdir()
    latest_checkpoint(store.folder(run.digest)).rename(store.folder(other.digest) / "checkpoint-00001")
    with pytest.raises(InputError, match=f"belongs to run {run.digest[:12]}, not to {other.digest[:12]}"):
        go(other)


def test_weights_of_another_architecture_are_refused(undisturbed, run_of, digits):
    store, run = undisturbed
    path = store.folder(run.digest) / "model.safetensors"
    with pytest.raises(InputError, match="holds weights of another architecture .*; train it again"):
        model_from(path, run_of({"pretrain.width": 8}), dataset=digits, device=CPU)
    with pytest.raises(InputError, match="does not exist"):
        model_from(path.with_name("none.safetensors"), run, dataset=digits, device=CPU)


def test_a_store_that_cannot_be_written_is_refused_before_anything_is_trained(go, run_of, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="the store .* cannot be written"):
        go(run_of(), store=Store(tmp_path / "file"))


def test_while_a_run_is_executed_no_other_process_can_begin_it(store, go, run_of):
    run = run_of()

    def try_to_begin(record):
        with pytest.raises(Timeout):
            FileLock(store.folder(run.digest) / "lock", timeout=0).acquire()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        go(run, on_epoch=try_to_begin)
    FileLock(store.folder(run.digest) / "lock", timeout=0).acquire().lock.release()


# ---- provenance


def test_outside_of_git_the_commit_is_unknown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert current_commit([]) == "unknown"
    monkeypatch.setenv("PATH", "")
    assert current_commit([]) == "unknown"


def test_all_that_a_store_writes_is_json_any_program_can_read(undisturbed):
    store, run = undisturbed
    for path in store.folder(run.digest).glob("*.json"):
        json.loads(path.read_bytes(), parse_constant=pytest.fail)  # which is called for NaN and Infinity
    assert all(math.isfinite(value) for value in store.result(run)["history"][-1]["embeddings"].values())


def test_a_shared_control_has_the_coefficients_of_the_run_that_asks_and_not_of_the_first(store, run_of, digits):
    first, second = (run_of({**UNTRAINED, "pretrain.vicreg.mu": mu}) for mu in (25, 10))
    assert first.digest == second.digest
    execute(first, store=store, dataset=digits, device=CPU)
    assert store.result(first)["effective_coefficients"] == first.config.pretrain.effective
    assert store.result(second)["effective_coefficients"] == second.config.pretrain.effective
    assert first.config.pretrain.effective != second.config.pretrain.effective

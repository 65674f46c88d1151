"""The command that runs finished cells again: its certificate, what it prints, and what it refuses."""

import json
import shutil
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from study import ablate, verify
from study.execution.request import Request
from study.execution.session import open_session
from study.runs import identity
from study.runs.code_digest import CodeDigest
from study.runs.store import Store
from study.verification import certify
from tests.study.conftest import QUICK, Project, enter


def certificate(project, name):
    return json.loads((project.folder / "results" / "verify" / f"{name}.json").read_bytes())


@dataclass(frozen=True)
class Verified:
    """One run of the study `tiny` that was verified: its certificate, and the store in which it was run again."""

    certificate: bytes
    store: Store


@pytest.fixture(scope="module")
def verified(tmp_path_factory, tiny_config, undisturbed):
    project = Project(tmp_path_factory.mktemp("verified"), tiny_config(QUICK))
    for name in ("store", "results"):
        shutil.copytree(undisturbed.folder / name, project.folder / name)
    run_afresh = certify.run_afresh

    @contextmanager
    def keep(*cells, **named):
        with run_afresh(*cells, **named) as fresh:
            shutil.copytree(fresh.root, project.folder / "again")
            yield fresh

    with pytest.MonkeyPatch.context() as patch:
        enter(project, patch)
        patch.setattr(certify, "run_afresh", keep)
        assert verify.main(["--study", "tiny", "--runs", "1"]) == 0
    written = (project.folder / "results/verify/tiny.json").read_bytes()
    return Verified(certificate=written, store=Store(project.folder / "again"))


@pytest.fixture
def run_before(verified, monkeypatch):
    """Compares with the one run that was run again before: what is compared is what the test has changed."""

    @contextmanager
    def look_up(cells, *_, **named):
        assert len(cells) == 1 and verified.store.status(cells[0].run)[0] == "finished"
        yield verified.store

    monkeypatch.setattr(certify, "run_afresh", look_up)


def edit(project, name, change):
    """Changes what was reported of a study: `change` is given its arms by name."""
    path = project.folder / "results/ablate" / name / "study.json"
    results = json.loads(path.read_bytes())
    change({arm["name"]: arm for arm in results["arms"]})
    path.write_text(json.dumps(results))


# ---- what is certified


def test_runs_done_again_are_bit_identical_down_to_the_bytes_of_their_weights(finished, trained, command):
    status, output, _ = command(verify.main, "--study", "tiny", "--runs", "2")
    told = certificate(finished, "tiny")
    assert status == 0 and len(trained()) == 2
    assert told["counts"] == {"bit-identical": 2, "within tolerance": 0, "not reproduced": 0} and told["ended"] == 3
    assert {cell["arm"] for cell in told["runs"]} == {"nu-1", "nu-2"}  # what was trained comes before the control
    assert {cell["weights"] for cell in told["runs"]} == {"identical"}
    assert told["sentence"].startswith("2 of 3 ended runs were run again from nothing on cpu (")
    assert told["sentence"].endswith(": bit-identical.") and told["sentence"] in output and told["same_machinery"]


def test_a_certificate_has_the_same_bytes_each_time_and_no_place_or_time_in_it(verified, finished, command):
    assert command(verify.main, "--study", "tiny", "--runs", "1")[0] == 0
    written = (finished.folder / "results/verify/tiny.json").read_bytes()
    assert written == verified.certificate and str(finished.folder).encode() not in written


@pytest.mark.usefixtures("run_before")
def test_a_number_that_does_not_come_out_again_is_named_and_the_status_is_1(finished, command):
    def change(arms):
        for name in ("nu-1", "nu-2"):
            arms[name]["runs"][0]["test"]["knn_5"]["top1"] += 0.01

    edit(finished, "tiny", change)
    status, output, _ = command(verify.main, "--study", "tiny", "--runs", "1")
    (cell,) = certificate(finished, "tiny")["runs"]
    assert status == 1 and cell["outcome"] == "not reproduced" and cell["differing"] == ["test.knn_5.top1"]
    assert cell["largest_difference"] == pytest.approx(0.01)
    assert "not reproduced: differs in test.knn_5.top1, accuracies at most 1 points apart" in output
    status, output, _ = command(verify.main, "--study", "tiny", "--runs", "1", "--tolerance", "0.011")
    assert status == 0 and "1 within tolerance (accuracies at most 1 points apart, 1.1 allowed)" in output


@pytest.mark.usefixtures("run_before")
def test_accuracies_within_tolerance_are_not_reproduced_where_the_verdict_is_another(finished, command):
    def change(arms):
        for name in ("nu-1", "nu-2"):
            arms[name]["runs"][0]["verdict"]["name"] = "dimensional"

    edit(finished, "tiny", change)
    assert command(verify.main, "--study", "tiny", "--runs", "1", "--tolerance", "1")[0] == 1


@pytest.mark.usefixtures("run_before")
def test_numbers_alone_are_compared_where_the_store_has_kept_no_weights(finished, command):
    for path in finished.folder.glob("store/runs/*/model.safetensors"):
        path.unlink()
    assert command(verify.main, "--study", "tiny", "--runs", "1")[0] == 0
    (cell,) = certificate(finished, "tiny")["runs"]
    assert (cell["outcome"], cell["weights"]) == ("bit-identical", "not kept")


@pytest.mark.usefixtures("run_before")
def test_weights_of_other_bytes_are_found_though_every_number_is_equal(finished, command):
    for path in finished.folder.glob("store/runs/*/model.safetensors"):
        path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    status, output, _ = command(verify.main, "--study", "tiny", "--runs", "1")
    said = "differs in the weights alone, accuracies at most 0 points apart"
    assert status == 1 and f"not reproduced: {said}" in output and f": 1 not reproduced ({said})." in output
    status, output, _ = command(verify.main, "--study", "tiny", "--runs", "1", "--tolerance", "0.001")
    assert status == 0 and f"within tolerance: {said}" in output


def test_a_run_that_diverged_diverges_again(finished, command):
    ablate.main(["--study", "rough"])
    status, output, _ = command(verify.main, "--study", "rough", "--runs", "2")
    assert status == 0
    outcomes = {cell["arm"]: (cell["status"], cell["outcome"]) for cell in certificate(finished, "rough")["runs"]}
    assert outcomes == {"wild": ("diverged", "bit-identical"), "calm": ("finished", "bit-identical")}


@pytest.mark.slow
def test_a_run_that_was_pruned_is_pruned_again(project, command):
    project.set({"pretrain.base_lr": 0.0, "pretrain.end_lr": 0.0, "pretrain.epochs": 4})
    text = (project.studies / "quest.yaml").read_text().replace("{low: 1, high: 1000, log: true}", "{low: 1, high: 2}")
    text = text.replace("trials: 4", "trials: 1").replace("batch: 2", "batch: 1")
    (project.studies / "quest.yaml").write_text(text)
    ablate.main(["--study", "quest"])
    pruned = [name for name, statuses in project.statuses("quest").items() if "pruned" in statuses]
    assert pruned

    def leave_what_was_pruned(arms):
        for arm in arms.values():
            for run in arm["runs"]:
                run["status"] = run["status"] if run["status"] == "pruned" else "killed"

    edit(project, "quest", leave_what_was_pruned)
    assert command(verify.main, "--study", "quest", "--runs", "9")[0] == 0
    told = {cell["arm"]: cell for cell in certificate(project, "quest")["runs"]}
    assert {told[name]["outcome"] for name in pruned} == {"bit-identical"}
    assert {told[name]["status_again"] for name in pruned} == {"pruned"}


# ---- what cannot be verified


def test_without_a_finished_run_one_sentence_says_so(finished, command):
    def change(arms):
        for arm in arms.values():
            for run in arm["runs"]:
                run["status"] = "killed"

    edit(finished, "tiny", change)
    status, _, errors = command(verify.main, "--study", "tiny")
    assert status == 2 and errors == (
        "error: study 'tiny' has no finished run to verify; run python -m study.ablate --study tiny --profile tiny first.\n"
    )


def test_without_results_one_sentence_says_so(project, command):
    status, _, errors = command(verify.main, "--study", "tiny")
    assert status == 2 and "must be the results of a study, but: No such file" in errors and errors.count("\n") == 1


def test_runs_of_other_code_are_not_verified_for_they_are_other_runs(finished, trained, command, monkeypatch):
    real = identity.training_code("vicreg")
    edited = CodeDigest(root="edited", definitions={**real.definitions, "vicreg.methods.vicreg:vicreg_loss": "edited"})
    monkeypatch.setattr(identity, "training_code", lambda method, **switches: edited)
    status, _, errors = command(verify.main, "--study", "tiny")
    assert status == 2 and trained() == []
    assert "none of the 3 finished runs that study 'tiny' reports is a run of today's code, data and parameters" in errors


def test_a_run_reported_by_another_machine_is_verified_on_this_one(finished, command, monkeypatch):
    path = finished.folder / "results/ablate/tiny/study.json"
    results = json.loads(path.read_bytes())
    opened = open_session(Request(study="tiny"))
    code = opened.plan().cells[0].run.identity.code
    elsewhere = {**opened.plan().cells[0].run.identity.machinery, "torch": "1.0"}
    with monkeypatch.context() as patch:
        patch.setattr(identity, "machinery", lambda device, precision: elsewhere)
        digests = {(cell.arm, cell.seed): cell.run.digest for cell in opened.plan().cells}
    for arm in results["arms"]:
        for run in arm["runs"]:
            assert run["digest"] != digests[arm["name"], run["seed"]]
            run["digest"] = digests[arm["name"], run["seed"]]
    results["identity"] = {"code": code, "machinery": elsewhere, "data": results["data"]["digest"]}
    results["environment"]["torch"] = "1.0"
    path.write_text(json.dumps(results))
    assert command(verify.main, "--study", "tiny", "--runs", "1")[0] == 0
    told = certificate(finished, "tiny")
    assert told["counts"]["bit-identical"] == 1 and not told["same_machinery"]
    assert told["runs"][0]["digest"] in digests.values() and told["runs"][0]["weights"] == "not kept"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--tolerance", "2"], "must be a number from 0 to 1, but got '2'"),
        (["--runs", "0"], "must be a whole number from 1 to 1000000, but got '0'"),
    ],
)
def test_impossible_arguments_are_refused(project, capsys, arguments, said):
    with pytest.raises(SystemExit):
        verify.main(["--study", "tiny", *arguments])
    assert said in capsys.readouterr().err


def test_one_file_does_not_take_the_certificates_of_two_studies(finished, command):
    status, _, errors = command(verify.main, "--study", "tiny", "--study", "quest", "--out", "one.json")
    assert status == 2 and "--out takes the certificate of one study, but there are 2" in errors

"""Bad input: one sentence, an exit status that says so, and nothing lost."""

import os
import re
import shutil
import sys

import pytest

from study import ablate, index, pretrain, verify
from study.cli.command import run_command
from study.cli.console import Console

# ---- bad input: one sentence, exit status 2, and nothing trained


def write(name, content):
    def do(project):
        path = project.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    return do


def nothing(project):
    pass


@pytest.mark.parametrize(
    ("argv", "prepare", "said"),
    [
        (["--study", "tinny"], nothing, "there is no study 'tinny'; did you mean 'tiny'?"),
        (["--set", "pretrain.lamda=1"], nothing, "'pretrain.lamda' is not a parameter; did you mean 'pretrain.lambda'?"),
        (["--set", "pretrain.mu=-1"], nothing, "pretrain.mu must be a finite number of at least 0, but got -1"),
        (["--set", "pretrain.width=wide"], nothing, "pretrain.width must be a whole number, but got 'wide'"),
        (["--set", "pretrain.nu"], nothing, "--set takes key=value"),
        (["--set", "prepare.image_size=4097"], nothing, "prepare.image_size must be at most 4096, but got 4097"),
        (["--profile", "tony"], nothing, "profile must be one of"),
        (["--arm", "pretrain.nu=2,pretrain.nu=3"], nothing, "--arm pretrain.nu is given twice"),
        (["--arm", "=3"], nothing, "--arm takes key=value"),
        (["--set", "source_paper.studies=[tiny]"], nothing, "give it to python -m study.source_paper"),
        (["--arm", "nu-3"], nothing, "study 'tiny' has no arm 'nu-3'; it has nu-1, nu-2, untrained"),
        (["--trials", "3"], nothing, "--trials is for a search, but study 'tiny' has mode arms; use --seeds"),
        (["--device", "cuda"], nothing, "device cuda needs a GPU"),
        (["--store", "a-file"], write("a-file", b""), "a-file"),
        ([], write("params.yaml", b"profile: ["), "params.yaml is not valid YAML"),
        ([], lambda project: (project.folder / "params.yaml").unlink(), "params.yaml does not exist here"),
        ([], write("studies/tiny.yaml", b"question: 5"), "tiny.yaml must give question as text"),
        (["--set", "prepare.dataset=imagefolder"], nothing, "data/raw"),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence_and_status_2(project, command, trained, monkeypatch, argv, prepare, said):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    prepare(project)
    argv = argv if "--study" in argv else ["--study", "tiny", *argv]
    status, _, errors = command(ablate.main, *argv)
    assert (status, trained()) == (2, []), errors
    assert errors.startswith("error: ") and errors.count("\n") == 1 and said in errors


@pytest.mark.parametrize("write", [lambda: print("a line"), lambda: Console().print("a line")])
def test_a_command_whose_output_nobody_reads_on_ends_with_a_status_of_its_own(monkeypatch, write):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as output:
        monkeypatch.setattr(sys, "stdout", output)
        with pytest.raises(SystemExit) as ended:
            run_command(write)
        assert ended.value.code == 141


def test_a_command_whose_output_is_closed_ends_as_any_other(monkeypatch):
    """`>&-` leaves Python without the stream."""
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    with pytest.raises(SystemExit) as ended:
        run_command(lambda: print("a line"))
    assert ended.value.code == 0
    for stream in (sys.stdout, sys.stderr):
        stream.close()


@pytest.mark.parametrize("asked", [["--status"], ["--so-far"], ["--again"], ["--measure", "x", "--machine", "y"]])
def test_a_question_about_a_store_that_is_not_there_is_refused(project, command, asked):
    status, _, errors = command(ablate.main, "--study", "tiny", "--store", "stor", *asked)
    assert (status, errors) == (2, "error: --store must be a folder of runs, but stor is none; check its name.\n")
    assert not (project.folder / "stor").exists()


@pytest.mark.parametrize(("main", "asked"), [(verify.main, ["--study", "tiny"]), (index.main, [])])
def test_other_questions_about_such_a_store_are_refused_too(project, command, main, asked):
    status, _, errors = command(main, "--store", "stor", *asked)
    assert (status, errors) == (2, "error: --store must be a folder of runs, but stor is none; check its name.\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux")
def test_an_output_without_space_is_one_sentence(monkeypatch, capsys):
    with open("/dev/full", "w", encoding="utf-8") as output:
        monkeypatch.setattr(sys, "stdout", output)
        with pytest.raises(SystemExit) as ended:
            run_command(lambda: print("a line"))
    assert ended.value.code == 2 and capsys.readouterr().err.startswith("error: the output cannot be written (no space left")


def test_settings_that_do_not_fit_the_data_are_refused_before_any_run(project, command, trained):
    status, _, errors = command(ablate.main, "--study", "tiny", "--set", "pretrain.batch_size=4000")
    said = "pretrain.batch_size must not exceed the number of training images, but got 4000 and 160"
    assert (status, trained()) == (2, []) and errors.startswith(f"error: arm 'nu-1' of study 'tiny': {said}")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["status.json", "history.json"])
def test_a_damaged_run_is_trained_again_and_no_other(finished, undisturbed, command, trained, name):
    digest = finished.arm("tiny", "nu-1")["runs"][0]["digest"]
    (finished.store.folder(digest) / name).write_text("{")
    status, _, errors = command(ablate.main, "--study", "tiny")
    assert (status, errors) == (0, "") and [one for one, _ in trained()] == [digest]
    assert finished.results("tiny") == undisturbed.results("tiny")


@pytest.mark.slow
def test_runs_whose_weights_were_deleted_are_trained_again_for_another_probe(finished, command, trained):
    digests = {run["digest"] for arm in finished.summary("tiny")["arms"] for run in arm["runs"]}
    for path in finished.folder.glob("store/runs/*/model.safetensors"):
        path.unlink()
    assert command(ablate.main, "--study", "tiny")[0] == 0 and trained() == []
    assert command(ablate.main, "--study", "tiny", "--set", "evaluate.knn=[7]")[0] == 0
    assert {digest for digest, _ in trained()} == digests


def test_data_that_are_damaged_are_prepared_again_by_whoever_needs_them(finished, undisturbed, command, trained):
    (path,) = finished.folder.glob("store/datasets/*/dataset.safetensors")
    good = path.read_bytes()
    path.write_bytes(good[:-1])
    status, _, errors = command(ablate.main, "--study", "tiny")
    assert status == 0 and re.fullmatch(r"the data set in \S+ is damaged or truncated .*; it is prepared again\n", errors)
    assert path.read_bytes() == good and trained() == [] and finished.results("tiny") == undisturbed.results("tiny")


def fail():
    raise RuntimeError("something of its own")


@pytest.mark.slow
def test_a_corrupt_checkpoint_fails_its_run_alone_and_says_what_to_do(finished, undisturbed, command, befall):
    folder = finished.store.folder(finished.arm("tiny", "nu-1")["runs"][0]["digest"])
    shutil.rmtree(folder)
    befall(fail, nu=1)
    assert ablate.main(["--study", "tiny"]) == 1
    (path,) = folder.glob("checkpoint-*/model.safetensors")
    good = path.read_bytes()
    path.write_bytes(good[:-1])
    status, output, errors = command(ablate.main, "--study", "tiny")
    assert (status, errors) == (1, "") and re.search(r"failed \(.*model.safetensors is corrupt.*delete .*\)", output)
    path.write_bytes(good)  # nothing was lost
    assert ablate.main(["--study", "tiny"]) == 0
    assert finished.results("tiny") == undisturbed.results("tiny")


@pytest.mark.parametrize(
    "argv", [["--workers", "0"], ["--seeds", "x"], ["--trials", "-1"], ["--status", "--again"], ["--nonsense"]]
)
def test_arguments_that_mean_nothing_are_refused(project, command, argv):
    status, _, errors = command(ablate.main, "--study", "tiny", *argv)
    assert status == 2 and "error: " in errors.splitlines()[-1]


def interrupt():
    raise KeyboardInterrupt


def test_a_stage_ends_in_one_sentence_where_its_checkpoint_is_corrupt(project, command, befall):
    befall(interrupt, nu=1)
    status, _, errors = command(pretrain.main)
    assert (status, errors) == (130, "stopped; what was finished is kept, start again to go on\n")
    (path,) = project.folder.glob("store/runs/*/checkpoint-*/manifest.json")
    path.write_text("{")
    status, _, errors = command(pretrain.main)
    assert status == 2 and errors.startswith("error: the checkpoint store/runs/") and errors.count("\n") == 1


def test_a_stage_ends_in_one_sentence_where_the_baseline_diverges(project, command):
    project.set({"pretrain.base_lr": 1e30, "pretrain.optimizer": "sgd"})
    status, _, errors = command(pretrain.main)
    assert status == 2 and errors.startswith("error: the baseline must train to its end, but ended as diverged")
    assert not (project.folder / "models").exists()


def test_too_little_memory_is_one_sentence(monkeypatch, capsys):
    def main():
        raise MemoryError("Unable to allocate 9.9 PiB for an array")

    with pytest.raises(SystemExit) as ended:
        run_command(main)
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        "error: this machine has too little memory (Unable to allocate 9.9 PiB for an array); ask for smaller images, "
        "batches or networks.\n"
    )

"""The GPU script on a CPU: its sections, its order, how it stops, and what is on disk then."""

import json
import os
import shlex
import signal
import subprocess
import sys
import tarfile
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch

from benchmarks.gpu import agreement, archives, background, gpu_tests, mps, ready, recipe, results, supervise
from benchmarks.gpu.__main__ import main
from benchmarks.gpu.bench import Bench
from benchmarks.gpu.call import Call, parse_call, read_call, written
from benchmarks.gpu.queue import SECTIONS
from benchmarks.gpu.section import DO
from benchmarks.gpu.timings import KINDS
from benchmarks.measure import ROOT
from study.config.load import load_config
from study.config.values import parse_setting
from study.spec.study_file import load_study
from tests.benchmarks.image_archive import write_archive
from vicreg.errors import InputError

SMALL = {
    "pretrain.backbone": "resnet18", "pretrain.width": "4", "pretrain.expander": "[16,16]", "pretrain.batch_size": "8",
    "pretrain.epochs": "2", "pretrain.warmup_epochs": "1", "pretrain.threads": "1", "evaluate.knn": "[5]",
    "evaluate.linear.epochs": "2",
}  # fmt: skip


@pytest.fixture
def images(tmp_path) -> Path:
    return write_archive(tmp_path)


@pytest.fixture
def small(tmp_path, images, monkeypatch):
    """`small("--only", "steps", settings={...})`: the arguments of a small call."""
    monkeypatch.chdir(ROOT)
    places = ["--out", str(tmp_path / "out"), "--work", str(tmp_path / "work"), "--wheels", str(tmp_path / "none")]
    how = ["--images", str(images), "--device", "cpu", "--side", "8"]

    def build(*more: str, settings: dict[str, str] | None = None) -> list[str]:
        given = [part for key, value in {**SMALL, **(settings or {})}.items() for part in ("--set", f"{key}={value}")]
        timed = [] if "--timed" in more else ["--timed", "0.1"]
        commit = [] if "--commit" in more else ["--commit", "tested"]  # that of the working tree may change meanwhile
        return [*places, *how, *timed, *commit, *given, *more]

    return build


def call_of(arguments: list[str]) -> Call:
    return parse_call("", arguments)


def found(tmp_path: Path) -> dict:
    return {path.stem: json.loads(path.read_bytes()) for path in (tmp_path / "out").glob("*.json")}


# ---- What it does, in which order


def test_every_section_can_be_done_and_the_first_call_holds_the_recipe():
    assert DO.keys() == SECTIONS.keys()
    names = [name for name, one in SECTIONS.items() if one.default]
    assert names == ["tests", "agreement", "steps", "recipe", "packing"]
    before = sum(SECTIONS[name].limit for name in names[:3])
    assert before <= 200 and SECTIONS["recipe"].limit is None  # of 590 s two thirds are left for it, at the worst


# Section -> arm of its study -> backbone, batch size, epochs that are trained
TRAINED = {
    "recipe": {"epochs-100": ("resnet34", 128, 100), "halfway": ("resnet34", 128, 50)},
    "looks": {"after-20": ("resnet34", 128, 20)},
    "batch-size": {"size-128": ("resnet18", 128, 100), "size-256": ("resnet18", 256, 100)},
    "open-claims": {
        "halfway": ("resnet34", 128, 50),
        "size-128": ("resnet18", 128, 100),
        "size-256": ("resnet18", 256, 100),
    },
}


@pytest.mark.parametrize("section", list(recipe.STUDIES))
def test_sections_are_studies_by_the_source_papers_recipe(section):
    bench = Bench(call=call_of(["--out", "o", "--device", "cpu"]))
    told = {}
    for asked in recipe.STUDIES[section]:
        command = recipe.command_of(bench, Path("images"), asked)
        text, study = " ".join(command), load_study(asked.study)
        assert f"--study {study.name} --seeds 2 --profile cifar10" in text and f"--workers {asked.workers}" in text
        given = dict(parse_setting(command[at + 1]) for at, part in enumerate(command) if part == "--set")
        named = [command[at + 1] for at, part in enumerate(command) if part == "--arm"]
        for arm in study.arms:
            if arm.name in (named or [one.name for one in study.arms]):
                told[arm.name] = load_config(profile="cifar10", settings=given | dict(study.settings) | dict(arm.settings))
    assert told.keys() >= TRAINED[section].keys()
    for name, (backbone, batch_size, epochs) in TRAINED[section].items():
        trained = told[name].pretrain
        assert (trained.backbone, trained.batch_size, trained.trained_epochs) == (backbone, batch_size, epochs)
        assert (trained.stem, trained.width, trained.epochs, trained.precision) == ("imagenet", 64, 100, "bfloat16")
        assert trained.trains_on_all and "linear" in told[name].ablate.probes


def test_a_setting_that_the_study_decides_is_left_out():
    bench = Bench(call=call_of(["--out", "o", "--device", "cpu", "--set", "pretrain.batch_size=7"]))
    texts = [
        " ".join(recipe.command_of(bench, Path("images"), recipe.STUDIES[name][0])) for name in ("recipe", "batch-size")
    ]
    assert ["pretrain.batch_size=7" in text for text in texts] == [True, False]


def test_the_next_command_asks_for_the_same(small):
    call = call_of(small("--seconds", "300", "--commit", "abc", settings={"pretrain.base_lr": "0.1"}))
    asked = shlex.split(call.command(("packing", "batch-size")))
    assert asked[:3] == ["python", "-m", "benchmarks.gpu"]
    assert call_of(asked[3:]) == replace(call, only=("packing", "batch-size"))
    short = parse_call("", ["--out", "o", "--commit", "abc"])
    assert short.command(()) == "python -m benchmarks.gpu --out o --commit abc"


def test_a_call_is_the_same_after_a_section_has_read_it(small):
    call = call_of(small("--only", "steps"))
    assert read_call(written(call)) == call


def test_wheels_have_the_versions_that_are_pinned():
    def pins(path: Path) -> set[str]:
        return {line.lower() for line in path.read_text(encoding="utf-8").splitlines() if "==" in line}

    pinned = pins(ROOT / "requirements.txt") | pins(ROOT / "requirements-test.txt")
    wanted = pins(ROOT / "benchmarks" / "gpu" / "wheels.txt")
    assert {line.split("==")[0] for line in wanted} >= {"optuna", "alembic", "mako", "colorlog", "sqlalchemy"}
    assert wanted <= pinned


# ---- What is unpacked


def test_an_archive_of_images_is_unpacked_once(images, tmp_path):
    folder = archives.images_in(images, tmp_path / "unpacked")
    assert (folder / "train" / "a").is_dir() and (folder / "test" / "b").is_dir()
    kept = folder / "kept"
    kept.touch()
    assert archives.images_in(images, tmp_path / "unpacked") == folder and kept.exists()
    assert archives.images_in(folder, tmp_path / "never") == folder


def test_records_of_an_earlier_call_come_into_the_store_run_by_run(tmp_path):
    for name in ("old", "new"):
        path = tmp_path / "there" / "runs" / name / "status.json"
        path.parent.mkdir(parents=True)
        path.write_text("of the archive")
    with tarfile.open(tmp_path / "runs.tar.xz", "w:xz") as packed:
        packed.add(tmp_path / "there" / "runs", arcname="runs")
    own = tmp_path / "store" / "runs" / "old" / "provenance.json"  # it has begun
    own.parent.mkdir(parents=True)
    own.write_text("of the store")
    assert archives.unpack_records(tmp_path / "runs.tar.xz", tmp_path / "store") == ["new"]
    assert [path.name for path in own.parent.iterdir()] == ["provenance.json"]
    assert (tmp_path / "store" / "runs" / "new" / "status.json").read_text() == "of the archive"
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["runs"]
    with pytest.raises(InputError, match="--records must be a tar archive of runs, but .* is no file"):
        archives.unpack_records(tmp_path / "nothing", tmp_path / "store")


def test_what_holds_no_images_is_refused(tmp_path):
    with pytest.raises(InputError, match="must be a folder or a tar archive"):
        archives.images_in(tmp_path / "nothing", tmp_path / "unpacked")
    (tmp_path / "other").mkdir()
    with tarfile.open(tmp_path / "other.tar", "w") as packed:
        packed.add(tmp_path / "other", arcname="other")
    with pytest.raises(InputError, match="has no train/ in it"):
        archives.images_in(tmp_path / "other.tar", tmp_path / "unpacked")


def test_who_waits_for_something_unpacked_hears_why_it_is_not_there(tmp_path):
    with pytest.raises(InputError, match="not unpacked within 0 s"):
        ready.wait_until_ready(tmp_path, "images", seconds=0, sleep=lambda seconds: None)
    path = ready.ready_path(tmp_path, "images")
    results.write_atomically(path, results.to_json({"error": "the archive is damaged"}))
    with pytest.raises(InputError, match="could not be unpacked: the archive is damaged"):
        ready.wait_until_ready(tmp_path, "images", seconds=0)


def test_what_is_missing_is_installed_from_wheels_and_damaged_ones_are_an_error(tmp_path, small):
    call = call_of(small())
    assert background.install_packages(call)["installed"] == []
    call.wheels.mkdir()
    (call.wheels / "optuna-5.0.0-py3-none-any.whl").write_bytes(b"not a wheel")
    assert background.install_packages(call)["installed"] == []  # it is there
    (call.wheels / "missing_here-1.0-py3-none-any.whl").write_bytes(b"not a wheel")
    with pytest.raises(InputError, match="pip could not install the wheels"):
        background.install_packages(call)


# ---- What is on disk


def test_each_result_is_on_disk_when_it_is_recorded_and_stays_there_whatever_comes(tmp_path):
    path = tmp_path / "steps.json"
    one = results.Results(path, section="steps", asked={})
    one.record("first", 1)
    assert results.read_results(path)["results"] == {"first": 1}
    assert results.read_results(path)["status"] == results.RUNNING
    results.mark(path, results.STOPPED, "its time was over")
    assert results.read_results(path)["results"] == {"first": 1}
    assert results.read_results(path)["status"] == results.STOPPED


def test_the_archive_has_records_and_logs_and_no_weights(tmp_path):
    run = tmp_path / "work" / "store" / "runs" / "abc"
    for path in (run / "history.json", run / "model.safetensors", tmp_path / "work" / "logs" / "steps.txt"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    (tmp_path / "work" / "images").mkdir()
    (tmp_path / "work" / "images" / "labels.json").write_text("{}")
    results.archive(tmp_path / "work", tmp_path / "out.tar.gz")
    with tarfile.open(tmp_path / "out.tar.gz") as packed:
        assert packed.getnames() == ["logs/steps.txt", "store/runs/abc/history.json"]


# ---- MPS


@pytest.fixture
def control(tmp_path, monkeypatch):
    """`control(status)`: a control program that ends with a status and writes down what it is told."""
    for name in ("CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(mps, "_PLACES", ())

    def install(status: int) -> Path:
        folder, told = tmp_path / "bin", tmp_path / "told.txt"
        folder.mkdir()
        program = folder / mps.CONTROL
        program.write_text(f'#!/bin/sh\nif [ "$1" ]; then echo "$1" >> {told}; exit {status}; fi\ncat >> {told}\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
        return told

    return install


def test_mps_serves_processes_while_sections_run_and_is_told_to_quit(control, tmp_path):
    told = control(0)
    trial = "import os; assert os.path.isdir(os.environ['CUDA_MPS_PIPE_DIRECTORY'])"
    with mps.served(tmp_path, trial=trial) as said:
        assert said == "MPS: serves the GPU" and "CUDA_MPS_PIPE_DIRECTORY" in os.environ
    assert told.read_text().split() == ["-d", "quit"] and "CUDA_MPS_PIPE_DIRECTORY" not in os.environ


@pytest.mark.parametrize(("status", "trial"), [(1, "pass"), (0, "raise SystemExit(1)")])
def test_where_mps_does_not_work_processes_do_without_it(control, tmp_path, status, trial):
    told = control(status)
    with mps.served(tmp_path, trial=trial) as said:
        assert said.startswith("MPS: not used") and "CUDA_MPS_PIPE_DIRECTORY" not in os.environ
    assert told.read_text().split() == ["-d", "quit"]


@pytest.mark.slow
def test_a_service_that_goes_on_in_the_background_holds_nothing_up(control, tmp_path):
    control(0)
    program = tmp_path / "bin" / mps.CONTROL
    program.write_text('#!/bin/sh\nif [ "$1" ]; then (sleep 30) & fi\n')  # which has this program's output
    started = time.monotonic()
    with mps.served(tmp_path, trial="pass") as said:
        assert said == "MPS: serves the GPU" and time.monotonic() - started < 10


def test_a_service_that_is_there_already_is_left_alone(control, tmp_path, monkeypatch):
    told = control(0)
    monkeypatch.setenv(mps.PIPES, "/elsewhere")
    with mps.served(tmp_path) as said:
        assert said.startswith("MPS: that of")
    assert not told.exists() and os.environ[mps.PIPES] == "/elsewhere"


def test_where_mps_is_not_installed_it_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(mps, "CONTROL", "no-such-program")
    with mps.served(tmp_path) as said:
        assert said == "MPS: not there, for no-such-program is not installed"


# ---- How it ends


@pytest.mark.slow
def test_a_process_that_will_not_end_is_killed_with_those_it_started(monkeypatch, tmp_path):
    monkeypatch.setattr(supervise, "GRACE", 0.5)
    child = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(600)"
    parent = (
        f"import subprocess, sys, time\nchild = subprocess.Popen([sys.executable, '-c', {child!r}])\n"
        f"print(child.pid, flush=True)\ntry:\n    time.sleep(600)\nexcept KeyboardInterrupt:\n    pass\n"
    )
    process = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, start_new_session=True, text=True)
    number = int(process.stdout.readline())
    supervise.end(process)
    process.stdout.close()
    assert process.returncode is not None
    ends = time.monotonic() + 5
    while psutil.pid_exists(number) and psutil.Process(number).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < ends
        time.sleep(0.05)


def test_nothing_begins_without_the_time_it_needs_and_the_next_command_says_how_to_go_on(small, tmp_path, capsys):
    assert main(small("--seconds", "12", "--only", "steps", "--only", "agreement")) == 0
    said = capsys.readouterr().out
    assert "steps: not begun: " in said and not (tmp_path / "out" / "steps.json").exists()
    last = said.strip().splitlines()[-1]
    assert last.startswith("next: python -m benchmarks.gpu --out ") and "--only steps" in last
    assert (tmp_path / "out" / "results.tar.gz").exists()


def test_without_images_the_recipe_is_not_run_and_says_so(small, tmp_path, capsys):
    arguments = [part for part in small("--only", "batch-size") if not part.startswith("--images")]
    arguments.remove(str(tmp_path / "images.tar.xz"))
    assert main(arguments) == 0
    assert found(tmp_path)["batch-size"]["status"] == results.NOT_RUN
    assert "no --images was given" in capsys.readouterr().out


@pytest.mark.slow
def test_a_section_is_stopped_at_its_limit_and_what_it_measured_is_kept(small, tmp_path, capsys, monkeypatch):
    path = tmp_path / "work" / "results" / "steps.json"

    def monotonic() -> float:
        """The limit is over as soon as the first kind is on disk."""
        told = results.read_results(path) or {}
        return time.monotonic() + (SECTIONS["steps"].limit if told.get("results") else 0)

    monkeypatch.setattr(supervise, "time", SimpleNamespace(monotonic=monotonic, sleep=time.sleep))
    assert main(small("--only", "steps", "--timed", "2")) == 0
    steps = found(tmp_path)["steps"]
    assert steps["status"] == results.STOPPED and steps["machine"]["commit"]
    assert 0 < len(steps["results"]) < len(KINDS)
    assert "next: " in capsys.readouterr().out


@pytest.mark.slow
def test_sigterm_in_the_middle_of_the_recipe_leaves_no_process_and_everything_on_disk(small, tmp_path):
    long = small("--only", "recipe", settings={"pretrain.checkpoint_every": "1"})
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.gpu", *long], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    store = tmp_path / "work" / "store" / "runs"
    ends = time.monotonic() + 200
    while not list(store.glob("*/checkpoint-*")):
        assert process.poll() is None and time.monotonic() < ends
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM
    assert "--only recipe" in said.strip().splitlines()[-1]
    assert found(tmp_path)["recipe"]["status"] == results.STOPPED
    with tarfile.open(tmp_path / "out" / "results.tar.gz") as packed:
        assert any(name.endswith("provenance.json") for name in packed.getnames())
    assert not [one for one in psutil.process_iter(["cmdline"]) if str(tmp_path) in " ".join(one.info["cmdline"] or [])]


@pytest.fixture
def made_up(small, tmp_path, monkeypatch):
    """`made_up(runs=, writes=)`: a section whose two studies are made-up commands, and what it has recorded."""
    call = call_of(small())
    results.write_atomically(ready.ready_path(call.work, "images"), results.to_json({"root": str(tmp_path)}))
    recorded: dict[str, dict] = {}

    def run(*, runs: str, writes: str = "print('written')") -> dict[str, dict]:
        monkeypatch.setattr(recipe, "command_of", lambda *arguments: [sys.executable, "-c", runs])
        monkeypatch.setattr(recipe, "_ablate", lambda *arguments: [sys.executable, "-c", writes])
        recipe.recipe(Bench(call=call), recorded.__setitem__, section="open-claims")
        return recorded

    run.recorded = recorded
    return run


def test_a_section_stops_itself_in_time_to_write_results(made_up, monkeypatch):
    began = time.monotonic()
    monkeypatch.setattr(Bench, "seconds_left", lambda bench: 46.0 - (time.monotonic() - began))
    with pytest.raises(results.OutOfTime, match="goes on in another call"):
        made_up(runs="import time; time.sleep(600)")
    assert made_up.recorded["results"] == {"source-recipe": "written", "batch-size": "written"}
    assert time.monotonic() - began < 20


def test_a_study_that_failed_or_left_no_results_fails_its_section(made_up):
    with pytest.raises(InputError, match="study source-recipe ended with status 3 and study batch-size ended with status 3"):
        made_up(runs="raise SystemExit(3)")
    assert made_up.recorded["results"].keys() == {"source-recipe", "batch-size"}
    with pytest.raises(InputError, match="no results were written of source-recipe and batch-size"):
        made_up(runs="pass", writes="raise SystemExit(2)")
    assert made_up(runs="pass")["results"]["batch-size"] == "written"


def test_all_probes_of_a_run_are_told_however_often_it_was_measured(tmp_path):
    run = tmp_path / "runs" / "abc"
    settings = {"backbone": "resnet18", "batch_size": 8, "seed": 0, "epochs": 2, "stop_after": None}
    written = {
        "provenance.json": {"values": {"pretrain": settings}},
        "history.json": [{"total": 1.0, "knn": None}, {"total": 0.5, "knn": 0.25}],
        "evaluation-1.json": {"test": {"knn_20": {"top1": 0.5}, "linear": {"top1": 0.6}}, "verdict": {"name": "healthy"}},
        "evaluation-2.json": {"test": {"knn_20": {"top1": 0.5}}, "verdict": {"name": "healthy"}},
    }
    for name, content in written.items():
        results.write_atomically(run / name, results.to_json(content))
    (told,) = recipe.runs_of(tmp_path)
    assert told["test"] == {"knn_20": 0.5, "linear": 0.6} and told["collapse"] == "healthy" and told["status"] is None
    assert told["log"] == {"epochs": 2, "total": 0.5, "knn": 0.25}


# ---- The sections


def only(names):
    return [part for name in names for part in ("--only", name)]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.exhaustive
def test_measurements_and_the_recipe_run_on_a_cpu_and_a_second_call_does_nothing_twice(small, tmp_path, capsys):
    asked = ("agreement", "steps", "recipe")
    arguments = small(*only(asked))
    assert main(arguments) == 0
    first = found(tmp_path)
    assert {name: one["status"] for name, one in first.items()} == dict.fromkeys(asked, results.DONE)
    for one in first.values():
        about = one["machine"]
        assert about["commit"] and about["date"] and about["versions"]["torch"] and "card" in about
    assert all(check["agrees"] for check in first["agreement"]["results"].values())
    assert first["steps"]["results"].keys() == {f"resnet18, {name}" for name in KINDS}
    runs = first["recipe"]["results"]["runs"]
    ended = {(one["seed"], one["log"]["epochs"]): one["test"]["linear"] for one in runs if "test" in one}
    assert ended.keys() == {(0, 100), (0, 50), (1, 100), (1, 50)} and all(0 <= top1 <= 1 for top1 in ended.values())
    summary = json.loads((tmp_path / "work" / "studies" / "source-recipe" / "study.json").read_bytes())
    assert {arm["name"]: len(arm["runs"]) for arm in summary["arms"]}["epochs-100"] == 2
    with tarfile.open(tmp_path / "out" / "results.tar.gz") as packed:
        names = packed.getnames()
    assert not [name for name in names if name.endswith(".safetensors")]
    assert len([name for name in names if "/evaluation-" in name]) == 4
    assert "studies/source-recipe/study.json" in names
    capsys.readouterr()
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert said.count("done before") == 3 and found(tmp_path) == first
    assert said.strip().splitlines()[-1].endswith("--only tests --only packing")


@pytest.mark.exhaustive
@pytest.mark.timeout(900)
def test_the_other_sections_run_on_a_cpu_too(small, tmp_path):
    asked = ("tests", "packing")
    assert main(small(*only(asked))) == 0
    told = found(tmp_path)
    assert {name: one["status"] for name, one in told.items()} == dict.fromkeys(asked, results.DONE)
    tested = told["tests"]["results"]["tests"]  # the tests that need a GPU, which are skipped without one
    assert all(any(name in one for one in tested) for name in ("test_cuda_graph", "test_batches", "test_pipeline"))
    assert told["packing"]["results"].keys() == {"1 at a time", "2 at a time", "4 at a time"}


def test_results_that_are_replaced_while_they_are_copied_are_copied_again(tmp_path, monkeypatch):
    path, target, copy = tmp_path / "one.json", tmp_path / "out.json", supervise.shutil.copyfile
    path.write_text("running", encoding="utf-8")

    def copy_what_is_replaced(source, destination):
        copy(source, destination)
        path.write_text("done", encoding="utf-8")

    with monkeypatch.context() as patch:
        patch.setattr(supervise.shutil, "copyfile", copy_what_is_replaced)
        supervise.mirror(path, target)
    assert target.read_text(encoding="utf-8") == "running"
    supervise.mirror(path, target)
    assert target.read_text(encoding="utf-8") == "done"


@pytest.mark.slow
def test_what_does_not_agree_is_recorded_and_stops_nothing(small, monkeypatch):
    original, calls = agreement.apply_view, iter(range(100))
    monkeypatch.setattr(agreement, "apply_view", lambda *a, **k: original(*a, **k) + 0.1 * (next(calls) % 2))
    recorded: dict[str, dict] = {}
    agreement.agreement(Bench(call=call_of(small())), recorded.__setitem__)
    assert [name for name, one in recorded.items() if not one["agrees"]] == ["device against CPU: views"]
    assert len(recorded) > 10
    exact = recorded["stopped and resumed against whole: weights"]
    assert exact["error"] == exact["bound"] == 0.0


def test_an_error_that_is_no_number_does_not_agree(small, monkeypatch):
    monkeypatch.setattr(agreement, "checks", lambda bench: [agreement.Check("one", float("nan"), 1.0)])
    recorded: dict[str, dict] = {}
    agreement.agreement(Bench(call=call_of(small())), recorded.__setitem__)
    assert recorded == {"one": {"error": None, "bound": 1.0, "agrees": False}}


def test_a_run_that_does_not_stop_is_not_compared_as_one_that_was_resumed(small, monkeypatch):
    trained = SimpleNamespace(model=torch.nn.Linear(1, 1))
    monkeypatch.setattr(agreement, "pretrain", lambda *arguments, **named: trained)
    with pytest.raises(RuntimeError, match="did not stop"):
        agreement.stopped_and_whole(Bench(call=call_of(small())))


@pytest.mark.parametrize(
    ("outcomes", "device", "error"),
    [
        (["passed", "passed"], "cuda", None),
        (["passed", "skipped"], "cuda", "but 1 passed and 1 were skipped"),
        ([], "cuda", "but 0 passed and 0 were skipped"),
        (["passed", "failed"], "cuda", "1 of 2 tests failed"),
        (["skipped", "skipped"], "cpu", None),
        ([], "cpu", None),
    ],
)
def test_on_a_gpu_the_tests_that_need_one_must_pass_and_none_be_skipped(monkeypatch, outcomes, device, error):
    def run(arguments, *, plugins):
        for number, outcome in enumerate(outcomes):
            when = "setup" if outcome == "skipped" else "call"
            plugins[0].pytest_runtest_logreport(
                SimpleNamespace(when=when, outcome=outcome, nodeid=f"test {number}", longrepr="Skipped: why", duration=0.1)
            )
        return pytest.ExitCode.TESTS_FAILED if "failed" in outcomes else pytest.ExitCode.OK

    monkeypatch.setattr(pytest, "main", run)
    with pytest.raises(InputError, match=error) if error else nullcontext():
        gpu_tests.gpu_tests(SimpleNamespace(device=torch.device(device)), lambda name, value: None)


def test_the_status_is_1_where_something_does_not_agree(small, tmp_path, capsys):
    call = call_of(small("--only", "agreement"))
    path = call.work / "results" / "agreement.json"
    one = results.Results(path, section="agreement", asked=call.asked)
    one.record("views", {"error": 1.0, "bound": 0.1, "agrees": False})
    one.end(results.DONE)
    assert main(small("--only", "agreement")) == 1
    assert "done before" in capsys.readouterr().out

"""`ablate --measure`: measuring here what another machine has trained."""

import json
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from safetensors.torch import load_file, save_file

from study import ablate, report
from study.analysis.notes import notes
from study.results.files import read_results
from study.runs import identity
from tests.study.made_up_runs import faraway
from vicreg.models.resnet import ResNet

ASKED = ("--study", "tiny", "--arm", "nu-1", "--machine", "faraway")


@pytest.fixture
def unmeasured(elsewhere, project):
    """The folder of the other machine's run, whose measurement is set aside as `evaluation.json`."""
    (measurement,) = (project.folder / "store" / "runs").glob("*/evaluation-*.json")
    measurement.rename(project.folder / "evaluation.json")
    return measurement.parent


def measurement_of(folder):
    (path,) = folder.glob("elsewhere-*.json")
    return json.loads(path.read_bytes())


def encoder_of(unmeasured, folder, *, half: bool = False):
    """The backbone of the run's weights, as the file that `--measure` looks for; the weights themselves are deleted."""
    folder.mkdir(exist_ok=True)
    weights = {name: tensor for name, tensor in load_file(unmeasured / "model.safetensors").items() if "backbone." in name}
    if half:
        weights = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in weights.items()}
    save_file(weights, folder / f"{unmeasured.name}.safetensors")
    (unmeasured / "model.safetensors").unlink()


def test_from_whole_weights_all_is_measured_as_where_they_were_trained(unmeasured, project, trained, command):
    status, output, _ = command(ablate.main, *ASKED, "--measure", "nothing")
    assert status == 0 and output == "measured: ν 1, seed 0\n" and trained() == []
    found, there = measurement_of(unmeasured), json.loads((project.folder / "evaluation.json").read_bytes())
    assert found.pop("measured_elsewhere").startswith("on cpu (") and found == there


def test_from_an_encoder_accuracies_are_the_same_and_its_head_is_left_out(unmeasured, project, command):
    encoder_of(unmeasured, project.folder / "encoders")
    assert command(ablate.main, *ASKED, "--measure", "encoders")[0] == 0
    found, there = measurement_of(unmeasured), json.loads((project.folder / "evaluation.json").read_bytes())
    assert found["test"] == there["test"] and found["validation"] == there["validation"]
    assert found["collapse"] == {"representations": there["collapse"]["representations"]}
    assert found["verdict"]["name"] == "undetermined"
    said = f"on cpu ({torch.backends.cpu.get_cpu_capability()}) with torch {torch.__version__}, from the encoder alone"
    assert found["measured_elsewhere"] == said


def test_results_and_report_say_which_runs_were_measured_elsewhere(unmeasured, project, command):
    encoder_of(unmeasured, project.folder / "encoders", half=True)
    assert command(ablate.main, *ASKED, "--measure", "encoders")[0] == 0
    asked = ("--study", "tiny", "--so-far", "--machine", "faraway", "--out", "there")
    assert command(ablate.main, *asked)[0] == 0
    results = read_results(project.folder / "there" / "study.json")
    said = notes(results, network=())
    (line,) = [one for one in said if one.startswith("Measured on cpu (")]
    assert line.endswith("from the encoder alone, its weights rounded to float16, unlike the other runs: ν 1 (seed 0).")
    assert "An encoder alone has no embeddings, so it cannot be told whether it collapsed." in said
    assert line in results.notes
    report.main(["--results", "there/study.json", "--out", "page"])
    assert "unlike the other runs" in (project.folder / "page" / "README.md").read_text("utf-8")


def test_an_untrained_network_is_drawn_from_its_seed(elsewhere, project, trained, command, monkeypatch):
    with monkeypatch.context() as there:
        there.setattr(identity, "machinery", faraway)
        assert command(ablate.main, "--study", "tiny")[0] == 0
    before = {}
    for path in (project.folder / "store" / "runs").glob("*/evaluation-*.json"):
        before[path.parent.name] = json.loads(path.read_bytes())
        path.unlink()
        (path.parent / "model.safetensors").unlink()
    trained_there = trained()
    status, output, _ = command(ablate.main, "--study", "tiny", "--machine", "faraway", "--measure", "nothing")
    assert status == 1 and trained() == trained_there
    assert [line for line in output.splitlines() if line.startswith("measured: ")] == ["measured: untrained, seed 0"]
    (path,) = (project.folder / "store" / "runs").glob("*/elsewhere-*.json")
    found = json.loads(path.read_bytes())
    assert found.pop("measured_elsewhere").endswith(", as its seed draws it") and found == before[path.parent.name]


def test_of_this_machine_nothing_is_measured_elsewhere(project, command):
    assert command(ablate.main, "--study", "tiny", "--arm", "nu-1")[0] == 0
    (measurement,) = (project.folder / "store" / "runs").glob("*/evaluation-*.json")
    measurement.unlink()
    capability = torch.backends.cpu.get_cpu_capability()
    asked = ("--study", "tiny", "--arm", "nu-1", "--machine", capability, "--measure", "nothing")
    status, _, errors = command(ablate.main, *asked)
    assert status == 2 and errors.startswith("error: --measure is for runs of another machine, but --machine names this one")


def test_what_has_no_weights_here_is_named_with_where_they_are_looked_for(unmeasured, command):
    (unmeasured / "model.safetensors").unlink()
    status, output, _ = command(ablate.main, *ASKED, "--measure", "encoders")
    wanted = Path.cwd() / "encoders" / f"{unmeasured.name}.safetensors"
    assert status == 1
    assert output == f"not measured: ν 1, seed 0: its weights are neither in the store nor at {wanted}\n"


def test_an_encoder_of_another_architecture_is_named_and_the_other_runs_are_measured(unmeasured, project, command):
    encoder_of(unmeasured, project.folder / "encoders")
    wider = ResNet(architecture="resnet18", stem="cifar", width=8, in_channels=1).state_dict()
    save_file(
        {f"backbone.{name}": one for name, one in wider.items()},
        project.folder / "encoders" / f"{unmeasured.name}.safetensors",
    )
    status, output, _ = command(ablate.main, *ASKED, "--measure", "encoders")
    assert status == 1 and output.startswith(f"not measured: ν 1, seed 0: the encoder of run {unmeasured.name} must have ")
    assert not list(unmeasured.glob("elsewhere-*.json"))


def test_what_the_machine_that_trained_a_run_measures_of_it_comes_first_and_is_measured_whatever_there_is(
    unmeasured, project, command, monkeypatch
):
    encoder_of(unmeasured, project.folder / "encoders")
    assert command(ablate.main, *ASKED, "--measure", "encoders")[0] == 0
    with monkeypatch.context() as there:
        there.setattr(identity, "machinery", faraway)
        assert command(ablate.main, "--study", "tiny", "--arm", "nu-1")[0] == 0
    (measurement,) = unmeasured.glob("evaluation-*.json")
    assert json.loads(measurement.read_bytes()) == json.loads((project.folder / "evaluation.json").read_bytes())
    assert command(ablate.main, "--study", "tiny", "--so-far", "--machine", "faraway", "--out", "there")[0] == 0
    (arm,) = [one for one in read_results(project.folder / "there" / "study.json").arms if one.name == "nu-1"]
    assert arm.runs[0].measured_elsewhere is None and "embeddings" in arm.runs[0].collapse


def test_what_another_command_measures_is_passed_over(unmeasured, command):
    with FileLock(unmeasured / "lock"):
        status, output, _ = command(ablate.main, *ASKED, "--measure", "nothing")
    assert status == 1 and output == "not measured: ν 1, seed 0: another command is at it\n"


def test_where_nothing_is_left_to_measure_it_says_so(unmeasured, command):
    assert command(ablate.main, *ASKED, "--measure", "nothing")[0] == 0
    status, output, _ = command(ablate.main, *ASKED, "--measure", "nothing")
    assert status == 0 and output == "nothing is left to measure of what was trained; --status tells how each run stands\n"


@pytest.mark.parametrize("beside", [[], ["--machine", "faraway", "--workers", "2"], ["--machine", "faraway", "--so-far"]])
def test_what_has_no_effect_beside_measuring_is_refused(project, beside):
    with pytest.raises(SystemExit) as ended:
        ablate.main(["--study", "tiny", "--measure", "encoders", *beside])
    assert ended.value.code == 2

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

ASKED = ("--study", "tiny", "--arm", "nu-1", "--machine", "faraway")


@pytest.fixture
def unmeasured(elsewhere, project):
    """The folder of the other machine's run, whose measurement is set aside as `evaluation.json`."""
    (measurement,) = (project.folder / "store" / "runs").glob("*/evaluation-*.json")
    measurement.rename(project.folder / "evaluation.json")
    return measurement.parent


def measurement_of(folder):
    (path,) = folder.glob("evaluation-*.json")
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
    assert found["collapse"] == {"representations": there["collapse"]["representations"]} and found["verdict"] is None
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
    assert line.endswith("from the encoder alone, its weights rounded to float16, and trained elsewhere: ν 1 (seed 0).")
    assert "An encoder alone has no embeddings, so their collapse is not measured." in said
    assert line in results.notes
    report.main(["--results", "there/study.json", "--out", "page"])
    assert "and trained elsewhere" in (project.folder / "page" / "README.md").read_text("utf-8")


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
    (path,) = (project.folder / "store" / "runs").glob("*/evaluation-*.json")
    found = json.loads(path.read_bytes())
    assert found.pop("measured_elsewhere") and found == before[path.parent.name]


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


def test_an_encoder_of_another_architecture_is_refused(unmeasured, project, command):
    encoder_of(unmeasured, project.folder / "encoders")
    path = project.folder / "encoders" / f"{unmeasured.name}.safetensors"
    wider = {name: torch.cat([one, one]) if one.ndim else one for name, one in load_file(path).items()}
    save_file(wider, path)
    status, _, errors = command(ablate.main, *ASKED, "--measure", "encoders")
    assert status == 2 and errors.startswith("error: ") and not list(unmeasured.glob("evaluation-*.json"))


def test_what_another_command_measures_is_passed_over(unmeasured, command):
    with FileLock(unmeasured / "lock"):
        status, output, _ = command(ablate.main, *ASKED, "--measure", "nothing")
    assert status == 1 and output == "not measured: ν 1, seed 0: another command is at it\n"


def test_where_nothing_is_left_to_measure_a_sentence_says_so(unmeasured, command):
    assert command(ablate.main, *ASKED, "--measure", "nothing")[0] == 0
    status, _, errors = command(ablate.main, *ASKED, "--measure", "nothing")
    assert status == 2 and errors.startswith("error: --measure is for runs that are trained and not measured, but of study")


@pytest.mark.parametrize("beside", [[], ["--machine", "faraway", "--workers", "2"], ["--machine", "faraway", "--so-far"]])
def test_what_has_no_effect_beside_measuring_is_refused(project, beside):
    with pytest.raises(SystemExit) as ended:
        ablate.main(["--study", "tiny", "--measure", "encoders", *beside])
    assert ended.value.code == 2

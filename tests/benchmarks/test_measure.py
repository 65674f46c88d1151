import json
import os
import subprocess
import sys

import pytest
import torch

from benchmarks import measure
from benchmarks.measure import Measured, ProcessorTime, alternate, foreign_share, machine, processor_name, table, write
from vicreg.errors import InputError

CPU = torch.device("cpu")


class FakeTime:
    """A clock that only the functions under test move, and a log of their calls."""

    def __init__(self):
        self.now, self.calls = 0.0, []

    def __call__(self):
        return self.now

    def function(self, name, *durations):
        remaining = iter(durations)

        def run():
            self.calls.append(name)
            self.now += next(remaining)

        return run


@pytest.fixture
def spent(monkeypatch):
    """`spent(a, b)`: what the processor-time counters show at their next two readings."""

    def show(*readings):
        readings = iter(readings)
        monkeypatch.setattr(measure, "processor_time", lambda: next(readings))

    show(ProcessorTime(0, 0, 0), ProcessorTime(1, 0, 0))
    return show


# ---- In turn


def test_functions_are_called_in_turn_after_a_warm_up_that_is_not_counted(spent):
    clock = FakeTime()
    functions = {"a": clock.function("a", 100, 1, 2), "b": clock.function("b", 100, 4, 2)}
    measured = alternate(functions, reference="a", repeats=2, clock=clock)
    assert clock.calls == ["a", "b"] * 3
    assert measured.seconds == {"a": [1, 2], "b": [4, 2]}


def test_ratios_are_of_times_of_the_same_round(spent):
    # The machine is half as fast in the third round and ten times as slow in the second: b is always twice as fast as a.
    clock = FakeTime()
    functions = {"a": clock.function("a", 0, 2, 20, 4), "b": clock.function("b", 0, 1, 10, 2)}
    measured = alternate(functions, reference="a", repeats=3, clock=clock)
    assert measured.ratios("b") == [2, 2, 2]
    assert measured.ratio("b") == 2


def test_ratio_is_the_median_over_rounds_and_not_the_ratio_of_medians():
    measured = Measured(reference="a", seconds={"a": [1, 10, 6], "b": [1, 5, 1]}, foreign_load=0.0)
    assert measured.ratios("b") == [1, 2, 6]
    assert measured.ratio("b") == 2
    assert measured.median("a") / measured.median("b") == 6


def test_reference_is_once_as_fast_as_itself():
    assert Measured(reference="a", seconds={"a": [3, 1, 7]}, foreign_load=0.0).ratio("a") == 1


def test_rate_is_the_work_of_a_call_over_its_median_time():
    rows = Measured(reference="a", seconds={"a": [2, 4, 100]}, foreign_load=0.0).rows(work=1000, unit="images")
    assert rows[0]["images/s"] == "250.0"


def test_dictionary_holds_every_time_and_survives_json(spent):
    spent(ProcessorTime(0, 0, 0), ProcessorTime(10, 2, 1))
    clock = FakeTime()
    measured = alternate({"a": clock.function("a", 0, 1, 3, 2)}, reference="a", repeats=3, clock=clock)
    told = json.loads(json.dumps(measured.to_dict()))
    assert told["seconds"] == {"a": [1, 3, 2]}
    assert (told["rounds"], told["median_seconds"], told["times_reference"]) == (3, {"a": 2}, {"a": 1})
    assert told["foreign_load"] == pytest.approx(0.1)


@pytest.mark.parametrize(("reference", "repeats", "word"), [("a", 0, "repeats"), ("z", 5, "reference")])
def test_a_measurement_that_says_nothing_is_refused(reference, repeats, word):
    with pytest.raises(InputError, match=word):
        alternate({"a": lambda: None}, reference=reference, repeats=repeats)


# ---- The load of others


def test_share_of_others_is_the_work_that_is_not_our_own():
    before = ProcessorTime(total=100.0, busy=50.0, own=10.0)
    assert foreign_share(before, ProcessorTime(total=120.0, busy=65.0, own=20.0)) == 0.25  # 15 at work, 10 for us, of 20
    assert foreign_share(before, ProcessorTime(total=120.0, busy=60.0, own=20.0)) == 0.0


def test_share_of_others_is_never_negative_and_needs_no_time_to_have_passed():
    before = ProcessorTime(total=100.0, busy=50.0, own=10.0)
    assert foreign_share(before, ProcessorTime(total=110.0, busy=55.0, own=15.1)) == 0.0  # counters of different grain
    assert foreign_share(before, before) == 0.0


@pytest.mark.parametrize(("busy", "disturbed"), [(4.0, False), (6.0, True)])
def test_a_disturbed_measurement_says_so(spent, capsys, busy, disturbed):
    spent(ProcessorTime(0, 0, 0), ProcessorTime(total=100, busy=busy, own=0))
    measured = alternate({"a": lambda: None}, reference="a", repeats=1)
    assert measured.to_dict()["disturbed"] is disturbed
    assert ("other processes used 6%" in capsys.readouterr().err) is disturbed


def test_warm_up_is_not_part_of_the_load(monkeypatch):
    order = []
    monkeypatch.setattr(measure, "processor_time", lambda: order.append("counters") or ProcessorTime(0, 0, 0))
    alternate({"a": lambda: order.append("a")}, reference="a", repeats=2)
    assert order == ["a", "counters", "a", "a", "counters"]


SPIN = "import time; end = time.process_time() + 0.25\nwhile time.process_time() < end: pass"  # seconds of work


def test_work_of_this_process_and_of_a_child_that_has_ended_is_our_own():
    before = measure.processor_time()
    exec(SPIN, {})
    subprocess.run([sys.executable, "-c", SPIN], check=True)
    after = measure.processor_time()
    assert after.own - before.own >= 0.45
    assert after.total > before.total


def test_work_of_a_child_that_still_runs_is_our_own():
    before = measure.processor_time()
    command = [sys.executable, "-c", SPIN + "\nprint('spun', flush=True)\ninput()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "spun\n"
        assert measure.processor_time().own - before.own >= 0.23
        child.communicate("\n")


# ---- What is written


def test_machine_is_named_with_what_a_figure_depends_on(monkeypatch):
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    named = machine(CPU, packages=("torchvision", "no-such-package"))
    assert named["onednn_max_cpu_isa"] == "AVX2"
    assert named["threads"] == torch.get_num_threads()
    assert 1 <= named["cores"] <= os.cpu_count()
    assert named["versions"]["torch"] == torch.__version__
    assert named["versions"]["torchvision"].startswith("0.")
    assert named["versions"]["no-such-package"] is None


def test_processor_is_named_as_linux_names_it(tmp_path):
    path = tmp_path / "cpuinfo"
    path.write_text("processor\t: 0\nmodel name\t: Some CPU: 3 GHz\n\nprocessor\t: 1\nmodel name\t: Some CPU: 3 GHz\n")
    assert processor_name(path) == "Some CPU: 3 GHz"
    assert processor_name(tmp_path / "none") == "unknown"


def test_table_is_markdown_whose_columns_are_aligned():
    assert table([{"": "ours", "images/s": "1,200"}, {"": "theirs, PIL", "images/s": "7"}]) == "\n".join(
        [
            "|             | images/s |",
            "|:------------|---------:|",
            "| ours        |    1,200 |",
            "| theirs, PIL |        7 |",
        ]
    )


def test_results_are_written_where_no_folder_was(tmp_path):
    write(tmp_path / "a" / "b.json", {"x": 1})
    assert json.loads((tmp_path / "a" / "b.json").read_text()) == {"x": 1}

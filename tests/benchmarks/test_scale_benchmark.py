"""What is timed of executors, studies and a thousand workers, at sizes that take seconds; and the sums made of it."""

import json
import subprocess
import sys

import pytest

from benchmarks.scale import __main__ as scale
from benchmarks.scale import checkouts, looks, simulation, starts
from benchmarks.scale.checkouts import TINY
from benchmarks.scale.orphans import adopted, processor_seconds
from benchmarks.torture import is_alive
from vicreg.errors import InputError

NOW, *_ = checkouts.checkouts(None)
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="orphans are adopted on Linux alone")


# ---- Sums


def test_overhead_is_what_a_job_takes_beyond_the_least_that_so_many_workers_need():
    assert simulation.overhead(12.0, jobs=20, workers=10, seconds=5.0) == pytest.approx(0.1)
    assert simulation.overhead(15.0, jobs=21, workers=10, seconds=5.0) == 0, "the last job has a wave of its own"


def test_rate_between_counts_neither_start_nor_exit():
    assert starts.steady_rate([30.0, 32.0, 34.0], workers=1) == 3600 * 2 / 4
    assert starts.steady_rate([30.0, 31.0, 33.0, 34.0], workers=2) == 3600 * 2 / 3
    assert starts.whole_rate({"ends": [30.0, 32.0], "exit": 36.0}) == 200


def test_memory_of_all_is_of_the_parent_each_worker_and_what_else_was_started():
    def of(megabytes):
        return {"pss": megabytes * 1_000_000, "rss": 1}

    memory = {"parent": of(100), "parent_before": of(90), "workers": [of(10), of(30)], "others": [of(5), of(6)]}
    assert starts.total_memory(memory) == {"parent": 100, "parent_before": 90, "worker": 20, "others": 11, "all": 151}


def test_ratio_to_the_first_run_is_of_times_of_the_same_round():
    def one(first):
        return {"ends": [first, first + 1], "exit": 2 * first, "processor": 3.0}

    rounds = {"pool": [one(10), one(20), one(12)], "now": [one(11), one(22), one(24)]}
    pool, now = starts.first_run_rows({"rounds": rounds, "foreign_load": 0.0})
    assert (pool["times pool"], now["times pool"], now["to the first finished run, s"]) == ("1.000", "1.100", "22.00")


# ---- What is refused


def test_a_folder_without_the_home_made_pool_is_refused(tmp_path):
    with pytest.raises(InputError, match="--old must be a checkout of commit 599e321"):
        checkouts.checkouts(tmp_path)


@pytest.mark.parametrize(
    ("option", "part"), [(["--old", "x"], "looks"), (["--runs", "5"], "rate"), (["--one-by-one", "5"], "first")]
)
def test_an_option_that_a_part_does_not_use_is_refused(option, part):
    with pytest.raises(InputError, match=f"{option[0]} has no effect on {part}"):
        scale.parse_arguments([part, *option])


def test_a_command_that_finishes_no_run_is_told_of_with_what_it_said(tmp_path):
    (tmp_path / "params.yaml").touch()
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "__init__.py").touch()
    (tmp_path / "study" / "ablate.py").write_text("print('that is all')")
    with pytest.raises(InputError, match="must finish runs, but ended with 0: that is all"):
        checkouts.Checkout(name="other", folder=tmp_path).time_study([])


# ---- Measured


@needs_linux
def test_time_of_what_a_command_leaves_behind_is_its_own():
    burn = "import time; began = time.process_time()\nwhile time.process_time() - began < 0.3: pass"
    leave = f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {burn!r}]).pid)"
    before = processor_seconds()
    with adopted():
        said = subprocess.run([sys.executable, "-c", leave], capture_output=True, text=True, check=True).stdout
    assert processor_seconds() - before >= 0.3 and not is_alive(int(said))


@pytest.mark.slow
def test_many_workers_finish_every_job_and_what_it_took_is_told():
    found = simulation.simulate(3, waves=2, seconds=0.2, settings=TINY, processes=2, rest=0.1)
    assert (found["jobs"], found["workers"]) == (6, 3)
    assert found["asleep"]["wall"] >= 0.4 and 0 <= found["overhead"] < 1
    assert found["overhead"] == pytest.approx((found["asleep"]["wall"] - 0.4) / 6)
    assert all(found["asleep"][name] > 0 for name in ("scheduler", "client", "workers"))
    assert all(found["memory"][name] > 10_000_000 for name in ("scheduler", "client", "workers"))
    (row,) = simulation.simulation_rows([found])
    assert row["workers"] == "3" and row["jobs"] == "6 of 0.2 s"


@pytest.mark.slow
def test_a_look_that_reads_an_epoch_of_each_run_takes_longer_and_the_command_writes_it(tmp_path, capsys):
    out = tmp_path / "looks.json"
    assert scale.main(["looks", "--runs", "20", "--rounds", "3", "--out", str(out)]) == 0
    found = json.loads(out.read_bytes())
    assert 0 < found["runs"]["20"]["nothing_new"] < found["runs"]["20"]["an_epoch_each"]
    assert found["machine"]["versions"]["distributed"] and "| 20 " in capsys.readouterr().out


def test_a_look_sees_one_epoch_more_of_each_run_after_each_is_written(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(looks, "_look", lambda executor: seen.append(len(list(executor._look()))))
    looks.measure_looks([2], settings=TINY, epochs=3, rounds=2)
    assert seen == [0, 2, 0, 2]


@pytest.mark.slow
@pytest.mark.exhaustive
def test_an_executor_is_timed_and_each_of_its_workers_weighed():
    found = NOW.time_executor(jobs="nothing", workers=2, one_by_one=3, in_all=6)
    assert len(found["one_by_one"]) == 3 and len(found["memory"]["workers"]) == 2
    assert found["first"] > max(found["one_by_one"]) > 0 and found["in_all"] > 0
    assert all(one["rss"] >= one["pss"] > 10_000_000 for one in found["memory"]["workers"])
    results = {"jobs": "nothing", "in_all": 6, "rounds": {"now": [found]}}
    assert starts.executor_rows(results)[0]["6 jobs, s"] == f"{found['in_all']:.2f}"


@pytest.mark.slow
@pytest.mark.exhaustive
def test_a_study_is_timed_to_the_end_of_each_of_its_runs():
    results = starts.measure_first_runs([NOW], rounds=1, settings=TINY)
    (one,) = results["rounds"]["now"]
    assert len(one["ends"]) == 2 and 0 < one["ends"][0] <= one["ends"][1] < one["exit"]
    assert one["processor"] > 1 and results["workers"] == 2

"""Energy is what a device's own counter says, shared among the runs that are going on it, or nothing."""

import os
import sys
from types import SimpleNamespace

import psutil
import pytest
import torch

from study.execution import energy
from study.execution.energy import Meter, going, noted_energy
from study.runs.run import make_run
from study.runs.store import Store

CPU = torch.device("cpu")


def package(folder, name="package-0", *, used=1_000_000, limit=10_000_000):
    domain = folder / f"intel-rapl:{len(list(folder.glob('*')))}"
    domain.mkdir()
    for file, text in (("name", name), ("energy_uj", used), ("max_energy_range_uj", limit)):
        (domain / file).write_text(f"{text}\n")
    return domain


def test_joules_are_what_the_counters_of_all_packages_gained(tmp_path):
    domains = [package(tmp_path), package(tmp_path, "package-1", used=0)]
    meter = Meter(CPU, rapl=tmp_path)
    domains[0].joinpath("energy_uj").write_text("3500000")
    domains[1].joinpath("energy_uj").write_text("500000")
    assert meter.joules() == pytest.approx(3.0)


def test_a_part_of_a_package_is_not_counted_beside_it(tmp_path):
    package(tmp_path)
    core = package(tmp_path, "core")
    meter = Meter(CPU, rapl=tmp_path)
    core.joinpath("energy_uj").write_text("9000000")
    assert meter.joules() == 0


def test_a_counter_that_started_anew_goes_on_from_its_limit(tmp_path):
    domain = package(tmp_path, used=9_000_000)
    meter = Meter(CPU, rapl=tmp_path)
    domain.joinpath("energy_uj").write_text("500000")
    assert meter.joules() == pytest.approx(1.5)


def test_a_device_that_does_not_tell_has_no_energy(tmp_path):
    assert Meter(CPU, rapl=tmp_path).joules() is None
    package(tmp_path).joinpath("energy_uj").write_text("not a number")
    assert Meter(CPU, rapl=tmp_path).joules() is None


def test_each_call_tells_what_was_used_since_the_last_and_a_second_time_around_is_seen(tmp_path):
    domain = package(tmp_path, used=0)
    meter, told = Meter(CPU, rapl=tmp_path), []
    for used in (6_000_000, 2_000_000, 9_000_000, 1_000_000):
        domain.joinpath("energy_uj").write_text(str(used))
        told.append(meter.joules())
    assert told == pytest.approx([6, 6, 7, 2]) and meter.joules() == 0


def test_a_counter_that_can_no_longer_be_read_tells_nothing_from_then_on(tmp_path):
    domain = package(tmp_path)
    meter = Meter(CPU, rapl=tmp_path)
    text = domain.joinpath("energy_uj").read_text()
    domain.joinpath("energy_uj").unlink()
    assert meter.joules() is None
    domain.joinpath("energy_uj").write_text(text)
    assert meter.joules() is None


class Ticking:
    """A device that uses a joule between any two looks at its counter."""

    tells = True

    def joules(self):
        return 1.0


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """Runs that are going on this host beside the tests are not found."""
    monkeypatch.setattr(energy.tempfile, "gettempdir", lambda: str(tmp_path / "temporary"))
    return tmp_path / "temporary"


@pytest.fixture
def run(tiny_config):
    return make_run(tiny_config(), data="sha256:" + "a" * 64, device=CPU, probes=("knn",))


def test_energy_is_noted_of_a_run_however_it_ends_and_added_to_what_it_used_before(tmp_path, run):
    store = Store(tmp_path)
    with noted_energy(run, store, CPU, meter=Ticking(), every=60):
        pass
    assert store.result(run)["joules"] == 1
    with pytest.raises(ZeroDivisionError), noted_energy(run, store, CPU, meter=Ticking(), every=60):
        raise ZeroDivisionError
    assert store.result(run)["joules"] == 2


def test_two_runs_that_are_going_on_a_device_share_its_energy(tmp_path, temporary, run):
    store, other = Store(tmp_path / "store"), psutil.Process(os.getppid())
    beside = temporary / f"vicreg-study-going-{os.getuid()}" / "cpu" / f"{other.pid}-{other.create_time():.2f}"
    beside.parent.mkdir(parents=True)
    beside.touch()
    with noted_energy(run, store, CPU, meter=Ticking(), every=60):
        pass
    assert store.result(run)["joules"] == 0.5


def test_a_run_of_a_device_that_does_not_tell_has_no_energy(tmp_path, run):
    with noted_energy(run, Store(tmp_path / "store"), CPU, meter=Meter(CPU, rapl=tmp_path)):
        pass
    assert Store(tmp_path / "store").result(run)["joules"] is None


def test_those_that_have_a_run_going_on_a_device_find_each_other_and_forget_the_dead(tmp_path):
    other = psutil.Process(os.getppid())
    with going(CPU, folder=tmp_path) as count:
        assert count() == 1
        alive = tmp_path / "cpu" / f"{other.pid}-{other.create_time():.2f}"
        alive.touch()
        (tmp_path / "cpu" / "4194304-1.00").touch()  # no process has this number
        (tmp_path / "cpu" / f"{other.pid}-1.00").touch()  # another process had this one
        assert count() == 2
        alive.unlink()
        assert count() == 1
    assert not list((tmp_path / "cpu").glob(f"{os.getpid()}-*"))


def test_a_gpu_is_found_by_its_uuid_for_torch_may_number_gpus_otherwise(monkeypatch):
    """NVML's second GPU is torch's first where CUDA_VISIBLE_DEVICES is 1. Both libraries are made up."""
    millijoules = {"GPU-first": 1e6, "GPU-second": 5e6}
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid="second"))
    library = SimpleNamespace(
        nvmlInit=lambda: None, nvmlDeviceGetHandleByUUID=lambda uuid: uuid,
        nvmlDeviceGetTotalEnergyConsumption=lambda handle: millijoules[handle],
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "pynvml", library)
    meter = Meter(torch.device("cuda"))
    millijoules["GPU-second"] += 7000
    assert meter.joules() == pytest.approx(7)
    millijoules["GPU-second"] = 2000  # its driver was loaded anew
    assert meter.joules() == pytest.approx(2)


def test_a_run_that_several_gpus_train_has_the_energy_of_all(monkeypatch):
    """Both libraries are made up."""
    millijoules = {"GPU-0": 1e6, "GPU-1": 5e6, "GPU-2": 0.0}
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid=str(device.index)))
    library = SimpleNamespace(
        nvmlInit=lambda: None, nvmlDeviceGetHandleByUUID=lambda uuid: uuid,
        nvmlDeviceGetTotalEnergyConsumption=lambda handle: millijoules[handle],
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "pynvml", library)
    meter = Meter(torch.device("cuda"), number=2)
    for name in millijoules:
        millijoules[name] += 3000
    assert meter.joules() == pytest.approx(6)


def test_a_gpu_without_a_readable_counter_has_no_energy():
    if torch.cuda.is_available():
        pytest.skip("this machine's GPU may tell")
    assert Meter(torch.device("cuda")).joules() is None

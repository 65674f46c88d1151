"""Energy is what a device's own counter says, shared among the runs at a time, or nothing."""

import pytest
import torch

from study.energy import Meter

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


def test_a_gpu_without_a_readable_counter_has_no_energy():
    if torch.cuda.is_available():
        pytest.skip("this machine's GPU may tell")
    assert Meter(torch.device("cuda")).joules() is None

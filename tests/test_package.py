"""The project as a package: what an installation holds, and the public names."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

import vicreg

ROOT = Path(__file__).parents[1]


def test_the_public_names_are_there_and_documented():
    for name in vicreg.__all__:
        assert getattr(vicreg, name).__doc__, name
    assert sorted(vicreg.__all__) == dir(vicreg)
    with pytest.raises(AttributeError, match="has no attribute 'byol_loss'"):
        _ = vicreg.byol_loss


def test_the_library_works_as_the_readme_shows_it():
    z, z_prime = torch.randn(2, 16, 8, requires_grad=True)
    loss = vicreg.vicreg_loss(z, z_prime, coefficients=vicreg.Coefficients(lambda_=25, mu=25, nu=1))
    loss.total.backward()
    layer = torch.nn.Linear(8, 8)
    layer(z.detach()).sum().backward()
    vicreg.LARS(layer.parameters(), lr=0.2).step()
    assert 1 <= vicreg.collapse_metrics(z.detach())["rankme"] <= 8


def test_importing_the_package_alone_does_not_import_torch():
    code = "import sys, vicreg, study; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


@pytest.mark.slow
def test_a_wheel_holds_every_module_study_file_and_template(tmp_path):
    source = tmp_path / "source"
    for name in ("study", "vicreg"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "pyproject.toml", source / "pyproject.toml")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-cache-dir",
         "--wheel-dir", str(tmp_path), str(source)],
        check=True,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    tracked = subprocess.run(["git", "ls-files", "study", "vicreg"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(tracked.stdout.split()) <= held
    assert not [name for name in held if name.startswith(("tests", "benchmarks"))]
    (entry_points,) = [name for name in held if name.endswith("entry_points.txt")]
    assert b"vicreg-study = study.cli.main:main" in zipfile.ZipFile(wheel).read(entry_points)

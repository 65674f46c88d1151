"""Builds the pretended CUDA runtime for a Python that has a CUDA build of torch.

python -m benchmarks.pretended_cuda.build      # builds, and prints what a command needs in its environment
"""

import os
import shutil
import subprocess
from pathlib import Path

from study.cli.command import run_command
from vicreg.errors import InputError

SOURCES = Path(__file__).parent
ROOT = SOURCES.parents[1]
BUILT = ROOT / "build" / "pretended_cuda"
VARIABLE = "VICREG_CUDA_PYTHON"


def main() -> int:
    for name, value in environment(build(cuda_python())).items():
        print(f"export {name}={value}")
    return 0


def cuda_python() -> str:
    """Return the Python with a CUDA build of torch that the environment names.

    Raises:
        InputError: where it names none, or what a build needs is missing.
    """
    python = os.environ.get(VARIABLE)
    if not python:
        raise InputError(f"{VARIABLE} must name a Python that has a CUDA build of torch, but is not set.")
    if shutil.which(python) is None:
        raise InputError(f"{VARIABLE} must name a Python that can be run, but is {python!r}.")
    if shutil.which("g++") is None:
        raise InputError("g++ must be there to build the pretended runtime; install a C++ compiler.")
    if not headers(python):
        raise InputError(f"{python} must have CUDA's headers (the package nvidia-cuda-runtime), but has none.")
    return python


def headers(python: str) -> list[Path]:
    """Return the folders of CUDA's headers among a Python's packages: the runtime's, and those of `crt/`."""
    asked = "import sysconfig; print(sysconfig.get_path('purelib'))"
    found = subprocess.run([python, "-c", asked], capture_output=True, text=True)
    if found.returncode != 0:
        return []
    packages = Path(found.stdout.strip())
    runtime = next(packages.glob("nvidia/**/cuda_runtime_api.h"), None)
    compiler = next(packages.glob("**/crt/host_defines.h"), None)
    return [runtime.parent, compiler.parents[1]] if runtime and compiler else []


def build(python: str, *, folder: Path = BUILT) -> Path:
    """Build both libraries where they are older than their sources; return their folder.

    Raises:
        InputError: where the compiler fails, with what it said.
    """
    folder.mkdir(parents=True, exist_ok=True)
    includes = [f"-I{path}" for path in headers(python)]
    for target, compiler, sources in (
        ("pretended_cuda.so", ("g++", *includes), ("runtime.cpp", "libraries.cpp")),
        ("libcuda.so.1", ("gcc",), ("driver.c",)),
    ):
        files = [SOURCES / name for name in sources]
        if (folder / target).exists() and (folder / target).stat().st_mtime > max(f.stat().st_mtime for f in files):
            continue
        command = [*compiler, "-O1", "-shared", "-fPIC", "-o", str(folder / target), *map(str, files)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise InputError(f"{' '.join(sources)} could not be built: {done.stderr.strip().splitlines()[0]}")
    return folder


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of a process that takes the pretended runtime for a GPU, and its children's."""
    return {
        "LD_LIBRARY_PATH": str(folder),
        "LD_PRELOAD": str(folder / "pretended_cuda.so"),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join((str(SOURCES / "site"), str(ROOT))),  # `site` makes up what no library here computes
        "PYTHONWARNINGS": "ignore",
        "VICREG_PRETENDED_CUDA": str(folder / "pretended_cuda.so"),
    }


if __name__ == "__main__":
    run_command(main)

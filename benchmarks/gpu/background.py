"""Unpacks packages or images while the first sections run; a process each."""

import importlib.metadata
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from typing import Any

from benchmarks.gpu.archives import images_in
from benchmarks.gpu.call import Call, read_call
from benchmarks.gpu.queue import IMAGES, PACKAGES
from benchmarks.gpu.ready import packages_path, ready_path
from vicreg.errors import InputError
from vicreg.files import to_json, write_atomically


def main() -> None:
    what, call, started = sys.argv[1], read_call(sys.argv[2]), time.monotonic()
    jobs: dict[str, Callable[[Call], dict[str, Any]]] = {PACKAGES: install_packages, IMAGES: unpack_images}
    try:
        said = jobs[what](call)
    except (InputError, OSError, subprocess.SubprocessError, tarfile.TarError) as error:
        said = {"error": " ".join(str(error).split())}
    write_atomically(ready_path(call.work, what), to_json(said | {"seconds": time.monotonic() - started}))


def install_packages(call: Call) -> dict[str, Any]:
    """Install what is missing of the wheels that `make gpu-wheels` has left, without a network."""
    wheels = [wheel for wheel in sorted(call.wheels.glob("*.whl")) if not is_installed(wheel.name.split("-")[0])]
    if not wheels:
        return {"installed": []}
    target = packages_path(call.work)
    command = [
        sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-compile", "--upgrade",
        "--disable-pip-version-check", "--target", str(target), *map(str, wheels),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise InputError(
            f"pip could not install the wheels: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}"
        )
    return {"installed": [wheel.name for wheel in wheels]}


def is_installed(name: str) -> bool:
    """Return whether this Python has a package."""
    try:
        return bool(importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return False


def unpack_images(call: Call) -> dict[str, Any]:
    """Unpack the archive of images once, and make the prepared data set of them that the recipe reads."""
    from benchmarks.gpu.bench import Bench  # torch is loaded only here: installing does without it, and begins at once
    from benchmarks.gpu.recipe import data_settings
    from study.config.load import load_config
    from study.runs.prepared_data import obtain_dataset

    assert call.images is not None, "nothing is unpacked in the background that was not given"
    root = images_in(call.images, call.work / "images")
    config = load_config(profile=call.profile, settings=Bench(call=call).overrides | data_settings(root))
    dataset, folder = obtain_dataset(config, store=call.work / "store")
    return {"root": str(root), "digest": dataset.digest, "images": len(dataset.train.images), "prepared": str(folder)}


if __name__ == "__main__":
    main()

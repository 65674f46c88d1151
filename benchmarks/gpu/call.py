"""What one call of the GPU script is asked for, and the command that goes on from it."""

import argparse
import json
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.gpu.queue import SECTIONS
from study.cli.arguments import positive
from study.runs.revision import current_commit

ROOT = Path(__file__).parents[2]
WORK, WHEELS, PROFILE, SIDE, TIMED = "build/gpu", "build/gpu-wheels", "cifar10", 32, 2.0
SECONDS = 590.0  # of one call; whoever lends a GPU for 15 minutes ends a command after 10


@dataclass(frozen=True, kw_only=True)
class Call:
    """The arguments of one call."""

    out: Path  # what comes back: JSON and an archive
    work: Path  # what need not: packages, images, the store of runs with their weights
    wheels: Path
    images: Path | None  # an archive or a folder with train/<class>/* and test/<class>/*
    device: str
    profile: str
    given: tuple[str, ...]  # settings over the profile, as `key=value`
    side: int  # of the random images, pixels
    seconds: float
    timed: float  # seconds that each kind of step and each number of runs is timed for, at least
    commit: str
    mps: bool = False
    records: Path | None = None  # a tar archive of runs/<digest>/*, of an earlier call on such a machine
    only: tuple[str, ...] = ()

    @property
    def sections(self) -> tuple[str, ...]:
        """The sections that are asked for, in order."""
        return tuple(name for name, one in SECTIONS.items() if (name in self.only if self.only else one.default))

    @property
    def asked(self) -> dict[str, str | bool | list[str]]:
        """What a result depends on; one of another call with the same is not measured anew."""
        return {
            "profile": self.profile, "settings": list(self.given), "device": self.device, "commit": self.commit,
            "mps": self.mps,
        }  # fmt: skip

    def command(self, sections: tuple[str, ...]) -> str:
        """Return the command that does some sections, as a person would type it."""
        parts = ["python -m benchmarks.gpu", f"--out {shlex.quote(str(self.out))}"]
        parts += [f"--images {shlex.quote(str(self.images))}"] if self.images else []
        parts += [f"--wheels {shlex.quote(str(self.wheels))}"] if self.wheels != Path(WHEELS) else []
        parts += [f"--work {shlex.quote(str(self.work))}"] if self.work != Path(WORK) else []
        parts += [f"--device {self.device}"] if self.device != "auto" else []
        parts += [f"--profile {self.profile}"] if self.profile != PROFILE else []
        parts += [f"--set {shlex.quote(setting)}" for setting in self.given]
        parts += [f"--side {self.side}"] if self.side != SIDE else []
        parts += [f"--seconds {self.seconds:g}"] if self.seconds != SECONDS else []
        parts += [f"--timed {self.timed:g}"] if self.timed != TIMED else []
        parts += ["--mps"] if self.mps else []
        parts += [f"--records {shlex.quote(str(self.records))}"] if self.records else []
        parts += [f"--commit {self.commit}"]
        return " ".join([*parts, *(f"--only {name}" for name in sections)])


def written(call: Call) -> str:
    """Return a call as JSON, for `read_call`."""
    return json.dumps(asdict(call), default=str)


def read_call(text: str) -> Call:
    """Return the call that was written."""
    values = json.loads(text)
    paths = {name: Path(values[name]) for name in ("out", "work", "wheels")}
    given = {name: None if values[name] is None else Path(values[name]) for name in ("images", "records")}
    tuples = {name: tuple(values[name]) for name in ("given", "only")}
    return Call(**values | paths | tuples | given)


def parse_call(description: str, argv: list[str] | None = None) -> Call:
    """Return what the arguments ask for; what argparse refuses ends the process with status 2."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for what comes back")
    parser.add_argument("--images", type=Path, help="CIFAR-10 as a tar archive or a folder, train|test/<class>/*")
    parser.add_argument("--only", action="append", choices=tuple(SECTIONS), help="this section; repeatable")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="after which everything has ended; default: 590")
    parser.add_argument("--timed", type=float, default=TIMED, help="seconds of each kind of step; default: 2")
    parser.add_argument("--wheels", type=Path, default=Path(WHEELS), help="folder of `make gpu-wheels`")
    parser.add_argument("--work", type=Path, default=Path(WORK), help="folder for what need not come back")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--profile", default=PROFILE)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="over the profile; repeatable")
    parser.add_argument("--side", type=positive, default=SIDE, help="of the random images that are timed, pixels")
    parser.add_argument("--mps", action="store_true", help="serve the GPU by NVIDIA's MPS, where it is installed")
    parser.add_argument("--records", type=Path, help="an archive of runs, of an earlier call on such a machine")
    parser.add_argument("--commit", help="of this code, where git is not there to ask")
    given = parser.parse_args(argv)
    return Call(
        out=given.out, work=given.work, wheels=given.wheels, images=given.images, device=given.device,
        profile=given.profile, given=tuple(given.set), side=given.side, seconds=given.seconds, timed=given.timed,
        commit=given.commit or current_commit(), mps=given.mps, records=given.records,
        only=tuple(given.only or ()),
    )  # fmt: skip

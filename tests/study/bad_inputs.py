"""Draws bad inputs, one from a number: what a user may type, write, damage or point a command at.

A door is a way in: settings on the command line, params.yaml, a study's file, arguments, images, weights, prepared data,
the store, results, and what lies beside them. `draw(number, project)` spoils one of them and returns what to run.
"""

import json
import pickle
import random
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import torch
import yaml
from PIL import Image
from safetensors.torch import save_file

from study import ablate, compare, evaluate, index, prepare, pretrain, project, report, source_page, source_paper, verify
from study.config.load import load_config
from study.config.places import PAPER_RESULTS
from tests.study.conftest import Project

# Values as they come out of typing errors, other tools and other versions of YAML.
ODD_VALUES = (
    "", "text", "-1", "0", "nan", ".inf", "-.inf", "1e400", "[", "[1", "{a: 1}", "[]", "[[1]]", "null", "true", "1e-400",
    "99999999999999999999", "0100", "1:30", "2026-01-01", "!!python/object/apply:os.getcwd []", "\u2603", "a: b", "'",
    "[1, text]", "-0.0", "1e300", ".5.5", "&a [*a]", "0x10", "\uff11", "[null]", "[-1]", "[nan]", "~", "1_000", "- 1", "no",
    "\t1", "1 # one",
)  # fmt: skip
# The same as Python values, for files of JSON.
ODD_LEAVES: Sequence[Any] = (
    None, "", "text", -1, 0, 10**30, 1.5, float("nan"), float("inf"), True, [], {}, [1], {"a": 1}, "<script>", [[]],
    "\u0000",
)  # fmt: skip
# Neither a number of seeds, nor looks, nor until-decided.
ODD_SEEDS = (
    "[0, 1, 2]", "[0]", "[7, 3]", "[3]", "[]", "[3, 3]", "[3, 4.5]", "[2, 5]", "[-3, 5]", "[3, text]", "0", "-1", "3.0",
    "true", ".nan", "until decided", "until-decided-", "{looks: [3, 5]}", "99999999999999999999", "[[3, 5]]",
)  # fmt: skip
ODD_COUNTS = ("0", "-1", "1.5", "all", "[9]", "true", ".inf", "99999999999999999999", "{a: 1}")
# Keys that decide how long a run takes: a large value of theirs is no fault, and nobody waits for it here.
SLOW_KEYS = ("epochs", "iterations", "seeds")


@dataclass(frozen=True)
class Attempt:
    """A command to run on an input that was spoiled, and what must come of it."""

    what: str  # was done, for whoever reads that a case failed
    main: Callable[..., Any]
    argv: tuple[str, ...]
    names: tuple[str, ...] = ()  # a refusal names one of these
    must_fail: bool = False  # no reading of the input makes sense
    spoiled: Path | None = None  # the file or folder in the store that was damaged; all else there must stay as it is
    harmless: bool = False  # it may be passed over without a word


def draw(number: int, project: Project) -> Attempt:
    """Spoil what the number says in the project's folder, and return what to run."""
    chance = random.Random(number)
    name = list(DOORS)[number % len(DOORS)]
    return DOORS[name](project, chance)


def door(number: int) -> str:
    """Return the name of the door that a number goes through."""
    return list(DOORS)[number % len(DOORS)]


# ---- what is typed


def typed_settings(project: Project, chance: random.Random) -> Attempt:
    key = chance.choice(sorted(load_config().by_key))
    kind = chance.randrange(4)
    value = chance.choice(ODD_VALUES)
    if kind == 0:
        key = spoil_word(key, chance)
    given = {1: f"{key}", 2: f"={value}"}.get(kind, f"{key}={value}")
    quick = ("--dry-run",) if chance.randrange(3) or key.rpartition(".")[2] in SLOW_KEYS else ()
    argv = ("--study", "tiny", "--set", given, *quick)
    return Attempt(f"--set {given}", ablate.main, argv, (key, key.rpartition(".")[2], "--set"), must_fail=kind in (1, 2))


def typed_arguments(project: Project, chance: random.Random) -> Attempt:
    name = chance.choice(list(ARGUMENTS))
    main, needed, flags = ARGUMENTS[name]
    odd = chance.choice([value for value in ODD_VALUES if value not in ("0", "null", "true", "no", "~")])
    kind = chance.randrange(5)
    if kind == 0:
        argv: tuple[str, ...] = (*needed, f"--{spoil_word('nonsense', chance)}")
    elif kind == 1:
        argv = (*needed, odd or " ")
    elif flags:
        flag = chance.choice(flags)
        argv = (*needed, flag) if kind == 2 else (*needed, flag, odd)
    else:
        argv = (*needed, "--set", "pretrain.nonsense=1")
    return Attempt(f"{name} {argv}", main, argv, must_fail=True)


def params_file(project: Project, chance: random.Random) -> Attempt:
    path = project.folder / "params.yaml"
    what = spoil_text(path, chance)
    name = chance.choice(list(READERS_OF_PARAMS))
    main, argv = READERS_OF_PARAMS[name]
    return Attempt(f"params.yaml: {what}; {name}", main, argv)


def study_file(project: Project, chance: random.Random) -> Attempt:
    path = project.studies / "tiny.yaml"
    if chance.randrange(2):
        what = spoil_text(path, chance)
    else:
        content = yaml.safe_load(
            (project.studies / chance.choice(["tiny", "quest", "walk", "tuned"])).with_suffix(".yaml").read_text()
        )
        what = spoil_leaf(content, chance, [*ODD_LEAVES, "1e-3", "nu-1"])
        path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return Attempt(f"tiny.yaml: {what}", ablate.main, ("--study", "tiny", "--dry-run"))


def seeds_of_study(project: Project, chance: random.Random) -> Attempt:
    """Give no number of seeds that can be, in a study's file or to its command; or damage what is kept of its looks."""
    path = project.studies / "tiny.yaml"
    seeds, count = chance.choice(ODD_SEEDS), chance.choice(ODD_COUNTS)
    looks = chance.choice([one for one in ODD_SEEDS if not one.startswith("until")])
    kind = chance.randrange(7)
    if kind == 0:
        kept = project.folder / "store" / "looks" / "tiny.json"
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(b"{}")
        what, argv = spoil_bytes(kept, chance), ("--study", "tiny", "--add-seeds", "2")
        return Attempt(f"what is kept of looks: {what}", ablate.main, argv, harmless=True)
    if kind in (1, 2):
        key, given = [("seeds", seeds), chance.choice([("look", count), ("budget", count)])][kind - 1]
        argv = ("--study", "tiny", "--set", f"ablate.{key}={given}", "--dry-run")
        return Attempt(f"--set ablate.{key}={given}", ablate.main, argv, (f"ablate.{key}",), must_fail=True)
    texts = (
        f"seeds: {seeds}", f"seeds: until-decided\nlooks: {looks}", f"seeds: until-decided\nbudget: {count}",
        f"seeds: 3\nlooks: {looks}",
    )  # fmt: skip
    text = texts[kind - 3]
    path.write_text(f"{path.read_text(encoding='utf-8')}\n{text}\n", encoding="utf-8")
    argv = ("--study", "tiny", "--dry-run")
    return Attempt(f"tiny.yaml: {text!r}", ablate.main, argv, ("tiny.yaml",), must_fail=True)


# ---- what is read


def image_files(project: Project, chance: random.Random) -> Attempt:
    root = project.folder / "images"
    made = numpy.random.default_rng(chance.randrange(1000))
    for part, count in (("train", 8), ("test", 4)):
        for name in ("cat", "dog"):
            folder = root / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                Image.fromarray(made.integers(0, 256, (8, 8, 3), dtype=numpy.uint8)).save(folder / f"{number}.png")
    project.set(
        {"prepare.dataset": "imagefolder", "prepare.per_class": None, "prepare.image_size": 8, "prepare.validation": 0.25}
    )
    params = yaml.safe_load((project.folder / "params.yaml").read_text())
    params["data"]["root"] = "images"
    (project.folder / "params.yaml").write_text(yaml.safe_dump(params))
    what, must_fail = spoil_images(root, chance)
    return Attempt(f"images: {what}", prepare.main, (), must_fail=must_fail, harmless=what.startswith("hidden"))


def spoil_images(root: Path, chance: random.Random) -> tuple[str, bool]:
    """Spoil a folder of images; return what was done, and whether it must be refused."""
    part = chance.choice(["train", "test"])
    folder, other = root / part / "cat", root / part / "dog"
    image = folder / "0.png"
    content = image.read_bytes()

    def bare(path: Path) -> None:
        shutil.rmtree(path)
        path.mkdir()

    ways: Mapping[str, tuple[Callable[[], Any], bool]] = {
        "a file cut short": (lambda: image.write_bytes(content[: chance.randrange(len(content) - 12)]), True),
        "an empty file": (lambda: image.write_bytes(b""), True),
        "text named .png": (lambda: image.write_text("<html>not found</html>"), True),
        "random bytes named .png": (lambda: image.write_bytes(chance.randbytes(300)), True),
        "a class without images": (lambda: bare(folder), True),
        "no class": (lambda: bare(root / part), True),
        "no folder of a part": (lambda: shutil.rmtree(root / part), True),
        "no folder at all": (lambda: shutil.rmtree(root), True),
        "a file in place of the folder": (lambda: (shutil.rmtree(root), root.write_text("", encoding="utf-8")), True),
        "one class": (lambda: (shutil.rmtree(root / "train" / "dog"), shutil.rmtree(root / "test" / "dog")), False),
        "a class in one part alone": (lambda: shutil.rmtree(other), True),
        "a link to nothing": (lambda: (folder / "9.png").symlink_to("nowhere.png"), False),
        "a link in a circle": (lambda: (folder / "again").symlink_to(folder), False),
        "folders in a class": (lambda: shutil.copytree(other, folder / "more"), False),
        "hidden files": (lambda: (folder / ".DS_Store").write_bytes(b"\0\1"), False),
        "another suffix": (lambda: (folder / "notes.txt").write_text("notes"), False),
        "one image": (lambda: [one.unlink() for one in sorted((root / "train").rglob("*.png"))[1:]], True),
        "train is test": (lambda: (shutil.rmtree(root / "test"), shutil.copytree(root / "train", root / "test")), True),
        "a large image's header": (lambda: image.write_bytes(content[:16] + b"\0\xff\xff\xff" * 2 + content[24:]), True),
    }  # fmt: skip
    what = chance.choice(list(ways))
    way, must_fail = ways[what]
    way()
    return f"{what} ({part})", must_fail


def weight_files(project: Project, chance: random.Random) -> Attempt:
    path = project.folder / f"given.{chance.choice(['pth', 'pt', 'safetensors', 'ckpt', 'npz', ''])}".rstrip(".")
    one = torch.ones(4, 3, 3, 3)
    state = {"conv1.weight": one, "bn1.weight": torch.ones(4), "bn1.bias": torch.zeros(4)}
    wrapper, prefix = spoil_word("state_dict", chance), spoil_word("encoder", chance)
    contents: Mapping[str, Callable[[], Any]] = {
        "random bytes": lambda: path.write_bytes(chance.randbytes(1000)),
        "nothing": lambda: path.write_bytes(b""),
        "text": lambda: path.write_text("version https://git-lfs.github.com/spec/v1\n"),
        "no file": lambda: None,
        "a folder": path.mkdir,
        "a pickle": lambda: path.write_bytes(pickle.dumps({"weights": [1, 2, 3]})),
        "a pickle of code": lambda: path.write_bytes(pickle.dumps(print)),
        "a part of a network": lambda: torch.save(state, path),
        "whole numbers": lambda: torch.save({key: value.long() for key, value in state.items()}, path),
        "not finite": lambda: torch.save({**state, "conv1.weight": one / 0}, path),
        "a list": lambda: torch.save([one], path),
        "a tensor": lambda: torch.save(one, path),
        "a sparse tensor": lambda: torch.save({**state, "conv1.weight": one.to_sparse()}, path),
        "a tensor without values": lambda: torch.save({**state, "conv1.weight": one.to("meta")}, path),
        "names that are no text": lambda: torch.save({1: one, (2, 3): one}, path),
        "a wrapper": lambda: torch.save({wrapper: {f"{prefix}.conv1.weight": one}}, path),
        "safetensors": lambda: save_file(state, path),
        "safetensors cut short": lambda: (save_file(state, path), cut(path, chance)),
        "a file cut short": lambda: (torch.save(state, path), cut(path, chance)),
    }  # fmt: skip
    what = chance.choice(list(contents))
    contents[what]()
    argv = ("--study", "tiny", "--set", "pretrain.epochs=0", "--set", f"pretrain.weights={path}")
    return Attempt(f"weights: {what} as {path.name}", ablate.main, argv, (path.name, "pretrain.weights"), must_fail=True)


def prepared_data(project: Project, chance: random.Random) -> Attempt:
    path = chance.choice([one for one in sorted((project.folder / "data/prepared").rglob("*")) if one.is_file()])
    what = spoil_bytes(path, chance)
    name = chance.choice(["ablate", "pretrain", "evaluate", "project"])
    main = {**STAGES, "ablate": ablate.main}[name]
    argv = ("--study", "tiny", "--seeds", "2") if name == "ablate" else ()
    return Attempt(f"{path.name}: {what}; {name}", main, argv, harmless=path.name == "source.json")


# ---- what was made


def store_files(project: Project, chance: random.Random) -> Attempt:
    files = [one for one in sorted((project.folder / "store").rglob("*")) if one.is_file() and "lock" not in one.name]
    path = chance.choice(files)
    what = spoil_bytes(path, chance)
    name = chance.choice(["ablate", "status", "dry run", "other probe", "verify", "index", "again"])
    argv: tuple[str, ...] = ("--study", "tiny")
    main: Callable[..., Any] = ablate.main
    if name in ("status", "dry run", "again"):
        argv = (*argv, f"--{name.replace(' ', '-')}")
    elif name == "other probe":
        argv = (*argv, "--set", "evaluate.knn=[3]")
    elif name == "verify":
        main, argv = verify.main, (*argv, "--runs", "1")
    elif name == "index":
        main, argv = index.main, ()
    return Attempt(f"store: {path.parent.name}/{path.name}: {what}; {name}", main, argv, spoiled=path, harmless=True)


def result_files(project: Project, chance: random.Random) -> Attempt:
    name = chance.choice(list(READERS_OF_RESULTS))
    path = project.folder / "results/ablate/tiny/study.json"
    if name == "source_page":  # it reads what the studies of the paper have left
        copy = project.folder / PAPER_RESULTS / "lambda-mu-nu/study.json"
        shutil.copytree(path.parent, copy.parent)
        path = copy
    if chance.randrange(3):
        content = json.loads(path.read_bytes())
        what = ", ".join(spoil_leaf(content, chance, ODD_LEAVES) for _ in range(chance.choice([1, 1, 3])))
        path.write_text(json.dumps(content), encoding="utf-8")
    else:
        what = spoil_bytes(path, chance)
    main, argv = READERS_OF_RESULTS[name]
    return Attempt(f"study.json: {what}; {name}", main, argv, harmless=True)


def side_files(project: Project, chance: random.Random) -> Attempt:
    flag, place = chance.choice(list(BESIDE.items()))
    path = project.folder / "results" / place
    if path.suffix == ".json" and chance.randrange(2):
        leaves = json.loads(path.read_bytes())
        what = spoil_leaf(leaves, chance, ODD_LEAVES)
        path.write_text(json.dumps(leaves), encoding="utf-8")
    else:
        what = spoil_bytes(path, chance)
    main, argv = READERS_OF_RESULTS["report"]
    return Attempt(f"{path.name}: {what}", main, (*argv, flag, str(path)), harmless=True)


def baseline_files(project: Project, chance: random.Random) -> Attempt:
    path = chance.choice([one for one in sorted((project.folder / "models").rglob("*")) if one.is_file()])
    what = spoil_bytes(path, chance)
    name = chance.choice(["evaluate", "project", "pretrain"])
    return Attempt(f"{path.name}: {what}; {name}", STAGES[name], (), harmless=name == "pretrain")


BESIDE: Mapping[str, str] = {
    "--timing": "ablate/tiny/timing.json",
    "--certificate": "verify/tiny.json",
    "--project": "project/tsne.json",
    "--evaluate": "evaluate/metrics.json",
    "--curves": "evaluate/linear.csv",
}
STAGES: Mapping[str, Callable[..., Any]] = {
    "prepare": prepare.main, "pretrain": pretrain.main, "evaluate": evaluate.main, "project": project.main,
}  # fmt: skip
DOORS: Mapping[str, Callable[[Project, random.Random], Attempt]] = {
    "settings": typed_settings,
    "arguments": typed_arguments,
    "params.yaml": params_file,
    "study file": study_file,
    "seeds": seeds_of_study,
    "images": image_files,
    "weights": weight_files,
    "prepared data": prepared_data,
    "store": store_files,
    "results": result_files,
    "beside results": side_files,
    "baseline": baseline_files,
}
REPORT = ("--results", "results/ablate/tiny/study.json", "--out", "reports/tiny")
READERS_OF_RESULTS: Mapping[str, tuple[Callable[..., Any], tuple[str, ...]]] = {
    "report": (report.main, REPORT),
    "compare": (compare.main, ("tiny", "quest")),
    "index": (index.main, ("--all",)),
    "source_page": (source_page.main, ()),
    "verify": (verify.main, ("--study", "tiny", "--runs", "1")),
}
READERS_OF_PARAMS: Mapping[str, tuple[Callable[..., Any], tuple[str, ...]]] = {
    "prepare": (prepare.main, ()),
    "ablate": (ablate.main, ("--study", "tiny", "--dry-run")),
    "status": (ablate.main, ("--study", "tiny", "--status")),
    "index": (index.main, ()),
    "compare": (compare.main, ("tiny", "quest")),
    "verify": (verify.main, ("--study", "tiny", "--runs", "1")),
}
# Command -> its function, the arguments that it needs, and its flags that take a value of a kind.
ARGUMENTS: Mapping[str, tuple[Callable[..., Any], tuple[str, ...], tuple[str, ...]]] = {
    "prepare": (prepare.main, (), ()),
    "pretrain": (pretrain.main, (), ()),
    "evaluate": (evaluate.main, (), ()),
    "project": (project.main, (), ()),
    "ablate": (
        ablate.main, ("--study", "tiny"),
        ("--profile", "--set", "--seeds", "--first-seed", "--add-seeds", "--look", "--trials", "--workers", "--device",
         "--arm"),
    ),
    "verify": (verify.main, ("--study", "tiny"), ("--study", "--runs", "--tolerance", "--device")),
    "report": (report.main, REPORT, ("--results", "--certificate", "--project", "--evaluate", "--curves", "--timing")),
    "source_paper": (source_paper.main, (), ("--profile", "--set", "--workers")),
    "source_page": (source_page.main, (), ()),
    "index": (index.main, (), ("--profile",)),
    "compare": (compare.main, ("tiny", "nowhere"), ("--margin",)),
}  # fmt: skip


# ---- ways to spoil


def spoil_word(word: str, chance: random.Random) -> str:
    """Return a word with one letter left out, doubled or replaced."""
    at = chance.randrange(len(word))
    return word[:at] + chance.choice(["", word[at] * 2, "x"]) + word[at + 1 :]


def cut(path: Path, chance: random.Random) -> None:
    """Leave the first bytes of a file alone."""
    path.write_bytes(path.read_bytes()[: chance.randrange(1, 200)])


def spoil_bytes(path: Path, chance: random.Random) -> str:
    """Damage a file as disks, editors and copies do; return what was done."""
    content = path.read_bytes()
    ways: Mapping[str, Callable[[], Any]] = {
        "cut short": lambda: path.write_bytes(content[: chance.randrange(max(1, len(content)))]),
        "emptied": lambda: path.write_bytes(b""),
        "random bytes": lambda: path.write_bytes(chance.randbytes(200)),
        "deleted": path.unlink,
        "a folder in its place": lambda: (path.unlink(), path.mkdir()),
        "a list in its place": lambda: path.write_text("[]", encoding="utf-8"),
        "null in its place": lambda: path.write_text("null", encoding="utf-8"),
        "zeros": lambda: path.write_bytes(b"\0" * len(content)),
    }
    what = chance.choice(list(ways))
    ways[what]()
    return what


def spoil_text(path: Path, chance: random.Random) -> str:
    """Damage a file of YAML as a person does; return what was done."""
    lines = path.read_text(encoding="utf-8").splitlines()
    at = chance.randrange(len(lines))
    key = lines[at].partition(":")[0]
    odd = chance.choice(ODD_VALUES)
    misspelled = spoil_word(key.strip() or "x", chance)
    ways: Mapping[str, Callable[[], list[str]]] = {
        f"without the line {lines[at]!r}": lambda: lines[:at] + lines[at + 1 :],
        f"the line {lines[at]!r} twice": lambda: lines[:at] + [lines[at]] * 2 + lines[at + 1 :],
        f"{key}: {odd!r}": lambda: [*lines[:at], f"{key}: {odd}", *lines[at + 1 :]],
        f"{key!r} misspelled": lambda: [*lines[:at], lines[at].replace(key.strip(), misspelled, 1), *lines[at + 1 :]],
        f"cut short after line {at}": lambda: lines[:at],
        f"a tab before line {at}": lambda: [*lines[:at], f"\t{lines[at]}", *lines[at + 1 :]],
        f"{odd!r} alone": lambda: [odd],
    }  # fmt: skip
    if chance.randrange(10) == 0:
        path.write_bytes(path.read_bytes()[: chance.randrange(20)] + b"\xff\xfe\0")
        return "bytes that are no UTF-8"
    what = chance.choice(list(ways))
    path.write_text("\n".join(ways[what]()) + "\n", encoding="utf-8")
    return what


def spoil_leaf(content: Any, chance: random.Random, odd: Sequence[Any]) -> str:
    """Replace or delete something in nested dicts and lists, in place; return what was done."""
    where = []
    while isinstance(content, (dict, list)) and content:
        parent, key = content, chance.choice(list(content) if isinstance(content, dict) else range(len(content)))
        where.append(str(key))
        content = parent[key]
        if chance.randrange(4) == 0:
            break
    if chance.randrange(3) == 0:
        del parent[key]
        return f"without {'.'.join(where)}"
    parent[key] = chance.choice(list(odd))
    return f"{'.'.join(where)} = {parent[key]!r}"

"""Modules import from lower layers only, in no circle, and are short."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Lowest first; what stands in one string does not import from one another. Above them come the commands, which are the
# modules directly in study/, and the benchmarks.
VICREG = (
    "errors file_kinds kernels randomness threads torchvision_compat distributed", "files", "data views optim models",
    "metrics", "methods", "training", "evaluation",
)  # fmt: skip
STUDY = (
    "cli", "config", "runs", "transfer", "spec", "results", "analysis", "execution", "design", "projection", "reporting",
    "verification", "comparison", "paper", "overview",
)  # fmt: skip
LEVELS = [
    *([f"vicreg.{name}" for name in names.split()] for names in VICREG),
    ["vicreg"],  # the public names
    *([f"study.{name}"] for name in STUDY),
]
LEVEL = {folder: level for level, folders in enumerate(LEVELS) for folder in folders}
LONGEST = 300  # lines of a module

PATHS = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in ("vicreg", "study", "benchmarks")
    for path in sorted((ROOT / package).rglob("*.py"))
}


def imported(path: Path) -> Iterator[str]:
    """Yield the module of ours behind every import of a file, those inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno} must name the whole module"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:  # a module, or something in it
            yield from [one for one in (name, name.rpartition(".")[0]) if one in PATHS][:1]


IMPORTS = {module: set(imported(path)) for module, path in PATHS.items()}


def is_on_top(module: str) -> bool:
    """Return whether a module is a command or a benchmark, which nothing else imports."""
    is_command = module.startswith("study.") and PATHS[module] == ROOT / "study" / f"{module[6:]}.py"
    return is_command or module == "study" or module.startswith("benchmarks")


def folder_of(module: str) -> str:
    return ".".join(module.split(".")[: 1 if module.startswith("benchmarks") else 2])


def level_of(module: str) -> int:
    return len(LEVELS) if is_on_top(module) else LEVEL[folder_of(module)]


def test_every_folder_has_its_place_in_the_order():
    assert {folder_of(module) for module in PATHS if not is_on_top(module)} <= LEVEL.keys()


def test_a_module_imports_only_from_its_own_folder_and_from_lower_ones():
    upward = {
        f"{module} -> {other}"
        for module, others in IMPORTS.items()
        for other in others
        if folder_of(module) != folder_of(other) and level_of(module) <= level_of(other)
    }
    assert upward == set()


def test_no_modules_import_one_another_in_a_circle():
    TopologicalSorter(IMPORTS).prepare()


def test_no_module_is_longer_than_300_lines():
    long = {module for module, path in PATHS.items() if len(path.read_text(encoding="utf-8").splitlines()) > LONGEST}
    assert long == set()

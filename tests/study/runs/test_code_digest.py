"""The digest of code: what changes it, what does not, and that every version of Python agrees on it."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from study.runs.code_digest import changed_definitions, code_digest
from study.runs.identity import EVALUATION, READING, TRAINING, evaluation_code, reading_code, training_code
from vicreg.training.settings import LATER_SWITCHES

ROOT = Path(__file__).parents[3]

MAIN = '''"""The root."""

import math

from vicreg.parts import STEP, Scale, halve


def run(values: list, scale: Scale) -> float:
    """Add up."""
    total = 0.0
    for value in values:
        if value < 0:
            raise ValueError(f"{value} is negative")
        total += halve(value) + STEP
    return math.sqrt(scale.apply(total))
'''
IMPORT = "from vicreg.parts import STEP, Scale, halve"
PARTS = '''"""The parts."""

import numpy as np
import torch

STEP = 0.5
UNUSED = 7


class Scale:
    """Multiplies."""

    def __init__(self, factor):
        self.factor = factor

    def apply(self, value):
        return self.factor * value


def halve(value):
    return np.divide(value, 2)
'''


@pytest.fixture
def tree(tmp_path):
    """`tree(**files)`: the digest of `vicreg.main:run` in a tree of these files over the two above."""
    count = iter(range(1000))

    def digest(root="vicreg.main:run", **files):
        folder = tmp_path / str(next(count))
        for name, text in {"main": MAIN, "parts": PARTS, "__init__": "", **files}.items():
            path = folder / "vicreg" / f"{name.replace('.', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return code_digest(root, tree=folder)

    return digest


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("main", '"""Add up."""', '"""Sum the values up, halved."""'),
        ("main", "total = 0.0", "total = 0.0  # a comment"),
        ("main", f"import math\n\n{IMPORT}", "from vicreg.parts import halve, Scale, STEP\nimport math"),
        ("main", IMPORT, "from vicreg.parts import STEP, halve\nfrom vicreg.parts import Scale"),
        ("main", "is negative", "is below zero"),
        ("main", "values: list", "values: list[float]"),
        ("main", "total = 0.0", "total: float = 0.0"),
        ("parts", "UNUSED = 7", "UNUSED = 8"),
        ("parts", "import numpy as np", "import numpy"),
        ("parts", "def halve(value):", "def unused():\n    return 1\n\n\ndef halve(value: float) -> float:"),
    ],
)  # fmt: skip
def test_what_changes_no_result_leaves_the_digest(tree, file, old, new):
    text = {"main": MAIN, "parts": PARTS}[file]
    assert old in text
    edited = text.replace(old, new)
    if new == "import numpy":
        edited = edited.replace("np.", "numpy.")
    assert tree(**{file: edited}).root == tree().root


@pytest.mark.parametrize(
    ("file", "old", "new", "changed"),
    [
        ("main", "total = 0.0", "total = 1.0", ["vicreg.main:run"]),
        ("main", "value < 0", "value <= 0", ["vicreg.main:run"]),
        ("main", "raise ValueError", "raise KeyError", ["vicreg.main:run"]),
        ("main", "halve(value) + STEP", "STEP + halve(value)", ["vicreg.main:run"]),
        ("main", "import math", "import cmath as math", ["vicreg.main:run"]),
        ("parts", "STEP = 0.5", "STEP = 0.25", ["vicreg.parts:STEP"]),
        ("parts", "self.factor * value", "value * self.factor", ["vicreg.parts:Scale"]),
        ("parts", "np.divide(value, 2)", "np.divide(value, 3)", ["vicreg.parts:halve"]),
        ("parts", "import numpy as np", "import torch as np", ["vicreg.parts:halve"]),
        ("parts", "UNUSED = 7", "torch.set_num_threads(7)", ["vicreg.parts"]),  # importing it is part of a run
    ],
)  # fmt: skip
def test_what_changes_a_result_changes_the_digest_and_is_named(tree, file, old, new, changed):
    text = {"main": MAIN, "parts": PARTS}[file]
    assert old in text
    before, after = tree(), tree(**{file: text.replace(old, new)})
    assert after.root != before.root
    assert changed_definitions(after.definitions, before.definitions) == changed


def test_a_definition_that_moves_and_is_renamed_leaves_the_digest(tree):
    kept, moved = PARTS.split("def halve")
    files = {
        "main": MAIN.replace("STEP, Scale, halve", "STEP, Scale").replace("halve(", "half_of(").replace(
            "import math\n", "import math\n\nfrom vicreg.deep.arithmetic import half_of\n"
        ),
        "parts": kept,
        "deep.__init__": "",
        "deep.arithmetic": "import numpy as np\n\n\ndef half_of" + moved,
    }  # fmt: skip
    assert tree(**files).root == tree().root
    assert tree(**files).changes(tree()) == []


def test_a_definition_handed_on_by_another_module_is_the_same_definition(tree):
    handed_on = {
        "front": "from vicreg.parts import STEP, Scale, halve\n",
        "main": MAIN.replace("vicreg.parts", "vicreg.front"),
    }
    assert tree(**handed_on).root == tree().root


def test_a_definition_reached_through_its_module_is_followed(tree):
    whole = MAIN.replace("from vicreg.parts import STEP, Scale, halve", "from vicreg import parts")
    whole = whole.replace("halve(", "parts.halve(").replace("+ STEP", "+ parts.STEP").replace(": Scale", ": parts.Scale")
    assert tree(main=whole).root == tree().root
    assert tree(main=whole, parts=PARTS.replace("value, 2", "value, 3")).root != tree().root


def test_a_module_that_is_handed_on_as_a_whole_counts_as_a_whole(tree):
    handed = MAIN.replace("math.sqrt(", "print(vicreg.parts) or math.sqrt(").replace(
        "import math", "import math\n\nimport vicreg.parts"
    )
    before = tree(main=handed)
    assert tree(main=handed, parts=PARTS.replace("UNUSED = 7", "UNUSED = 8")).root != before.root


def test_functions_that_call_each_other_have_a_digest(tree):
    circle = (
        PARTS + "\n\ndef even(n):\n    return n == 0 or odd(n - 1)\n\n\ndef odd(n):\n    return n != 0 and even(n - 1)\n"
    )
    before = tree("vicreg.parts:even", parts=circle)
    assert set(before.definitions) == {"vicreg.parts:even", "vicreg.parts:odd"}
    assert tree("vicreg.parts:even", parts=circle).root == before.root
    assert tree("vicreg.parts:even", parts=circle.replace("n != 0", "n > 0")).root != before.root


def test_settings_count_by_what_they_compute_and_not_by_their_fields_or_checks(tree):
    settings = (
        "\n\n@dataclass(frozen=True)\nclass RunSettings:\n    a: int\n\n"
        "    def __post_init__(self):\n        check(self.a)\n\n"
        "    @property\n    def double(self):\n        return 2 * self.a\n\n\ndef check(a):\n    assert a\n\n\n"
        "def use(settings: RunSettings):\n    return settings.double\n"
    )
    root = "vicreg.parts:use"
    before = tree(root, parts=PARTS + settings).root
    assert tree(root, parts=PARTS + settings.replace("a: int", "a: int\n    b: int = 3")).root == before
    assert tree(root, parts=PARTS + settings.replace("assert a", "assert a > 3")).root == before
    assert tree(root, parts=PARTS + settings.replace("2 * self.a", "3 * self.a")).root != before


@pytest.mark.parametrize("statement", ["from vicreg.parts import *", "from .parts import halve"])
def test_an_import_that_cannot_be_followed_is_refused(tree, statement):
    with pytest.raises(ValueError, match="vicreg.main imports in a way that cannot be followed"):
        tree(main=MAIN + f"\n{statement}\n")


def test_a_root_that_is_not_there_is_refused(tree):
    with pytest.raises(LookupError, match="vicreg.main:walk is not defined"):
        tree("vicreg.main:walk")


# ---- the project's own code


# A change of the first makes every run stale, of the second every evaluation, of the third every prepared data set. Make one
# knowingly: where the code really computes something else, write the new root here and say why in the commit.
ROOTS = {"training": "f554cc91933a5ba0", "evaluation": "2bb10b1b6867c728", "reading": "c96d18f49c2315e6"}


def test_the_code_that_trains_with_vicreg_measures_and_reads_data_is_the_code_of_earlier_runs():
    now = {"training": training_code("vicreg"), "evaluation": evaluation_code(), "reading": reading_code()}
    assert {name: digest.root for name, digest in now.items()} == ROOTS


def moved(folder: Path) -> Path:
    """A copy of the project's method side in which LARS lives in another module, and all imports are turned about."""
    shutil.copytree(ROOT / "vicreg", folder / "vicreg", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "vicreg/elsewhere").mkdir()
    (folder / "vicreg/elsewhere/__init__.py").write_text("")
    shutil.move(folder / "vicreg/optim/lars.py", folder / "vicreg/elsewhere/layerwise.py")
    for path in (folder / "vicreg").rglob("*.py"):
        text = path.read_text(encoding="utf-8").replace("vicreg.optim.lars", "vicreg.elsewhere.layerwise")
        imports = re.findall(r"^(?:from \S+ import [^(\n]+|import \S+)\n", text, flags=re.M)
        for line in imports:
            text = text.replace(line, "", 1)
        head, mark, rest = text.partition('"""\n') if text.startswith('"""') and text.index('"""\n') > 0 else ("", "", text)
        path.write_text(head + mark + "".join(reversed(imports)) + rest, encoding="utf-8")
    return folder


def test_moving_a_module_and_sorting_imports_makes_no_run_stale(tmp_path):
    elsewhere = moved(tmp_path)
    for root in (TRAINING, EVALUATION, READING):
        assert code_digest(root, tree=elsewhere).root == code_digest(root).root
    names = set(code_digest(TRAINING, tree=elsewhere).definitions)
    assert "vicreg.elsewhere.layerwise:LARS" in names and "vicreg.optim.lars:LARS" not in names


def interpreter_of(version: str) -> str | None:
    """A Python of this version that starts: on the path, or one that pyenv has installed."""
    installed = sorted((Path.home() / ".pyenv/versions").glob(f"{version}.*/bin/python"))
    for candidate in (shutil.which(f"python{version}"), *map(str, installed)):
        if candidate and subprocess.run([candidate, "-c", ""], capture_output=True, check=False).returncode == 0:
            return candidate
    return None


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_every_version_of_python_gives_the_same_digest(version):
    interpreter = interpreter_of(version)
    if interpreter is None:
        pytest.skip(f"Python {version} is not here")
    code = (
        "from study.runs.code_digest import code_digest\n"
        f"for root in {(TRAINING, EVALUATION, READING)!r}: print(code_digest(root).root)"
    )
    told = subprocess.run([interpreter, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert told == [code_digest(root).root for root in (TRAINING, EVALUATION, READING)]


# ---- code that a run never reaches

OPTIONAL = (
    PARTS.replace(
        """    def __init__(self, factor):
        self.factor = factor
""",
        """    FLIPS = False
    TITLE = "a scale"

    def __init__(self, factor, *, clip=False):
        self.factor = factor
        self.options = {"factor": factor, "clip": clip}

    def flipped(self):
        return -self.factor
""",
    ).replace(
        """        return self.factor * value
""",
        """        if self.options["clip"]:
            return clipped(self, value)
        return self.factor * value
""",
    )
    + """

def clipped(scale, value):
    return min(1, scale.factor * value)


def make(clip):
    return Scale(2, clip=clip)
"""
)
PLAIN = (
    OPTIONAL.replace('    FLIPS = False\n    TITLE = "a scale"\n\n', "")
    .replace(", *, clip=False", "")
    .replace(', "clip": clip', "")
)
PLAIN = PLAIN.replace("    def flipped(self):\n        return -self.factor\n\n", "").replace(", clip=clip", "")
PLAIN = PLAIN.replace("""        if self.options["clip"]:
            return clipped(self, value)
""", "")  # fmt: skip
OFF, IGNORED = frozenset({"clip", "FLIPS", "flipped"}), frozenset({"TITLE"})


@pytest.fixture
def root_of(tmp_path):
    """`root_of(parts, off=...)`: the root of `vicreg.parts:make` with these names off."""
    count = iter(range(1000))

    def digest(parts, *, off=OFF):
        folder = tmp_path / str(next(count)) / "vicreg"
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text("")
        (folder / "parts.py").write_text(parts)
        return code_digest("vicreg.parts:make", tree=folder.parent, off=off, ignored=IGNORED).root

    return digest


def test_an_option_that_is_off_is_no_part_of_the_digest(root_of):
    assert PLAIN.count("clip") == 2 and "flipped" not in PLAIN  # in `clipped`, which nothing uses, and in `make(clip)`
    assert root_of(OPTIONAL) == root_of(PLAIN)
    assert root_of(OPTIONAL, off=frozenset()) != root_of(PLAIN)


@pytest.mark.parametrize(
    ("old", "new"),
    [("min(1, scale", "min(2, scale"), ("return -self.factor", "return self.factor")],
)
def test_what_an_option_does_counts_where_it_is_on_alone(root_of, old, new):
    edited = OPTIONAL.replace(old, new)
    assert root_of(edited) == root_of(OPTIONAL)
    assert root_of(edited, off=frozenset()) != root_of(OPTIONAL, off=frozenset())


def test_code_outside_the_option_counts_whether_it_is_on_or_off(root_of):
    edited = OPTIONAL.replace("return self.factor * value", "return self.factor + value")
    for off in (OFF, frozenset()):
        assert root_of(edited, off=off) != root_of(OPTIONAL, off=off)


def test_a_description_counts_nowhere(root_of):
    edited = OPTIONAL.replace("a scale", "another")
    for off in (OFF, frozenset()):
        assert root_of(edited, off=off) == root_of(OPTIONAL, off=off)


def test_an_option_that_is_off_cannot_be_turned_on_by_a_call(root_of):
    with pytest.raises(ValueError, match="make gives clip another value than false"):
        root_of(OPTIONAL.replace("clip=clip)", "clip=True)").replace("def make(clip)", "def make()"))


def test_an_attribute_that_is_true_is_not_taken_for_one_that_is_off(root_of):
    assert root_of(OPTIONAL.replace("FLIPS = False", "FLIPS = True")) != root_of(OPTIONAL)


def test_a_run_with_a_later_switch_on_depends_on_other_code():
    plain = training_code("vicreg").root
    for switch in LATER_SWITCHES:
        assert training_code("vicreg", switches=frozenset({switch})).root != plain

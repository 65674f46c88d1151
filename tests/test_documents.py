"""What documents point at is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = ("README.md", "docs/statistics.md", "docs/methods.md", "benchmarks/README.md", "vicreg/methods/README.md")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_files_that_a_document_names_are_there(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:study|vicreg|tests|benchmarks)/(?!results/)[\w./-]+)`", text))
    assert not [path for path in named if not (ROOT / path).exists()]
    linked = re.findall(r"\]\((?!https?:|#)([^)#]+)\)", text)
    assert not [path for path in linked if not (ROOT / name).parent.joinpath(path).exists()]


def test_files_in_the_readmes_tree_are_there():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    tree = text.split("## Where things are")[1].split("```")[1]
    there = {path.name for package in ("study", "vicreg") for path in (ROOT / package).rglob("*.py")}
    assert not set(re.findall(r"\w+\.py", tree)) - there
    folders = re.findall(r"^  (\w+)/ ", tree, flags=re.M)
    assert len(folders) > 15 and all((ROOT / "study" / one).is_dir() or (ROOT / "vicreg" / one).is_dir() for one in folders)


def test_the_table_of_the_readme_names_places_that_are_there():
    text = (ROOT / "README.md").read_text(encoding="utf-8").split("| looking for |")[1]
    rows = re.findall(r"^\| ([^|`]+) \| `([^`]+)`[^|]*\|$", text, flags=re.M)
    assert len(rows) >= 20 and all((ROOT / path).exists() for _, path in rows)

"""The document on methods says what their classes say."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from study.analysis.wording import word_count
from study.config.load import load_config
from study.overview import methods
from study.overview.methods import cost_table, declared_table, measured_table, table_in, update_document
from vicreg.methods import method_names

DOCUMENT = Path(__file__).parents[3] / "docs/methods.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")
PROFILE = "cifar10-cpu"


def image_of_32():
    """A data set as far as costs depend on it: one image of 32 x 32 pixels and three channels, and ten classes."""
    images = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    return SimpleNamespace(train=SimpleNamespace(images=images), classes=tuple(map(str, range(10))))


@pytest.mark.parametrize(("name", "table"), [("declared", declared_table), ("measured", measured_table)])
def test_a_table_is_what_the_classes_say(name, table):
    assert table_in(TEXT, name) == table()


# The reference, a teacher with a queue, parts that a method brings, labels, one view, and convolutions of its own.
SAMPLE = ("vicreg", "mocov2", "simsiam", "supervised", "denoising_autoencoder", "directclr")


@pytest.mark.slow
def test_the_costs_are_those_that_are_counted(monkeypatch):
    monkeypatch.setattr(methods, "method_names", lambda: SAMPLE)
    counted = cost_table(load_config(profile=PROFILE), image_of_32()).splitlines()
    written = table_in(TEXT, "cost").splitlines()
    assert len(counted) == 2 + len(SAMPLE) and set(counted) <= set(written) and len(written) == 2 + len(method_names())


@pytest.mark.exhaustive
def test_the_costs_of_every_method_are_those_that_are_counted():
    """Which they can be: the loss of no method reads a value, and each of its operations has a rule of shapes."""
    assert table_in(TEXT, "cost") == cost_table(load_config(profile=PROFILE), image_of_32())


def test_every_method_is_compared_with_other_implementations():
    section = TEXT.split("## Where implementations differ")[1].split("## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ") and "(`" in line]
    named = {row.split("(`")[1].split("`)")[0] for row in rows}
    assert named == set(method_names())


def test_no_sentence_of_the_document_has_more_than_25_words():
    prose = re.sub("```.*?```", "", TEXT, flags=re.DOTALL)
    rows = [line for line in prose.splitlines() if line.startswith("|")]
    cells = [cell for row in rows for cell in row.strip("|").split("|")]
    paragraphs = re.split(r"\n\s*\n", "\n".join(line for line in prose.splitlines() if not line.startswith("|")))
    told = [
        one
        for text in (*cells, *paragraphs)
        for one in re.split(r"(?<=[.!?:])\s+(?=[A-Z0-9“*-])", re.sub("`[^`]*`", "X", " ".join(text.split())))
    ]
    assert len(told) > 200 and [one for one in told if word_count(one) > 25] == []


def test_the_section_on_ones_own_method_leads_to_the_example_and_does_not_repeat_it():
    section = TEXT.split("## Add your own in one file")[1]
    assert "(../vicreg/methods/README.md)" in section and "```python" not in section


def test_a_document_is_written_between_its_marks_alone(tmp_path):
    path = tmp_path / "methods.md"
    path.write_text("before\n<!-- declared -->\nold\n<!-- end of declared -->\nafter\n", encoding="utf-8")
    assert update_document({"declared": "| new |\n"}, path)
    assert path.read_text(encoding="utf-8") == "before\n<!-- declared -->\n| new |\n<!-- end of declared -->\nafter\n"
    assert not update_document({"declared": "| new |\n"}, path)

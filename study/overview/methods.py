"""The tables of methods in `docs/methods.md`, from what their classes say."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from study.analysis.methods import describe_method
from study.config.config import Config
from study.reporting.format import memory
from study.reporting.render import escaped
from vicreg.data.dataset import Dataset
from vicreg.files import write_atomically
from vicreg.methods import method_class, method_names
from vicreg.training.method_cost import state_bytes, whole_step_operations
from vicreg.training.setup import new_model

DOCUMENT = Path("docs/methods.md")
REFERENCE = "vicreg"  # the method whose operations are 1
_TABLE = r"(<!-- {name} -->\n).*?(<!-- end of {name} -->)"


def declared_table() -> str:
    """Return the methods with their family, terms, views and source, as Markdown; VICReg first."""
    rows = []
    for name in _names():
        described, method = describe_method(name), method_class(name)
        views = (
            f"{method.VIEWS}{' and smaller ones' if method.LOCAL_VIEWS else ''}{', labels' if method.WANTS_LABELS else ''}"
        )
        terms = ", ".join(f"{key}: {term.title}" for key, term in described.terms.items())
        rows.append([_named(name), described.family, terms, views, method.AUTHORS_VIEW_PASSES, described.source])
    return _table(["Method", "Family", "Terms it logs", "Views", "The authors' passes", "Source"], rows)


def measured_table() -> str:
    """Return which network is probed of each method, and which embedding is judged, as Markdown."""
    return _table(["Method", "What is measured"], [[_named(name), describe_method(name).probed] for name in _names()])


def cost_table(config: Config, dataset: Dataset) -> str:
    """Return each method's memory of state and operations of a step, VICReg's being 1, as Markdown.

    Args:
        config: whose network, batch and settings of methods are counted.
        dataset: of its images the shape counts, and the number of classes.
    """
    counted: dict[str, tuple[int, int]] = {}
    for name in _names():
        settings = config.with_settings({"pretrain.method": name}).pretrain
        model = new_model(settings, dataset)
        kept = state_bytes(model)
        counted[name] = kept, whole_step_operations(settings, dataset, model=model)
    _, unit = counted[REFERENCE]
    rows = [[_named(name), memory(kept), f"{of_step / unit:.2f}"] for name, (kept, of_step) in counted.items()]
    return _table(["Method", "Memory of its state", "Operations of a step"], rows)


def update_document(tables: Mapping[str, str], path: Path = DOCUMENT) -> bool:
    """Write tables between `<!-- NAME -->` and `<!-- end of NAME -->`, and return whether any has changed.

    Raises:
        InputError: where the document may not be written.
    """
    before = path.read_text(encoding="utf-8")
    after = before
    for name, table in tables.items():
        held = table_in(after, name)
        mark = f"<!-- {name} -->\n"
        after = after.replace(f"{mark}{held}<!-- end", f"{mark}{table}<!-- end")
    if after != before:
        write_atomically(path, after.encode())
    return after != before


def table_in(text: str, name: str) -> str:
    """Return the table of this name that a document holds; empty where it holds none."""
    found = re.search(_TABLE.format(name=re.escape(name)), text, flags=re.DOTALL)
    return found[0].removeprefix(found[1]).removesuffix(found[2]) if found else ""


def _names() -> list[str]:
    return sorted(method_names(), key=lambda name: (name != REFERENCE, name))


def _named(name: str) -> str:
    return f"{describe_method(name).called} (`{name}`)"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *([row[0], *map(escaped, row[1:])] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)

"""Recognises what an earlier command wrote, so that a page takes the place of nothing else."""

import re
from pathlib import Path

from vicreg.errors import InputError

# A line of each Markdown page, as every version has written it: a report's, that of all studies, and a comparison's title.
_OURS = re.compile(
    r"^(?:\[.*\) · )?VICReg study \*\*.+\*\*, profile .+\."
    r"|^(?:# Studies of profile .+|.*: \[index\.html\]\(index\.html\)\.)$"
    r"|\A\s*# .+ and .+ compared\n\n> \*\*",
    re.MULTILINE,
)
_FIGURE = re.compile(r"\]\(figures/([^/()\s]+\.svg)\)")


def require_free(folder: Path, *, page: str = "index.html") -> None:
    """Refuse a folder as the place of a page whose files would take the place of some that no page wrote.

    A page that lies there is ours where the README.md beside it is.

    Raises:
        InputError: for the project's own folder, and for one whose README.md or page is someone's own.
    """
    if (folder / "params.yaml").exists():
        raise InputError(
            f"--out must not be the project's folder, whose README.md a page would replace, but is {folder}; name another."
        )
    path = folder / "README.md"
    text = _text_of(path)
    is_ours = text is not None and _OURS.search(text) is not None
    if path.is_file() and not (is_ours or (text is not None and not text.strip())):
        raise InputError(f"--out must not replace a file that no report wrote, but {path} is one; name another folder.")
    if (folder / page).is_file() and not is_ours:
        raise InputError(
            f"--out must not replace a page that no report wrote, but {folder / page} has no README.md of a report beside "
            "it; remove it or name another folder."
        )


def figures_in(folder: Path) -> list[Path]:
    """Return the figures that the report in a folder shows; none where no report is there, whose figures are others'."""
    text = _text_of(folder / "README.md")
    if text is None or not _OURS.search(text):
        return []
    return [folder / "figures" / name for name in dict.fromkeys(_FIGURE.findall(text))]


def _text_of(path: Path) -> str | None:
    """Return the text of a file; None where there is none that can be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None

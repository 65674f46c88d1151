"""The git commit that a result was made at."""

import subprocess
from collections.abc import Iterable

PARAMETERS = "params.yaml"


def current_commit(definitions: Iterable[str] | None = None) -> str:
    """Return the commit of the working tree, 12 digits.

    It ends in `-dirty` where parameters, or a file of the code that decides the result, differ from the commit or are new.
    Other files, as of another study, are no matter. It is `unknown` without git.

    Args:
        definitions: of that code, each a `module:name`, as `CodeDigest.definitions` has them; None for every file.
    """
    covered = [] if definitions is None else ["--", PARAMETERS, *files_of(definitions)]
    try:
        commit = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"], capture_output=True, encoding="utf-8", check=True
        )
        changes = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=all", *covered],
            capture_output=True, encoding="utf-8", check=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit.stdout.strip() + ("-dirty" if changes.stdout.strip() else "")


def files_of(definitions: Iterable[str]) -> list[str]:
    """Return the files that may hold definitions, sorted: of a module `a.b` that is `a/b.py` or `a/b/__init__.py`."""
    stems = {definition.partition(":")[0].replace(".", "/") for definition in definitions}
    return sorted(path for stem in stems for path in (f"{stem}.py", f"{stem}/__init__.py"))

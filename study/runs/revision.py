"""The git commit that a result was made at."""

import subprocess


def current_commit() -> str:
    """Return the commit of the working tree, 12 digits.

    It ends in `-dirty` where code or parameters differ from the commit, and is `unknown` without git.
    """
    try:
        commit = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"], capture_output=True, encoding="utf-8", check=True
        )
        changes = subprocess.run(
            ["git", "status", "--porcelain", "--", "vicreg", "study", "params.yaml"],
            capture_output=True, encoding="utf-8", check=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit.stdout.strip() + ("-dirty" if changes.stdout.strip() else "")

"""Opens the session of a study's command."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from study.ablate import parse_arguments
from study.execution.session import Session, open_session


def open_for(
    study: str,
    *,
    store: Path,
    profile: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    device: str | None = None,
) -> Session:
    """Return the session that `python -m study.ablate --study <study>` opens."""
    arguments = ["--study", study, "--store", str(store)]
    arguments += ["--profile", profile] if profile else []
    arguments += ["--device", device] if device else []
    for key, value in (overrides or {}).items():
        arguments += ["--set", f"{key}={json.dumps(value)}"]
    return open_session(parse_arguments(arguments))

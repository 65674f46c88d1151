"""The one sentence that bad input is refused with."""

from pathlib import Path

import pytest

from vicreg.errors import InputError

PARAMS = Path(__file__).parents[3] / "params.yaml"


def refusal(call, *arguments, **named) -> str:
    """The one sentence that a call is refused with."""
    with pytest.raises(InputError) as raised:
        call(*arguments, **named)
    message = str(raised.value)
    assert "\n" not in message and message.endswith((".", "?"))
    return message

"""Reads YAML as DVC does: version 1.2, and no key twice.

In YAML 1.2 `1e-3` is a number, `0100` is 100, and `1:30`, `on`, `yes` and `no` are text. Dates are text as well.
"""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from vicreg.errors import InputError

_MOST_BITS = 10_000  # of a whole number: hexadecimal ones may be longer than what Python prints, 4,300 decimal digits


class _PlainConstructor(SafeConstructor):
    """Builds plain values; a key that a mapping holds twice is refused, for the first value would be lost."""

    def check_mapping_key(self, node: Any, key_node: Any, mapping: Any, key: Any, value: Any) -> bool:
        if key in mapping:
            raise _RepeatedKey(problem=f"{key!r} is given twice", problem_mark=key_node.start_mark)
        return True


class _RepeatedKey(MarkedYAMLError):
    """A key that a mapping holds twice."""


for _kind in ("binary", "omap", "pairs", "set"):  # which no setting is
    _PlainConstructor.add_constructor(f"tag:yaml.org,2002:{_kind}", SafeConstructor.construct_undefined)
_PlainConstructor.add_constructor("tag:yaml.org,2002:timestamp", SafeConstructor.construct_yaml_str)


def read_yaml(path: Path, *, where: str | None = None) -> Any:
    """Return the values of a file; `where` begins the sentence on what is wrong with it, by default the path.

    Raises:
        InputError: if it is no text or no YAML, or holds a key twice.
        OSError: if it cannot be read.
    """
    return parse_yaml(path.read_bytes(), where=where or str(path))


def parse_yaml(content: bytes | str, *, where: str) -> Any:
    """Return the values of a YAML document.

    Raises:
        InputError: if it is no UTF-8 or no YAML, or holds a key twice; `where` begins the sentence.
    """
    reader = YAML(typ="safe", pure=True)
    reader.Constructor = _PlainConstructor
    try:
        values = reader.load(content if isinstance(content, str) else content.decode("utf-8"))
        _refuse_unusable(values, (), set())
    except UnicodeDecodeError:
        raise InputError(f"{where} is not valid YAML: it is no UTF-8 text; save it as UTF-8.") from None
    except _RepeatedKey as error:
        raise InputError(f"{where}{_line(error)}: {error.problem}; delete one or rename it.") from None
    except MarkedYAMLError as error:
        said = " ".join(str(error.problem or error.context).split())
        hint = "; indent with spaces" if r"'\t'" in said else ""
        raise InputError(f"{where} is not valid YAML{_line(error)}: {said}{hint}.") from None
    except KeyError as error:
        raise InputError(f"{where} is not valid YAML: {error} is no boolean; write true or false.") from None
    except (YAMLError, ValueError) as error:
        raise InputError(f"{where} is not valid YAML: {str(error).partition(chr(10))[0]}.") from None
    except RecursionError:
        raise InputError(f"{where} is not valid YAML: its values lie in one another too deep, or in a circle.") from None
    return values


def _line(error: MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    return "" if mark is None else f", line {mark.line + 1}"


def _refuse_unusable(value: Any, above: tuple[int, ...], seen: set[int]) -> None:
    """Raise RecursionError where a value lies in itself, by an anchor, and ValueError for a number too long to print."""
    if id(value) in above:
        raise RecursionError
    if type(value) is int and value.bit_length() > _MOST_BITS:
        raise ValueError(f"a number has more than {_MOST_BITS} bits; write a smaller one")
    if isinstance(value, (dict, list)) and id(value) not in seen:
        for one in (*value, *value.values()) if isinstance(value, dict) else value:
            _refuse_unusable(one, (*above, id(value)), seen)
        seen.add(id(value))

"""Turns dataclasses into JSON values and back, checked when read.

A field is a key of the JSON object. Fields made by `json_field` say where the two differ. Numbers are kept as they are
written, 25 as 25 and 25.0 as 25.0, so that what is read is written again with the same bytes.
"""

import dataclasses
import functools
import json
import types
import typing
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from vicreg.errors import InputError, cause_of, kind_of

Record = TypeVar("Record")

_KEY, _OMITTED, _INLINE, _REST = "key", "omitted", "inline", "rest"
_LARGEST = 10**300  # of whole numbers: larger ones are no float
_KINDS: dict[type, tuple[tuple[type, ...], str]] = {
    str: ((str,), "text"),
    bool: ((bool,), "true or false"),
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
}


def json_field(
    *, key: str | None = None, default: Any = dataclasses.MISSING, omitted: bool = False, inline: bool = False,
    rest: bool = False,
) -> Any:  # fmt: skip
    """Return a dataclass field that differs from its JSON key.

    Args:
        key: of the JSON object, where it is not the field's name.
        default: where the key is missing, as in files of earlier versions.
        omitted: None stands for a key that is missing, and is not written.
        inline: the field's dataclass has no object of its own: its keys stand among those around it. It is None where none
            of them is there.
        rest: a mapping of all keys that no other field names.
    """
    metadata = {_KEY: key, _OMITTED: omitted, _INLINE: inline, _REST: rest}
    if rest and default is dataclasses.MISSING:
        return dataclasses.field(default_factory=dict, metadata=metadata)
    if omitted or inline:
        default = None
    return dataclasses.field(default=default, metadata=metadata)


def readable(path: Path, *, remedy: str) -> bytes:
    """Return what a file holds; `remedy` is for errors.

    Raises:
        InputError: if it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} must be a readable file, but: {error.strerror}; {remedy}.") from None


def readable_if_there(path: Path, *, remedy: str) -> bytes | None:
    """Return what a file holds, or None where there is none.

    Raises:
        InputError: if there is one that cannot be read.
    """
    try:
        path.stat()
    except FileNotFoundError:
        return None
    except OSError:
        pass  # which reading says in a sentence
    return readable(path, remedy=remedy)


def parse_json(content: bytes, *, where: str, remedy: str = "run the study again") -> Any:
    """Return the values of a JSON text; `where` and `remedy` are for errors.

    Raises:
        InputError: if it is no JSON, is nested beyond all measure, or has text that is no Unicode.
    """
    try:
        values = json.loads(content)
        if b"\\ud" in content.lower():  # half of a surrogate pair can be read, but never written
            json.dumps(values, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where} must be JSON, but it is malformed ({cause_of(error)}); {remedy}.") from None
    return values


def to_values(record: Any) -> dict[str, Any]:
    """Return a dataclass instance as the JSON object that `from_values` reads."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if value is None and (field.metadata.get(_OMITTED) or field.metadata.get(_INLINE)):
            continue
        if field.metadata.get(_INLINE):
            values |= to_values(value)
        elif field.metadata.get(_REST):
            values |= _plain(value)
        else:
            values[_key(field)] = _plain(value)
    return values


def from_values(
    record: type[Record], values: Any, *, where: str, remedy: str = "run the study again", strict: bool = False
) -> Record:
    """Return the JSON object `values` as a dataclass.

    Args:
        record: the dataclass. A field without a default is a key that the object must have.
        where: names the object in errors, such as its file.
        remedy: what a person is to do about an object that cannot be read.
        strict: refuse keys that the dataclass does not know. Otherwise they are left aside.

    Raises:
        InputError: for a key that is missing or has a value of another kind, in one sentence.
    """
    return _Reader(remedy=remedy, strict=strict).record(record, values, where)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Reader:
    remedy: str
    strict: bool

    def record(self, record: type[Record], values: Any, where: str) -> Record:
        fields, hints, known = _layout(typing.cast(Hashable, record))
        if not isinstance(values, Mapping):
            first = _key(fields[0])
            raise InputError(f"{where} must be an object with the key {first!r}, but is {kind_of(values)}; {self.remedy}.")
        found: dict[str, Any] = {}
        for field in fields:
            hint, key = hints[field.name], _key(field)
            if field.metadata.get(_INLINE):
                found[field.name] = self._inline(hint, values, where)
            elif field.metadata.get(_REST):
                inner = typing.get_args(hint)[1]
                rest = {name: value for name, value in values.items() if name not in known}
                found[field.name] = {name: self.value(inner, value, where, name) for name, value in rest.items()}
            elif key in values:
                found[field.name] = self.value(hint, values[key], where, key)
            elif _is_required(field):
                raise InputError(f"{where} must have the key {key!r}, but has none; {self.remedy}.")
        if self.strict and (unknown := _unknown(fields, values, known)):
            raise InputError(
                f"{where} may not have the key {unknown[0]!r}, which {record.__name__} does not know; {self.remedy}."
            )
        return record(**found)

    def _inline(self, hint: Any, values: Mapping[str, Any], where: str) -> Any:
        group = _without_none(hint)
        fields, _, known = _layout(group)
        if not known & values.keys():
            return None
        own = {key: value for key, value in values.items() if key in known}
        return self.record(group, own, where)

    def value(self, hint: Any, value: Any, where: str, key: str) -> Any:
        """Return a value as its type hint has it: objects as dataclasses or dicts, lists as tuples."""
        if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
            return self._union(hint, value, where, key)
        if hint is Any:
            return value
        if not _fits(hint, value):
            shown = repr(value)[:60]
            raise InputError(f"{where} must have {_kind(hint)} under {key!r}, but got {shown}; {self.remedy}.")
        if dataclasses.is_dataclass(hint):
            return self.record(typing.cast(type, hint), value, f"{where}: {key}")
        if typing.get_origin(hint) is tuple:
            return self._tuple(typing.get_args(hint), value, where, key)
        if _is_mapping(hint):
            inner = typing.get_args(hint)[1]
            return {name: self.value(inner, one, f"{where}: {key}", name) for name, one in value.items()}
        return value

    def _union(self, hint: Any, value: Any, where: str, key: str) -> Any:
        options = typing.get_args(hint)
        if value is None and type(None) in options:
            return None
        options = tuple(option for option in options if option is not type(None))
        chosen = next((option for option in options if option is Any or _fits(option, value)), options[0])
        return self.value(chosen, value, where, key)

    def _tuple(self, hints: tuple[Any, ...], value: list[Any], where: str, key: str) -> tuple[Any, ...]:
        if len(hints) == 2 and hints[1] is Ellipsis:
            if hints[0] in _KINDS and all(_fits(hints[0], one) for one in value):
                return tuple(value)
            return tuple(self.value(hints[0], one, where, f"{key}[{place}]") for place, one in enumerate(value))
        if len(value) != len(hints):
            raise InputError(f"{where} must have {len(hints)} values under {key!r}, but has {len(value)}; {self.remedy}.")
        return tuple(self.value(hint, one, where, f"{key}[{at}]") for at, (hint, one) in enumerate(zip(hints, value)))


@functools.cache
def _layout(record: Any) -> tuple[tuple[dataclasses.Field[Any], ...], dict[str, Any], frozenset[str]]:
    """Return a dataclass's fields, their type hints by name, and the keys that they are read from."""
    fields = dataclasses.fields(record)
    hints = typing.get_type_hints(record)
    known: set[str] = set()
    for field in fields:
        if field.metadata.get(_INLINE):
            known |= _layout(_without_none(hints[field.name]))[2]
        elif not field.metadata.get(_REST):
            known.add(_key(field))
    return fields, hints, frozenset(known)


def _unknown(fields: tuple[dataclasses.Field[Any], ...], values: Mapping[str, Any], known: frozenset[str]) -> list[str]:
    if any(field.metadata.get(_REST) for field in fields):
        return []
    return sorted(values.keys() - known)


def _key(field: dataclasses.Field[Any]) -> str:
    return field.metadata.get(_KEY) or field.name


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _without_none(hint: Any) -> type:
    (group,) = [option for option in typing.get_args(hint) if option is not type(None)]
    return typing.cast(type, group)


def _is_mapping(hint: Any) -> bool:
    return typing.get_origin(hint) is Mapping


def _fits(hint: Any, value: Any) -> bool:
    """Return whether a value is of the kind that a type hint asks for, whatever it holds."""
    if hint in _KINDS:
        too_large = isinstance(value, int) and abs(value) > _LARGEST
        return isinstance(value, _KINDS[hint][0]) and (hint is bool or not isinstance(value, bool)) and not too_large
    if typing.get_origin(hint) is tuple:
        return isinstance(value, (list, tuple))
    return isinstance(value, Mapping)


def _kind(hint: Any) -> str:
    if hint in _KINDS:
        return _KINDS[hint][1]
    return "a list" if typing.get_origin(hint) is tuple else "an object"


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_values(value)
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value

"""Plain values of `params.yaml`: dotted keys, checked types, command-line settings."""

import dataclasses
import difflib
import functools
import math
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from study.config.read_yaml import parse_yaml
from vicreg.errors import InputError

Settings = TypeVar("Settings")

# Annotation of a settings field, as text -> its type, and what a sentence calls it.
_SCALARS: Mapping[str, tuple[type, str]] = {
    "int": (int, "a whole number"),
    "float": (float, "a number"),
    "bool": (bool, "true or false"),
    "str": (str, "a word"),
}


_BESIDE_LETTERS = " -_.+"  # in a name: it has to fit tables of Markdown and HTML, CSV files and commands alike
NULL = "none"  # sets null where null itself means "as it stands below", or where YAML's word does not come to mind


def parse_setting(text: str, *, option: str = "--set") -> tuple[str, Any]:
    """Return key and value of a `key=value` given on the command line as the value of an option.

    The value is read as params.yaml is, so `[512, 512]`, `true`, `null` and `1e-3` have their types. `none` is null.

    Raises:
        InputError: if there is no `=` or the value is no YAML.
    """
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise InputError(f"{option} takes key=value, for example pretrain.nu=2, but got {text!r}.")
    try:
        return key, null_if_none(parse_yaml(value, where=option))
    except InputError:
        raise InputError(f"{option} {key}: {value!r} is not a value YAML can read; put quotes around it.") from None


def parse_settings(texts: Iterable[str], *, option: str = "--set") -> dict[str, Any]:
    """Return the values of several `key=value` by key, given as values of an option.

    Raises:
        InputError: for one that is none, and for a key given twice.
    """
    settings: dict[str, Any] = {}
    for text in texts:
        key, value = parse_setting(text, option=option)
        if key in settings:
            raise InputError(f"{option} {key} is given twice, and one of the two would have no effect; give it once.")
        settings[key] = value
    return settings


def null_if_none(value: Any) -> Any:
    """Return null for the word `none`, and any other value as it is."""
    return None if isinstance(value, str) and value.lower() == NULL else value


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested sections as one mapping with dotted keys.

    Raises:
        InputError: for a key that is given both nested and dotted, for one of its two values would be lost.
    """
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        inner = flatten(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
        if twice := flat.keys() & inner:
            raise InputError(f"{min(twice)} is given twice, in a section and with dots; delete one.")
        flat.update(inner)
    return flat


def copy_sections(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of nested sections whose values can be replaced without a change of the original."""
    return {key: copy_sections(value) if isinstance(value, Mapping) else value for key, value in values.items()}


def has_value(values: Mapping[str, Any], key: str) -> bool:
    """Return whether nested sections have a value, and not a section, of a dotted key."""
    found: Any = values
    for name in key.split("."):
        if not isinstance(found, Mapping) or name not in found:
            return False
        found = found[name]
    return not isinstance(found, Mapping)


def replace_value(values: dict[str, Any], key: str, value: Any) -> None:
    """Replace the value of a dotted key, which there is, in nested sections, in place."""
    *sections, name = key.split(".")
    target = values
    for section in sections:
        target = target[section]
    target[name] = value


def unknown_key(key: str, known: Iterable[str]) -> str:
    """Return the sentence on a key that is not known, with the nearest one that is."""
    names = list(known)
    if key in ("profile", "studies"):
        return f"{key!r} is not a setting of a run; " + (
            "choose it by --profile NAME or in params.yaml." if key == "profile" else "set it in params.yaml."
        )
    same_name = [name for name in names if name.rpartition(".")[2] == key.rpartition(".")[2]]
    close = same_name[:1] or difflib.get_close_matches(key, names, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(names)}."
    return f"{key!r} is not a parameter; {hint}"


def section_of(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a section, checked to hold named values.

    Raises:
        InputError: if it holds anything else.
    """
    section = values.get(name)
    if not isinstance(section, Mapping):
        raise InputError(f"section {name!r} of params.yaml must hold named values, but holds {section!r}.")
    return section


def make_settings(kind: type[Settings], values: object, section: str) -> Settings:
    """Build a settings dataclass from YAML values, each checked against the field's annotation.

    Raises:
        InputError: for an unknown, missing or mistyped value, and for what the dataclass itself refuses.
    """
    if not isinstance(values, Mapping):
        raise InputError(f"section {section!r} of params.yaml must hold named values, but holds {values!r}.")
    assert dataclasses.is_dataclass(kind), "a section is a dataclass"
    annotations = _annotations_of(kind)
    for key in values:
        if key not in annotations:
            raise InputError(unknown_key(f"{section}.{key}", [f"{section}.{name.rstrip('_')}" for name in annotations]))
    for name in annotations:
        if name not in values:
            raise InputError(f"params.yaml must give {section}.{name.rstrip('_')}, but does not; restore it.")
    return kind(**{
        name: coerce(f"{section}.{name.rstrip('_')}", values[name], annotation) for name, annotation in annotations.items()
    })  # fmt: skip


@functools.cache
def _annotations_of(kind: type) -> Mapping[str, str]:
    """Return the annotations of a dataclass's fields, as text, by name."""
    return {field.name: str(field.type) for field in dataclasses.fields(kind)}


def coerce(name: str, value: Any, annotation: str) -> Any:
    """Return a YAML value in the type of an annotation, given as text: `float`, `int | None`, `tuple[str, ...]`.

    A value of any other annotation is returned as it is: a settings object that was built and checked before.

    Raises:
        InputError: if the value is of another type; `name` begins the sentence.
    """
    annotation = annotation.removeprefix("<class '").removesuffix("'>")
    if annotation.endswith(" | None"):
        return None if value is None else coerce(name, value, annotation.removesuffix(" | None"))
    item = annotation.removeprefix("tuple[").partition(",")[0]
    if annotation.startswith("tuple[") and item in _SCALARS:
        if not isinstance(value, (list, tuple)):
            raise InputError(f"{name} must be a list, but got {value!r}.")
        return tuple(coerce(f"every value in {name}", one, item) for one in value)
    if annotation not in _SCALARS:
        return value
    kind, wanted = _SCALARS[annotation]
    check_numbers(name, value)
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise InputError(f"{name} must be {wanted}, but got {shorten(repr(value))}.")
    return value


def check_numbers(name: str, value: Any) -> None:
    """Refuse a number that is not finite or too large, alone or in a list; `name` begins the sentence.

    Raises:
        InputError: for such a number.
    """
    for one in value if isinstance(value, (list, tuple)) else ():
        check_numbers(f"every value in {name}", one)
    if type(value) is float and not math.isfinite(value):
        raise InputError(f"{name} must be a finite number, but got {value}.")
    if type(value) is int and value.bit_length() > 63:  # torch and SQLite keep whole numbers in 64 bits
        raise InputError(f"{name} must be a number of at most 64 bits, but got one of {value.bit_length() + 1}.")


def shorten(text: str) -> str:
    """Return a text of at most 60 characters, the middle of a longer one left out."""
    return text if len(text) <= 60 else f"{text[:40]}...{text[-10:]}"


def is_plain(name: str) -> bool:
    """Return whether a name is of letters of any script (with marks), digits, and what may stand between them."""
    known = all(one.isalnum() or one in _BESIDE_LETTERS or unicodedata.category(one).startswith("M") for one in name)
    return known and name[:1].isalnum() and " ".join(name.split()) == name

"""Syntax trees as JSON, with only what changes a result."""

import ast
import json
from collections.abc import Callable, Mapping
from typing import Any

ALWAYS = ""  # in place of a name, what importing a module does beside defining names
_MARK = "\x7f"  # around the index of a definition in a tree written as JSON
_FIELDS_WITHOUT_EFFECT = ("ctx", "returns", "type_comment", "kind", "type_params")

Unit = tuple[str, str]  # a module's dotted name, and a name that it defines
Meaning = Unit | str | None  # a definition of ours, a dotted name of another package, or neither


class Encoded:
    """A definition's tree as JSON, split where it refers to other definitions.

    Args:
        value: the tree, with an index into `references` between marks for each reference.
        references: the definitions that it refers to.
    """

    def __init__(self, value: Any, references: list[Unit]) -> None:
        pieces = json.dumps(value, sort_keys=True).split(_MARK)
        self._pieces, self._between = pieces[::2], [int(index) for index in pieces[1::2]]
        self.references = references
        self.is_empty = value == []

    def filled(self, names: Mapping[Unit, str]) -> str:
        """Return the tree with each reference replaced by its entry in `names`.

        Entries of references that are not in the tree itself, as of annotations, follow it, sorted.
        """
        text = [self._pieces[0]]
        for index, piece in zip(self._between, self._pieces[1:], strict=True):
            text += [names.get(self.references[index], ""), piece]
        used = set(self._between)
        beside = sorted(names[unit] for number, unit in enumerate(self.references) if number not in used and unit in names)
        return " ".join([*text, *beside])


class Writer:
    """Turns a definition into JSON values, and collects in `references` the definitions that it refers to.

    Args:
        own: the name that it defines.
        resolve: returns what a name of its module refers to.
        member: returns what a name of another module refers to.
        names: returns all names that a module defines.
    """

    def __init__(
        self,
        own: str,
        *,
        resolve: Callable[[str], Meaning],
        member: Callable[[str, str], Meaning],
        names: Callable[[str], list[str]],
    ) -> None:
        self._own, self._resolve, self._member, self._names = own, resolve, member, names
        self.references: list[Unit] = []

    def statement(self, node: ast.stmt) -> Any:
        """Return a statement of the top level as JSON values, without the name that it defines."""
        written = self._node(node)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name == self._own:
            written.pop("name")
        return written

    def _node(self, node: Any) -> Any:
        if isinstance(node, list):
            return [self._node(one) for one in node if not self._is_left_out(one)]
        if not isinstance(node, ast.AST):
            return node if isinstance(node, str | bool) or node is None else repr(node)
        if isinstance(node, ast.Name):
            return self._name(node.id)
        if isinstance(node, ast.Attribute) and (member := self._attribute(node)) is not None:
            return member
        if isinstance(node, ast.Constant):
            return [type(node.value).__name__, repr(node.value)]
        if isinstance(node, ast.JoinedStr):
            node = _joined(node)
        if isinstance(node, ast.AnnAssign):
            self._annotation(node.annotation)
            node = ast.Assign(targets=[node.target], value=node.value)  # type: ignore[arg-type]  # a field without a default
        if isinstance(node, ast.Raise):
            node = _without_message(node)
        if isinstance(node, ast.Assert):
            node = ast.Assert(test=node.test)
        if isinstance(node, ast.ClassDef):
            node = _without_checks(node)
        if isinstance(node, ast.arg):
            self._annotation(node.annotation)
            return node.arg
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            self._annotation(node.returns)
        fields = {key: value for key, value in ast.iter_fields(node) if key not in _FIELDS_WITHOUT_EFFECT}
        if "body" in fields and isinstance(fields["body"], list) and is_docstring(fields["body"][0]):
            fields["body"] = fields["body"][1:]
        written = {key: self._node(value) for key, value in fields.items()}
        return {"": type(node).__name__} | {key: value for key, value in written.items() if value not in (None, [], "")}

    def _is_left_out(self, node: Any) -> bool:
        return isinstance(node, ast.Import | ast.ImportFrom | ast.Pass)

    def _name(self, name: str) -> Any:
        if name == self._own:
            return ["own"]
        found = self._resolve(name)
        return self._reference(found) if found is not None else name

    def _attribute(self, node: ast.Attribute) -> Any:
        """Return what `module.name` refers to, or None where it does not begin with a module of ours."""
        parts = [node.attr]
        inner: ast.expr = node.value
        while isinstance(inner, ast.Attribute):
            parts.append(inner.attr)
            inner = inner.value
        found = self._resolve(inner.id) if isinstance(inner, ast.Name) else None
        if not isinstance(found, tuple):
            return None
        while parts and isinstance(found, tuple) and found[1] == ALWAYS:
            found = self._member(found[0], parts.pop())
        return None if found is None or parts else self._reference(found)

    def _reference(self, found: Unit | str) -> Any:
        if isinstance(found, str):
            return ["from", found]
        if found[1] != ALWAYS:
            return self._unit(found)
        # A module used as a value: anything that it defines may be used through it.
        return ["module", *(self._unit((found[0], name)) for name in self._names(found[0]))]

    def _unit(self, unit: Unit) -> Any:
        if unit not in self.references:
            self.references.append(unit)
        return f"{_MARK}{self.references.index(unit)}{_MARK}"

    def _annotation(self, annotation: ast.expr | None) -> None:
        """Refer to the classes of ours that an annotation names, whose methods may be called; write nothing."""
        if annotation is not None:
            self._node(annotation)


def is_docstring(statement: ast.stmt) -> bool:
    """Whether a statement is a string and nothing else."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _without_message(node: ast.Raise) -> ast.Raise:
    """Return `raise Error(text)` as `raise Error`: the text of an error changes no result."""
    error = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
    return ast.Raise(exc=error)


def _without_checks(node: ast.ClassDef) -> ast.ClassDef:
    """Return a class without a `__post_init__` that only checks fields.

    A class of settings loses its fields too: an identity holds their values.
    """
    is_settings = node.name.endswith("Settings")
    kept = [
        one for one in node.body
        if not (isinstance(one, ast.FunctionDef) and one.name == "__post_init__" and (is_settings or not _sets(one)))
        and not (isinstance(one, ast.AnnAssign) and is_settings)
    ]  # fmt: skip
    return ast.ClassDef(
        name=node.name, bases=node.bases, keywords=node.keywords, body=kept or [ast.Pass()],
        decorator_list=node.decorator_list,
    )  # fmt: skip


def _sets(function: ast.FunctionDef) -> bool:
    """Whether a `__post_init__` sets fields of a frozen class, by `object.__setattr__`."""
    return any(isinstance(node, ast.Attribute) and node.attr == "__setattr__" for node in ast.walk(function))


def _joined(node: ast.JoinedStr) -> ast.JoinedStr:
    """Return an f-string with adjacent texts joined, as not all versions of Python parse it."""
    values: list[ast.expr] = []
    for value in node.values:
        if isinstance(value, ast.Constant) and values and isinstance(values[-1], ast.Constant):
            values[-1] = ast.Constant(value=str(values[-1].value) + str(value.value))
        else:
            values.append(value)
    return ast.JoinedStr(values=values)

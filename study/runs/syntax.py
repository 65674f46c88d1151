"""Syntax trees as JSON, with only what changes a result.

Code that a run never reaches is left out. Some names, those of settings and traits that came later, are off in a run:
they are false there, as in all earlier runs. Of `if settings.nesterov:` only the `else` is then written. So an option that
is added does not change the identity of runs that do not use it.
"""

import ast
import json
from collections.abc import Callable, Iterator, Mapping
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
        off: names of settings and traits whose value is false. What is only done where they are true is left out.
        ignored: names of class attributes that decide no result, such as a title.
    """

    def __init__(
        self,
        own: str,
        *,
        resolve: Callable[[str], Meaning],
        member: Callable[[str, str], Meaning],
        names: Callable[[str], list[str]],
        off: frozenset[str] = frozenset(),
        ignored: frozenset[str] = frozenset(),
    ) -> None:
        self._own, self._resolve, self._member, self._names = own, resolve, member, names
        self._off, self._ignored = off, ignored
        self.references: list[Unit] = []

    def statement(self, node: ast.stmt) -> Any:
        """Return a statement of the top level as JSON values, without the name that it defines."""
        written = self._node(node)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name == self._own:
            written.pop("name")
        return written

    def _node(self, node: Any) -> Any:
        if isinstance(node, list):
            return [self._node(one) for one in self._reached(node) if not self._is_left_out(one)]
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
        if isinstance(node, ast.IfExp) and self._is_off(node.test):
            return self._node(node.orelse)
        if isinstance(node, ast.ClassDef):
            node = self._without_later(_without_checks(node))
        if isinstance(node, ast.Call):
            node = self._call(node)
        if isinstance(node, ast.Dict):
            node = self._dict(node)
        if isinstance(node, ast.arguments):
            node = self._arguments(node)
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

    def _is_off(self, node: ast.expr | None) -> bool:
        """Whether an expression is a name, an attribute or an item, by its name, that is off."""
        if isinstance(node, ast.Name):
            return node.id in self._off
        if isinstance(node, ast.Attribute):
            return node.attr in self._off
        return isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and node.slice.value in self._off

    def _reached(self, nodes: list[Any]) -> Iterator[Any]:
        """Yield the nodes of a list; of an `if` whose test is off, the statements of its `else`."""
        for node in nodes:
            if isinstance(node, ast.If) and self._is_off(node.test):
                yield from self._reached(node.orelse)
            else:
                yield node

    def _without_later(self, node: ast.ClassDef) -> ast.ClassDef:
        """Return a class without its ignored attributes, and without attributes and methods that are off."""
        kept = [one for one in node.body if not self._is_later(one)]
        return ast.ClassDef(
            name=node.name, bases=node.bases, keywords=node.keywords, body=kept or [ast.Pass()],
            decorator_list=node.decorator_list,
        )  # fmt: skip

    def _is_later(self, node: ast.stmt) -> bool:
        if isinstance(node, ast.FunctionDef):
            return node.name in self._off
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        names = {target.id for target in targets if isinstance(target, ast.Name)}
        if names & self._ignored:
            return True
        value = getattr(node, "value", None)
        return bool(names & self._off) and (value is None or _is_false(value))

    def _call(self, node: ast.Call) -> ast.Call:
        """Return a call without the arguments that hand on a value that is off under its own name.

        Raises:
            ValueError: where a call turns a name on that is off: what it calls has left that code out.
        """
        for one in node.keywords:
            if one.arg in self._off and not self._hands_on(one.value):
                raise ValueError(f"{self._own} gives {one.arg} another value than false, but it is off in this run")
        kept = [one for one in node.keywords if one.arg not in self._off]
        return ast.Call(func=node.func, args=node.args, keywords=kept)

    def _dict(self, node: ast.Dict) -> ast.Dict:
        """Return a dictionary without the entries that hold a value that is off under its own name."""
        kept = [
            (key, value)
            for key, value in zip(node.keys, node.values, strict=True)
            if not (isinstance(key, ast.Constant) and key.value in self._off and self._hands_on(value))
        ]
        return ast.Dict(keys=[key for key, _ in kept], values=[value for _, value in kept])

    def _arguments(self, node: ast.arguments) -> ast.arguments:
        """Return a function's arguments without the keyword-only ones that are off and false by default."""
        kept = [
            (one, default)
            for one, default in zip(node.kwonlyargs, node.kw_defaults, strict=True)
            if not (one.arg in self._off and default is not None and _is_false(default))
        ]
        return ast.arguments(
            posonlyargs=node.posonlyargs, args=node.args, vararg=node.vararg, kwonlyargs=[one for one, _ in kept],
            kw_defaults=[default for _, default in kept], kwarg=node.kwarg, defaults=node.defaults,
        )  # fmt: skip

    def _hands_on(self, value: ast.expr) -> bool:
        return self._is_off(value) or _is_false(value)

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


def _is_false(node: ast.expr) -> bool:
    """Whether an expression is a constant that is false."""
    return isinstance(node, ast.Constant) and not node.value


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

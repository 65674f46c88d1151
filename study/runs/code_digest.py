"""The digest of code: a Merkle root over the definitions a result uses.

A root is a function or class, such as `vicreg.training.loop:pretrain`. Each name in its syntax tree is resolved to the
definition in our packages that it refers to, and replaced by that definition's digest, recursively. A name from another
package is replaced by its dotted name there.

The digest changes where the code computes something else. It does not change where a definition is moved or renamed, or
imports are sorted. Nor does it for a docstring, a comment, the text of an error or a definition that nothing here uses. An
annotation changes it only where it names a class of ours for the first time: the class's methods may then be called.

Trees are written field by field without empty fields, so Python 3.11, 3.12 and 3.13 give the same digest.
"""

import ast
import functools
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from study.runs.syntax import ALWAYS, Encoded, Unit, Writer, is_docstring

TREE = Path(__file__).parents[2]  # the folder that holds the packages
_PACKAGES = ("vicreg", "study")
_DECORATORS_WITHOUT_EFFECT = ("dataclass", "cache", "lru_cache", "contextmanager", "no_grad", "njit", "total_ordering")


@dataclass(frozen=True, kw_only=True)
class CodeDigest:
    """Digests of the code that a result depends on.

    `root` is the digest of all of it. `definitions` holds the digest of each definition without those it uses, by
    `module:name`. It shows which definitions themselves have changed.
    """

    root: str
    definitions: Mapping[str, str]

    def changes(self, other: "CodeDigest") -> list[str]:
        """Return the names of definitions that differ from `other`'s; none where only places or names differ."""
        if self.root == other.root:
            return []
        return changed_definitions(self.definitions, other.definitions)


def changed_definitions(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """Return the names of definitions that differ between two maps from name to digest, sorted.

    A moved or renamed definition is left out: the other map has its digest under another name.
    """
    unmatched = [{name: digest for name, digest in mine.items() if theirs.get(name) != digest}
                 for mine, theirs in ((one, other), (other, one))]  # fmt: skip
    return sorted({*_not_moved(*unmatched), *_not_moved(*reversed(unmatched))})


def _not_moved(mine: Mapping[str, str], theirs: Mapping[str, str]) -> list[str]:
    """Return the names in `mine` whose digests `theirs` lacks, each of its digests matching one name alone."""
    elsewhere = Counter(theirs.values())
    changed = []
    for name in sorted(mine):
        if elsewhere[mine[name]] > 0:
            elsewhere[mine[name]] -= 1
        else:
            changed.append(name)
    return changed


@functools.cache
def code_digest(
    *roots: str,
    tree: Path = TREE,
    leave_out: tuple[str, ...] = (),
    off: frozenset[str] = frozenset(),
    ignored: frozenset[str] = frozenset(),
) -> CodeDigest:
    """Return the digest of the definitions that `roots` depend on.

    Args:
        roots: each a `module:name`.
        tree: the folder that holds the packages.
        leave_out: modules that are not followed, because an identity covers what they decide in another way.
        off: names of settings and traits that are false. Code that is only reached where they are true is left out.
        ignored: names of class attributes that decide no result.

    Raises:
        LookupError: for a root that is not defined.
        ValueError: for a relative import or one of `*`, which are not resolved.
    """
    source = _Source(tree, frozenset(leave_out), off, ignored)
    starts = [source.find(*root.split(":")) for root in roots]
    encoded = source.reach(starts)
    own = {unit: _digest(one.filled({unit: unit[1] for unit in one.references})) for unit, one in encoded.items()}
    digests = own
    # Digests settle after as many rounds as the longest chain of definitions. Those of definitions that use each other never
    # do; as many rounds as there are definitions let a change of one reach all that depend on it.
    waiting = [unit for unit, one in encoded.items() if one.references]
    for _ in encoded:
        found = {unit: _digest(encoded[unit].filled(digests)) for unit in waiting}
        changed = {unit for unit, digest in found.items() if digest != digests[unit]}
        if not changed:
            break
        digests = digests | found
        waiting = [unit for unit, one in encoded.items() if not changed.isdisjoint(one.references)]
    imported = sorted({digests[unit] for unit in encoded if unit[1] == ALWAYS})
    root = _digest(" ".join([*(digests[unit] for unit in starts), "|", *imported]))
    return CodeDigest(root=root, definitions={":".join(unit).rstrip(":"): own[unit] for unit in sorted(encoded)})


@dataclass(frozen=True, kw_only=True)
class _Statement:
    """A statement of a module's top level, the imports in it, those within functions too, and the names that it defines."""

    node: ast.stmt
    imports: tuple[ast.Import | ast.ImportFrom, ...]
    names: tuple[str, ...]


@functools.cache
def _parsed(source: bytes) -> tuple[_Statement, ...]:
    """Return a module's top level. A process parses each file once, however many roots depend on it."""
    return tuple(
        _Statement(
            node=node,
            imports=tuple(one for one in ast.walk(node) if isinstance(one, ast.Import | ast.ImportFrom)),
            names=tuple(_defined(node)),
        )
        for node in ast.parse(source).body
    )


@dataclass
class _Module:
    """The top level of a module: what each name refers to, and the statements that define it."""

    name: str
    statements: dict[str, list[ast.stmt]] = field(default_factory=dict)
    ours: dict[str, Unit] = field(default_factory=dict)  # imported from our own packages
    others: dict[str, str] = field(default_factory=dict)  # imported from elsewhere: the dotted name
    always: list[ast.stmt] = field(default_factory=list)  # run by an import, and not only to define a name
    imports: set[str] = field(default_factory=set)  # modules of ours


class _Source:
    """The packages below a folder, whose modules are parsed on first use."""

    def __init__(self, tree: Path, leave_out: frozenset[str], off: frozenset[str], ignored: frozenset[str]) -> None:
        self._tree, self._leave_out, self._off, self._ignored = tree, leave_out, off, ignored
        self._modules: dict[str, _Module] = {}

    def find(self, module: str, name: str) -> Unit:
        """Return the definition that a name of a module refers to, through all modules that import and re-export it.

        Raises:
            LookupError: where there is none.
        """
        seen = set()
        while (module, name) not in seen:
            seen.add((module, name))
            parsed = self._module(module)
            if name in parsed.statements:
                return module, name
            if name in parsed.ours:
                module, name = parsed.ours[name]
                continue
            break
        raise LookupError(f"{module}:{name} is not defined under {self._tree}")

    def reach(self, starts: list[Unit]) -> dict[Unit, Encoded]:
        """Return every definition that the given ones depend on, with these."""
        found: dict[Unit, Encoded] = {}
        waiting = list(starts)
        while waiting:
            unit = waiting.pop()
            if unit in found:
                continue
            found[unit] = self._encode(unit)
            waiting += [*found[unit].references, (unit[0], ALWAYS)]
        # Importing a module is part of the code, unless the module only defines names.
        return {unit: one for unit, one in found.items() if unit[1] != ALWAYS or not one.is_empty}

    def is_module(self, name: str) -> bool:
        """Whether a dotted name is a module of our packages."""
        return name.partition(".")[0] in _PACKAGES and self._path(name) is not None

    def _encode(self, unit: Unit) -> Encoded:
        module = self._module(unit[0])
        writer = Writer(
            unit[1], resolve=lambda name: self.resolve(module, name), member=self.member, names=self.names, off=self._off,
            ignored=self._ignored,
        )  # fmt: skip
        if unit[1] != ALWAYS:
            return Encoded([writer.statement(one) for one in module.statements[unit[1]]], writer.references)
        value = [writer.statement(one) for one in module.always]
        followed = [(name, ALWAYS) for name in sorted(module.imports - self._leave_out)]
        return Encoded(value, [*writer.references, *followed])

    def resolve(self, module: _Module, name: str) -> Unit | str | None:
        """Return what a name in a module refers to.

        That is a definition; a module by itself, as (name, ""); a dotted name of another package; or None for a local
        variable or a builtin.
        """
        if name in module.statements:
            return module.name, name
        if name in module.others:
            return module.others[name]
        if name not in module.ours:
            return None
        return self.member(*module.ours[name])

    def member(self, module: str, name: str) -> Unit | str | None:
        """Return what `module.name` refers to, as `resolve` does."""
        whole = f"{module}.{name}" if name else module
        if self.is_module(whole):
            return whole, ALWAYS
        if module in self._leave_out:
            return f"left out: {name}"
        return self.resolve(self._module(module), name)

    def names(self, module: str) -> list[str]:
        """Return all names that a module defines, sorted; none of a module that is left out."""
        return [] if module in self._leave_out else sorted(self._module(module).statements)

    def _path(self, name: str) -> Path | None:
        stem = self._tree / name.replace(".", "/")
        candidates = (stem.with_name(f"{stem.name}.py"), stem / "__init__.py")
        return next((path for path in candidates if path.is_file()), None)

    def _module(self, name: str) -> _Module:
        if name not in self._modules:
            path = self._path(name)
            if path is None:
                raise LookupError(f"module {name} is not there under {self._tree}")
            module = self._modules[name] = _Module(name)
            for statement in _parsed(path.read_bytes()):
                self._take(module, statement)
        return self._modules[name]

    def _take(self, module: _Module, statement: _Statement) -> None:
        """Record one statement of a module's top level."""
        for one in statement.imports:
            self._take_import(module, one)
        if isinstance(statement.node, ast.Import | ast.ImportFrom) or is_docstring(statement.node):
            return
        for name in statement.names:
            module.statements.setdefault(name, []).append(statement.node)
        if not statement.names or _does_something(statement.node):
            module.always.append(statement.node)

    def _take_import(self, module: _Module, statement: ast.Import | ast.ImportFrom) -> None:
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                bound = alias.asname or alias.name.partition(".")[0]
                target = alias.name if alias.asname else bound
                if alias.name.partition(".")[0] in _PACKAGES:
                    module.ours[bound] = (target, "")
                    module.imports.add(alias.name)
                else:
                    module.others[bound] = target
            return
        if statement.level or statement.module is None or statement.names[0].name == "*":
            raise ValueError(f"{module.name} imports in a way that cannot be followed; name the module and what is taken")
        for alias in statement.names:
            bound = alias.asname or alias.name
            if statement.module.partition(".")[0] not in _PACKAGES:
                module.others[bound] = f"{statement.module}.{alias.name}"
                continue
            module.ours[bound] = (statement.module, alias.name)
            submodule = f"{statement.module}.{alias.name}"
            module.imports.add(submodule if self.is_module(submodule) else statement.module)


def _defined(statement: ast.stmt) -> Iterator[str]:
    """Yield the names that a statement of a module's top level defines."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
        return
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name


def _does_something(statement: ast.stmt) -> bool:
    """Whether a statement may do more than define its names: register something, or change something."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return any(_last_name(one) not in _DECORATORS_WITHOUT_EFFECT for one in statement.decorator_list)
    return not isinstance(statement, ast.Assign | ast.AnnAssign)


def _last_name(decorator: ast.expr) -> str:
    if isinstance(decorator, ast.Call):
        decorator = decorator.func
    return decorator.attr if isinstance(decorator, ast.Attribute) else getattr(decorator, "id", "")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]

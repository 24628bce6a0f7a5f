"""Docstrings and comments name code that exists: parameters, fields, errors, modules and what is in them."""

from __future__ import annotations

import ast
import builtins
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULES = {
    ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__init__"): path
    for folder in (ROOT / "src", ROOT / "client" / "src")
    for path in sorted(folder.rglob("*.py"))
}
TREES = {path: ast.parse(path.read_text()) for path in MODULES.values()}
OTHERS = frozenset(
    # columns and attributes of tables, in SQL and in documents; files of cgroups; keys of mappings; other programs
    [
        "access",
        "accounts",
        "attributes",
        "identities",
        "sources",
        "memory",
        "json",
        "csv",
        "run",
        "whohas",
        "FuzzyQuery",
        "Character",
        "QueryParser",
        "QueryParserBase",
        "SimpleQueue",
        "Console",
        "A",
        "P1M2DT3",
    ]
)
"""First parts of dotted names that are not those of a module or class of whohas, though some are spelled like one."""
ENDINGS = frozenset(
    [
        "csv",
        "db",
        "gz",
        "html",
        "json",
        "key",
        "lock",
        "log",
        "md",
        "ndjson",
        "parquet",
        "pdf",
        "py",
        "toml",
        "xml",
        "zip",
    ]
)

Documented = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def documented() -> Iterator[tuple[Path, Documented, str]]:
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, Documented) and (text := ast.get_docstring(node)):
                yield path, node, text


def entries(text: str, section: str) -> list[str]:
    """The names that a section such as `Args:` describes."""
    if f"{section}:\n" not in text:
        return []
    rest = text.split(f"{section}:\n", 1)[1]
    return re.findall(r"^    \*{0,2}([A-Za-z_][\w.]*):(?= |$)", re.split(r"^\w+:$", rest, flags=re.MULTILINE)[0], re.M)


def members(node: ast.ClassDef) -> set[str]:
    names: set[str] = set()
    for inner in ast.walk(node):
        match inner:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
            case ast.Attribute(value=ast.Name(id="self"), attr=name):
                names.add(name)
            case ast.Assign(targets=targets):
                names |= {target.id for target in targets if isinstance(target, ast.Name)}
            case _:
                pass
    return names


def names_of(path: Path) -> set[str]:
    """The names at the top of a module, and the modules of a package."""
    names = {inner.stem for inner in path.parent.iterdir()} if path.name == "__init__.py" else set[str]()
    for node in ast.walk(TREES[path]):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Name(id=name, ctx=ast.Store()) | ast.alias(name=name):
                names.add(name)
            case _:
                pass
    return names


def test_arguments_and_fields_in_docstrings_exist() -> None:
    wrong: list[str] = []
    for path, node, text in documented():
        if isinstance(node, ast.ClassDef):
            known, section = members(node), "Attributes"
        else:
            arguments = node.args
            every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
            known, section = {argument.arg for argument in every if argument}, "Args"
        wrong += [f"{path}: {node.name}: {name}" for name in entries(text, section) if name not in known]
    assert not wrong, "\n".join(wrong)


def test_errors_in_docstrings_exist() -> None:
    known = set(dir(builtins))
    for tree in TREES.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                known.add(node.name)
            elif isinstance(node, ast.alias):
                known.add(node.asname or node.name)
            elif isinstance(node, ast.Attribute):
                known.add(node.attr)
    wrong = [
        f"{path}: {node.name}: {name}"
        for path, node, text in documented()
        for name in entries(text, "Raises")
        if name.split(".")[-1] not in known
    ]
    assert not wrong, "\n".join(wrong)


def texts(path: Path) -> Iterator[str]:
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
        if token.type == tokenize.COMMENT:
            yield token.string


def is_known(parts: list[str], classes: dict[str, set[str]], names: dict[str, set[str]]) -> bool:
    """Whether a dotted name ends at a member of a class or module of whohas, or begins with none of them."""
    if parts[0] in OTHERS or parts[-1] in ENDINGS:
        return True
    if parts[0] in classes:
        return parts[1] in classes[parts[0]]
    if parts[0][0].isupper():
        return False
    for end in range(len(parts) - 1, 0, -1):
        prefix = ".".join(parts[:end])
        found = [module for module in names if module == prefix or module.endswith(f".{prefix}")]
        if found:
            return any(parts[end] in names[module] or f"{module}.{parts[end]}" in names for module in found)
    return True


def test_dotted_names_in_docstrings_and_comments_exist() -> None:
    classes: dict[str, set[str]] = {}
    for tree in TREES.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                classes.setdefault(node.name, set()).update(members(node))
    names = {module: names_of(path) for module, path in MODULES.items()}
    wrong = [
        f"{path}: {name}"
        for path in MODULES.values()
        for text in texts(path)
        for name in re.findall(r"(?<!`)`([A-Za-z_]\w*(?:\.\w+)+)(?:\([^`]*\))?`(?!`)", text)
        if not is_known(name.split("."), classes, names)
    ]
    assert not wrong, "\n".join(wrong)

"""Queries printed from their trees, and trees without places: what tests of the query language share."""

from __future__ import annotations

from whohas.search.ast import Clause, Fuzzy, Group, Nested, Node, Phrase, Range, Regexp, Term, Wildcard

SPECIAL = set('+-!():^[]"{}~*?\\/&| \t\n\r\u3000')


def escaped(text: str) -> str:
    return "".join(f"\\{c}" if c in SPECIAL else c for c in text)


def printed(node: Node) -> str:
    """A tree as a query that means it."""
    match node:
        case Term():
            return field(node.field) + escaped(node.text)
        case Phrase():
            inside = node.text.replace("\\", "\\\\").replace('"', '\\"')
            return f'{field(node.field)}"{inside}"' + (f"~{node.slop}" if node.slop else "")
        case Wildcard():
            return field(node.field) + node.pattern
        case Fuzzy():
            return f"{field(node.field)}{escaped(node.text)}~" + ("" if node.edits is None else f"{node.edits:g}")
        case Regexp():
            return f"{field(node.field)}/{node.pattern}/"
        case Range():
            low, high = (("*" if bound is None else quoted(bound)) for bound in (node.low, node.high))
            left, right = "[" if node.low_included else "{", "]" if node.high_included else "}"
            return f"{field(node.field)}{left}{low} TO {high}{right}"
        case Nested():
            return f"@{node.path}({printed(node.node)})"
        case Group():
            return "(" + inside_of(node) + ")"


def inside_of(group: Group) -> str:
    parts: list[str] = []
    for clause in group.clauses:
        word = "AND " if clause.joined_by_and else ""
        parts.append(f"{word}{clause.occur}{printed(clause.node)}")
    return " ".join(parts)


def field(name: str | None) -> str:
    return "" if name is None else f"{escaped(name)}:"


def quoted(bound: str) -> str:
    return '"' + bound.replace("\\", "\\\\").replace('"', '\\"') + '"'


def bare(node: Node) -> Node:
    """A tree without its places."""
    match node:
        case Group():
            return Group(tuple(Clause(c.occur, bare(c.node), c.joined_by_and) for c in node.clauses))
        case Nested():
            return Nested(node.path, bare(node.node))
        case _:
            return type(node)(**{name: getattr(node, name) for name in node.__slots__ if name != "at"})

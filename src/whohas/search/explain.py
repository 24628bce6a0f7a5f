"""Describe a query's syntax tree in English: `whohas search --explain` shows users how their query was parsed."""

from __future__ import annotations

from collections.abc import Iterator

from whohas.search.ast import Fuzzy, Group, Nested, Node, Occur, Phrase, Range, Regexp, Term, Wildcard, apply_and

_COUNTS = {Occur.MUST: "must", Occur.SHOULD: "may", Occur.MUST_NOT: "must not"}


def explain(node: Node) -> str:
    """Return a syntax tree as text, one line a node, indented by depth.

    `must`, `may` and `must not` before a node say that the clause is required, optional or prohibited. Example, for
    `athens +berlin`::

        group
          may (changes nothing) any text has 'athens'
          must any text has 'berlin'
    """
    return "\n".join(_lines(node, "", ""))


def _lines(node: Node, indent: str, occur_word: str) -> Iterator[str]:
    prefix = f"{indent}{occur_word} " if occur_word else indent
    match node:
        case Group():
            bound = apply_and(node.clauses)
            optional = any(clause.occur is Occur.SHOULD for clause in bound)
            required = any(clause.occur is Occur.MUST for clause in bound)
            yield f"{prefix}group" + (": one of the optional clauses is enough" if optional and not required else "")
            for clause in bound:
                without_effect = clause.occur is Occur.SHOULD and required
                yield from _lines(
                    clause.node, f"{indent}  ", "may (changes nothing)" if without_effect else _COUNTS[clause.occur]
                )
        case Nested():
            yield f"{prefix}one object of {node.path}, with"
            yield from _lines(node.node, f"{indent}  ", "")
        case _:
            field = "any text" if node.field is None else node.field
            yield f"{prefix}{field} {_condition(node)}"


def _condition(node: Term | Phrase | Wildcard | Fuzzy | Regexp | Range) -> str:
    match node:
        case Term():
            return f"has {node.text!r}"
        case Phrase(slop=0):
            return f"has the phrase {node.text!r}"
        case Phrase():
            return f"has {node.text!r} within {node.slop} moves"
        case Wildcard():
            return "exists" if set(node.pattern) == {"*"} else f"has a word like {node.pattern!r}"
        case Fuzzy(edits=None):
            return f"has a word near {node.text!r}"
        case Fuzzy():
            return f"has a word near {node.text!r} ({node.edits:g})"
        case Regexp():
            return f"has a word that matches /{node.pattern}/"
        case Range():
            low = "" if node.low is None else f" {'from' if node.low_included else 'above'} {node.low!r}"
            high = "" if node.high is None else f" {'to' if node.high_included else 'below'} {node.high!r}"
            return f"is{low}{high}" if low or high else "exists"

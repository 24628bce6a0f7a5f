"""Hints on how a search that found nothing could be asked."""

from __future__ import annotations

import re
from collections.abc import Iterator

from whohas.search.ast import Group, Node, Occur, Term
from whohas.search.fields import INDICES
from whohas.search.parser import parse

_PLAIN = re.compile(r"[^\W_][\w.@-]*")
"""A word that can stand in a query without escapes."""


def no_hit_hints(query: str, index: str) -> tuple[str, ...]:
    """Return sentences for a query that found nothing, about its first word that matches whole words only.

    Example: `APPROVE` in the index `identities` gives the hints to search for `*APPROVE*`, and `@access(APPROVE)`.

    Args:
        query: a query that has been parsed before.
        index: the name of the index that was searched.
    """
    fields = INDICES[index].documents.fields
    word = next(
        (
            term
            for term in _words(parse(query))
            if _PLAIN.fullmatch(term.text) and (term.field not in fields or fields[term.field].kind == "text")
        ),
        None,
    )
    if word is None:
        return ()
    field = f"{word.field}:" if word.field else ""
    hints = [f"A word finds whole words only: {field}*{word.text}* also finds it as a part of words."]
    lists = [path for path in INDICES[index].elements if path and "." not in path]
    if not word.field and lists:
        shown = " or ".join(f"@{path}({word.text})" for path in lists)
        hints.append(f"A word without a field is not searched in lists: {shown} does that.")
    return tuple(hints)


def _words(node: Node) -> Iterator[Term]:
    """Yield the terms that are not prohibited and not inside of a list, in the order of the query."""
    match node:
        case Term():
            yield node
        case Group(clauses):
            for clause in clauses:
                if clause.occur is not Occur.MUST_NOT:
                    yield from _words(clause.node)
        case _:
            return

"""Parts of a workbook to which a sheet refers, such as its table and its drawing, with their relations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from posixpath import basename, dirname, relpath

from whohas.formats.xlsx.namespaces import OFFICE, PACKAGE, XML


@dataclass(frozen=True, slots=True)
class RelatedPart:
    """A part that a sheet or another part refers to.

    Attributes:
        path: its path in the package, such as `xl/tables/table1.xml`.
        content_type: its content type.
        relation: the type of the relation, such as `table`.
        text: its XML.
        parts: the parts that it refers to in turn; the first has the relation id `rId1`.
    """

    path: str
    content_type: str
    relation: str
    text: str
    parts: tuple[RelatedPart, ...] = ()


def content_types(parts: Sequence[RelatedPart]) -> dict[str, str]:
    """Return the content type of each part and of those to which they refer, by path."""
    return {part.path: part.content_type for part in _with_children(parts)}


def part_files(path: str, parts: Sequence[RelatedPart]) -> dict[str, str]:
    """Return the files of parts and of their relations, by path.

    Args:
        path: the path of the part that refers to them, such as a sheet.
        parts: the parts to which it refers.
    """
    if not parts:
        return {}
    found = {_relations_path(path): _relations(path, parts)}
    for part in parts:
        found[part.path] = part.text
        found |= part_files(part.path, part.parts)
    return found


def _with_children(parts: Sequence[RelatedPart]) -> Iterator[RelatedPart]:
    for part in parts:
        yield part
        yield from _with_children(part.parts)


def _relations_path(path: str) -> str:
    return f"{dirname(path)}/_rels/{basename(path)}.rels"


def _relations(path: str, parts: Sequence[RelatedPart]) -> str:
    listed = "".join(
        f'<Relationship Id="rId{number}" Type="{OFFICE}/{part.relation}" Target="{relpath(part.path, dirname(path))}"/>'
        for number, part in enumerate(parts, 1)
    )
    return f'{XML}<Relationships xmlns="{PACKAGE}/relationships">{listed}</Relationships>\n'

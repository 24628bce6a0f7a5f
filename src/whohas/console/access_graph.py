"""The drawing of an identity's access: the identity, what brings it access, and its entitlements, from left to right.

The middle column has roles, each with its access profiles below it, then other access profiles, then accounts. It stays
readable for hundreds of entitlements: those that the identity has by the same ways are drawn as one box with their
number. The page has each of them in a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from whohas.console.identities import Bundle, Entitlement, IdentityDetails

MAX_SINGLE: Final = 16
"""Up to this many entitlements are drawn one by one."""
MAX_BOXES: Final = 30
"""The most boxes of a column; the last one stands for the rest."""

_HEIGHT: Final = 26
_ROW: Final = 34
_COLUMNS: Final = (0, 300, 680)
_BOX_WIDTHS: Final = (220, 290, 280)
_WIDTH: Final = 960
_TITLES: Final = 24
_INDENT: Final = 22
_PIXELS_OF_LETTER: Final = 7.4


@dataclass(frozen=True, slots=True)
class Box:
    """A box of the drawing.

    Attributes:
        key: its identifier, unique in the drawing.
        text: its text.
        title: the whole text, shown when the pointer rests on it.
        kind: its class in the style sheet: `identity`, `role`, `profile`, `account`, `entitlement`, `privileged`,
            `more`.
        parents: the keys of the boxes that lead to it.
        within: whether it stands below its only parent in the same column, as an access profile of a role does.
    """

    key: str
    text: str
    title: str
    kind: str
    parents: tuple[str, ...] = ()
    within: bool = False


@dataclass(frozen=True, slots=True)
class AccessGraph:
    """The boxes of a drawing by column: the identity; roles, access profiles and accounts; entitlements."""

    columns: tuple[tuple[Box, ...], tuple[Box, ...], tuple[Box, ...]]

    @property
    def boxes(self) -> tuple[Box, ...]:
        """All boxes."""
        return tuple(box for column in self.columns for box in column)


def access_graph(identity: IdentityDetails) -> AccessGraph:
    """Return the boxes for the access of an identity."""
    root = Box("identity", identity.name, identity.name, "identity")
    middle = _shortened(_bundle_boxes(identity.bundles, root.key), root.key)
    drawn = {box.key for box in middle}
    rest = {key: middle[-1].key for key in map(bundle_key, identity.bundles) if key not in drawn}
    return AccessGraph(
        ((root,), middle, _shortened(_entitlement_boxes(identity.entitlements, root.key, rest), root.key))
    )


def draw(graph: AccessGraph, title: str) -> Markup:
    """Return the drawing as SVG.

    Args:
        graph: the boxes.
        title: its title, which screen readers read.
    """
    rows = max(map(len, graph.columns))
    places = {
        box.key: (x + _INDENT * box.within, _TITLES + (rows - len(column)) * _ROW // 2 + number * _ROW, x + width)
        for x, width, column in zip(_COLUMNS, _BOX_WIDTHS, graph.columns, strict=True)
        for number, box in enumerate(column)
    }
    edges = Markup("").join(
        _edge(box, places[parent], places[box.key]) for box in graph.boxes for parent in box.parents
    )
    boxes = Markup("").join(
        Markup(
            '<g class="box {}"><title>{}</title><rect x="{}" y="{}" width="{}" height="{}" rx="5"/>'
            '<text x="{}" y="{}">{}</text></g>'
        ).format(box.kind, box.title, x, y, right - x, _HEIGHT, x + 9, y + 18, _cut(box.text, right - x))
        for box in graph.boxes
        for x, y, right in [places[box.key]]
    )
    heads = ("Identity", "Roles, access profiles, accounts", "Entitlements")
    titles = Markup("").join(
        Markup('<text class="head" x="{}" y="14">{}</text>').format(x, head)
        for x, head, column in zip(_COLUMNS, heads, graph.columns, strict=True)
        if column
    )
    return Markup('<svg class="access" viewBox="-1 0 {} {}" role="img" aria-label="{}">{}{}{}</svg>').format(
        _WIDTH + 2, rows * _ROW + _TITLES, title, titles, edges, boxes
    )


def _edge(box: Box, start: tuple[int, int, int], end: tuple[int, int, int]) -> Markup:
    """Return the line from one box to another.

    Args:
        box: the box that it leads to.
        start: of the box that it comes from the left, top and right.
        end: of the box that it leads to the same.
    """
    y1, y2 = start[1] + _HEIGHT // 2, end[1] + _HEIGHT // 2
    if box.within:
        return Markup('<path class="edge" d="M{} {}V{}H{}"/>').format(start[0] + 10, start[1] + _HEIGHT, y2, end[0])
    middle = (start[2] + end[0]) // 2
    return Markup('<path class="edge {}" d="M{} {}C{} {} {} {} {} {}"/>').format(
        box.kind, start[2], y1, middle, y1, middle, y2, end[0], y2
    )


def _bundle_boxes(bundles: Sequence[Bundle], root: str) -> list[Box]:
    """Return the boxes of the middle column; an access profile of several roles stands below the first of them."""
    boxes: list[Box] = []
    profiles = [one for one in bundles if one.kind == "access profile"]
    placed: set[str] = set()
    for role in (one for one in bundles if one.kind == "role"):
        key = bundle_key(role)
        boxes.append(_bundle_box(role, root))
        for one in profiles:
            if role.id in one.roles and one.id not in placed:
                placed.add(one.id)
                boxes.append(_bundle_box(one, key, within=True))
    boxes += [_bundle_box(one, root) for one in profiles if one.id not in placed]
    return boxes + [_bundle_box(one, root) for one in bundles if one.kind == "account"]


def _bundle_box(bundle: Bundle, parent: str, *, within: bool = False) -> Box:
    text = f"{bundle.name} ({bundle.detail})" if bundle.kind == "account" and bundle.detail else bundle.name
    kind = "profile" if bundle.kind == "access profile" else bundle.kind
    return Box(bundle_key(bundle), text, f"{bundle.kind.capitalize()} {text}", kind, (parent,), within)


def bundle_key(bundle: Bundle) -> str:
    """Return the key of the box of a bundle."""
    return f"{bundle.kind} {bundle.id}"


def _entitlement_boxes(entitlements: Sequence[Entitlement], root: str, replaced: dict[str, str]) -> list[Box]:
    """Return a box for each entitlement or, of many entitlements, a box for all with the same parents."""
    by_parents: dict[tuple[str, ...], list[Entitlement]] = {}
    single = len(entitlements) <= MAX_SINGLE
    for one in entitlements:
        keys = (replaced.get(key, key) for key in map(bundle_key, one.through))
        parents = tuple(dict.fromkeys(keys)) or (root,)
        by_parents.setdefault((one.id, *parents) if single else ("", *parents), []).append(one)
    boxes: list[Box] = []
    for (_, *parents), group in by_parents.items():
        risky = sum(one.privileged for one in group)
        kind = "privileged" if risky else "entitlement"
        names = ", ".join(one.name for one in group[:8]) + (", …" if len(group) > 8 else "")
        text = group[0].name if len(group) == 1 else f"{len(group)} entitlements"
        if len(group) > 1 and risky:
            text += f", {risky} privileged"
        title = f"{names} (privileged)" if risky and len(group) == 1 else names
        boxes.append(Box(f"entitlement {group[0].id}", text, title, kind, tuple(parents)))
    return boxes


def _shortened(boxes: Sequence[Box], root: str) -> tuple[Box, ...]:
    """Return the boxes of a column, of which the last stands for those beyond `MAX_BOXES`."""
    if len(boxes) <= MAX_BOXES:
        return tuple(boxes)
    kept, rest = boxes[: MAX_BOXES - 1], boxes[MAX_BOXES - 1 :]
    parents = dict.fromkeys(parent for box in rest if not box.within for parent in box.parents)
    text = f"and {len(rest):,} more"
    return (*kept, Box(f"more after {kept[-1].key}", text, f"{text}: see the table", "more", tuple(parents) or (root,)))


def _cut(text: str, width: int) -> str:
    most = int((width - 18) / _PIXELS_OF_LETTER)
    return text if len(text) <= most else f"{text[: most - 1]}…"

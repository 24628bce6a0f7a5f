"""The drawing of an identity's access: what is joined, what stays readable with hundreds of items, hostile names."""

from __future__ import annotations

import re

from whohas.console.access_graph import MAX_BOXES, access_graph, draw
from whohas.console.identities import Bundle, Entitlement, IdentityDetails

ROLE = Bundle("role", "r1", "Engineering")
PROFILE = Bundle("access profile", "p1", "Basics", "AD", ("r1",))
DIRECT = Bundle("access profile", "p2", "Extras", "AD")
ACCOUNT = Bundle("account", "a1", "ada", "AD")


def identity(bundles: tuple[Bundle, ...], entitlements: tuple[Entitlement, ...], name: str = "Ada") -> IdentityDetails:
    return IdentityDetails("i1", name, {}, (), None, (), 0, (), bundles, entitlements, True)


def held(id: str, *through: Bundle, name: str = "", privileged: bool = False) -> Entitlement:
    return Entitlement(id, name or id, "AD", "", privileged, through)


def test_profiles_of_a_role_stand_below_it() -> None:
    graph = access_graph(identity((ROLE, PROFILE, DIRECT, ACCOUNT), (held("e1", PROFILE, ACCOUNT),)))
    middle = [(box.key, box.parents, box.within) for box in graph.columns[1]]
    assert middle == [
        ("role r1", ("identity",), False),
        ("access profile p1", ("role r1",), True),
        ("access profile p2", ("identity",), False),
        ("account a1", ("identity",), False),
    ]
    assert graph.columns[2][0].parents == ("access profile p1", "account a1")


def test_many_entitlements_are_joined_by_their_ways() -> None:
    many = tuple(held(f"e{n}", ACCOUNT, privileged=n < 3) for n in range(200))
    graph = access_graph(identity((ROLE, PROFILE, ACCOUNT), (*many, held("x", PROFILE), held("y"))))
    assert [(box.text, box.kind) for box in graph.columns[2]] == [
        ("200 entitlements, 3 privileged", "privileged"),
        ("x", "entitlement"),
        ("y", "entitlement"),
    ]
    assert graph.columns[2][2].parents == ("identity",)


def test_many_bundles_end_in_one_box() -> None:
    accounts = tuple(Bundle("account", f"a{n}", f"ada{n}", "AD") for n in range(200))
    entitlements = tuple(held(f"e{n}", accounts[n]) for n in range(200))
    graph = access_graph(identity(accounts, entitlements))
    assert [len(column) for column in graph.columns] == [1, MAX_BOXES, MAX_BOXES]
    assert graph.columns[1][-1].text == f"and {200 - MAX_BOXES + 1} more"
    keys = {box.key for box in graph.boxes}
    assert len(keys) == len(graph.boxes)
    assert all(parent in keys for box in graph.boxes for parent in box.parents)
    assert draw(graph, "Access").count("<rect") == 1 + 2 * MAX_BOXES


def test_hostile_names_stay_text() -> None:
    hostile = '</text><script>alert(1)</script>"'
    bundles = (Bundle("role", '"><b', hostile), Bundle("account", "a", hostile, hostile))
    drawn = draw(access_graph(identity(bundles, (held("e", *bundles, name=hostile),), hostile)), hostile)
    assert "<script>" not in drawn and "<b" not in drawn.replace("<big", "")
    assert set(re.findall(r"<(\w+)", drawn)) == {"svg", "text", "path", "g", "title", "rect"}


def test_long_texts_are_cut_with_the_whole_as_title() -> None:
    drawn = draw(access_graph(identity((), (held("e", name="x" * 300),))), "Access")
    assert f"<title>{'x' * 300}</title>" in drawn
    assert f">{'x' * 60}" not in drawn.replace(f"<title>{'x' * 300}", "")


def test_identity_without_access_is_one_box() -> None:
    assert draw(access_graph(identity((), ())), "Access").count("<rect") == 1

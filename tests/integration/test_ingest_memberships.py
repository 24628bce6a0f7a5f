"""Memberships: several values in a cell, a row for each entitlement, entitlements in accounts, accounts in memberships."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from intake import Rig
from whohas.errors import InvalidArguments

LEDGER = """
[source]
name = "Ledger"
[accounts]
file = "ledger.csv"
[accounts.columns]
nativeIdentity = "user"
name = "full name"
[memberships]
file = "ledger.csv"
columns = { account = "user", entitlement = "right" }
"""
DIRECTORY = """
[source]
name = "Directory"
[accounts]
file = "people.csv"
entitlements = ["memberOf"]
[accounts.columns]
nativeIdentity = "login"
name = "login"
[accounts.lists]
memberOf = ";"
"""
ROLES = """
[source]
name = "Shop"
[memberships]
file = "roles.csv"
columns = { account = "User", entitlement = "Role" }
"""


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def held(rig: Rig) -> list[tuple[str, str, str | None]]:
    """Who holds what, by native identity, entitlement's name and attribute."""
    people = {row["id"]: row["nativeIdentity"] for row in rig.rows("accounts")}
    rights = {row["id"]: row["name"] for row in rig.rows("entitlements")}
    return [
        (people[row["accountId"]], rights[row["entitlementId"]], row["attribute"])
        for row in rig.rows("account_entitlements")
    ]


def pairs(rig: Rig) -> list[tuple[str, str]]:
    return [(person, right) for person, right, _ in held(rig)]


def attributes(rig: Rig, native: str) -> dict[str, list[str]]:
    return dict(rig.account(native)["attributes"])


def reasons(rig: Rig) -> list[tuple[int, str, str]]:
    return [(found.line, found.column, found.reason) for found in rig.report.rejections]


# --- a row for each entitlement


@pytest.mark.parametrize("strict", [False, True])
def test_rows_that_differ_in_the_entitlement_are_one_account(rig: Rig, strict: bool) -> None:
    rig.write(**{
        "ledger.toml": LEDGER,
        "ledger.csv": "user,full name,right\nk1,Kim,post\nk1,Kim,approve\nk1,Kim,post\nl2,Lou,post\nm3,Max,\n",
    })  # fmt: skip
    report = rig.load("ledger.toml", strict=strict)
    assert (report.rejected, report.warnings) == (0, ())
    assert [row["nativeIdentity"] for row in rig.rows("accounts")] == ["k1", "l2", "m3"]
    assert attributes(rig, "k1") == {"user": ["k1"], "full name": ["Kim"], "right": ["post", "approve"]}
    assert attributes(rig, "m3") == {"user": ["m3"], "full name": ["Max"]}
    assert pairs(rig) == [("k1", "post"), ("k1", "approve"), ("l2", "post")]


def test_rows_of_an_account_may_stand_apart(rig: Rig) -> None:
    rig.write(**{
        "ledger.toml": LEDGER,
        "ledger.csv": "user,full name,right\nk1,Kim,post\nl2,Lou,post\nk1,Kim,\nk1,Kim,read\nl2,Lou,approve\n",
    })  # fmt: skip
    assert rig.load("ledger.toml", strict=True).rejected == 0
    assert (attributes(rig, "k1")["right"], attributes(rig, "l2")["right"]) == (["post", "read"], ["post", "approve"])


def test_a_row_that_differs_elsewhere_is_rejected_with_both_values(rig: Rig) -> None:
    rig.write(**{
        "ledger.toml": LEDGER,
        "ledger.csv": "user,full name,right\nk1,Kim,post\nk1,Kimberly,approve\nk1,Kim,read\nk1,,read\n",
    })  # fmt: skip
    rig.load("ledger.toml")
    (first, second) = reasons(rig)
    assert first[:2] == (3, "user")
    assert "an earlier row has the same user, but 'Kim' in column full name, where this one has 'Kimberly'" in first[2]
    assert second[0] == 5
    assert "'Kim' in column full name, where this one has nothing" in second[2]
    assert attributes(rig, "k1")["right"] == ["post", "read"]
    with pytest.raises(InvalidArguments, match=r"ledger\.csv, line 3, column user: .* 'Kimberly'"):
        rig.load("ledger.toml", strict=True)


def test_without_columns_that_carry_entitlements_rows_are_rejected(rig: Rig) -> None:
    mapping = LEDGER[: LEDGER.index("[memberships]")]
    rig.write(**{
        "ledger.toml": mapping,
        "ledger.csv": "user,full name,right\nk1,Kim,post\nk1,Kim,read\nk1,Kim,post\n",
    })  # fmt: skip
    rig.load("ledger.toml")
    assert [(line, column) for line, column, _ in reasons(rig)] == [(3, "user"), (4, "user")]
    assert "'post' in column right, where this one has 'read'" in reasons(rig)[0][2]
    assert reasons(rig)[1][2] == "an earlier row has the same user"


def test_columns_of_lists_and_of_attributes_may_differ_too(rig: Rig) -> None:
    rig.write(**{
        "ledger.toml": LEDGER.replace('"right" }', '"right", attribute = "kind" }')
        + '[accounts.lists]\nteam = ";"\n',
        "ledger.csv": "user,full name,right,kind,team\nk1,Kim,post,roles,a;b\nk1,Kim,read,groups,b;c\n",
    })  # fmt: skip
    assert rig.load("ledger.toml", strict=True).rejected == 0
    kim = attributes(rig, "k1")
    assert (kim["kind"], kim["team"], kim["right"]) == (["roles", "groups"], ["a", "b", "c"], ["post", "read"])
    assert held(rig) == [("k1", "post", "roles"), ("k1", "read", "groups")]


def test_rows_that_are_left_out_of_the_attributes_may_differ(rig: Rig) -> None:
    rig.write(**{
        "ledger.toml": LEDGER.replace('"ledger.csv"\n[acc', '"ledger.csv"\nattributes = ["right"]\n[acc'),
        "ledger.csv": "user,full name,right,since\nk1,Kim,post,2024\nk1,Kim,read,2025\n",
    })  # fmt: skip
    assert rig.load("ledger.toml", strict=True).rejected == 0
    assert attributes(rig, "k1") == {"right": ["post", "read"]}


def test_rows_of_one_account_in_many_sources(rig: Rig) -> None:
    rig.write(**{
        "ledger.toml": LEDGER.replace('name = "Ledger"', 'column = "app"'),
        "ledger.csv": "app,user,full name,right\nA,k1,Kim,x\nB,k1,Kim,x\nA,k1,Kim,y\nB,k1,Kim K,z\nC,m3,Max,\n",
    })  # fmt: skip
    rig.load("ledger.toml")
    assert [(line, column) for line, column, _ in reasons(rig)] == [(5, "user")]
    stored = [(row["sourceName"], dict(row["attributes"]).get("right")) for row in rig.rows("accounts")]
    assert stored == [("A", ["x", "y"]), ("B", ["x"]), ("C", None)]


def test_rows_of_a_parquet_file_are_one_account(rig: Rig) -> None:
    rig.write(**{"ledger.toml": LEDGER.replace(".csv", ".parquet")})
    rows = {"user": ["k1", "k1", "l2"], "full name": ["Kim", "Kim", "Lou"], "right": [["a", " b "], ["b", "c"], None]}
    pq.write_table(pa.table(rows), rig.data / "ledger.parquet")
    assert rig.load("ledger.toml", strict=True).rejected == 0
    assert attributes(rig, "k1")["right"] == ["a", "b", "c"]
    assert pairs(rig) == [("k1", "a"), ("k1", "b"), ("k1", "c")]


def test_identities_that_accounts_make_have_all_values(rig: Rig) -> None:
    rig.write(**{
        "ledger.toml": LEDGER.replace('"Ledger"', '"Ledger"\nauthoritative = true'),
        "ledger.csv": "user,full name,right\nk1,Kim,post\nl2,Lou,read\nk1,Kim,read\nk1,Kimberly,approve\n",
    })  # fmt: skip
    rig.load("ledger.toml")
    assert [line for line, _, _ in reasons(rig)] == [5]
    made = {row["name"]: dict(row["attributes"])["right"] for row in rig.rows("identities")}
    assert made == {"k1": ["post", "read"], "l2": ["read"]}
    assert attributes(rig, "k1")["right"] == ["post", "read"]


def test_many_rows_of_many_accounts_keep_their_order(rig: Rig) -> None:
    rows = [f"u{i % 50_000:05},Name {i % 50_000},r{i // 50_000}\n" for i in range(150_000)]
    rig.write(**{"ledger.toml": LEDGER, "ledger.csv": "user,full name,right\n" + "".join(rows)})
    assert rig.load("ledger.toml", strict=True).rejected == 0
    stored = rig.rows("accounts")
    assert [row["nativeIdentity"] for row in stored] == [f"u{i:05}" for i in range(50_000)]
    assert {tuple(dict(row["attributes"])["right"]) for row in stored} == {("r0", "r1", "r2")}


# --- several values in a cell


def test_a_cell_of_memberships_holds_several_values(rig: Rig) -> None:
    rig.write(**{
        "roles.toml": LEDGER.replace('file = "ledger.csv"\ncolumns', 'file = "roles.csv"\nlists = { right = ";" }\ncolumns'),
        "ledger.csv": "user,full name\nk1,Kim\nl2,Lou\n",
        "roles.csv": 'user,right\nk1," post ;; approve;post"\nl2,"[""a;b"", null, ""c""]"\nl2,\nk1, ; \n',
    })  # fmt: skip
    report = rig.load("roles.toml", strict=True)
    assert pairs(rig) == [("k1", "post"), ("k1", "approve"), ("l2", "a;b"), ("l2", "c")]
    assert report.warnings == ("roles.csv: 2 rows have no right, and so no entitlement.",)


def test_a_cell_holds_several_accounts_of_a_group(rig: Rig) -> None:
    rig.write(**{
        "groups.toml": ROLES + 'lists = { User = "," }\n',
        "roles.csv": 'Role,User\nadmin,"ann, bob"\naudit,bob\nempty," , "\n',
    })  # fmt: skip
    rig.load("groups.toml")
    assert pairs(rig) == [("ann", "admin"), ("bob", "admin"), ("bob", "audit")]
    assert reasons(rig) == [(4, "User", "no value")]


def test_unknown_values_of_a_cell_are_told_once(rig: Rig) -> None:
    rig.write(**{
        "roles.toml": LEDGER.replace('file = "ledger.csv"\ncolumns', 'file = "roles.csv"\nlists = { right = ";" }\ncolumns')
        + '[entitlements]\nfile = "rights.csv"\ncolumns = { value = "key" }\n',
        "ledger.csv": "user,full name\nk1,Kim\n",
        "rights.csv": "key\npost\n",
        "roles.csv": "user,right\nk1,post;fly;sing\nzz,post;fly\n,post\n",
    })  # fmt: skip
    rig.load("roles.toml")
    assert pairs(rig) == [("k1", "post")]
    assert reasons(rig) == [
        (4, "user", "no value"),
        (2, "right", "no entitlement 'fly', 'sing' on this source"),
        (3, "user", "no account 'zz' on this source"),
    ]


# --- entitlements in columns of accounts


def test_columns_of_accounts_are_entitlements(rig: Rig) -> None:
    rig.write(**{
        "people.toml": DIRECTORY,
        "people.csv": "login,memberOf\n"
        'kim,"CN=Ledger Post,OU=Groups,DC=acme;CN=Sales\\; East\\, North,OU=Groups,DC=acme"\n'
        'lou,"plain; CN=Ledger Post,OU=Groups,DC=acme"\nmax,\n',
    })  # fmt: skip
    report = rig.load("people.toml", strict=True)
    assert held(rig) == [
        ("kim", "Ledger Post", "memberOf"),
        ("kim", "Sales; East, North", "memberOf"),
        ("lou", "plain", "memberOf"),
        ("lou", "Ledger Post", "memberOf"),
    ]
    post = rig.rows("entitlements")[0]
    assert (post["value"], post["attribute"]) == ("CN=Ledger Post,OU=Groups,DC=acme", "memberOf")
    assert attributes(rig, "lou")["memberOf"] == ["plain", "CN=Ledger Post,OU=Groups,DC=acme"]
    assert report.rejected == 0


@pytest.mark.parametrize(("ignore", "found"), [("true", 2), ("false", 1)])
def test_values_in_accounts_find_entitlements_of_a_file(rig: Rig, ignore: str, found: int) -> None:
    rig.write(**{
        "people.toml": DIRECTORY
        + '[entitlements]\nfile = "groups.csv"\ncolumns = { value = "dn", name = "title" }\n'
        + f'[correlation]\naccount = "login"\nidentity = "name"\nignoreCase = {ignore}\n',
        "people.csv": "login,memberOf\nkim,\"CN=Post,OU=G\"\nlou,\"cn=post,ou=g\"\n",
        "groups.csv": "dn,title\n\"CN=Post,OU=G\",Posting\n",
    })  # fmt: skip
    rig.load("people.toml")
    assert held(rig) == [("kim", "Posting", "memberOf"), ("lou", "Posting", "memberOf")][:found]
    assert [row["name"] for row in rig.rows("entitlements")] == ["Posting"]
    assert [(line, column) for line, column, _ in reasons(rig)] == [(3, "memberOf")][: 2 - found]


def test_entitlements_of_accounts_and_of_memberships_unite(rig: Rig) -> None:
    rig.write(**{
        "people.toml": DIRECTORY
        + '[memberships]\nfile = "more.csv"\ncolumns = { account = "who", entitlement = "what", attribute = "by" }\n',
        "people.csv": "login,memberOf\nkim,a;b\n",
        "more.csv": "who,what,by\nkim,b,memberOf\nkim,c,memberOf\nkim,c,roles\n",
    })  # fmt: skip
    assert rig.load("people.toml", strict=True).rejected == 0
    assert sorted(held(rig)) == [
        ("kim", "a", "memberOf"), ("kim", "b", "memberOf"), ("kim", "c", "memberOf"), ("kim", "c", "roles"),
    ]  # fmt: skip


def test_rows_of_one_account_unite_the_entitlements_in_it(rig: Rig) -> None:
    mapping = DIRECTORY.replace('["memberOf"]', '["memberOf", "role"]')
    rig.write(**{
        "people.toml": mapping,
        "people.csv": 'login,memberOf,role\nkim,a;b,clerk\nlou,a,\nkim,b;c,"[""boss"", ""clerk""]"\n',
    })  # fmt: skip
    assert rig.load("people.toml", strict=True).rejected == 0
    assert attributes(rig, "kim") == {"login": ["kim"], "memberOf": ["a", "b", "c"], "role": ["clerk", "boss"]}
    assert {(right, by) for who, right, by in held(rig) if who == "kim"} == {
        ("a", "memberOf"), ("b", "memberOf"), ("c", "memberOf"), ("clerk", "role"), ("boss", "role"),
    }  # fmt: skip


def test_list_columns_of_parquet_are_entitlements_in_many_sources(rig: Rig) -> None:
    rig.write(**{
        "people.toml": DIRECTORY.replace('name = "Directory"', 'column = "site"').replace("people.csv", "people.parquet")
    })  # fmt: skip
    rows = {"site": ["A", "B", "B"], "login": ["kim", "kim", "lou"], "memberOf": [["x;y", "z"], ["x"], []]}
    pq.write_table(pa.table(rows), rig.data / "people.parquet")
    assert rig.load("people.toml", strict=True).rejected == 0
    assert sorted(pairs(rig)) == [("kim", "x"), ("kim", "x;y"), ("kim", "z")]
    names = {row["id"]: row["name"] for row in rig.rows("sources")}
    assert sorted((names[row["sourceId"]], row["value"]) for row in rig.rows("account_entitlements")) == [
        ("A", "x;y"), ("A", "z"), ("B", "x"),
    ]  # fmt: skip


def test_accounts_that_lost_all_entitlements_hold_none(rig: Rig) -> None:
    rig.write(**{"people.toml": DIRECTORY, "people.csv": "login,memberOf\nkim,a\n"})
    rig.load("people.toml")
    rig.write(**{"people.csv": "login,memberOf\nkim,\n"})
    rig.load("people.toml")
    assert rig.rows("account_entitlements") == []


# --- memberships alone


def test_memberships_alone_make_the_accounts(rig: Rig) -> None:
    rig.write(**{"roles.toml": ROLES, "roles.csv": "User,Role\nann,admin\nann,audit\nbob,\nann,admin\n"})
    report = rig.load("roles.toml")
    assert [(row["nativeIdentity"], row["name"], row["correlated"]) for row in rig.rows("accounts")] == [
        ("ann", "ann", False), ("bob", "bob", False),
    ]  # fmt: skip
    assert pairs(rig) == [("ann", "admin"), ("ann", "audit")]
    assert "2 accounts and 2 entitlements were made from roles.csv, for no file of accounts describes the source." in (
        report.warnings
    )
    assert rig.rows("sources")[0]["loaded"] is not None


def test_accounts_of_memberships_correlate_and_keep_attributes(rig: Rig) -> None:
    people = "id,name,email\n1,ann,ann@example.com\n2,bob,bob@example.com\n"
    rig.write(**{
        "identities.csv": people,
        "roles.toml": ROLES + 'attributes = ["Team"]\n'
        + '[correlation]\naccount = "Mail"\nidentity = "email"\nignoreCase = true\n',
        "roles.csv": "User,Role,Mail,Team,Since\na1,admin,ANN@example.com,x,1\na1,audit,ANN@example.com,y,2\nb2,admin,nobody@example.com,x,3\n",
    })  # fmt: skip
    rig.load(".", strict=True)
    assert [(row["nativeIdentity"], row["identityId"]) for row in rig.rows("accounts")] == [("a1", "1"), ("b2", None)]
    assert attributes(rig, "a1") == {"Mail": ["ANN@example.com"], "Team": ["x", "y"]}
    assert rig.rows("sources")[0]["accountAttributes"] == ["Mail", "Team"]
    rig.clear()
    rig.write(**{"identities.csv": people + "3,nob,NOBODY@example.com\n"})
    rig.load(".")
    assert [(row["nativeIdentity"], row["identityId"]) for row in rig.rows("accounts")] == [("a1", "1"), ("b2", "3")]


def test_a_second_load_replaces_accounts_of_memberships(rig: Rig) -> None:
    rig.write(**{"roles.toml": ROLES, "roles.csv": "User,Role\nann,admin\nbob,admin\n"})
    rig.load("roles.toml")
    rig.write(**{"roles.csv": "User,Role\nbob,audit\ncid,audit\n"})
    assert rig.load("roles.toml").rejected == 0
    assert pairs(rig) == [("bob", "audit"), ("cid", "audit")]
    assert [row["nativeIdentity"] for row in rig.rows("accounts")] == ["bob", "cid"]


def test_a_file_of_accounts_takes_over_from_memberships(rig: Rig) -> None:
    rig.write(**{"roles.toml": ROLES, "roles.csv": "User,Role\nann,admin\nbob,admin\n"})
    rig.load("roles.toml")
    rig.write(**{
        "users.toml": '[source]\nname = "Shop"\n[accounts]\nfile = "users.csv"\ncolumns = { nativeIdentity = "User" }\n',
        "users.csv": "User,Full\nann,Ann A\n",
    })  # fmt: skip
    rig.load("users.toml")
    rig.load("roles.toml")
    assert [row["nativeIdentity"] for row in rig.rows("accounts")] == ["ann"]
    assert attributes(rig, "ann")["Full"] == ["Ann A"]
    assert pairs(rig) == [("ann", "admin")]
    assert reasons(rig) == [(3, "User", "no account 'bob' on this source")]


def test_a_file_of_accounts_in_the_same_load_comes_first(rig: Rig) -> None:
    rig.write(**{
        "roles.toml": ROLES, "roles.csv": "User,Role\nann,admin\nbob,admin\n",
        "users.toml": '[source]\nname = "Shop"\n[accounts]\nfile = "users.csv"\ncolumns = { nativeIdentity = "User" }\n',
        "users.csv": "User\nann\n",
    })  # fmt: skip
    rig.load(".")
    assert [row["nativeIdentity"] for row in rig.rows("accounts")] == ["ann"]
    assert reasons(rig) == [(3, "User", "no account 'bob' on this source")]


def test_memberships_of_many_sources_make_accounts_where_none_are(rig: Rig) -> None:
    rig.write(**{
        "roles.toml": ROLES.replace('name = "Shop"', 'column = "App"'),
        "roles.csv": "App,User,Role\nA,ann,r\nB,ann,r\nA,bob,s\n",
        "users.toml": '[source]\nname = "A"\n[accounts]\nfile = "users.csv"\ncolumns = { nativeIdentity = "User" }\n',
        "users.csv": "User\nann\n",
    })  # fmt: skip
    rig.load(".")
    assert [(row["sourceName"], row["nativeIdentity"]) for row in rig.rows("accounts")] == [("A", "ann"), ("B", "ann")]
    assert reasons(rig) == [(4, "User", "no account 'bob' on this source")]


def test_an_authoritative_source_needs_a_file_of_accounts(rig: Rig) -> None:
    rig.write(**{
        "roles.toml": ROLES.replace('"Shop"', '"Shop"\nauthoritative = true'), "roles.csv": "User,Role\nann,admin\n",
    })  # fmt: skip
    with pytest.raises(InvalidArguments, match="no file of accounts describes it"):
        rig.load("roles.toml")


def test_accounts_nested_in_identities_are_not_replaced(rig: Rig) -> None:
    nested = '{"id":"1","name":"ann","accounts":[{"id":"x","accountId":"ann","source":{"id":"s","name":"Shop"}}]}\n'
    rig.write(**{"identities.ndjson": nested})
    rig.load("identities.ndjson")
    rig.write(**{"roles.toml": ROLES, "roles.csv": "User,Role\nann,admin\nbob,admin\n"})
    rig.load("roles.toml")
    assert [row["id"] for row in rig.rows("accounts")] == ["x"]
    assert pairs(rig) == [("ann", "admin")]
    assert [line for line, _, _ in reasons(rig)] == [3]


# --- mappings that are wrong


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        (ROLES + 'lists = { Rolle = ";" }\n', "memberships.lists names 'Rolle': .* here 'User' and 'Role'"),
        (LEDGER + 'attributes = ["x"]\n', "name these columns in accounts.attributes"),
        (LEDGER.replace("[accounts.columns]", 'entitlements = "right"\n[accounts.columns]'), "no list of column names"),
        (LEDGER.replace("[accounts.columns]", 'entitlements = ["user"]\n[accounts.columns]'), "is the nativeIdentity"),
        (LEDGER.replace("[accounts.columns]", 'entitlements = ["rihgt"]\n[accounts.columns]'), "did you mean 'right'"),
        (ROLES + 'entitlements = ["Role"]\n', "memberships.entitlements is not known"),
        (ROLES + '[correlation]\naccount = "Mail"\nidentity = "email"\n', "correlation.account names the column 'Mail'"),
    ],
)  # fmt: skip
def test_a_wrong_mapping_says_what_to_do(rig: Rig, mapping: str, message: str) -> None:
    rig.write(**{
        "wrong.toml": mapping,
        "ledger.csv": "user,full name,right\nk1,Kim,post\n", "roles.csv": "User,Role\nann,admin\n",
    })  # fmt: skip
    with pytest.raises(InvalidArguments, match=message):
        rig.load("wrong.toml")


def test_a_list_column_of_parquet_needs_no_separator(rig: Rig) -> None:
    rig.write(**{"roles.toml": ROLES.replace(".csv", ".parquet") + 'lists = { Role = ";" }\n'})
    data: dict[str, Any] = {"User": ["ann", "bob"], "Role": [["a;b", "c"], ["c"]]}
    pq.write_table(pa.table(data), rig.data / "roles.parquet")
    rig.load("roles.toml", strict=True)
    assert pairs(rig) == [("ann", "a;b"), ("ann", "c"), ("bob", "c")]

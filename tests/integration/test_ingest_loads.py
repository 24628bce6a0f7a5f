"""What a load makes of good files."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from intake import BADGES, Rig
from whohas.errors import InvalidArguments
from whohas.warehouse.schema import EVENTS

EXAMPLES = "contract/search-document-examples.json"


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def lines(*documents: dict[str, Any]) -> str:
    return "".join(json.dumps(document) + "\n" for document in documents)


PEOPLE = lines(
    {"id": "p1", "name": "ann", "email": "Ann@example.com", "source": {"id": "hr", "name": "HR"}},
    {"id": "p2", "name": "bob", "email": "bob@example.com", "source": {"id": "hr", "name": "HR"}},
)
RULE = '[correlation]\naccount = "Mail"\nidentity = "email"\nignoreCase = true\n'


def test_our_own_column_names_need_no_mapping(rig: Rig) -> None:
    rig.write(
        **{
            "accounts.csv": "id,nativeIdentity,name,sourceId,sourceName,identityId,disabled,created,department,attributes.city\n"
            "a1,CN=1,Ann,s1,AD,p1,Yes,2024-01-02T03:04:05+02:00,Sales,Rome\n"
        }
    )
    rig.load(".")
    (row,) = rig.rows("accounts")
    assert (row["id"], row["nativeIdentity"], row["sourceId"], row["sourceName"]) == ("a1", "CN=1", "s1", "AD")
    assert (row["correlated"], row["identityId"], row["disabled"]) == (True, "p1", True)
    assert row["created"] == datetime(2024, 1, 2, 1, 4, 5, tzinfo=UTC)
    assert row["attributes"] == [("city", ["Rome"]), ("department", ["Sales"])]
    (source,) = rig.rows("sources")
    assert (source["id"], source["accountAttributes"], source["loadId"]) == (
        "s1",
        ["city", "department"],
        rig.report.load_id,
    )


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2024-01-02T03:04:05Z", datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2024-01-02T03:04:05.678Z", datetime(2024, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)),
        ("2024-01-02t03:04:05z", datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2024-01-02T03:04:05+0530", datetime(2024, 1, 1, 21, 34, 5, tzinfo=UTC)),
        ("2024-01-02", datetime(2024, 1, 2, tzinfo=UTC)),
        ("2024-01-02 03:04", datetime(2024, 1, 2, 3, 4, tzinfo=UTC)),
        ("2024-01-02 03:04:05", datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("1704164645678", datetime(2024, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)),
    ],
)
def test_times_are_read_as_people_write_them(rig: Rig, text: str, time: datetime) -> None:
    rig.write(**{"accounts.csv": f"sourceName,nativeIdentity,created\nAD,1,{text}\n"})
    rig.load(".")
    assert rig.rows("accounts")[0]["created"] == time


@pytest.mark.parametrize(
    "text", ["20240102", "2024-13-01", "2024-02-30", "infinity", "1704164645", "2024-01-02 10:00 Europe/Rome"]
)
def test_what_could_be_misread_is_no_time(rig: Rig, text: str) -> None:
    rig.write(**{"accounts.csv": f"sourceName,nativeIdentity,created\nAD,1,{text}\n"})
    assert rig.load(".").emptied == 1
    assert rig.account("1")["created"] is None


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("T", True), (" yes", True), ("1", True), ("N", False), ("0", False)]
)
def test_booleans_are_read_as_people_write_them(rig: Rig, text: str, value: bool) -> None:
    rig.write(**{"accounts.csv": f"sourceName,nativeIdentity,locked\nAD,1,{text}\n"})
    rig.load(".")
    assert rig.rows("accounts")[0]["locked"] is value


SLOW_OR_SHARED = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]


@given(
    st.lists(
        st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), min_size=3, max_size=3), max_size=12
    )
)
@settings(max_examples=25, deadline=None, suppress_health_check=SLOW_OR_SHARED)
def test_an_attribute_keeps_any_text_of_its_cell(tmp_path_factory: Any, cells: list[list[str]]) -> None:
    rig = Rig(tmp_path_factory.mktemp("text"))
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(["sourceName", "nativeIdentity", "a", "b", "c"])
    for number, row in enumerate(cells):
        writer.writerow(["AD", str(number), *row])
    rig.write(**{"accounts.csv": out.getvalue()})
    rig.load(".")
    assert rig.report.rejected == 0
    excel = re.compile(r'="((?:[^"]|"")*)"')  # how Excel keeps a text from being read as a number
    within = [
        [found[1].replace('""', '"') if (found := excel.fullmatch(text)) else text for text in row] for row in cells
    ]
    wanted = [[(name, [text]) for name, text in zip("abc", row, strict=True) if text] for row in within]
    assert [row["attributes"] for row in rig.rows("accounts")] == wanted


def test_documents_of_the_public_api_load_as_they_are(rig: Rig) -> None:
    rig.write(**{
        "sources.json": json.dumps([
            {"id": "s1", "name": "AD", "type": "Active Directory - Direct", "owner": {"id": "o", "name": "Own"},
             "features": ["A", "B"], "authoritative": False, "healthy": True},
        ]),
        "accounts.ndjson": lines(
            {"id": "a", "nativeIdentity": "CN=a", "name": "a", "sourceId": "s1", "sourceName": "AD", "identityId": "",
             "uncorrelated": True, "attributes": {"memberOf": ["x", "y"], "n": 3, "on": True, "o": {"k": [1]}, "e": "", "z": None,
                                                  "q": "say \"hi\"\nthere"}},
            {"id": "b", "nativeIdentity": "CN=b", "sourceId": "s1", "identityId": "p", "uncorrelated": False,
             "identity": {"id": "p", "name": "Pat"}},
            {"id": "c", "nativeIdentity": "CN=c", "sourceId": "s1", "identityId": "shadow", "uncorrelated": True},
        ),
    })  # fmt: skip
    rig.load(".")
    a, b, c = rig.rows("accounts")
    assert dict(a["attributes"]) == {
        "memberOf": ["x", "y"], "n": ["3"], "on": ["true"], "o": ['{"k":[1]}'], "q": ['say "hi"\nthere'],
        "e": [""],
    }  # fmt: skip
    assert (a["correlated"], a["identityId"], a["sourceType"]) == (False, None, "Active Directory - Direct")
    assert (b["correlated"], b["identityId"], b["identityName"], b["sourceName"]) == (True, "p", "Pat", "AD")
    assert (c["correlated"], c["identityId"]) == (False, None)
    (source,) = rig.rows("sources")
    assert (source["ownerName"], source["features"], source["healthy"]) == ("Own", ["A", "B"], True)
    assert source["accountAttributes"] == ["memberOf", "n", "o", "on", "q"]


def test_the_published_examples_of_search_documents_load(rig: Rig, shared: Path) -> None:
    examples = json.loads((shared / EXAMPLES).read_text())
    names = {"identities": "identities", "accessProfiles": "access-profiles", "roles": "roles", "events": "events",
             "entitlements": "Entitlements", "accountActivities": "accountActivities"}  # fmt: skip
    rig.write(**{f"{file}.json": json.dumps(examples[key], indent=1) for key, file in names.items()})
    report = rig.load(".")
    assert report.rejected == 0, report.rejections
    (identity,) = rig.rows("identities")
    assert (identity["managerName"], identity["lifecycleState"], identity["tags"]) == (
        "Mia Garcia",
        "active",
        ["TAG_1", "TAG_2"],
    )
    nested = examples["identities"][0]
    assert len(rig.rows("accounts")) == len(nested["accounts"])
    assert len(rig.rows("identity_access")) == len(nested["access"])
    assert len(rig.rows("identity_apps")) == len(nested["apps"])
    directory = next(row for row in rig.rows("accounts") if row["sourceName"] == "Active Directory")
    assert (directory["identityId"], directory["correlated"]) == (identity["id"], True)
    assert (
        dict(directory["entitlementAttributes"])["memberOf"]
        == nested["accounts"][1]["entitlementAttributes"]["memberOf"]
    )
    held = {(row["accountId"], row["value"]) for row in rig.rows("account_entitlements")}
    wanted = {(directory["id"], item["value"]) for item in nested["access"] if item["type"] == "ENTITLEMENT"}
    assert held == wanted
    assert rig.rows("access_profiles")[0]["entitlements"][0]["hasPermissions"] is False
    assert rig.rows("events")[0]["month"] == rig.rows("events")[0]["created"].strftime("%Y-%m")
    assert rig.rows("roles")[0]["ownerEmail"]
    assert rig.rows("account_activities")[0]["approvals"]


def test_what_an_identity_owns_is_kept(rig: Rig) -> None:
    owns = [{"sources": [{"id": "s", "name": "S"}], "roles": [{"id": "r", "name": "R"}], "fallbackApprover": True}]
    rig.write(**{"identities.json": json.dumps({"id": "p", "name": "p", "owns": owns})})
    rig.load(".")
    owned = [("s", "S", "SOURCE"), ("r", "R", "ROLE")]
    assert [(o["id"], o["name"], o["type"]) for o in rig.rows("identities")[0]["owned"]] == owned


def test_an_object_around_one_array_is_the_array(rig: Rig) -> None:
    rig.write(
        **{
            "accounts.json": json.dumps(
                {"total": 2, "items": [{"nativeIdentity": n, "sourceName": "AD"} for n in "ab"]}
            )
        }
    )
    rig.load(".")
    assert len(rig.rows("accounts")) == 2


def test_a_file_of_accounts_wins_and_nested_ones_fill_gaps(rig: Rig) -> None:
    nested = [
        {"id": "a", "accountId": "1", "name": "nested", "source": {"id": "s", "name": "AD"}, "privileged": True,
         "passwordLastSet": "2024-01-01T00:00:00Z", "entitlementAttributes": {"memberOf": ["g"]}},
        {"id": "x", "accountId": "9", "name": "only nested", "source": {"id": "t", "name": "HR"}},
    ]  # fmt: skip
    rig.write(
        **{
            "identities.ndjson": lines({"id": "p", "name": "pat", "accounts": nested}),
            "accounts.csv": "id,sourceId,sourceName,nativeIdentity,name\na,s,AD,1,filed\nb,s,AD,2,lone\n",
        }
    )
    rig.load(".")
    a, b, x = rig.rows("accounts")
    assert (a["name"], a["privileged"], a["entitlementAttributes"]) == ("filed", True, [("memberOf", ["g"])])
    assert (b["name"], b["privileged"], x["name"], x["identityId"]) == ("lone", None, "only nested", "p")
    rig.clear()
    rig.write(**{"identities.ndjson": lines({"id": "p", "name": "pat", "accounts": nested})})
    report = rig.load(".")
    assert [row["name"] for row in rig.rows("accounts")] == ["filed", "lone", "only nested"]
    assert "nested in identities was left out" in " ".join(report.warnings)


def test_what_identities_hold_is_held_by_their_accounts(rig: Rig) -> None:
    ad = {"id": "s", "name": "AD"}
    access = [{"id": f"e{v}", "type": "ENTITLEMENT", "source": ad, "attribute": "groups", "value": v} for v in "xy"]
    rig.write(**{
        "identities.ndjson": lines({"id": "p", "access": access}, {"id": "q", "access": access[:1]}),
        "accounts.ndjson": lines(
            {"id": "a", "nativeIdentity": "a", "source": ad, "identityId": "p", "attributes": {"groups": ["x"]}},
            {"id": "b", "nativeIdentity": "b", "source": ad, "identityId": "p", "attributes": {"groups": ["x", "y"]}},
            {"id": "c", "nativeIdentity": "c", "source": ad, "identityId": "q"},
        ),
    })  # fmt: skip
    rig.load(".")
    held = {(row["accountId"], row["entitlementId"]) for row in rig.rows("account_entitlements")}
    assert held == {("a", "ex"), ("b", "ex"), ("b", "ey"), ("c", "ex")}


def test_a_mapping_loads_and_correlates_anybodys_csv(rig: Rig) -> None:
    rig.write(
        **{
            "identities.ndjson": PEOPLE,
            "badges.toml": BADGES + '[accounts.lists]\n"Doors" = ";"\n' + RULE,
            "badges.csv": "No,Name,Mail,Doors\n7,Ann,ANN@example.com,a;b;;c\n8,Zed,zed@example.com,\n",
        }
    )
    rig.load(".")
    ann, zed = rig.rows("accounts")
    assert (ann["identityId"], ann["correlated"], zed["correlated"]) == ("p1", True, False)
    assert dict(ann["attributes"]) == {
        "No": ["7"],
        "Name": ["Ann"],
        "Mail": ["ANN@example.com"],
        "Doors": ["a", "b", "c"],
    }
    badges = next(row for row in rig.rows("sources") if row["name"] == "Badges")
    assert badges["accountAttributes"] == ["Doors", "Mail", "Name", "No"]
    assert json.loads(badges["correlation"]) == {"account": "attributes.Mail", "identity": "email", "ignoreCase": True}


def test_ids_are_stable_from_load_to_load(rig: Rig) -> None:
    rig.write(**{"badges.toml": BADGES, "badges.csv": "No,Name\n7,Ann\n"})
    rig.load(".")
    first = rig.rows("accounts")[0]
    rig.write(**{"badges.csv": "No,Name\n6,Bea\n7,Ann\n"})
    rig.load(".")
    assert rig.account("7")["id"] == first["id"]
    assert rig.account("7")["sourceId"] == first["sourceId"]


def test_later_identities_correlate_accounts_of_earlier_loads_again(rig: Rig) -> None:
    rig.write(**{"badges.toml": BADGES + RULE, "badges.csv": "No,Name,Mail\n7,Ann,ann@EXAMPLE.com\n"})
    rig.load(".")
    assert rig.account("7")["correlated"] is False
    rig.clear()
    rig.write(**{"identities.ndjson": PEOPLE})
    rig.load(".")
    assert rig.account("7")["identityId"] == "p1"
    rig.write(**{"identities.ndjson": PEOPLE.replace("Ann@", "Anna@")})
    rig.load(".")
    assert (rig.account("7")["identityId"], rig.account("7")["correlated"]) == (None, False)
    assert rig.rows("accounts", 2)[0]["identityId"] == "p1"


def test_an_ambiguous_value_correlates_nobody_and_is_told(rig: Rig) -> None:
    rig.write(**{
        "identities.ndjson": PEOPLE.replace("bob@", "ANN@"),
        "badges.toml": BADGES + RULE, "badges.csv": "No,Name,Mail\n7,Ann,ann@example.com\n",
    })  # fmt: skip
    report = rig.load(".")
    assert rig.account("7")["correlated"] is False
    assert "1 account stays uncorrelated" in " ".join(report.warnings)


def test_accounts_of_an_authoritative_mapping_make_identities(rig: Rig) -> None:
    rig.write(**{
        "hr.toml": '[source]\nname = "HR"\nauthoritative = true\n[accounts]\nfile = "hr.csv"\n'
        '[accounts.columns]\nnativeIdentity = "Nr"\nname = "Who"\n[identities.columns]\nemail = "Mail"\ncreated = "Since"\n',
        "hr.csv": "Nr,Who,Mail,Since\n1,Ann,ann@example.com,2020-01-01\n2,Bob,b@example.com,someday\n1,Twice,,\n",
        "badges.toml": BADGES + RULE, "badges.csv": "No,Name,Mail\n7,Ann,ANN@example.com\n",
    })  # fmt: skip
    report = rig.load(".")
    identity, bob = rig.rows("identities")
    assert (identity["name"], identity["displayName"], identity["email"], identity["sourceName"]) == (
        "1", "Ann", "ann@example.com", "HR",
    )  # fmt: skip
    assert (bob["name"], bob["created"]) == ("2", None)
    assert dict(identity["attributes"])["Since"] == ["2020-01-01"]
    hr = rig.account("1")
    assert (hr["identityId"], hr["authoritative"], rig.account("7")["identityId"]) == (
        identity["id"],
        True,
        identity["id"],
    )
    assert [(r.line, r.column) for r in report.rejections] == [(4, "Nr")]
    assert [(r.line, r.column) for r in report.emptied_cells] == [(3, "Since")]


def test_memberships_find_accounts_and_entitlements_by_name(rig: Rig) -> None:
    rig.write(
        **{
            "badges.toml": BADGES
            + RULE
            + '[memberships]\nfile = "doors.csv"\ncolumns = { account = "Who", entitlement = "Door" }\n',
            "badges.csv": "No,Name,Mail\nA7,Ann,x\nb8,Bob,y\n",
            "doors.csv": "Who,Door\na7,North\nA7,South\nB8,North\nC9,North\nA7,South\n",
        }
    )
    report = rig.load(".")
    names = {row["id"]: row["nativeIdentity"] for row in rig.rows("accounts")}
    doors = {row["id"]: row["value"] for row in rig.rows("entitlements")}
    held = [(names[row["accountId"]], doors[row["entitlementId"]]) for row in rig.rows("account_entitlements")]
    assert held == [("A7", "North"), ("A7", "South"), ("b8", "North")]
    assert [(r.line, r.column) for r in report.rejections] == [(5, "Who")]
    repeated = "doors.csv: 1 row names an account and an entitlement that an earlier row names too"
    assert any(repeated in warning for warning in report.warnings)


def test_a_load_replaces_only_the_sources_that_it_names(rig: Rig) -> None:
    rig.write(**{"accounts.csv": "sourceName,nativeIdentity\nAD,1\nAD,2\nLDAP,3\n"})
    rig.load(".")
    rig.write(**{"accounts.csv": "sourceName,nativeIdentity\nAD,9\n"})
    report = rig.load(".")
    assert [row["nativeIdentity"] for row in rig.rows("accounts")] == ["9", "3"]
    assert [row["nativeIdentity"] for row in rig.rows("accounts", 1)] == ["1", "2", "3"]
    assert [(s.name, s.before, s.after) for s in report.sources] == [("AD", 2, 1)]


def test_events_merge_by_id_into_the_months_concerned(rig: Rig) -> None:
    rig.write(**{"events.ndjson": lines(
        {"id": "1", "created": "2024-01-05T00:00:00Z", "name": "old"}, {"id": "2", "created": "2024-02-05T00:00:00Z"},
        {"id": "3", "created": "2024-02-06T00:00:00Z"},
    )})  # fmt: skip
    rig.load(".")
    before = {file.path for file in rig.warehouse.snapshot().files(EVENTS)}
    rig.write(**{"events.ndjson": lines(
        {"id": "1", "created": "2024-01-05T00:00:00Z", "name": "new"}, {"id": "4", "created": "2024-02-07T00:00:00Z"},
    )})  # fmt: skip
    rig.load(".")
    assert sorted((row["id"], row["name"], row["month"]) for row in rig.rows("events")) == [
        ("1", "new", "2024-01"), ("2", None, "2024-02"), ("3", None, "2024-02"), ("4", None, "2024-02"),
    ]  # fmt: skip
    after = {file.path for file in rig.warehouse.snapshot().files(EVENTS)}
    assert len(before & after) == 1


def test_roles_are_replaced_whole(rig: Rig) -> None:
    rig.write(**{"roles.csv": "id,name,tags\n1,a,x;y\n2,b,\n"})
    rig.load(".")
    assert rig.rows("roles")[0]["tags"] == ["x", "y"]
    rig.write(**{"roles.csv": "id,name\n3,c\n"})
    rig.load(".")
    assert [row["id"] for row in rig.rows("roles")] == ["3"]


def test_a_source_that_is_named_keeps_its_id_and_description(rig: Rig) -> None:
    rig.write(**{"sources.csv": "id,name,description\nmine,AD,The directory\n"})
    rig.load(".")
    rig.clear()
    rig.write(**{"accounts.csv": "sourceName,nativeIdentity\nAD,1\n"})
    rig.load(".")
    (source,) = rig.rows("sources")
    assert (source["id"], source["description"], rig.rows("accounts")[0]["sourceId"]) == (
        "mine",
        "The directory",
        "mine",
    )


def test_the_same_name_under_another_id_is_refused_later_too(rig: Rig) -> None:
    rig.write(**{"accounts.csv": "sourceId,sourceName,nativeIdentity\n1,AD,a\n"})
    rig.load(".")
    rig.write(**{"accounts.csv": "sourceId,sourceName,nativeIdentity\n2,AD,a\n"})
    with pytest.raises(InvalidArguments, match="two ids"):
        rig.load(".")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_byte_order_marks_are_understood(rig: Rig, encoding: str) -> None:
    (rig.data / "accounts.csv").write_bytes("sourceName,nativeIdentity,name\nAD,1,Zoë\n".encode(encoding))
    rig.load(".")
    assert rig.rows("accounts")[0]["name"] == "Zoë"


def test_a_mapping_can_name_encoding_and_delimiter(rig: Rig) -> None:
    rig.write(**{"badges.toml": BADGES + '[csv]\ndelimiter = ";"\nencoding = "cp1252"\n'})
    (rig.data / "badges.csv").write_bytes("No;Name\n1;Zoë, €\n".encode("cp1252"))
    rig.load(".")
    assert rig.rows("accounts")[0]["name"] == "Zoë, €"


def test_files_may_be_packed_and_end_lines_as_windows_does(rig: Rig) -> None:
    (rig.data / "accounts.csv.gz").write_bytes(gzip.compress(b"sourceName;nativeIdentity;x\r\nAD;1;y\r\n"))
    (rig.data / "roles.jsonl.gz").write_bytes(gzip.compress(b'{"id": "1", "name": "r"}\r\n'))
    rig.load(".")
    assert rig.rows("accounts")[0]["attributes"] == [("x", ["y"])]
    assert rig.rows("roles")[0]["name"] == "r"


def test_parquet_columns_keep_what_they_mean(rig: Rig) -> None:
    table = pa.table({
        "sourceName": ["AD"], "nativeIdentity": ["1"], "disabled": [True], "created": [datetime(2024, 1, 2, tzinfo=UTC)],
        "groups": [["a", "b;c"]], "size": [7], "deep": [{"k": 1}],
    })  # fmt: skip
    pq.write_table(table, rig.data / "accounts.parquet")
    rig.load(".")
    (row,) = rig.rows("accounts")
    assert (row["disabled"], row["created"]) == (True, datetime(2024, 1, 2, tzinfo=UTC))
    assert dict(row["attributes"]) == {"groups": ["a", "b;c"], "size": ["7"], "deep": ['{"k":1}']}


def test_a_mapped_parquet_file_loads(rig: Rig) -> None:
    pq.write_table(
        pa.table({"No": [1, 2], "Name": ["Ann", None], "Doors": [["a", "b"], []]}), rig.data / "badges.parquet"
    )
    rig.write(**{"badges.toml": BADGES.replace("badges.csv", "badges.parquet")})
    rig.load(".")
    assert [dict(row["attributes"]) for row in rig.rows("accounts")] == [
        {"No": ["1"], "Name": ["Ann"], "Doors": ["a", "b"]}, {"No": ["2"]},
    ]  # fmt: skip


def test_identities_in_parquet_with_nested_accounts_fan_out(rig: Rig) -> None:
    account = {"id": "a", "accountId": "1", "source": {"id": "s", "name": "AD"}}
    pq.write_table(
        pa.Table.from_pylist([{"id": "p", "name": "pat", "accounts": [account]}]), rig.data / "identities.parquet"
    )
    rig.load(".")
    assert rig.rows("accounts")[0]["identityId"] == "p"


def test_many_sources_keep_the_order_of_the_file(rig: Rig) -> None:
    rows = "".join(f"S{i % 700:03},{i}\n" for i in range(7000))
    rig.write(**{"accounts.csv": "sourceName,nativeIdentity\n" + rows})
    report = rig.load(".")
    assert len(report.sources) == 700
    stored = [(row["sourceName"], int(row["nativeIdentity"])) for row in rig.rows("accounts")]
    assert stored == sorted(stored) and len(stored) == 7000


def test_progress_is_told(rig: Rig) -> None:
    rig.write(**{"accounts.csv": "sourceName,nativeIdentity\nAD,1\n"})
    seen: list[Any] = []
    rig.load(".", on_progress=seen.append)
    assert [at.phase for at in seen] == ["reading", "settling", "publishing"]
    assert seen[-1].rows == 1 and seen[-1].bytes_done == seen[-1].bytes_total


def test_other_files_in_a_folder_are_ignored(rig: Rig) -> None:
    rig.write(**{"README.md": "x", "people.xlsx": "x", "accounts.csv": "sourceName,nativeIdentity\nAD,1\n"})
    (warning,) = rig.load(".").warnings
    assert "people.xlsx was passed over" in warning

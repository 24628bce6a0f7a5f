"""What a mapping says of how cells are written."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from intake import Rig
from whohas.errors import InvalidArguments
from whohas.ingest.mapping import SourceMapping, read_mapping


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def mapping(columns: str, values: str = "", more: str = "") -> str:
    return (
        f'[source]\nname = "S"\n{more}\n[values]\n{values}\n[accounts]\nfile = "a.csv"\n'
        f'[accounts.columns]\nnativeIdentity = "id"\n{columns}\n'
    )


def written(rig: Rig, columns: str, values: str = "") -> SourceMapping:
    rig.write(**{"a.csv": "id\n", "map.toml": mapping(columns, values)})
    return read_mapping(rig.data / "map.toml")


def test_keys_of_values_and_columns_shape_what_is_loaded(rig: Rig) -> None:
    rig.write(**{
        "a.csv": "id,made,Enabled,State,set,note\n"
        "1,31.01.2024 12:00,ja,L,133486410000000000,n/a\n"
        "2,2024-07-01,NEIN,a,0,x\n"
        "3,n/a,true,n/a,9223372036854775807,NULL\n",
        "map.toml": mapping(
            'created = "made"\npasswordLastSet = { column = "set", times = ["filetime"] }\n'
            'disabled = { column = "Enabled", not = true }\nlocked = { column = "State", true = ["L"], false = ["A"] }',
            'times = ["%d.%m.%Y %R"]\nzone = "Europe/Berlin"\ntrue = ["ja"]\nfalse = ["nein"]\nempty = ["n/a", "NULL"]',
        ),
    })  # fmt: skip
    report = rig.load("map.toml")
    assert (report.rejected, report.emptied, report.warnings) == (0, 0, ())
    one, two, three = rig.rows("accounts")
    assert [row["created"] for row in (one, two, three)] == [
        datetime(2024, 1, 31, 11, tzinfo=UTC), datetime(2024, 6, 30, 22, tzinfo=UTC), None,
    ]  # fmt: skip
    assert [row["disabled"] for row in (one, two, three)] == [False, True, False]
    assert [row["locked"] for row in (one, two, three)] == [True, False, None]
    assert [row["passwordLastSet"] for row in (one, two, three)] == [
        datetime(2024, 1, 2, 3, 50, tzinfo=UTC),
        None,
        None,
    ]
    assert [dict(row["attributes"]).get("note") for row in (one, two, three)] == [None, ["x"], None]


@pytest.mark.parametrize(
    ("text", "disabled"),
    [
        ("514", True),
        ("512", False),
        ("0x202", True),
        ("0X200", False),
        ("66050", True),
        (" 514 ", True),
        ("-2147483646", True),
    ],
)
def test_a_flag_is_a_bit_of_an_integer(rig: Rig, text: str, disabled: bool) -> None:
    column = 'disabled = { column = "userAccountControl", flag = 2 }'
    rig.write(**{"a.csv": f"id,userAccountControl\n1,{text}\n", "map.toml": mapping(column)})
    rig.load("map.toml")
    assert rig.rows("accounts")[0]["disabled"] is disabled


@pytest.mark.parametrize("text", ["514.5", "NORMAL_ACCOUNT", "0x", "5 14", "true"])
def test_a_flag_of_what_is_no_integer_is_unreadable(rig: Rig, text: str) -> None:
    column = 'disabled = { column = "userAccountControl", flag = 2 }'
    rig.write(**{"a.csv": f"id,userAccountControl\n1,{text}\n", "map.toml": mapping(column)})
    report = rig.load("map.toml")
    assert "no integer, of which the flag 2 is a bit" in str(report.emptied_cells[0])


@pytest.mark.parametrize(("text", "value"), [("7", 7), (" 7", 7), ("+7", 7), ("1.0", 1), ("100.0", 100), ("-3", -3)])
def test_integers_are_read_as_programs_write_them(rig: Rig, text: str, value: int) -> None:
    rig.write(**{"identity_profiles.csv": f"id,name,priority\np,P,{text}\n"})
    rig.load(".")
    assert rig.rows("identity_profiles")[0]["priority"] == value


@pytest.mark.parametrize("text", ['"1,000"', "1.000", "1.5", "1e3", "0x10", "1_000", "1 000"])
def test_integers_that_could_be_misread_are_unreadable(rig: Rig, text: str) -> None:
    rig.write(**{"identity_profiles.csv": f"id,name,priority\np,P,{text}\n"})
    assert "is no integer" in str(rig.load(".").emptied_cells[0])


def test_an_unreadable_time_names_its_value_and_the_key(rig: Rig) -> None:
    rig.write(**{"a.csv": "id,made\n1,1704164645\n", "map.toml": mapping('created = "made"')})
    reason = str(rig.load("map.toml").emptied_cells[0])
    assert "'1704164645' is no time" in reason
    assert "times in a mapping's [values]" in reason


@pytest.mark.parametrize(
    ("columns", "values", "says"),
    [
        ('created = { column = "id", not = true }', "", "accounts.columns.created.not is for columns"),
        ('name = { column = "id", flag = 2 }', "", "accounts.columns.name.flag is for columns"),
        ('locked = { column = "id", times = ["ldap"] }', "", "accounts.columns.locked.times is for columns"),
        ('created = { column = "id", times = ["%Q"] }', "", "accounts.columns.created.times: '%Q'"),
        ('created = { column = "id", zone = "Mars" }', "", "accounts.columns.created.zone: there is no time zone"),
        ('locked = { column = "id", flag = 3 }', "", "accounts.columns.locked.flag is no bit"),
        ('locked = { column = "id", flag = 2, true = ["x"] }', "", "has flag and words"),
        ('locked = { column = "id", true = ["x"], false = ["X "] }', "", "'x' is both in true and in false"),
        ('locked = { column = "id", not = "yes" }', "", "accounts.columns.locked.not is neither"),
        ('locked = { column = "id", nott = true }', "", "accounts.columns.locked.nott is not known"),
        ('locked = { flag = 2 }', "", "accounts.columns.locked names no column"),
        ("locked = 3", "", "takes our column's name"),
        ("", 'times = ["%d/%m/%Y", "%m/%d/%Y"]', "values.times is ambiguous"),
        ("", "times = 3", "values.times takes a list"),
        ("", 'zone = "Europe/Berln"', "did you mean 'Europe/Berlin'"),
        ("", 'empty = "n/a"', "values.empty takes a list"),
        ("", 'true = ["x"]\nfalse = ["x"]', "'x' is both in true and in false"),
        ("", 'tiems = ["ldap"]', "values.tiems is not known; did you mean 'times'"),
        ('disabled = "userAccountControl"', "", 'disabled = { column = "userAccountControl", flag = 2 }'),
        ('locked = "msDS-User-Account-Control-Computed"', "", "flag = 16"),
    ],
)  # fmt: skip
def test_a_wrong_key_is_named_when_the_mapping_is_read(rig: Rig, columns: str, values: str, says: str) -> None:
    with pytest.raises(InvalidArguments) as raised:
        written(rig, columns, values)
    assert says in str(raised.value)


@pytest.mark.parametrize(
    ("columns", "noted"),
    [
        ('disabled = "Enabled"', True), ('disabled = "isActive"', True), ('disabled = "account_enabled"', True),
        ('locked = "Unlocked"', True), ('disabled = { column = "Disabled", not = true }', True),
        ('disabled = { column = "Enabled", not = true }', False), ('disabled = "Disabled"', False),
        ('disabled = "Not Active"', False), ('disabled = { column = "Active", true = ["no"], false = ["yes"] }', False),
        ('locked = "Locked Out"', False), ('disabled = "status"', False),
    ],
)  # fmt: skip
def test_a_column_whose_name_says_the_opposite_is_noted(rig: Rig, columns: str, noted: bool) -> None:
    assert bool(written(rig, columns).notes) is noted


def test_own_words_come_before_the_usual_ones(rig: Rig) -> None:
    column = 'locked = { column = "State", true = ["0"], false = ["1"] }'
    rig.write(**{"a.csv": "id,State\n1,0\n2,1\n3,yes\n", "map.toml": mapping(column)})
    rig.load("map.toml")
    assert [row["locked"] for row in rig.rows("accounts")] == [True, False, True]


def test_identities_of_accounts_have_forms_of_their_own(rig: Rig) -> None:
    rig.write(**{
        "a.csv": "id,Enabled,hired\n1,no,31.01.2024\n",
        "map.toml": mapping("", more="authoritative = true")
        + '[identities.columns]\ndisabled = { column = "Enabled", not = true }\n'
        'created = { column = "hired", times = ["%d.%m.%Y"] }\n',
    })  # fmt: skip
    rig.load("map.toml")
    (row,) = rig.rows("identities")
    assert (row["disabled"], row["created"]) == (True, datetime(2024, 1, 31, tzinfo=UTC))


def test_the_example_of_the_documentation_loads(rig: Rig) -> None:
    page = (Path(__file__).parents[2] / "docs/how-to/load.md").read_text(encoding="utf-8")
    section = page.partition("## How cells are written")[2]
    example, rows = section.partition("```toml\n")[2].split("```")[0], section.partition("```\nsAM")[2].split("```")[0]
    rig.write(**{"map.toml": example, "ad.csv": f"sAM{rows}"})
    report = rig.load("map.toml")
    assert (report.rejected, report.emptied, report.warnings) == (0, 0, ())
    ann, bob = rig.rows("accounts")
    assert (ann["disabled"], bob["disabled"], ann["locked"], bob["locked"]) == (False, True, False, True)
    assert ann["created"] == datetime(2024, 1, 31, 12, tzinfo=UTC)
    assert (ann["passwordLastSet"], bob["passwordLastSet"]) == (datetime(2024, 1, 2, 3, 50, tzinfo=UTC), None)
    assert "Eintritt" not in dict(bob["attributes"])

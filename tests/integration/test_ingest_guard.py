"""The guard of a load: it stops before data is lost, and only then."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from intake import BADGES, Rig
from whohas.ingest import GuardLimits, LoadReport, LoadStopped

HR = """
[source]
name = "HR"
authoritative = true
[accounts]
file = "hr.csv"
[accounts.columns]
nativeIdentity = "No"
name = "Name"
[identities.columns]
created = "Start"
"""


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def load(rig: Rig, **options: object) -> LoadReport:
    return rig.load(".", accept_loss=False, **options)


def stopped(rig: Rig, **options: object) -> LoadReport:
    """The report of a load that has to stop without publishing anything."""
    before = rig.warehouse.snapshot().number
    with pytest.raises(LoadStopped) as caught:
        load(rig, **options)
    assert rig.warehouse.snapshot().number == before
    return caught.value.report


def hr(*starts: str, key: str = "No") -> dict[str, str]:
    rows = "".join(f"{number},Person {number},{start}\n" for number, start in enumerate(starts, 1))
    return {"hr.toml": HR.replace('"No"', f'"{key}"'), "hr.csv": f"{key},Name,Start\n{rows}"}


def badges(numbers: list[int]) -> dict[str, str]:
    return {"badges.toml": BADGES, "badges.csv": "No,Name\n" + "".join(f"{n},Badge {n}\n" for n in numbers)}


def test_a_new_date_format_stops_the_load(rig: Rig) -> None:
    rig.write(**hr(*["2015-03-01"] * 5))
    load(rig)
    rig.write(**hr(*["01.03.2015"] * 5))
    report = stopped(rig)
    (loss,) = report.losses
    assert (loss.kind, loss.count, loss.total) == ("unreadable", 5, 5)
    assert "column Start" in loss.subject and "line 2: '01.03.2015'" in str(loss)
    assert len(rig.rows("identities")) == 5 and rig.rows("identities")[0]["created"] is not None


def test_what_stopped_a_load_is_kept_with_its_rows(rig: Rig) -> None:
    rig.write(**hr(*["01.03.2015"] * 5))
    report = stopped(rig)
    assert report.rejects is not None and len(report.rejects.read_text().splitlines()) == 5
    assert report.snapshot is None


def test_one_bad_cell_of_five_does_not_stop(rig: Rig) -> None:
    rig.write(**hr("2015-03-01", "soon", "2015-03-01", "2015-03-01", "2015-03-01"))
    report = load(rig)
    assert (report.emptied, report.rejected, report.losses) == (1, 0, ())
    assert [row["created"] is None for row in rig.rows("identities")] == [False, True, False, False, False]


@pytest.mark.parametrize(("bad", "stops"), [(2, False), (5, False), (6, True), (100, True)])
def test_more_than_five_percent_of_a_column_stop(rig: Rig, bad: int, stops: bool) -> None:
    rig.write(**hr(*["soon"] * bad, *["2015-03-01"] * (100 - bad)))
    assert bool(load(rig, check=True).losses) == stops


def test_empty_cells_do_not_count_as_filled(rig: Rig) -> None:
    rig.write(**hr(*["soon"] * 6, *["2015-03-01"] * 44, *[""] * 950))
    (loss,) = load(rig, check=True).losses
    assert (loss.count, loss.total) == (6, 50)


@pytest.mark.parametrize(("bad", "stops"), [(5, False), (6, True)])
def test_more_than_five_percent_of_rejected_rows_stop(rig: Rig, bad: int, stops: bool) -> None:
    rig.write(**badges([*range(1, 101 - bad)]))
    with (rig.data / "badges.csv").open("a") as file:
        file.write(",nobody\n" * bad)
    report = load(rig, check=True)
    assert bool(report.losses) == stops
    assert not stops or [(loss.kind, loss.count, loss.total) for loss in report.losses] == [("rejected", 6, 100)]


def test_a_small_source_in_a_large_file_is_guarded(rig: Rig) -> None:
    rows = [f"Large,{n}\n" for n in range(1000)] + [f"Small,{n}\n" for n in range(20)] + ["Small,\n"] * 5
    rig.write(**{"accounts.csv": "sourceName,nativeIdentity\n" + "".join(rows)})
    (loss,) = load(rig, check=True).losses
    assert (loss.subject, loss.count, loss.total) == ("Small, accounts", 5, 25)


def test_duplicates_count_as_rejected_rows(rig: Rig) -> None:
    rig.write(**badges([*range(90), *range(10)]))
    (loss,) = load(rig, check=True).losses
    assert (loss.kind, loss.count) == ("rejected", 10)


def identities(items: int, bad: int) -> dict[str, str]:
    """Three identities of which the first holds items, the last of them without what identifies them."""
    access = ", ".join(
        [f'{{"type": "ROLE", "name": "R{n}"}}' for n in range(items - bad)] + ['{"displayName": "x"}'] * bad
    )
    people = [f'{{"id": "{n}", "name": "n{n}", "access": [{access if n == 1 else ""}]}}' for n in (1, 2, 3)]
    return {"identities.ndjson": "\n".join(people)}


def test_rejected_items_count_against_the_items_of_their_list(rig: Rig) -> None:
    rig.write(**identities(100, 5))
    report = load(rig)
    assert (report.rejected, report.losses) == (5, ())
    rig.write(**identities(100, 6))
    (loss,) = load(rig, check=True).losses
    assert loss.subject.endswith("identities.ndjson, items of access") and (loss.count, loss.total) == (6, 100)


def test_repeated_memberships_are_no_loss(rig: Rig) -> None:
    mapping = (
        '[source]\nname = "M"\n[memberships]\nfile = "m.csv"\ncolumns = { account = "User", entitlement = "Role" }\n'
    )
    rig.write(**{"m.toml": mapping, "m.csv": "User,Role,Scope\nann,POST,DE\nann,POST,FR\nann,POST,UK\nbob,POST,DE\n"})
    report = load(rig)
    assert (report.rejected, report.losses, len(rig.rows("account_entitlements"))) == (0, (), 2)
    assert any(
        "2 rows name an account and an entitlement that an earlier row names too" in note for note in report.warnings
    )


def test_a_file_whose_only_row_is_bad_stops(rig: Rig) -> None:
    rig.write(**{"accounts.csv": "sourceName,nativeIdentity\nAD,\n"})
    assert [loss.kind for loss in stopped(rig).losses] == ["rejected"]


@pytest.mark.parametrize(("total", "gone", "stops"), [
    (100, 20, False), (100, 21, True), (100, 100, True), (50, 10, False), (50, 11, True),
    (49, 10, False), (49, 11, True), (12, 10, False), (12, 12, True), (10, 10, True), (3, 2, False), (1, 1, True),
])  # fmt: skip
def test_removed_keys_stop_beyond_the_limits(rig: Rig, total: int, gone: int, stops: bool) -> None:
    rig.write(**badges([*range(total)]))
    load(rig)
    rig.write(**badges([*range(gone, total), *range(1000, 1000 + gone)]))
    report = load(rig, check=True)
    assert [(loss.kind, loss.count, loss.total) for loss in report.losses] == (
        [("removed", gone, total)] if stops else []
    )


def test_a_renamed_key_column_counts_as_loss(rig: Rig) -> None:
    rig.write(**hr(*["2015-03-01"] * 60))
    load(rig)
    rig.write(**{"hr.toml": HR.replace('nativeIdentity = "No"', 'nativeIdentity = "Name"')})
    losses = {loss.subject: loss for loss in stopped(rig).losses}
    assert losses["HR, accounts"].count == losses["HR, identities"].count == 60
    assert losses["HR, accounts"].examples == ("1", "10", "11", "12", "13")


def test_a_header_alone_stops_over_a_source_with_rows(rig: Rig) -> None:
    rig.write(**badges([1, 2, 3]))
    load(rig)
    rig.write(**badges([]))
    (loss,) = stopped(rig).losses
    assert (loss.subject, loss.count) == ("Badges, accounts", 3)


def test_a_header_alone_loads_over_an_empty_source(rig: Rig) -> None:
    rig.write(**badges([]))
    assert load(rig).snapshot == 1
    report = load(rig)
    assert report.snapshot == 2 and "now without any" in " ".join(report.warnings)


def test_accepted_losses_are_published_and_reported(rig: Rig) -> None:
    rig.write(**badges([1, 2, 3]))
    load(rig)
    rig.write(**badges([]))
    report = rig.load(".", accept_loss=True)
    assert (report.snapshot, [loss.kind for loss in report.losses]) == (2, ["removed"])
    assert rig.rows("accounts") == []
    assert list(rig.warehouse.manifests())[1]["by"]["losses"] == [str(loss) for loss in report.losses]


def test_ids_that_an_export_gains_are_no_loss(rig: Rig) -> None:
    rig.write(**{"accounts.csv": "sourceName,nativeIdentity\n" + "".join(f"AD,{n}\n" for n in range(60))})
    load(rig)
    rig.write(**{"accounts.csv": "sourceName,nativeIdentity,id\n" + "".join(f"AD,{n},id-{n}\n" for n in range(60))})
    assert load(rig).losses == ()


def test_memberships_of_removed_accounts_are_not_counted_again(rig: Rig) -> None:
    groups = '[memberships]\nfile = "groups.csv"\ncolumns = { account = "Who", entitlement = "Group" }\n'

    def write(numbers: range, groups_of: range) -> None:
        rig.write(**badges([*numbers]))
        rig.write(**{"badges.toml": BADGES + groups})
        rig.write(**{"groups.csv": "Who,Group\n" + "".join(f"{n},G{n % 7}\n" for n in groups_of)})

    write(range(100), range(100))
    load(rig)
    write(range(15, 100), range(15, 100))
    assert load(rig).losses == ()
    write(range(15, 100), range(40, 100))
    (loss,) = load(rig, check=True).losses
    assert (loss.subject, loss.count, loss.total) == ("Badges, account_entitlements", 25, 85)


def test_roles_that_vanish_stop_the_load(rig: Rig) -> None:
    rig.write(**{"roles.csv": "id,name\n" + "".join(f"{n},Role {n}\n" for n in range(60))})
    load(rig)
    rig.write(**{"roles.csv": "id,name\n1,Role 1\n"})
    (loss,) = stopped(rig).losses
    assert (loss.subject, loss.count) == ("roles", 59)


def test_other_sources_of_a_load_are_not_published_either(rig: Rig) -> None:
    rig.write(**badges([1, 2, 3]), **{"accounts.csv": "sourceName,nativeIdentity\nAD,\nAD,\nAD,\n"})
    stopped(rig)
    assert rig.rows("sources") == []


def test_limits_can_be_set(rig: Rig) -> None:
    rig.write(**hr(*["soon"] * 6, *["2015-03-01"] * 94))
    assert load(rig, check=True, limits=GuardLimits(unreadable=6)).losses == ()
    assert load(rig, check=True, limits=GuardLimits(tolerated=6)).losses == ()


def test_a_year_of_joiners_and_leavers_never_stops(rig: Rig) -> None:
    """Four sources of 8, 40, 200 and 900 accounts, of which 1 to 6 % leave and join in each of twelve months."""
    chance = random.Random(17)
    sizes = {"Tiny": 8, "Small": 40, "Middle": 200, "Large": 900}
    people = {name: [*range(size)] for name, size in sizes.items()}
    for month in range(13):
        for name, size in sizes.items():
            leavers = {*chance.sample(people[name], round(len(people[name]) * chance.uniform(0.01, 0.06)))}
            joiners = range(10_000 * (month + 1), 10_000 * (month + 1) + round(size * chance.uniform(0.01, 0.06)))
            people[name] = [n for n in people[name] if n not in leavers] + [*joiners]
        rows = "".join(f"{name},{n},2020-01-01\n" for name, numbers in people.items() for n in numbers)
        rig.write(**{"accounts.csv": f"sourceName,nativeIdentity,created\n{rows}"})
        assert load(rig).losses == ()


def test_removed_memberships_are_shown_by_native_identity_and_value(rig: Rig) -> None:
    groups = '[memberships]\nfile = "groups.csv"\ncolumns = { account = "Who", entitlement = "Group" }\n'
    rig.write(**badges(list(range(1, 41))))
    rig.write(**{"badges.toml": BADGES + groups})
    rig.write(**{"groups.csv": "Who,Group\n" + "".join(f"{n},{g}\n" for n in range(1, 41) for g in ("POST", "SEE"))})
    load(rig)
    rig.write(**{"groups.csv": "Who,Group\n" + "".join(f"{n},POST\n" for n in range(1, 41))})
    (loss, *_) = [one for one in stopped(rig).losses if "account_entitlements" in one.subject]
    assert loss.count == 40 and len(loss.examples) == 5
    assert all(re.fullmatch(r"\d+: SEE", example) for example in loss.examples), loss.examples


def test_removed_memberships_by_id_are_shown_by_the_entitlements_value(rig: Rig) -> None:
    accounts = "".join(f"a{n},user{n},s\n" for n in range(3))
    rig.write(
        **{
            "accounts.csv": "id,nativeIdentity,sourceId\n" + accounts,
            "entitlements.csv": "id,value,attribute,sourceId\ne1,POST,role,s\n",
            "account_entitlements.csv": "accountId,entitlementId,sourceId\n"
            + "".join(f"a{n},e1,s\n" for n in range(3)),
        }
    )
    load(rig)
    rig.write(**{"account_entitlements.csv": "accountId,entitlementId,sourceId\na0,e2,s\n"})
    (loss,) = stopped(rig).losses
    assert loss.examples == ("user0: POST", "user1: POST", "user2: POST")

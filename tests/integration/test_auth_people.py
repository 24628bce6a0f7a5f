"""Users: what a password must be, how it is kept, and what a wrong one learns."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from ready import ready
from whohas.auth import UserLevel, Users
from whohas.auth.users import person_table
from whohas.db.engine import create_engine
from whohas.errors import Conflict, InvalidArguments, NotFound, Unauthorized

PASSWORD = "correct horse battery"


@pytest.fixture
def database(tmp_path: Path) -> sa.Engine:
    return create_engine(f"sqlite:///{ready(tmp_path) / 'whohas.db'}")


@pytest.fixture
def people(database: sa.Engine) -> Users:
    return Users(database)


def test_a_user_signs_in_with_name_and_password(people: Users) -> None:
    ann = people.create("ann", ["REPORT_ADMIN", "REPORT_ADMIN"], password=PASSWORD)
    assert people.sign_in("ann", PASSWORD) == ann
    assert (ann.levels, ann.has_password) == ((UserLevel.REPORT_ADMIN,), True)


def test_a_password_is_stored_as_scrypt_with_its_own_salt(people: Users, database: sa.Engine) -> None:
    for name in ("ann", "bob"):
        people.create(name, ["ORG_ADMIN"], password=PASSWORD)
    with database.connect() as connection:
        kept = connection.execute(sa.select(person_table.c.password)).scalars().all()
    assert len(set(kept)) == 2
    for one in kept:
        assert one.startswith("scrypt$32768$8$1$")
        assert PASSWORD not in one


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("ann", "wrong"),
        ("ann", ""),
        ("ann", PASSWORD.upper()),
        ("ann", PASSWORD + " "),
        ("ann", "x" * 5000),
        ("ann", "\ud800"),
        ("bob", PASSWORD),
        ("Ann", PASSWORD),
        ("\uff41nn", PASSWORD),
        ("ann\0", PASSWORD),
        ("' OR 1=1 --", PASSWORD),
        ("a" * 100_000, PASSWORD),
        ("", ""),
        ("nobody's", ""),
    ],
)
def test_whoever_is_wrong_learns_nothing_of_what_was(people: Users, name: str, password: str) -> None:
    people.create("ann", ["ORG_ADMIN"], password=PASSWORD)
    people.create("nobody's", ["ORG_ADMIN"])
    with pytest.raises(Unauthorized, match=r"^The name or the password is wrong\.$"):
        people.sign_in(name, password)


def test_a_disabled_user_cannot_sign_in_until_enabled_again(people: Users) -> None:
    people.create("ann", ["ORG_ADMIN"], password=PASSWORD)
    people.change("ann", disabled=True)
    with pytest.raises(Unauthorized):
        people.sign_in("ann", PASSWORD)
    people.change("ann", disabled=False)
    assert people.sign_in("ann", PASSWORD).name == "ann"


def test_a_new_password_takes_the_place_of_the_old(people: Users) -> None:
    people.create("ann", ["ORG_ADMIN"], password=PASSWORD)
    people.change("ann", password="another long sentence")
    with pytest.raises(Unauthorized):
        people.sign_in("ann", PASSWORD)
    people.sign_in("ann", "another long sentence")


@pytest.mark.parametrize("password", ["", "short", "x" * 1025])
def test_a_password_that_will_not_do_is_refused(people: Users, password: str) -> None:
    with pytest.raises(InvalidArguments, match="12 to 1,024 characters"):
        people.create("ann", ["ORG_ADMIN"], password=password)


def test_what_cannot_be_is_said(people: Users) -> None:
    people.create("ann", ["ORG_ADMIN"])
    with pytest.raises(Conflict, match="'ann' already"):
        people.create("ann", ["HELPDESK"])
    with pytest.raises(InvalidArguments, match=r"no level 'BOSS'.*ORG_ADMIN"):
        people.create("bob", ["BOSS"])
    with pytest.raises(InvalidArguments, match="printable"):
        people.create("b\nob", ["HELPDESK"])
    with pytest.raises(NotFound, match="whohas user list"):
        people.change("bob", disabled=True)
    assert [person.name for person in people.list()] == ["ann"]


def test_a_user_without_levels_has_none(people: Users) -> None:
    assert people.create("ann").levels == ()

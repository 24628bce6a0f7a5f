"""Clients: their secret is told once, kept as a keyed hash, and checked without telling what was wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from ready import ready
from whohas.auth import Clients, Users, known_scopes
from whohas.auth.clients import client_table
from whohas.auth.permissions import ROUTES, check_access
from whohas.db.engine import create_engine
from whohas.errors import Forbidden, InvalidArguments, NotFound, Unauthorized


@pytest.fixture
def database(tmp_path: Path) -> sa.Engine:
    return create_engine(f"sqlite:///{ready(tmp_path) / 'whohas.db'}")


@pytest.fixture
def clients(database: sa.Engine) -> Clients:
    return Clients(database, b"k" * 32)


def test_the_id_and_secret_of_a_new_client_are_accepted(clients: Clients) -> None:
    made = clients.create("nightly export", ["sp:scopes:all"])
    assert clients.verify(made.client.id, made.secret) == made.client
    assert made.client.scopes == ("sp:scopes:all",)
    assert len(made.client.id) == 32, "some clients insist on 32 or 36"
    assert len(made.secret) == 64


def test_the_secret_is_neither_stored_nor_shown(clients: Clients, database: sa.Engine) -> None:
    made = clients.create("nightly export")
    with database.connect() as connection:
        row = connection.execute(sa.text("SELECT * FROM client")).one()
    assert made.secret not in str(tuple(row))
    assert made.secret not in repr(made)


@pytest.mark.parametrize("secret", ["", "wrong", "\0", "\ud800", "é" * 1000])
def test_a_wrong_secret_is_refused(clients: Clients, secret: str) -> None:
    made = clients.create("a")
    with pytest.raises(Unauthorized):
        clients.verify(made.client.id, secret)


@pytest.mark.parametrize("client_id", ["", "0" * 32, "x", "\0", "' OR 1=1 --", "A" * 100_000])
def test_an_unknown_id_is_refused_like_a_wrong_secret(clients: Clients, client_id: str) -> None:
    made = clients.create("a")
    with pytest.raises(Unauthorized) as unknown:
        clients.verify(client_id, made.secret)
    with pytest.raises(Unauthorized) as wrong:
        clients.verify(made.client.id, "wrong")
    assert str(unknown.value) == str(wrong.value)


def test_a_secret_kept_under_another_key_is_refused(clients: Clients, database: sa.Engine) -> None:
    made = clients.create("a")
    with pytest.raises(Unauthorized):
        Clients(database, b"j" * 32).verify(made.client.id, made.secret)


def test_a_revoked_client_is_refused_and_stays_in_the_list(clients: Clients) -> None:
    made = clients.create("a")
    revoked = clients.revoke(made.client.id)
    assert revoked.revoked is not None
    assert clients.revoke(made.client.id) == revoked, "a second time changes nothing"
    with pytest.raises(Unauthorized):
        clients.verify(made.client.id, made.secret)
    assert clients.list() == [revoked]


def test_a_new_secret_replaces_the_old_one(clients: Clients) -> None:
    made = clients.create("a")
    renewed = clients.rotate_secret(made.client.id)
    assert renewed.client == made.client, "its tokens go on"
    assert clients.verify(made.client.id, renewed.secret) == made.client
    with pytest.raises(Unauthorized):
        clients.verify(made.client.id, made.secret)


def test_what_is_not_there_cannot_be_shown_revoked_or_renewed(clients: Clients) -> None:
    for act in (clients.get, clients.revoke, clients.rotate_secret):
        with pytest.raises(NotFound, match="whohas client list"):
            act("0" * 32)
    made = clients.create("a")
    clients.revoke(made.client.id)
    with pytest.raises(NotFound):
        clients.rotate_secret(made.client.id)


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "\0", "x" * 201])
def test_a_name_that_cannot_be_a_launcher_is_refused(clients: Clients, name: str) -> None:
    with pytest.raises(InvalidArguments, match="1 to 200"):
        clients.create(name)


def test_an_unknown_scope_is_refused_with_those_there_are(clients: Clients) -> None:
    with pytest.raises(InvalidArguments, match=r"sp:report:write.*Choose from sp:scopes:all"):
        clients.create("a", ["sp:report:write"])
    with pytest.raises(InvalidArguments, match="needs a scope"):
        clients.create("a", [])
    assert clients.create("a", known_scopes).client.scopes == known_scopes


@pytest.mark.parametrize(
    "address",
    [
        "http://console.example/back",
        "https://console.example/back#part",
        "javascript:alert(1)",
        "https:///back",
        "console.example",
        "https://console.example/\r\nSet-Cookie: a=b",
        "https://cönsole.example/",
        "",
        "https://;form-action *",
        "https://a b.example/",
        "https://u:p@evil.example/",
        "https://a.example:0/",
        "http://127.0.0.1.evil.example/",
        "http://localhost.example/",
        "http://127.0.0.2/",
    ],
)
def test_a_dangerous_redirect_address_is_refused(clients: Clients, address: str) -> None:
    with pytest.raises(InvalidArguments, match="no address to send users back to"):
        clients.create("console", redirects=[address])


def test_users_are_sent_back_to_registered_addresses_alone(clients: Clients) -> None:
    console = clients.create("console", redirects=["https://c.example/back", "http://127.0.0.1:1/cb"]).client
    assert console.match_redirect("https://c.example/back")
    assert console.match_redirect("http://127.0.0.1:54321/cb"), "a program on the machine takes a free port"
    for other in (
        "https://c.example/back/", "https://c.example/back?x=1", "https://c.example.evil.example/back",
        "https://c.example:8443/back", "http://127.0.0.1:1/other", "http://127.0.0.1.evil.example:1/cb",
        "http://evil@127.0.0.1/cb", "https://c.example@evil.example/back", "http://[::1/cb", "",
    ):  # fmt: skip
        assert not console.match_redirect(other), other


def test_an_old_address_that_is_none_is_good_for_nobody(clients: Clients, database: sa.Engine) -> None:
    sloppy = ["https://;form-action *", "https://a b.example/", "http://[::1/cb", "https://c.example:99999/"]
    made = clients.create("console", redirects=["https://c.example/back"])
    with database.begin() as connection:
        connection.execute(client_table.update().values(redirects=[*sloppy, "https://c.example/back"]))
    console = clients.get(made.client.id)
    assert console.match_redirect("https://c.example/back"), "the others do not stand in its way"
    for address in sloppy:
        assert console.match_redirect(address) is None


def test_a_personal_client_is_refused_while_its_user_is_disabled(clients: Clients, database: sa.Engine) -> None:
    people = Users(database)
    made = clients.create("laptop", person=people.create("ann", ["ORG_ADMIN"]))
    assert clients.verify(made.client.id, made.secret).user == people.get("ann")
    people.change("ann", disabled=True)
    with pytest.raises(Unauthorized):
        clients.verify(made.client.id, made.secret)


def test_what_is_not_given_is_the_least(clients: Clients, database: sa.Engine) -> None:
    program = clients.create("nightly").client
    assert (program.scopes, program.levels) == (("sp:report:read",), ())
    personal = clients.create("laptop", person=Users(database).create("ann", ["ORG_ADMIN"])).client
    assert personal.caller().scopes == {"sp:report:read"}
    for route, needs in ROUTES.items():
        if needs is not None:
            with pytest.raises(Forbidden):
                check_access(program.caller(), route)

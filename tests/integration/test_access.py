"""Every route with every kind of token, on a real server: nobody gets in who should not, and who should does."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from joserfc import jwt
from joserfc.jwk import OctKey

import asking
from issuers import AUDIENCE, OutsideIssuer, new_key, outside_issuer
from support import Server, serving
from whohas.api.app import create_app
from whohas.api.dependencies import public_paths
from whohas.auth import ROUTES, UserLevel, open_keys
from whohas.auth.callers import SCOPE_DEFAULT, known_scopes
from whohas.auth.permissions import RoutePermission
from whohas.services import Services, open_services
from whohas.settings import Settings

RUN_ID = "0123456789abcdef0123456789abcdef"


@dataclass(frozen=True)
class Held:
    """A token, and what the test knows of its holder."""

    what: str
    header: dict[str, str]
    scopes: frozenset[str] = frozenset()
    levels: frozenset[UserLevel] = frozenset()
    user: bool = False
    valid: bool = True

    def may(self, needs: RoutePermission | None) -> bool:
        """As the published contract tells it, written down a second time."""
        if needs is None:
            return True
        whole = {"sp:scopes:all", "sp:scopes:default"}
        return (
            self.valid
            and (not needs.scopes or bool(self.scopes & (whole | set(needs.scopes))))
            and bool(self.levels & needs.levels)
            and (self.user or not needs.users_only)
        )


@pytest.fixture(scope="module")
def outside() -> Iterator[OutsideIssuer]:
    with outside_issuer() as issuer:
        yield issuer


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, outside: OutsideIssuer) -> Iterator[Server]:
    settings = {
        "WHOHAS_OIDC_ISSUER": outside.url,
        "WHOHAS_OIDC_AUDIENCE": AUDIENCE,
        "WHOHAS_OIDC_LEVELS": "auditors=REPORT_ADMIN, desk=HELPDESK",
        "WHOHAS_OIDC_SCOPES": SCOPE_DEFAULT,
    }
    with serving(tmp_path_factory.mktemp("guarded") / "home", **settings) as server:
        yield server


@pytest.fixture(scope="module")
def services(guarded: Server) -> Iterator[Services]:
    with open_services(Settings(home=guarded.home)) as services:
        yield services


@pytest.fixture(scope="module")
def app(services: Services) -> FastAPI:
    return create_app(services)


@pytest.fixture(scope="module")
def held(services: Services, outside: OutsideIssuer, tmp_path_factory: pytest.TempPathFactory) -> list[Held]:
    return [*good(services), *of_outside(outside), *bad(services, outside, tmp_path_factory.mktemp("other"))]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def good(services: Services) -> Iterator[Held]:
    access = services.access
    console = access.clients.create(
        "console", ["sp:scopes:all"], redirects=["https://console.example/back"], levels=["ORG_ADMIN"]
    ).client
    for level in UserLevel:
        person = access.users.create(f"a {level}", [level])
        personal = access.clients.create(level, ["sp:scopes:all"], person=person).client
        everything = frozenset({"sp:scopes:all"})
        token = access.tokens.issue(personal).text
        yield Held(f"personal client, {level}", bearer(token), everything, frozenset({level}), user=True)
        token = access.tokens.issue(console, person).text
        yield Held(f"signed in, {level}", bearer(token), everything, frozenset({level}), user=True)
        program = access.clients.create("program", ["sp:scopes:all"], levels=[level]).client
        yield Held(f"program, {level}", bearer(access.tokens.issue(program).text), everything, frozenset({level}))
    for scope, user in product(known_scopes, (True, False)):
        person = access.users.create(f"holder of {scope}", ["ORG_ADMIN"]) if user else None
        client = access.clients.create("a client", [scope], person=person, levels=["ORG_ADMIN"]).client
        token = access.tokens.issue(client).text
        yield Held(f"{scope}, user: {user}", bearer(token), frozenset({scope}), frozenset({UserLevel.ORG_ADMIN}), user)


def of_outside(outside: OutsideIssuer) -> Iterator[Held]:
    scopes = frozenset({SCOPE_DEFAULT})
    auditor = outside.sign(preferred_username="ann", groups=["auditors"])
    yield Held("outside user", bearer(auditor), scopes, frozenset({UserLevel.REPORT_ADMIN}), user=True)
    desk = outside.sign(preferred_username="bob", groups=["desk", "other"])
    yield Held("outside helpdesk", bearer(desk), scopes, frozenset({UserLevel.HELPDESK}), user=True)
    program = outside.sign(groups="auditors")
    yield Held("outside program", bearer(program), scopes, frozenset({UserLevel.REPORT_ADMIN}))
    nobody = outside.sign(preferred_username="eve", groups=["ORG_ADMIN"])
    yield Held("outside user without a level", bearer(nobody), scopes, frozenset(), user=True)


def bad(services: Services, outside: OutsideIssuer, other: Path) -> Iterator[Held]:
    access = services.access
    client = access.clients.create("right", ["sp:scopes:all"], levels=["ORG_ADMIN"]).client
    token = access.tokens.issue(client).text
    head, claims, signature = token.split(".")
    now = int(time.time())
    said = {
        "iss": services.settings.org,
        "client_id": client.id,
        "iat": now,
        "exp": now + 60,
        "scope": ["sp:scopes:all"],
    }
    key = access.keys.signing_key()
    revoked = access.clients.create("revoked", ["sp:scopes:all"], levels=["ORG_ADMIN"]).client
    of_revoked = access.tokens.issue(revoked).text
    access.clients.revoke(revoked.id)
    person = access.users.create("gone", ["ORG_ADMIN"])
    of_disabled = access.tokens.issue(access.clients.create("gone", ["sp:scopes:all"], person=person).client).text
    access.users.change("gone", disabled=True)
    ended = access.clients.create("ended", ["sp:scopes:all"], levels=["ORG_ADMIN"]).client
    of_ended = access.tokens.issue(ended).text
    access.clients.rotate_secret(ended.id, end_tokens=True)
    foreign = open_keys(other).signing.signing_key()
    public = OctKey.import_key(json.dumps(key.key.as_dict(private=False)))
    raised = base64.urlsafe_b64encode(json.dumps({**said, "person": "0" * 32}).encode()).rstrip(b"=").decode()
    none = base64.urlsafe_b64encode(json.dumps({"alg": "none", "kid": key.id}).encode()).rstrip(b"=").decode()

    def signed(changed: dict[str, object]) -> str:
        told = {**said, **changed}
        return jwt.encode({"alg": "ES256", "kid": key.id}, told, key.key, algorithms=["ES256"])

    headers = {
        "no header": {},
        "empty": {"Authorization": ""},
        "empty bearer": {"Authorization": "Bearer"},
        "basic": {"Authorization": "Basic YTpi"},
        "garbage": bearer("garbage"),
        "null": bearer("null"),
        "three dots": bearer("..."),
        "very long": bearer("a" * 20_000),
        "expired": bearer(signed({"exp": now - 1})),
        "of another organization": bearer(signed({"iss": "globex"})),
        "of no client": bearer(signed({"client_id": "f" * 32})),
        "of a client that is a path": bearer(signed({"client_id": "../../etc/passwd"})),
        "for a person who is not there": bearer(signed({"person": "f" * 32})),
        "revoked client": bearer(of_revoked),
        "disabled user": bearer(of_disabled),
        "ended by rotation": bearer(of_ended),
        "changed claims": bearer(f"{head}.{raised}.{signature}"),
        "without its signature": bearer(f"{head}.{claims}."),
        "algorithm none": bearer(f"{none}.{claims}."),
        "public key as a shared secret": bearer(
            jwt.encode({"alg": "HS256", "kid": key.id}, said, public, algorithms=["HS256"])
        ),
        "key of another server": bearer(
            jwt.encode({"alg": "ES256", "kid": key.id}, said, foreign.key, algorithms=["ES256"])
        ),
        "key id that is a path": bearer(
            jwt.encode({"alg": "ES256", "kid": "../../x"}, said, key.key, algorithms=["ES256"])
        ),
        "outside issuer's, wrong key": bearer(outside.sign(new_key(), groups=["auditors"])),
        "outside issuer's, expired": bearer(outside.sign(exp=now - 100, groups=["auditors"])),
        "outside issuer's, other audience": bearer(outside.sign(aud="other", groups=["auditors"])),
        "an issuer that is not trusted": bearer(outside.sign(iss="https://evil.example", groups=["auditors"])),
        "our client at the outside issuer": bearer(outside.sign(**{**said, "iss": services.settings.org})),
    }
    for what, header in headers.items():
        yield Held(what, header, valid=False)


Request = tuple[str, str, str]


def requests(app: FastAPI) -> list[Request]:
    """Method, path and name of everything that is served."""
    return [
        (method, str(route.path).replace("{id:path}", RUN_ID).replace("{id}", RUN_ID), str(route.name))
        for route in iter_route_contexts(app.routes)
        for method in sorted(route.methods or ())
    ]


def all_pairs(served: list[Request], held: list[Held]) -> list[tuple[Request, Held]]:
    return list(product(served, held))


def main_pairs(served: list[Request], held: list[Held]) -> list[tuple[Request, Held]]:
    """Each token at one path of each operation, and at every other path one token of each kind of right."""
    first = {name: (method, path, name) for method, path, name in reversed(served)}
    of_a_kind = {(who.valid, who.user, who.levels, len(who.scopes) > 0): who for who in reversed(held)}
    others = [request for request in served if request not in first.values()]
    return [*product(first.values(), held), *product(others, of_a_kind.values())]


@pytest.mark.parametrize("pairs", [main_pairs, pytest.param(all_pairs, marks=pytest.mark.long)])
def test_every_route_admits_exactly_whom_the_table_names(
    app: FastAPI,
    guarded: Server,
    held: list[Held],
    pairs: Callable[[list[Request], list[Held]], list[tuple[Request, Held]]],
    record_property: pytest.RecordProperty,
) -> None:
    wrong: list[str] = []
    served = requests(app)
    chosen = pairs(served, held)
    assert {request for request, _ in chosen} == set(served) and len({who.what for _, who in chosen}) == len(held)
    with asking.Client(base_url=guarded.url) as http:
        for (method, path, name), who in chosen:
            with http.stream(method, path, headers=who.header) as response:
                if not response.headers.get("content-type", "").startswith("text/event-stream"):
                    response.read()  # so that the connection is used again; a stream of events has no end
            needs = ROUTES[name]
            expected = "in" if who.may(needs) else "403" if who.valid else "401"
            # the token endpoint itself says 401 to missing credentials, whoever asks; here is asked who may ask
            seen = {401: "401", 403: "403"}.get(response.status_code, "in")
            if expected != ("in" if needs is None else seen) or response.status_code >= 500:
                wrong.append(f"{method} {path} as {who.what}: {response.status_code}, expected {expected}")
    assert not wrong, "\n".join(wrong[:50])
    record_property("routes", len(served))
    record_property("tokens", len(held))
    record_property("tried", len(chosen))
    print(f"{len(served)} routes, {len(held)} tokens, {len(chosen)} requests")
    assert len(served) > 30
    assert len(held) > 60


def test_a_route_without_permissions_keeps_the_server_from_starting(services: Services) -> None:
    app = create_app(services)
    public_paths(app)
    app.add_api_route("/secret", lambda: "all there is", methods=["GET"], name="secret")
    with pytest.raises(RuntimeError, match="'secret' at /secret is not in the table of access"):
        public_paths(app)


def test_a_mounted_application_is_served_only_where_all_is_open(services: Services) -> None:
    app = create_app(services)
    app.mount("/files", FastAPI(), name="getReport")
    with pytest.raises(RuntimeError, match="'getReport' at /files"):
        public_paths(app)


def test_an_unknown_path_says_nothing_to_whoever_has_no_token(guarded: Server) -> None:
    for path in ("/", "/admin", "/v2025", "/oauth/authorize/x", "/healthz/x", "/.well-known/other", "/openapi.json/x"):
        assert asking.get(guarded.url + path).status_code == 401, path

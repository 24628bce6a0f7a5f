"""What each example query of the language finds; sources: the published specification, its documentation, programs
that use it."""

from __future__ import annotations

from typing import Any

import pytest

from searching import Corpus
from whohas.errors import InvalidArguments


def account(id: str, source: str, **more: Any) -> dict[str, Any]:
    return {"id": id, "accountId": id, "name": id, "source": {"id": f"s-{source}", "name": source}, **more}


def held(type: str, name: str, source: str = "", **more: Any) -> dict[str, Any]:
    return {"id": f"x-{name}", "type": type, "name": name, "displayName": name, "source": {"name": source}, **more}


IDENTITIES: list[dict[str, Any]] = [
    {
        "id": "ada", "name": "ada.smith", "displayName": "Ada Smith", "firstName": "Ada", "lastName": "Smith",
        "email": "Ada.Smith@acme.example", "created": "2017-09-25T08:30:00Z", "phone": "+1 555-867-5309",
        "inactive": True, "protected": False, "manager": {"id": "bob", "name": "bob"},
        "attributes": {
            "city": "London", "cloudLifecycleState": "active", "email": "Adam.Kennedy@sailpointdemo.com",
            "jobCode": "J-1001", "cloud status": "ACTIVE", "company": "Kloud", "user:name": "x",
        },
        "accounts": [
            account("darren.robinson", "Active Directory", disabled=True),
            account("ada-sap", "SAP", disabled=False),
        ],
        "access": [
            held("ENTITLEMENT", "Employee", "Active Directory"),
            held("ROLE", "Sales", "IdentityNow"),
        ],
    },
    {
        "id": "bob", "name": "bob", "displayName": "Bob Schmidt", "firstName": "John", "lastName": "Schmidt",
        "email": "bob@partner.example", "created": "2017-12-31T23:59:59Z", "phone": "5558675309", "inactive": True,
        "protected": True,
        "attributes": {"city": "San Francisco", "personalEmail": "b@x.com", "email": "eve@sailpointdemo.com"},
        "accounts": [account("bob-ad", "Active Directory", disabled=False), account("bob-sap", "SAP", disabled=True)],
        "access": [
            held("ENTITLEMENT", "Finance File Share", "SAP"), held("ACCESS_PROFILE", "Employee", "IdentityNow"),
        ],
    },
    {
        "id": "cyd", "name": "cyd.jones", "displayName": "Cyd Jones", "firstName": "Jon", "lastName": "Jones",
        "created": "2018-01-01T00:00:00Z", "inactive": False, "protected": False, "manager": {"id": "bob", "name": "bob"},
        "attributes": {"city": "Paris", "jobCode": "K-1001", "email": "Eve.Miller@sailpointdem", "docusign": "yes"},
        "accounts": [account(f"cyd-{n}", "SAP") for n in range(6)],
    },
    {
        "id": "dee", "name": "dee", "displayName": "Dee \"London\" O'Neil", "firstName": "Johnathan", "lastName": "Schmitt",
        "created": "2026-11-20T12:00:00Z", "attributes": {"city": "São Paulo", "note": "1+1=2 (really)"},
    },
]  # fmt: skip
EVENTS: list[dict[str, Any]] = [
    {"id": "e1", "name": "Unlock User Passed", "technicalName": "USER_UNLOCK_PASSED", "type": "USER_MANAGEMENT",
     "created": "2026-11-23T01:00:00Z", "actor": {"name": "ada"}, "target": {"name": "bob"}},
    {"id": "e2", "name": "Access Request Started", "technicalName": "ACCESS_REQUEST_STARTED", "type": "PROVISIONING",
     "created": "2026-09-01T00:00:00Z", "status": "Pending", "action": "Access Request"},
    {"id": "e3", "name": "Create Account Passed", "technicalName": "ACCOUNT_CREATE_PASSED", "type": "PROVISIONING",
     "created": "2025-01-01T00:00:00Z", "status": "PASSED"},
]  # fmt: skip
ROLES: list[dict[str, Any]] = [
    {"id": "r1", "name": "Accountant", "requestable": True, "enabled": True, "created": "2024-05-01T00:00:00Z",
     "accessProfiles": [{"id": "p1", "name": "Books"}, {"id": "p2", "name": "Payments"}],
     "dimensions": [{"id": "d1", "name": "Paris", "entitlements": [{"id": "t1", "name": "Ledger"}]},
                    {"id": "d2", "name": "London", "entitlements": [{"id": "t2", "name": "Vault"}]}]},
    {"id": "r2", "name": "Guest", "requestable": False, "enabled": True, "tags": ["TAG_1", "TAG_2"]},
]  # fmt: skip


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return Corpus(tmp_path_factory.mktemp("examples"), IDENTITIES, events=EVENTS, roles=ROLES)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("name:a*", "ada"),
        ("attributes.city:London", "ada"),
        ("attributes.cloudLifecycleState:active", "ada"),
        ("london", "ada dee"),
        ('"sao paulo"', ""),
        ('"são paulo"', "dee"),
        ("name:ada.smith", "ada"),
        ("name:ada", ""),
        ("created:2017-09-25", "ada"),
        ("phone:5558675309", "bob"),
        ("docusign", ""),
        ("attributes.docusign:*", "cyd"),
        ("yes", "cyd"),
        ('"ada.smith"', "ada"),
        ("@access(source.name.exact:IdentityNow)", "ada bob"),
        ("@access(source.name.exact:identitynow)", ""),
        ("@access(type:ENTITLEMENT AND displayName:Employee)", "ada"),
        ("@access(type:ENTITLEMENT) AND @access(displayName:Employee)", "ada bob"),
        ("@access(type:ACCESS_PROFILE AND removeDate:*)", ""),
        ('id:"ada" AND @access(type:ENTITLEMENT OR type:ACCESS_PROFILE)', "ada"),
        ('id:"cyd" AND @access(type:ENTITLEMENT OR type:ACCESS_PROFILE)', ""),
        ("id:ada OR id:cyd OR id:nobody", "ada cyd"),
        ("id:ADA", "ada"),
        ("@access(type:ENTITLEMENT AND name:*FILE SHARE*)", "bob"),
        ("@access(type:ENTITLEMENT AND name:*FILE NOTHING*)", "bob"),
        ("@access(source.name:*Active Directory*) AND attributes.company:Kloud", "ada"),
        ("@access(source.name:'Active Directory')", "ada"),
        ("@accounts(accountId:darren.robinson)", "ada"),
        ("@accounts(source.id:s-SAP)", "ada bob cyd"),
        ("@accounts(source.name:SAP AND disabled:true)", "bob"),
        ("@accounts(source.name:SAP) AND @accounts(disabled:true)", "ada bob"),
        ("NOT @accounts(disabled:true)", "cyd dee"),
        ("@accounts(NOT disabled:true)", "ada bob cyd"),
        ("@accounts(*)", "ada bob cyd"),
        ("_exists_:accounts", "ada bob cyd"),
        ("NOT _exists_:accounts", "dee"),
        ("@source(id:x)", ""),
        ("attributes.email:Adam.Kennedy@sailpointdemo.com", "ada bob"),
        ('attributes.email:"Adam.Kennedy@sailpointdemo.com"', "ada"),
        ("attributes.email.exact:Adam.Kennedy@sailpointdemo.com", "ada"),
        ("attributes.email:Adam.Kennedy@sailpointdem", "ada cyd"),
        ("attributes.email:Adam.Kennedy*", "ada"),
        ("attributes.email:Adam.Kennedy@sailpointdem*", ""),
        ("attributes.city:(London OR Paris)", "ada cyd"),
        ("inactive:true && !protected:true", "ada"),
        ("+inactive:false -attributes.city:London", "cyd"),
        ("lastName:schmidt~1", "bob dee"),
        ("lastName:shcmidt~1", "bob"),
        ('"ada smith"~5', "ada"),
        ('"smith ada"~5', "ada"),
        ("firstName:/joh?n(ath[oa]n)?/", "bob cyd dee"),
        ("firstName:/joh?n(ath[oa]n)/", "dee"),
        ("attributes.city:London^2 paris", "ada cyd"),
        ("accountCount:>=2 AND accountCount:<6", "ada bob"),
        ("accountCount:(>=2 AND <7)", "ada bob cyd"),
        ("accountCount:[5 TO *]", "cyd"),
        ("accountCount:0", "dee"),
        ("_exists_:attributes.personalEmail", "bob"),
        ("NOT _exists_:manager", "bob dee"),
        ("manager:*", "ada cyd"),
        ("accounts:*", "ada bob cyd"),
        ("manager.id:*", "ada cyd"),
        ("created:[2017-01-01 TO 2018-01-01}", "ada bob"),
        ("created:[2017-01-01 TO 2018-01-01]", "ada bob cyd"),
        ("created:{2017-09-25 TO *]", "bob cyd dee"),
        ("created:>2017-12-31", "cyd dee"),
        ("created:[0001 TO 9999-12-31]", "ada bob cyd dee"),
        ("created:[0001 TO 0999]", ""),
        ("created:<=2017", "ada bob"),
        ("created:[now-7d/d TO now]", "dee"),
        (r"created:2017-09-25\|\|\/M", "ada"),
        ("created:[2017-09-25||/M TO 2017-12||/M]", "ada bob"),
        (r"attributes.user\:name:x", "ada"),
        (r"attributes.cloud\ status:ACTIVE", "ada"),
        (r"attributes.note:\(1\+1\)\=2", "dee"),
        ("attributes.jobCode:J-1001", "ada cyd"),
        ("attributes.jobCode:(J AND 1001)", "ada"),
        ("london and paris", "ada cyd dee"),
        ('name:"ada*"', ""),
        (r"attributes.\*:kloud", "ada"),
        ("attributes.city:San Francisco", "bob"),
        ("*", "ada bob cyd dee"),
        ("*:*", "ada bob cyd dee"),
    ],
)  # fmt: skip
def test_an_example_finds_identities(corpus: Corpus, query: str, found: str) -> None:
    assert corpus.ids(query) == set(found.split())


@pytest.mark.parametrize(
    ("index", "query", "found"),
    [
        ("events", 'status: Pending AND "Access Request"', "e2"),
        ("events", "type:PROVISIONING", "e2 e3"),
        ("events", "(type:provisioning AND created:[now-90d TO now])", "e2"),
        ("events", "USER_UNLOCK_PASSED AND created:[now-1d TO now]", "e1"),
        ("events", "unlock_passed", ""),
        ("events", "actor.name:ada", "e1"),
        ("roles", "requestable:true", "r1"),
        ("roles", "enabled:true", "r1 r2"),
        ("roles", "@accessProfiles(name:books)", "r1"),
        ("roles", "tags:TAG_2", "r2"),
        ("roles", "tags.exact:TAG_2", "r2"),
        ("roles", "tags.exact:TAG", ""),
        ("roles", "@dimensions(name:paris AND entitlements.name:ledger)", "r1"),
        ("roles", "@dimensions(name:paris AND entitlements.name:vault)", ""),
        ("roles", "@dimensions(name:paris AND @entitlements(name:ledger))", "r1"),
        ("roles", "@dimensions(name:paris AND @entitlements(name:vault))", ""),
        ("roles", "@dimensions(name:paris AND NOT @entitlements(name:vault))", "r1"),
        ("roles", "@dimensions.entitlements(name:vault)", "r1"),
        ("roles", "_exists_:dimensions", "r1"),
    ],
)
def test_an_example_finds_other_documents(corpus: Corpus, index: str, query: str, found: str) -> None:
    assert corpus.ids(query, index) == set(found.split())


@pytest.mark.parametrize(
    ("query", "column", "says"),
    [
        ("name:(a OR b", 13, "the query ends here"),
        ("created:<now-1M/M", 16, "regular expression that never ends"),
        ("name:smith^", 12, "a number must follow ^"),
        ("phone:+1440", 7, "a word, a phrase, a range or a group was expected"),
        ("attributes.*:x", 13, "':'"),
        ("created:yesterday", 1, "created holds a time, and 'yesterday' is no date"),
        ("name:a accountCount:many", 8, "accountCount holds a whole number, and 'many' is none"),
        ("requestable:a OR inactive:perhaps", 18, "inactive is true or false"),
        ("created:20*", 1, "wildcards"),
        ("name:/a(/", 1, "the regular expression ends too early"),
        ("name:/a~b/", 1, "the regular expression has ~ (not), which cannot be run"),
        ("name:/~a/", 1, "write NOT before the condition"),
        ("name:/a&b/", 1, "joined by AND"),
        ("name:/<1-9>/", 1, "write the digits"),
        (f"name:{'a' * 41}~", 1, "40 characters at the most"),
        ("(" * 101 + "a", 102, "nested more than 100 deep"),
        ("name:/a" + "*" * 101 + "/", 1, "more than 100 signs of repetition follow each other"),
        ("name:/a" + "+" * 400_000 + "/", 1, "more than 100 signs of repetition follow each other"),
        ("name:/(a{1000}){1000}/", 1, "the regular expression is too large"),
        ('name:"' + "a " * 51 + '"~2', 1, "50 words at the most"),
        ("@accounts (name:a)", 11, "no blank may stand between @accounts and its bracket"),
    ],
)
def test_a_query_that_cannot_be_run_says_where_and_why(corpus: Corpus, query: str, column: int, says: str) -> None:
    with pytest.raises(InvalidArguments) as error:
        corpus.ids(query)
    assert f"The query breaks at column {column}: " in error.value.message
    assert says in error.value.message
    _, shown, mark = error.value.message.split("\n")
    assert shown.replace("…", "") in query
    assert mark.endswith("^")


def test_several_words_of_a_value_can_be_made_a_phrase(corpus: Corpus) -> None:
    query = "attributes.email:Adam.Kennedy@sailpointdemo.com"
    assert corpus.ids(query) == {"ada", "bob"}
    assert corpus.ids(query, words_as_phrase=True) == {"ada"}


def test_words_without_a_field_can_be_given_fields(corpus: Corpus) -> None:
    assert corpus.ids("london") == {"ada", "dee"}
    assert corpus.ids("london", default_fields=("displayName",)) == {"dee"}
    assert corpus.ids("london", default_fields=("displayName", "attributes.city")) == {"ada", "dee"}


def test_dates_without_a_zone_are_in_the_given_zone(corpus: Corpus) -> None:
    assert corpus.ids("created:2018-01-01") == {"cyd"}
    assert corpus.ids("created:2018-01-01", zone="Europe/Berlin") == {"bob", "cyd"}
    assert corpus.ids("created:2017-12-31", zone="America/Chicago") == {"bob", "cyd"}


@pytest.mark.parametrize(
    ("query", "note"),
    [
        ("nosuch:x", "There is no field nosuch in the index identities: the condition on it finds nothing."),
        ("Name:ada", "Did you mean name?"),
        ("dispalyName:ada", "Did you mean displayName?"),
        ("manager:bob", "manager is an object: name one of its fields, as manager.displayName."),
        ("accounts.name:x", "accounts is a list of objects: write @accounts(name:…)."),
        ("@source(id:x)", "source is an object, not a list of objects: write source.id:…."),
        ("@nosuch(id:x)", "The lists of identities are: accounts, access, apps, owns."),
        ("@accounts(nosuch:x)", "There is no field @accounts(nosuch)"),
        ("ada - bob", "A - before a blank means nothing"),
    ],
)
def test_what_finds_nothing_by_its_name_is_told(corpus: Corpus, query: str, note: str) -> None:
    notes = " ".join(note.text for note in corpus.ask(query).notes)
    assert note in notes


def test_filters_take_whole_values_and_exclusive_bounds(corpus: Corpus) -> None:
    def ids(**filters: Any) -> set[str]:
        return corpus.ids("*", filters={name.replace("__", "."): one for name, one in filters.items()})

    assert ids(attributes__city={"type": "TERMS", "terms": ["London", "Paris"]}) == {"ada", "cyd"}
    assert ids(attributes__city={"type": "TERMS", "terms": ["london"]}) == set()
    assert ids(attributes__city={"type": "TERMS", "terms": ["London"], "exclude": True}) == {"bob", "cyd", "dee"}
    assert ids(phone={"type": "EXISTS"}) == {"ada", "bob"}
    assert ids(phone={"type": "EXISTS", "exclude": True}) == {"cyd", "dee"}
    assert ids(accountCount={"type": "RANGE", "range": {"lower": {"value": "2"}}}) == {"cyd"}
    assert ids(accountCount={"type": "RANGE", "range": {"lower": {"value": "2", "inclusive": True}}}) == {
        "ada",
        "bob",
        "cyd",
    }
    assert ids(created={"type": "RANGE", "range": {"upper": {"value": "2017-12-31"}}}) == {"ada"}
    assert ids(
        inactive={"type": "TERMS", "terms": [True]}, accounts__source__name={"type": "TERMS", "terms": ["SAP"]}
    ) == {
        "ada",
        "bob",
    }


@pytest.mark.parametrize(
    "filter",
    [None, "x", {}, {"type": "TERM", "terms": ["a"]}, {"type": "TERMS"}, {"type": "TERMS", "terms": []}, {"type": "RANGE"},
     {"type": "TERMS", "terms": [{}]}, {"type": "RANGE", "range": {}}, {"type": "RANGE", "range": {"lower": 1}}],
)  # fmt: skip
def test_a_filter_that_is_none_is_told(corpus: Corpus, filter: Any) -> None:
    with pytest.raises(InvalidArguments, match="name"):
        corpus.ids("*", filters={"name": filter})


def test_an_inner_query_holds_for_one_object(corpus: Corpus) -> None:
    assert corpus.ids("*", inner_hit=("accounts", "source.name:SAP AND disabled:true")) == {"bob"}

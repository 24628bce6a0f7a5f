"""The search language against real Lucene: the same queries over the same documents find the same ones."""

from __future__ import annotations

import random
import re
import textwrap
from pathlib import Path
from typing import Any

import pytest

import lucene
from chance import chance
from searching import Corpus
from whohas.errors import InvalidArguments

FIRST = [
    "Anna",
    "Björn",
    "Chloë",
    "David",
    "Élodie",
    "François",
    "Grace",
    "Henry",
    "Irene",
    "John",
    "Jon",
    "Johan",
    "Jonathan",
    "Łukasz",
    "Maria",
    "Noël",
    "Zoë",
    "王",
    "Ольга",
]
LAST = [
    "Smith",
    "Smyth",
    "Schmidt",
    "Schmitt",
    "O'Brien",
    "Müller",
    "García",
    "McDonald",
    "de-la-Cruz",
    "Nguyễn",
    "Петров",
    "小明",
    "Jones",
    "Johnson",
    "Olsen",
]
CITIES = [
    "London",
    "Paris",
    "San Francisco",
    "São Paulo",
    "New York",
    "St. Gallen",
    "Köln",
    "東京",
    "Saint-Denis",
    "York",
]
DEPARTMENTS = ["Finance", "Finance & Accounting", "R&D", "IT-Security", "Sales (EMEA)", "Human Resources", "Research"]
WORDS = [
    "the",
    "team",
    "leads",
    "access",
    "review",
    "for",
    "SAP",
    "and",
    "Active",
    "Directory",
    "in",
    "J-1001",
    "don't",
    "remove",
    "admin_rights",
    "v2.5",
    "1,000",
    "users",
    "file",
    "share",
    "cloud",
    "lifecycle",
    "new",
    "old",
    "very",
    "long",
    "London",
    "report",
    "can't",
    "be",
    "done",
    "by",
    "night",
    "shift",
    "only",
    "e.g.",
    "3.14",
    "C++",
    "a",
    "b",
]
SKILLS = ["python", "data analysis", "project management", "Java 17", "SQL", "risk & audit", "AWS (cloud)", "Excel"]


def documents() -> list[dict[str, Any]]:
    draw = random.Random(20261123)
    made: list[dict[str, Any]] = []
    for number in range(300):
        first, last = draw.choice(FIRST), draw.choice(LAST)
        attributes: dict[str, Any] = {
            "department": draw.choice(DEPARTMENTS),
            "jobCode": f"{draw.choice('JKX')}-{1000 + number % 40}",
            "description": " ".join(draw.choices(WORDS, k=draw.randint(3, 12))),
        }
        if draw.random() < 0.8:
            attributes["city"] = draw.choice(CITIES)
        if draw.random() < 0.5:
            attributes["skills"] = draw.sample(SKILLS, draw.randint(1, 4))
        document: dict[str, Any] = {
            "id": f"{number:032x}",
            "name": f"{first}.{last}{number}".lower(),
            "displayName": f"{first} {last}",
            "firstName": first,
            "lastName": last,
            "attributes": attributes,
        }
        if draw.random() < 0.7:
            host = draw.choice(["acme.example", "partner-acme.example", "mail.acme.co.uk"])
            document["email"] = f"{first}.{last}@{host}"
        if draw.random() < 0.6:
            document["phone"] = f"+1 555-{draw.randint(100, 999)}-{draw.randint(1000, 9999)}"
        made.append(document)
    return made


BY_HAND = r"""
london
LONDON
"new york"
"york new"
"new york"~1
"york new"~1
"york new"~2
"leads review"~1
"review leads"~3
"review team leads"~4
"the team access"~1
"a b"~0
"b a"~1
"b a"~2
"access access"~5
firstName:john
firstName:John lastName:Smith
firstName:john AND lastName:smith
firstName:john && lastName:smith
firstName:john OR lastName:smith
firstName:john || lastName:smith
firstName:john AND NOT lastName:smith
firstName:john -lastName:smith
+firstName:john -lastName:smith
+firstName:john lastName:smith
firstName:john !lastName:smith
firstName:john NOT lastName:smith
NOT firstName:john
-firstName:john
!firstName:john
-firstName:john -lastName:smith
-(firstName:john) attributes.city:london
-(-firstName:john)
NOT (NOT firstName:john)
(NOT firstName:john) AND lastName:smith
(NOT firstName:john) OR lastName:smith
firstName:john OR NOT lastName:smith
firstName:anna OR lastName:smith AND attributes.city:london
firstName:anna AND lastName:smith OR attributes.city:london
firstName:anna OR lastName:smith OR attributes.city:london AND attributes.department:finance
(firstName:anna OR lastName:smith) AND attributes.city:london
firstName:anna AND (lastName:smith OR attributes.city:london)
firstName:anna OR (lastName:smith AND attributes.city:london)
firstName:(anna john)
firstName:(+anna -john)
firstName:(anna OR john) AND lastName:(smith smyth)
attributes.city:(London OR Paris)
attributes.city:(london AND NOT paris)
attributes.city:(new AND york)
attributes.city:San Francisco
attributes.city:"San Francisco"
attributes.city:san\ francisco
attributes.city:saint-denis
attributes.city:"saint denis"
attributes.city:st.
attributes.city:st.gallen
attributes.city:"st gallen"
attributes.city:köln
attributes.city:KÖLN
attributes.city:koln
attributes.city:東京
attributes.city:"東京"
attributes.city:京
attributes.city:são
london and paris
london AND paris
london or paris
name:john.smith*
name:john*
name:JOHN*
name:*smith*
name:j?hn*
name:*o'brien*
name:jo*n*
name:?*
name:*
name:*1
name:*1?
*smith
*mit*
*
*:*
firstName:j*n
firstName:jo*
firstName:jo?
firstName:j??n
firstName:*n
firstName:?o*
firstName:"jo*"
firstName:jo\*
firstName:jon~
firstName:jhon~
firstName:jhon~1
firstName:jonh~1
firstName:johan~1
firstName:johan~2
firstName:johann~
firstName:jo~
firstName:jonathn~
firstName:jonatahn~1
firstName:jonatahn~2
lastName:schmidt~1
lastName:schmidt~
lastName:smith~0
lastName:smith~0.5
lastName:smith~3
lastName:smyth~1
lastName:shmitt~2
lastName:müler~1
lastName:петро~1
smtih~
lastName:o'brien
lastName:O'BRIEN
lastName:o'brian~1
lastName:brien
lastName:'smith'
'smith
lastName:de-la-cruz
lastName:"de la cruz"
lastName:"de cruz"~1
lastName:"cruz la de"~4
lastName:smith^2 lastName:jones
lastName:(smith^3 OR jones^0.5)^2
"new york"^2
"new york"~1^2
lastName:smit~1^2
lastName:/sm[iy]th/
lastName:/s.*/
lastName:/schmid?t+/
lastName:/(jones|johnson)/
lastName:/jo(hns)?[a-z]+/
lastName:/[^s].*/
lastName:/.{5}/
lastName:/.{3,5}/
lastName:/.{8,}/
lastName:/SMITH/
lastName:/"smith"/
lastName:/o.brien/
lastName:/o'brien/
lastName:/smit/
lastName:/@/
lastName:/#/
lastName:/s(m|ch)(i|y)t+h?/
/lon.*/
/j[0-9]*/
attributes.jobCode:J-1001
attributes.jobCode:"J-1001"
attributes.jobCode:1001
attributes.jobCode:j
attributes.jobCode:j-*
attributes.jobCode:100?
attributes.jobCode:[1001 TO 1005]
attributes.jobCode:{1001 TO 1005}
attributes.jobCode:[1001 TO 1005}
attributes.jobCode:{1001 TO 1005]
attributes.jobCode:[* TO 1005]
attributes.jobCode:[1030 TO *]
attributes.jobCode:[* TO *]
attributes.jobCode:>1030
attributes.jobCode:>=1030
attributes.jobCode:<1003
attributes.jobCode:<=1003
attributes.jobCode:(>=1003 AND <1006)
attributes.jobCode:[k TO x]
attributes.jobCode:{k TO x}
lastName:[Jones TO olsen]
lastName:["jones" TO "olsen"]
lastName:[m TO "o'brien"]
lastName:[TO TO z]
[jones TO olsen]
email:anna.smith@acme.example
email:"anna.smith@acme.example"
email:acme.example
email:acme
email:partner
email:partner-acme.example
email:*acme*
email:anna.smith@acme*
email:"grace.jones@mail.acme.co.uk"
email:mail.acme.co.uk
phone:555
phone:"1 555"
phone:\+1
phone:1
phone:(1 AND 555)
email.exact:"John.Smith@acme.example"
firstName.exact:John
firstName.exact:john
firstName.exact:J*
firstName.exact:j*
firstName.exact:J?hn
firstName.exact:Jhon~1
firstName.exact:/J.*n/
firstName.exact:[J TO K]
displayName.exact:"John Smith"
displayName.exact:John\ Smith
displayName.exact:John*
displayName.exact:*Smith
displayName.exact:(John Smith)
attributes.city.exact:"San Francisco"
attributes.city.exact:(San Francisco)
attributes.city.exact:San\ Francisco
attributes.city.exact:São*
attributes.city.exact:東京
attributes.department:r&d
attributes.department:R&D
attributes.department:"r d"
attributes.department:it-security
attributes.department:(finance accounting)
attributes.department:"finance accounting"
attributes.department:\(emea\)
attributes.department:"sales (emea)"
attributes.department.exact:"R&D"
attributes.department.exact:R\&D
attributes.skills:python
attributes.skills:"data analysis"
attributes.skills:"analysis data"
attributes.skills:"python sql"
attributes.skills:"python sql"~20
attributes.skills:"java 17"
attributes.skills.exact:SQL
attributes.skills.exact:"data analysis"
attributes.skills.exact:data*
attributes.skills:(python AND sql)
attributes.skills:(+python -sql)
attributes.description:don't
attributes.description:"don't"
attributes.description:dont
attributes.description:admin_rights
attributes.description:admin
attributes.description:v2.5
attributes.description:2.5
attributes.description:1,000
attributes.description:1000
attributes.description:e.g.
attributes.description:e.g
attributes.description:3.14
attributes.description:c\+\+
attributes.description:c
attributes.description:(the AND team)
attributes.description:"active directory"
attributes.description:"active directory"~3
attributes.description:"directory active"~3
attributes.description:"file share"~2
attributes.description:"team review access"~6
attributes.description:"can't be done"~2
attributes.description:the*
_exists_:email
NOT _exists_:email
_exists_:attributes.city
-_exists_:attributes.city
_exists_:attributes
_exists_:phone AND NOT _exists_:email
_exists_:nosuch
attributes.skills:*
NOT attributes.skills:*
phone:* AND email:*
nosuch:x
nosuch:x OR firstName:john
NOT nosuch:x
nosuch:x AND firstName:john
!!!
a - b
a + b
- a
+ a
! a
- firstName:john
firstName:john - lastName:smith
firstName:john AND - lastName:smith
??? AND john
... AND john
john AND ...
john AND ... AND smith
anna ... AND smith
anna OR ... AND smith
+... john
-... john
john -...
"..." john
"..."
firstName:... AND firstName:john
(...) AND john
(... john) AND smith
a|b
a||b
a||john
john || smith
a&&b
a &&b
a& b
a=b
#john
john#
@john
john@smith
john>smith
>john
<john
firstName:>john
firstName:<b
firstName:>=zoë
firstName:>
firstName:=john
john;smith
john,smith
john.smith
john:smith:x
\john
jo\hn
jo\u0068n
\u006Aohn
first\Name:john
firstName\:john
john\ smith
"john \"smith\""
"john\\smith"
firstName:"john" "smith"
firstName: john
firstName :john
firstName : john
(john)(smith)
(john)smith
((((john))))
(john OR (smith AND (london OR (paris AND NOT york))))
john	smith
john　smith
ольга
Ольга~1
"ольга петров"
петров*
王
王 小明
"小明"
小*
nguyễn
NGUYỄN
łukasz
lukasz
élodie
ÉLODIE
zoë~1
jonathan~1 -firstName:jonathan
firstName:j* -firstName:jo*
firstName:(j* AND -jo*)
(+john +smith) (+anna +jones)
+(john anna) +(smith jones)
+(john anna) -(smith jones)
john^2 smith^0
john~1 smith~1
"john smith" OR "anna jones"
NOT "john smith" AND john
*:* -john
*:* AND NOT firstName:*
(*:* -firstName:john) AND lastName:smith
""".strip("\n").split("\n")

MALFORMED = r"""
(
)
()
(john
john)
((john)
(john))
firstName:
firstName:(
firstName:()
firstName:)
:john
::
firstName::john
john AND
john OR
john NOT
john &&
john ||
john !
AND
OR
NOT
AND john
OR john
&& john
|| john
john AND AND smith
john AND OR smith
john OR OR smith
NOT NOT john
NOT AND john
john NOT AND smith
--john
++john
+-john
-+john
!!john
+ -
+
-
!
john +
john -
"john
john"
"john smith
"john" "smith
[john TO smith
[john smith]
[john TO]
[TO smith]
[john TO smith)
[john]
[]
{}
firstName:[a TO
firstName:[a TO b
firstName:{a TO b
firstName:[a b]
firstName:[TO]
firstName:[a TO b c]
firstName:[a AND b]
john]
john}
john^
john^x
john^ 2
john^-1
john^2^3
^2
john~1.5
john~2.5
john~-1
"john smith"~-1
~
~john
~1
/john
john/
firstName:/john
http://x
john\
\
"john\
firstName:john\
\u00
\u00zz
john\u12
phone:+1440
phone:+1 440
firstName:-john
firstName:!john
firstName:~
firstName:^2
f*:john
*irst:john
?:john
firstName:smith:
(john AND)
(AND john)
john AND (
john AND )
firstName:(john AND)
/(/
/[/
/a{/
lastName:/a(b/
john (smith
john :smith
john: :smith
""".strip("\n").split("\n")


def generated(count: int) -> list[str]:
    """Queries from a grammar over the documents' own words."""
    draw = chance(814)
    fields = [
        "firstName",
        "lastName",
        "displayName",
        "attributes.city",
        "attributes.department",
        "attributes.description",
    ]
    words = [*WORDS[:24], *(word for text in (*CITIES, *DEPARTMENTS) for word in text.split()), *FIRST, *LAST]
    words = [word for word in words if not set(word) & set("()&+/:-!")]

    def leaf() -> str:
        word = draw.choice(words)
        made = draw.choice(
            [
                word, word, word, word.upper() if word.isascii() else word, f"{word[:2]}*", f"*{word[-2:]}", f"{word[0]}?*",
                f"{word}~1", f"{word}~", f'"{word} {draw.choice(words)}"', f'"{word} {draw.choice(words)}"~{draw.randint(1, 9)}',
                f"[{word} TO *]", f"{{* TO {word}}}",
            ]
        )  # fmt: skip
        if made in ("AND", "OR", "NOT"):
            made = made.lower()
        return f"{draw.choice(fields)}:{made}" if draw.random() < 0.7 else made

    def query(depth: int) -> str:
        parts = [clause(depth)]
        for _ in range(draw.choice([0, 1, 1, 2, 3])):
            parts += [draw.choice([" ", " AND ", " OR ", " && ", " || "]), clause(depth)]
        return "".join(parts)

    def clause(depth: int) -> str:
        sign = draw.choice(["", "", "", "", "+", "-", "NOT ", "!"])
        if depth and draw.random() < 0.3:
            field = f"{draw.choice(fields)}:" if draw.random() < 0.2 else ""
            return f"{sign}{field}({query(depth - 1)})"
        return sign + leaf()

    def many() -> str:
        """Lists that are merged: long ones, of several fields, of one kind or of all, with signs and without."""
        size = draw.choice([5, 12, 40, 300])
        field = draw.choice(fields)
        alike = draw.choice(["{}", "{}*", "*{}", "{}~1", "{}~", '"{} team"', "[{} TO {}z]", "{}?*"])
        size = min(size, 60) if "~" in alike else size
        one = [alike.replace("{}", draw.choice(words) + draw.choice(["", "", "x", "q"])) for _ in range(size)]
        mixed = [leaf() for _ in range(min(size, 60))]
        joined = draw.choice(
            [
                f"{field}:({' '.join(one)})",
                " OR ".join(f"{draw.choice(fields)}:{value}" for value in one),
                " ".join([*one[:40], *mixed]),
                f"{leaf()} AND NOT ({' '.join(one)})",
                f"+({' '.join(one)}) +({' '.join(mixed)}) -{leaf()}",
            ]
        )
        return re.sub(r"\b(AND|OR|NOT)(?=[*~?x])", "it", joined)

    return [query(2) for _ in range(count)] + [many() for _ in range(count // 4)]


def soups(count: int) -> list[str]:
    """Tokens in any order: most are no queries, some are odd ones."""
    draw = chance(7)
    tokens = [
        "AND", "OR", "NOT", "&&", "||", "!", "+", "-", "(", ")", ":", "*", "?", "~", "^2", '"', "[", "]", "{", "}", " TO ",
        "\\", "/", "john", "smith", "firstName:", "attributes.city:", "london", "a", "!!!", " ", " ", " ", " ", "~1", "jo*",
        '"new york"', "@", "'",
    ]  # fmt: skip
    made = ("".join(draw.choices(tokens, k=draw.randint(1, 9))) for _ in range(count))
    return [query for query in made if query.strip()]


DIFFERENCES: dict[str, str] = {}
"""Queries that mean something else here, each with the reason."""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return Corpus(tmp_path_factory.mktemp("lucene"), documents())


@pytest.mark.engine
@pytest.mark.property
def test_queries_find_and_reject_what_lucene_does(corpus: Corpus) -> None:
    asked = [
        query
        for query in dict.fromkeys([*BY_HAND, *MALFORMED, *generated(400), *soups(400)])
        if query not in DIFFERENCES
    ]
    try:
        answers = lucene.ask(documents(), asked)
    except lucene.Unavailable as reason:
        pytest.skip(str(reason))
    wrong: list[str] = []
    accepted = [answer for answer in answers if answer.rejected is None]
    for answer in answers:
        try:
            ours: set[str] | None = corpus.ids(answer.query)
        except InvalidArguments as error:
            ours, reason = None, error.message
        if ours is None and answer.rejected is None:
            wrong.append(f"{answer.query!r} is rejected, Lucene reads {answer.parsed}\n  {reason}")
        elif ours is not None and answer.rejected is not None:
            wrong.append(f"{answer.query!r} is accepted, Lucene says {answer.rejected}")
        elif ours is not None and ours != answer.ids:
            less, more = sorted(answer.ids - ours)[:3], sorted(ours - answer.ids)[:3]
            wrong.append(
                f"{answer.query!r} finds {len(ours)}, Lucene {len(answer.ids)} ({answer.parsed}): lacks {less}, has {more}"
            )
    assert not wrong, f"{len(wrong)} of {len(answers)} differ:\n" + textwrap.indent("\n".join(wrong), "  ")
    assert len(accepted) > 600
    assert len(answers) - len(accepted) > 80
    assert sum(bool(answer.ids) for answer in accepted) > 0.6 * len(accepted)


@pytest.mark.engine
def test_the_oracle_can_disagree(tmp_path: Path) -> None:
    corpus = Corpus(tmp_path, [{"id": "1", "name": "here"}])
    try:
        (answer,) = lucene.ask([{"id": "1", "name": "there"}], ["name:here"])
    except lucene.Unavailable as reason:
        pytest.skip(str(reason))
    assert corpus.ids("name:here") != answer.ids

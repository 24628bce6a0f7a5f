"""Addresses, time zones, dates of queries, and the texts of settings."""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
from hypothesis import strategies as st
from pydantic import ValidationError

from fuzz.drawing import fuzzed
from fuzz.target import Check, measured
from whohas.addresses import MAX_LENGTH, describe_fault, parse_host_and_port, try_parse
from whohas.auth.callers import known_scopes, validate_levels, validate_scopes
from whohas.errors import InvalidArguments, WhohasError
from whohas.search.dates import DateError, parse_date
from whohas.settings import Settings
from whohas.zones import UnknownZone, parse_zone, zone_name

_host = st.sampled_from(
    ("a.example", "A-b.example", "localhost", "10.0.0.1", "[2001:db8::1]", "xn--bcher-kva.example", "x_y")
)
_address = st.builds(
    "{}://{}{}{}".format,
    st.sampled_from(("http", "https", "HTTPS")),
    _host,
    st.sampled_from(("", ":1", ":8443", ":65535")),
    st.sampled_from(("", "/", "/a/b", "/a?b=c", "?q", "#f", "/%41;x=1", "/a,b", "/@x")),
)
_PIECES = (
    "http://", "https:", "//", "@", ":", "/", "?", "#", "[", "]", "%", "%41", "%00", "%e2%80%a8", " ", "\t", "\r\n", "\\", ";", ",", "*", "..",
    "0x7f.1", "127.1", "2130706433", "\u3002", "\uff0e", "\u00df", "\u0130", "::1", "::ffff:127.0.0.1", "%25eth0", ":0", ":65536", ":+1", "u:p@", "-", "_",
)  # fmt: skip


def _check_address(text: str) -> bool:
    found = measured(len(text), try_parse, text)
    reason = measured(len(text), describe_fault, text)
    assert (found is None) == bool(reason)
    measured(len(text), try_parse, text, services=True)
    with suppress(InvalidArguments):
        measured(len(text), parse_host_and_port, text)
    if found is None:
        return False
    assert len(text) <= MAX_LENGTH
    assert text.isascii()
    assert text.isprintable()
    assert not set(found.origin) & set(" ;,'\"\\<>?#@*"), found.origin
    assert not set(found.origin.removeprefix(f"{found.scheme}://")) & set("/"), found.origin
    # two other readers, of which one connects, see the same host and port
    hosts = (urlsplit(text).hostname or "", httpx2.URL(text).raw_host.decode())
    assert {_canonical(host) for host in hosts} == {_canonical(found.host)}, (hosts, found.host)
    assert urlsplit(text).port == found.port
    again = try_parse(f"{found.origin}{found.path}{found.query}{found.fragment}")
    assert again is not None
    assert (again.origin, again.without_port) == (found.origin, found.without_port)
    return True


def _canonical(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        return host.lower()


_zone = st.sampled_from(("UTC", "Z", "Europe/Berlin", "+01:00", "-0800", "UTC+2", "Asia/Kolkata", "GMT", "+5"))
_ZONE_PIECES = ("Europe", "/", "Berlin", "+", "-", ":", "00", "18", "99", "UTC", "GMT", "..", "../../etc/passwd", "\0", "posix/", " ", "localtime", "a" * 300)  # fmt: skip


def _check_zone(text: str) -> bool:
    try:
        zone = measured(len(text), parse_zone, text)
    except UnknownZone:
        return False
    datetime.now(UTC).astimezone(zone)
    assert parse_zone(zone_name(zone)).utcoffset(datetime(2026, 7, 1)) == zone.utcoffset(datetime(2026, 7, 1))  # type: ignore[arg-type]
    return True


_NOW = datetime(2026, 11, 23, 10, 15, 30, tzinfo=UTC)
_step = st.builds("{}{}{}".format, st.sampled_from("+-"), st.sampled_from(("", "1", "30", "999999999")), st.sampled_from("yMwdhHms")) | st.sampled_from(("/d", "/M", "/y", "/w", "/h"))  # fmt: skip
_date = st.builds(
    "{}{}".format,
    st.sampled_from(
        ("now", "2026-11-23||", "2024-02-29||", "0001||", "9999-12-31||", "2026-03-29T02:30||", "1700000000000||")
    ),
    st.lists(_step, max_size=4).map("".join),
) | st.sampled_from(
    (
        "2026",
        "2026-11",
        "2026-11-23T10:15:00.123Z",
        "2026-11-23T10:15+05:30",
        "9999",
        "0001-01-01",
        "9999-12-31T23:59:59Z",
    )
)
_DATE_PIECES = (
    "now",
    "||",
    "-",
    "+",
    ":",
    "T",
    "Z",
    "2026",
    "00",
    "13",
    "/d",
    "/",
    "+1M",
    "0000",
    "9" * 15,
    ".",
    "\u0662",
    "24:00",
    "+99:99",
    " ",
)


def _check_date(text: str) -> bool:
    accepted = False
    for zone in ("UTC", "Europe/Berlin", "Pacific/Apia", "+14:00", "-12:00"):
        try:
            found = measured(len(text), parse_date, text, _NOW, parse_zone(zone))
        except DateError:
            continue
        assert found.start <= found.end
        assert found.start.tzinfo is UTC
        accepted = True
    return accepted


_setting = st.sampled_from(
    (
        "1",
        "30",
        "true",
        "info",
        "csv,pdf",
        "http://a.example",
        "10.0.0.0/8",
        "a=b,c=d",
        "sqlite://",
        "0.5",
        "off",
        "Europe/Berlin",
        "WARNING",
    )
)
_SETTING_PIECES = (
    "-1",
    "1e9",
    "nan",
    "inf",
    "9" * 5_000,
    ",",
    "=",
    "..",
    "/",
    "\0",
    "[",
    "{",
    "sqlite",
    "postgresql://",
    "@",
    ":",
    "%",
    " ",
    "P1D",
    "*",
    "\ud800",
)
_NAMES = tuple(name for name in Settings.model_fields if name != "home")


def _check_setting(text: str) -> bool:
    """Give one text to every setting: it is taken, or refused with the setting's name."""
    accepted = 0
    for name in _NAMES:
        try:
            measured(len(text), Settings, **{"home": Path("nowhere"), name: text})
            accepted += 1
        except (ValidationError, WhohasError) as error:
            assert name in str(error).lower() or isinstance(error, ValidationError)
    return accepted > 0


_scope = st.lists(st.sampled_from(known_scopes), min_size=1, max_size=3).map(" ".join)


def _check_rights(text: str) -> bool:
    names = text.split(" ")
    accepted = False
    for check in (validate_scopes, validate_levels):
        try:
            assert set(measured(len(text), check, names)) == set(names)
            accepted = True
        except InvalidArguments as error:
            assert len(error.message) < 1_000 + 12 * len(text)
    return accepted


def checks() -> tuple[Check, ...]:
    """Return addresses, zones, dates, settings and names of rights."""
    return (
        fuzzed(_address, _PIECES, _check_address, 5_000),
        fuzzed(_zone, _ZONE_PIECES, _check_zone, 2_000),
        fuzzed(_date, _DATE_PIECES, _check_date, 2_000),
        fuzzed(_setting, _SETTING_PIECES, _check_setting, 2_000),
        fuzzed(_scope, ("sp:", "scopes", ":all", " ", "ORG_ADMIN", "*", "", "\t"), _check_rights, 5_000),
    )

"""`Accept` and the other headers that name media types and codings, held to a reading of RFC 9110 by hand."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

from fuzz.application import STATUSES, Client
from fuzz.drawing import fuzzed, latin
from fuzz.target import Check, measured, single
from whohas.api.negotiation import prefers_media_type

_JSON, _TEXT = "application/json", "text/plain"


@dataclass(frozen=True)
class Range:
    """A media range with its weight in thousandths; None where it names none."""

    name: str
    weight: int | None
    text: str


@st.composite
def _ranges(draw: st.DrawFn) -> Range:
    name = draw(st.sampled_from((_JSON, _TEXT, "application/*", "text/*", "*/*", "text/html", "Application/JSON")))
    weight = draw(st.none() | st.sampled_from((0, 1, 300, 500, 999, 1_000)))
    text = name
    if weight is not None:
        blank = draw(st.sampled_from(("", " ", "\t ")))
        digits = draw(st.sampled_from((f"{weight / 1_000:.3f}", f"{weight / 1_000:g}")))
        text += f"{blank};{blank}{draw(st.sampled_from('qQ'))}={digits}"
    return Range(name.lower(), weight, text)


def _expected(ranges: list[Range]) -> bool:
    def weight(media_type: str) -> int:
        for name in (media_type, media_type.partition("/")[0] + "/*", "*/*"):
            named = [1_000 if one.weight is None else one.weight for one in ranges if one.name == name]
            if named:
                return max(named)
        return 0

    named = any(one.name in (_JSON, "application/*") for one in ranges)
    return named and weight(_JSON) > 0 and weight(_JSON) >= weight(_TEXT)


def _check_preference(one: tuple[list[Range], str]) -> bool:
    ranges, comma = one
    header = comma.join(each.text for each in ranges)
    assert measured(len(header), prefers_media_type, header, _JSON, _TEXT) == _expected(ranges), header
    return True


_PIECES = (
    "*/*", "text/plain", _JSON, "application/*", ",", ";", "q=", "q=0.5", "=", '"', "\\", " ", ";q=1;", "multipart/form-data",
    "boundary=x", "charset=utf-8", "charset=idna", "gzip", "identity", "br;q=0", "/", "*", "q=nan", "q=1e3", "\xff",
)  # fmt: skip
_CLIENT = Client()


def _check_accept(text: str) -> bool:
    header = latin(text)
    found = measured(len(header), prefers_media_type, header, _JSON, _TEXT)
    assert not found or "/" in header
    return found


def _check_headers(text: str) -> bool:
    """Send a text as each header that names types and codings, with a body."""
    header = latin(text)[:15_000]
    body = b"grant_type=client_credentials&client_id=a&client_secret=b"
    statuses = set[int]()
    for names in (
        ("accept",),
        ("accept-encoding", "accept"),
        ("content-type",),
        ("content-encoding",),
        ("accept-language", "te"),
    ):
        headers = [(name, header) for name in names]
        status, _, _ = measured(len(header), _CLIENT.send, "POST", "/oauth/token", headers, body)
        assert status in STATUSES, (status, names)
        statuses.add(status)
    return statuses == {401}


def checks() -> tuple[Check, ...]:
    """Return headers with a known meaning, and headers of any text; these with the application too."""
    several = st.lists(_ranges(), min_size=1, max_size=5)
    valid = several.map(lambda ranges: ", ".join(one.text for one in ranges))
    kinds = st.sampled_from(
        ("multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "gzip, br", "identity")
    )
    return (
        single(st.tuples(several, st.sampled_from((",", ", ", " ,\t", ",,"))), _check_preference),
        fuzzed(valid, _PIECES, _check_accept, 16_000),
        fuzzed(valid | kinds, _PIECES, _check_headers, 15_000),
    )

"""Which of two media types a caller would rather have: the header `Accept` of RFC 9110, 12.5.1."""

from __future__ import annotations

import re

_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_QUOTED = r'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"'
_RANGE = re.compile(rf"({_NAME}/{_NAME})")
_PARAMETER = re.compile(rf"[ \t]*;[ \t]*(?:({_NAME})=({_NAME}|{_QUOTED}))?")
_WEIGHT = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
_BETWEEN = re.compile(r"[ \t]*(?:,[ \t]*)*")


def prefers(header: str, wanted: str, usual: str) -> bool:
    """Return whether a caller names a media type, or a range that it is in, and does not weigh the usual one higher.

    A header that cannot be read, or has `*/*` alone, names nothing: the usual type is sent.

    Args:
        header: `Accept`; several lines joined by commas; empty if the request has no such header.
        wanted: such as `application/json`.
        usual: what is sent to a caller who does not say.
    """
    weights = _weights(header)
    if not {wanted, _family(wanted)} & weights.keys():
        return False
    mine = _weight(weights, wanted)
    return mine > 0 and mine >= _weight(weights, usual)


def _family(media_type: str) -> str:
    return f"{media_type.partition('/')[0]}/*"


def _weight(weights: dict[str, float], media_type: str) -> float:
    """Return the weight of the most specific range that a type is in."""
    return next((weights[name] for name in (media_type, _family(media_type), "*/*") if name in weights), 0)


def _weights(header: str) -> dict[str, float]:
    """Return the weight of each media range; none where the header cannot be read. Ranges with parameters of a type
    (`text/plain;format=flowed`) are no types of ours."""
    found: dict[str, float] = {}
    at = 0
    while True:
        between = _BETWEEN.match(header, at)
        assert between is not None
        if between.end() == len(header):
            return found
        media_type = _RANGE.match(header, between.end())
        if media_type is None or (at and "," not in between[0]):
            return {}
        at, weight, plain = media_type.end(), 1.0, True
        while parameter := _PARAMETER.match(header, at):
            at = parameter.end()
            if parameter[1] is None:
                continue
            if parameter[1].lower() == "q":
                if not _WEIGHT.fullmatch(parameter[2]):
                    return {}
                weight = float(parameter[2])
                break
            plain = plain and parameter[1].lower() == "charset"
        # what follows a weight is an extension, which means nothing
        while parameter := _PARAMETER.match(header, at):
            at = parameter.end()
        if plain:
            name = media_type[1].lower()
            found[name] = max(weight, found.get(name, 0.0))

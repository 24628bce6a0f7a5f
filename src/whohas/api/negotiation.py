"""Content negotiation between two media types by the header `Accept` (RFC 9110, 12.5.1)."""

from __future__ import annotations

import re

_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_QUOTED = r'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"'
_RANGE = re.compile(rf"({_NAME}/{_NAME})")
_PARAMETER = re.compile(rf"[ \t]*;[ \t]*(?:({_NAME})=({_NAME}|{_QUOTED}))?")
_WEIGHT = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
_BETWEEN = re.compile(r"[ \t]*(?:,[ \t]*)*")


def prefers_media_type(header: str, wanted: str, usual: str) -> bool:
    """Return whether a caller asks for a media type, instead of the one that is sent by default.

    The header must name the type or its family (`application/*`) with a weight that is not lower than that of the
    default. A header that is malformed, or has only `*/*`, gets the default. With `application/json` wanted and
    `text/plain` as the default, `application/json` and `application/*, text/plain` give True, `*/*` and
    `application/json;q=0.5, text/plain` give False.

    Args:
        header: `Accept`; several lines joined by commas; empty if the request has no such header.
        wanted: a media type, such as `application/json`.
        usual: the media type that is sent by default.
    """
    weights = _weights(header)
    if not {wanted, _family(wanted)} & weights.keys():
        return False
    weight = _weight(weights, wanted)
    return weight > 0 and weight >= _weight(weights, usual)


def _family(media_type: str) -> str:
    return f"{media_type.partition('/')[0]}/*"


def _weight(weights: dict[str, float], media_type: str) -> float:
    """Return the weight of the most specific media range that includes a type: the type, its family, or `*/*`."""
    return next((weights[name] for name in (media_type, _family(media_type), "*/*") if name in weights), 0)


def _weights(header: str) -> dict[str, float]:
    """Return the weight of each media range; an empty dict if the header is malformed.

    Ranges with a parameter other than `charset` (`text/plain;format=flowed`) are left out: this server has no such
    types. For example `text/*;q=0.3, application/json` gives `{"text/*": 0.3, "application/json": 1.0}`.
    """
    weights: dict[str, float] = {}
    position = 0
    while True:
        between = _BETWEEN.match(header, position)
        assert between is not None
        if between.end() == len(header):
            return weights
        media_type = _RANGE.match(header, between.end())
        if media_type is None or (position and "," not in between[0]):
            return {}
        position, weight, plain = media_type.end(), 1.0, True
        while parameter := _PARAMETER.match(header, position):
            position = parameter.end()
            if parameter[1] is None:
                continue
            if parameter[1].lower() == "q":
                if not _WEIGHT.fullmatch(parameter[2]):
                    return {}
                weight = float(parameter[2])
                break
            plain = plain and parameter[1].lower() == "charset"
        # parameters after the weight are extensions without a meaning (RFC 9110, 12.5.1)
        while parameter := _PARAMETER.match(header, position):
            position = parameter.end()
        if plain:
            name = media_type[1].lower()
            weights[name] = max(weight, weights.get(name, 0.0))

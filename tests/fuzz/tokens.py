"""Access tokens: compact texts that were never issued are refused with 401."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from typing import Any

from hypothesis import strategies as st

from fuzz.application import Client
from fuzz.drawing import fuzzed, latin
from fuzz.target import Check, measured
from whohas.errors import Unauthorized

_CLIENT = Client()
_algorithm = st.sampled_from(("none", "HS256", "EdDSA", "ES256", "RS256", "Ed25519", "", None, 1, ["ES256"]))
_header = st.fixed_dictionaries(
    {"alg": _algorithm}, optional={"kid": st.sampled_from(("x", "", None, 1, "../key")), "crit": st.just(["b64"]), "b64": st.booleans(),
                                   "jku": st.just("http://127.0.0.1:1/"), "zip": st.just("DEF"), "jwk": st.just({"kty": "oct", "k": "AA"})},
)  # fmt: skip
_claims = st.fixed_dictionaries(
    {},
    optional={
        "iss": st.sampled_from(("x", 1, None)), "exp": st.sampled_from((0, 10**12, 1e300, "x", None)), "iat": st.sampled_from((0, -1, "x")),
        "client_id": st.sampled_from(("x", 1)), "scope": st.sampled_from(([], ["sp:scopes:all"], "x")), "nbf": st.just(10**12),
    },
)  # fmt: skip


def _part(value: Any) -> str:
    return urlsafe_b64encode(value if isinstance(value, bytes) else json.dumps(value).encode()).rstrip(b"=").decode()


_signature = st.binary(max_size=70)
_forged = st.builds(
    lambda header, claims, signature: f"{_part(header)}.{_part(claims)}.{_part(signature)}",
    _header,
    _claims,
    _signature,
)
_DEEP = _part(b"[" * 20_000)
_PIECES = (
    ".", "..", "=", "-", "_", "+", "/", "A", "eyJhbGciOiJub25lIn0", "eyJ", " ", "\xff", _DEEP, _part(b'{"a":' * 3_000), _part(b"9" * 5_000),
    "Bearer ", "\t", ",", _part(b"\xff\xfe"), _part(b"null"), _part(b'{"alg":"ES256","alg":"none"}'),
)  # fmt: skip


def _check(text: str) -> bool:
    verify = _CLIENT.services.access.tokens.verify
    genuine = _CLIENT.token
    for token in (
        text,
        text.partition(".")[0] + "." + genuine.partition(".")[2],
        genuine.rpartition(".")[0] + "." + text[-20:],
        genuine + text,
    ):
        if token == genuine:
            continue
        try:
            measured(len(token), verify, token)
        except Unauthorized:
            continue
        # the end of a signature may be written in several ways that are the same bytes
        assert token.rpartition(".")[0] == genuine.rpartition(".")[0], token
    status, found, _ = _CLIENT.send("GET", "/v2025/task-status", [("authorization", f"Bearer {latin(text)[:15_000]}")])
    assert status == 401, status
    assert found["www-authenticate"] == "Bearer"
    assert verify(genuine).name == "fuzz"
    return text.count(".") == 2


def checks() -> tuple[Check, ...]:
    """Return forged tokens and texts."""
    return (fuzzed(_forged, _PIECES, _check, 60_000),)

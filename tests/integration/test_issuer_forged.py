"""Tokens that somebody forged in the name of an outside issuer, and sets of keys that are none, over real HTTP."""

from __future__ import annotations

import base64
import gzip
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jwe
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from issuers import AUDIENCE, OutsideIssuer, encoded, new_key, outside_issuer
from patience import until
from whohas import timeouts
from whohas.auth import OIDCConfig, OIDCIssuer, UserLevel
from whohas.auth.oidc_keys import MAX_WAITING_THREADS
from whohas.errors import Unauthorized, Unavailable

FOREIGN = new_key()
CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def outside() -> Iterator[OutsideIssuer]:
    with outside_issuer() as issuer:
        issuer.keys.append(ECKey.generate_key("P-256", auto_kid=True))
        yield issuer


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer(outside: OutsideIssuer, clock: Clock) -> OIDCIssuer:
    outside.answers.clear()
    return OIDCIssuer(trust(outside.url), clock=clock)


def trust(url: str, *algorithms: str) -> OIDCConfig:
    return OIDCConfig(
        issuer=url,
        audience=AUDIENCE,
        algorithms=algorithms or ("RS256", "ES256"),
        user_name_claim="preferred_username",
        levels_claim="realm_access.roles",
        levels={"auditors": UserLevel.REPORT_ADMIN, "ad-team": UserLevel.SOURCE_ADMIN},
        sources_claim="sources",
        scopes=("sp:report:read",),
    )


def usual(outside: OutsideIssuer, **claims: Any) -> dict[str, Any]:
    now = int(time.time())
    told = {"iss": outside.url, "aud": AUDIENCE, "sub": "u-1", "iat": now, "exp": now + 300, **claims}
    return {name: value for name, value in told.items() if value is not ...}


def right(outside: OutsideIssuer, **claims: Any) -> str:
    """A token that the issuer signed, of claims that a library might not write."""
    return outside.raw({"alg": "RS256", "kid": outside.keys[0].kid}, usual(outside, **claims))


def forged(outside: OutsideIssuer) -> Iterator[tuple[str, str]]:
    """What an attacker may send: a word, and the token."""
    key_of_rsa, curve = outside.keys[:2]
    header = {"alg": "RS256", "kid": key_of_rsa.kid}
    said = usual(outside, realm_access={"roles": ["auditors"]})
    whole = outside.raw(header, said)
    head, body, signature = whole.split(".")
    public = key_of_rsa.as_dict(private=False)
    pem = key_of_rsa.as_pem(private=False)
    for name in ("none", "None", "NONE", "nOnE", "", "RS256 ", "rs256", "RS512", "PS256", "HS256", "ES256K", "\0"):
        yield f"alg {name!r} without a signature", f"{encoded({**header, 'alg': name})}.{body}."
        yield f"alg {name!r} with the signature", f"{encoded({**header, 'alg': name})}.{body}.{signature}"
    for what, alg in (("a list", ["RS256"]), ("an object", {"RS256": 1}), ("null", None), ("a number", 256)):
        yield f"alg that is {what}", outside.raw({**header, "alg": alg}, said)
    yield "no alg", outside.raw({"kid": key_of_rsa.kid}, said)
    secrets = [json.dumps(public).encode(), pem, pem.strip(), pem.decode().encode("utf-16"), b"", b"\0" * 32]
    for number, secret in enumerate(secrets):
        for alg in ("HS256", "HS384", "HS512"):
            for claimed in (alg, "RS256"):
                signed = f"{encoded({**header, 'alg': claimed})}.{body}"
                mac = hmac.digest(secret, signed.encode(), alg.replace("HS", "sha"))
                yield f"{claimed} with a MAC by the public key, {alg}, {number}", f"{signed}.{encoded(mac)}"
    kids: list[object] = [
        FOREIGN.kid,
        "",
        "x" * 300,
        "../../etc/passwd",
        "' OR 1=1 --",
        "\0",
        5,
        None,
        [key_of_rsa.kid],
    ]
    for kid in [*kids, {"kid": key_of_rsa.kid}, curve.kid, f" {key_of_rsa.kid}", f"{key_of_rsa.kid}\0"]:
        yield f"kid {kid!r} of a foreign key", outside.raw({"alg": "RS256", "kid": kid}, said, FOREIGN)
        if kid is not None:
            yield f"kid {kid!r} of the right key", outside.raw({"alg": "RS256", "kid": kid}, said)
    yield "no kid where there are several keys", outside.raw({"alg": "RS256"}, said)
    yield "a foreign key that claims the kid", outside.raw(header, said, FOREIGN)
    mine = FOREIGN.as_dict(private=False)
    certificate = base64.b64encode(b"a certificate").decode()
    for extra in (
        {"jku": "https://evil.example/keys"},
        {"jku": f"{outside.url}/evil"},
        {"x5u": f"{outside.url}/evil"},
        {"jwk": mine},
        {"jwk": {**mine, "kid": key_of_rsa.kid}},
        {"x5c": [certificate]},
        {"x5t": "AAAA"},
        {"x5t#S256": "AAAA", "x5u": "file:///etc/passwd"},
        {"jku": "http://[::1]:99999/"},
        {"jwk": "no object"},
    ):
        yield f"a foreign key in {sorted(extra)}", outside.raw({**header, **extra}, said, FOREIGN)
    for crit in (["exp"], ["b64"], [], ["x"], "exp", None, ["kid", "kid"]):
        yield f"crit {crit!r}", outside.raw({**header, "crit": crit, "exp": 1, "x": 1, "b64": True}, said)
    for b64 in (True, False, None, "false"):
        yield f"b64 {b64!r}", outside.raw({**header, "b64": b64, "crit": ["b64"]}, said)
        yield f"b64 {b64!r} alone", outside.raw({**header, "b64": b64}, said)
    unencoded = json.dumps(said).replace(".", "\\u002e")
    yield "an unencoded payload", f"{encoded({**header, 'b64': False, 'crit': ['b64']})}.{unencoded}.{signature}"

    text = json.dumps(said)[1:-1]
    for name in ("iss", "aud", "sub", "exp", "realm_access"):
        yield f"two claims {name}", outside.raw(header, f'{{"{name}": null, {text}}}'.encode())
        yield f"two claims {name}, the last one null", outside.raw(header, f'{{{text}, "{name}": null}}'.encode())
    yield "two equal names deep inside", outside.raw(header, f'{{{text}, "a": {{"b": 1, "b": 2}}}}'.encode())
    kid = json.dumps(key_of_rsa.kid)
    for twice in (f'"alg": "none", "alg": "RS256", "kid": {kid}', f'"kid": "x", "kid": {kid}, "alg": "RS256"'):
        yield "two equal names in the header", outside.raw(f"{{{twice}}}".encode(), said)
    for what in (b"", b"[]", b"null", b"5", b'"text"', b"{", b"\xff", b"[" * 5000, b'{"a":' * 3000, b"{}{}"):
        yield f"a payload of {what[:10]!r}", outside.raw(header, what)
        yield f"a header of {what[:10]!r}", outside.raw(what, said)
    yield "claims in UTF-16", outside.raw(header, json.dumps(said).encode("utf-16-be")[:-1])

    key = OctKey.generate_key(256)
    yield "a JWE", jwe.encrypt_compact({"alg": "dir", "enc": "A256GCM"}, whole.encode(), key)
    sealed = jwe.encrypt_compact(
        {"alg": "RSA-OAEP", "enc": "A256GCM", "cty": "JWT", "kid": key_of_rsa.kid}, whole, key_of_rsa
    )
    yield "a JWE to the issuer's key", sealed
    yield "a token in a token", outside.raw({**header, "cty": "JWT"}, whole.encode())
    yield "oversized claims", outside.raw(header, {**said, "x": "a" * 200_000})
    yield "an oversized header", outside.raw({**header, "typ": "a" * 2_000}, said)
    yield "an unknown header", outside.raw({**header, "unknown": "a"}, said)

    for what, end in (("=", "="), ("==", "=="), (" ", " "), ("a newline", "\n"), ("+", "+"), ("/", "/"), (".", ".")):
        yield f"{what} after the signature", whole + end
        yield f"{what} after the claims", f"{head}.{body}{end}.{signature}"
        yield f"{what} after the header", f"{head}{end}.{body}.{signature}"
    yield "the signature cut", whole[:-5]
    yield "no signature", f"{head}.{body}."
    yield "two parts", f"{head}.{body}"
    yield "the parts exchanged", f"{body}.{head}.{signature}"
    yield "the signature of another token", f"{whole.rpartition('.')[0]}.{outside.sign().rpartition('.')[2]}"
    yield "a bit of the signature changed", f"{head}.{body}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"
    yield "zeros for a signature", f"{encoded({'alg': 'ES256', 'kid': curve.kid})}.{body}.{encoded(bytes(64))}"
    yield "the curve's signature in DER", f"{encoded({'alg': 'ES256', 'kid': curve.kid})}.{body}.{encoded(bytes(70))}"
    yield "a curve's algorithm and the key of RSA", outside.raw({"alg": "ES256", "kid": key_of_rsa.kid}, said)
    yield "RSA's algorithm and the key of a curve", outside.raw({"alg": "RS256", "kid": curve.kid}, said, curve)
    wide = ECKey.generate_key("P-384", auto_kid=True)
    yield "another curve", outside.raw({"alg": "ES256", "kid": curve.kid}, said, wide)
    yield "another hash", outside.raw(header, said, hash=hashes.SHA512())


def lacking(outside: OutsideIssuer) -> Iterator[tuple[str, dict[str, Any]]]:
    """Claims under a right signature that must not do: of another use, time, holder or form."""
    now = int(time.time())
    for value in (..., None, "", 5, [], {}, True, "https://evil.example", f"{outside.url}/", outside.url.upper()):
        yield f"iss {value!r}", {"iss": value}
    for value in (
        ...,
        None,
        "",
        "other",
        [],
        ["other"],
        {AUDIENCE: 1},
        5,
        AUDIENCE.upper(),
        f"{AUDIENCE}\0",
        [[AUDIENCE]],
    ):
        yield f"aud {value!r}", {"aud": value}
    nan, endless = float("nan"), float("inf")
    for value in (..., None, "", "soon", str(now + 300), [now + 300], {}, True, False, nan, endless, -endless):
        yield f"exp {value!r}", {"exp": value}
    for value in (0, -1, -now, now - 3600, now - 60.5, -(10**400), 1e-300):
        yield f"exp {value!r} in the past", {"exp": value}
    for value in ("", "now", [0], {}, True, nan, endless, now + 3600, now + 1e9, 10**400, 1e308):
        yield f"nbf {value!r}", {"nbf": value}
        yield f"iat {value!r}", {"iat": value}
    for value in (..., None, "", 5, [], ["u"], {}, True, "\ud800", "a\udfffb"):
        yield f"sub {value!r}", {"sub": value}


def test_no_forged_token_gets_in(outside: OutsideIssuer, issuer: OIDCIssuer, clock: Clock) -> None:
    issuer.verify(outside.sign())
    tokens = list(forged(outside))
    let_in: list[str] = []
    for number, (what, token) in enumerate(tokens):
        if number % 25 == 0:
            clock.now += timeouts.ISSUER_RETRY_SECONDS + 1  # so that the keys may be fetched again
        with suppress(Unauthorized):
            let_in.append(f"{what}: {issuer.verify(token)}")
    assert not let_in, "\n".join(let_in)
    assert not [path for path in outside.asked if "evil" in path], "nothing is fetched from where a token says"
    print(f"{len(tokens)} forged tokens")
    assert len(tokens) > 180


def test_no_claims_of_another_use_get_in(outside: OutsideIssuer, issuer: OIDCIssuer) -> None:
    header = {"alg": "RS256", "kid": outside.keys[0].kid}
    tried = list(lacking(outside))
    let_in: list[str] = []
    for what, claims in tried:
        with suppress(Unauthorized):
            let_in.append(f"{what}: {issuer.verify(outside.raw(header, usual(outside, **claims)))}")
    assert not let_in, "\n".join(let_in)
    print(f"{len(tried)} sets of claims")
    assert len(tried) > 70


@pytest.mark.parametrize(
    "scope",
    [
        "sp:scopes:all",
        ["sp:scopes:all"],
        ["sp:report:manage sp:scopes:all", 5, None, {}],
        {"sp:scopes:all": True},
        {"0": "sp:scopes:all"},
        [["sp:scopes:all"]],
        5,
        None,
        "SP:SCOPES:ALL sp:scopes:all\0 *",
        "\ud800",
    ],
)
def test_scopes_are_known_words_of_a_text_or_list(outside: OutsideIssuer, issuer: OIDCIssuer, scope: object) -> None:
    caller = issuer.verify(right(outside, scope=scope))
    texts = [scope] if isinstance(scope, str) else scope if isinstance(scope, list) else []
    words = {word for text in texts if isinstance(text, str) for word in text.split()}
    assert caller.scopes == {"sp:report:read"} | (words & {"sp:scopes:all", "sp:report:manage"})


@pytest.mark.parametrize(
    "claims",
    [
        {"realm_access": {"roles": ["ORG_ADMIN", "REPORT_ADMIN", "Auditors", "auditors ", "auditors\0"]}},
        {"realm_access": {"roles": {"auditors": True}}},
        {"realm_access": {"roles": [["auditors"], {"auditors": 1}, None, 5]}},
        {"realm_access": ["auditors"]},
        {"realm_access": "auditors"},
        {"levels": ["ORG_ADMIN"], "groups": ["auditors"], "roles": "auditors"},
        {"realm_access": {"roles": 5}},
        {"realm_access": None},
    ],
)
def test_no_claim_but_the_mapped_one_gives_a_level(
    outside: OutsideIssuer, issuer: OIDCIssuer, claims: dict[str, Any]
) -> None:
    assert issuer.verify(outside.sign(**claims)).levels == frozenset()


def test_the_subject_of_somebody_here_is_somebody_else(outside: OutsideIssuer, issuer: OIDCIssuer) -> None:
    local = "0123456789abcdef0123456789abcdef"
    subjects = [local, local.upper(), f"{local}\0", f"{local}\n", "\0", "ünï", "🙂", "a" * 5000, "../x", f"\n{local}"]
    callers = [issuer.verify(outside.sign(sub=subject, client_id=local, person=local)) for subject in subjects]
    assert len({caller.id for caller in callers}) == len(subjects)
    assert not {local} & {word for caller in callers for word in (caller.id, caller.client_id)}


def test_sources_are_texts_that_a_database_takes(outside: OutsideIssuer, issuer: OIDCIssuer) -> None:
    told = ["ad", "\0", "a\ud800", 5, None, ["hr"], {"x": 1}, "a\nb"]
    assert issuer.verify(right(outside, sources=told)).sources == {"ad"}


def test_huge_and_fractional_times_are_times(outside: OutsideIssuer, issuer: OIDCIssuer) -> None:
    now = time.time()
    for times in (
        {"exp": 10**400},
        {"exp": 1e308},
        {"exp": now + 60.5},
        {"nbf": -1},
        {"nbf": 0.5},
        {"iat": -(10**400)},
    ):
        issuer.verify(outside.sign(**times))


def test_a_token_without_kid_is_proven_by_the_only_key(outside: OutsideIssuer, clock: Clock) -> None:
    with outside_issuer() as single:
        issuer = OIDCIssuer(trust(single.url), clock=clock)
        issuer.verify(single.raw({"alg": "RS256"}, usual(single)))
        with pytest.raises(Unauthorized):
            issuer.verify(single.raw({"alg": "RS256"}, usual(single), FOREIGN))


def test_each_key_of_one_id_is_tried(clock: Clock) -> None:
    with outside_issuer() as several:
        keys = [ECKey.generate_key(curve, {"kid": "one"}) for curve in CURVES.values()]
        rsa_keys = [RSAKey.generate_key(2048, {"kid": "one"}) for _ in range(2)]
        several.keys[:] = [*rsa_keys, *keys]
        issuer = OIDCIssuer(trust(several.url, "RS256", *CURVES), clock=clock)
        digests = (hashes.SHA256(), hashes.SHA384(), hashes.SHA512())
        for key, algorithm, digest in zip(keys, CURVES, digests, strict=True):
            issuer.verify(several.raw({"alg": algorithm, "kid": "one"}, usual(several), key, hash=digest))
            for other in CURVES.keys() - {algorithm}:
                with pytest.raises(Unauthorized):
                    issuer.verify(several.raw({"alg": other, "kid": "one"}, usual(several), key, hash=digest))
        for key in rsa_keys:
            issuer.verify(several.sign(key))
        replaced = RSAKey.generate_key(2048, {"kid": "one"})
        several.keys[:] = [replaced]
        clock.now += timeouts.ISSUER_RETRY_SECONDS + 1
        issuer.verify(several.sign(replaced))
        with pytest.raises(Unauthorized):
            issuer.verify(several.sign(rsa_keys[0]))


def weak_rsa(bits: int) -> dict[str, Any]:
    """A published key of few bits, which none of today's libraries makes."""
    n = (1 << (bits - 1)) | 1 | (0x5A5A5A << 8)
    e = 65537
    words = {"n": n.to_bytes(bits // 8, "big"), "e": e.to_bytes(3, "big")}
    return {"kty": "RSA", "kid": f"weak {bits}", **{name: encoded(value) for name, value in words.items()}}


def unusable(right: RSAKey) -> dict[str, object]:
    """Sets of keys of which none may be used."""
    good = right.as_dict(private=False)
    small = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - it is to be refused
    numbers = small.public_key().public_numbers()
    short = {"kty": "RSA", "n": encoded(numbers.n.to_bytes(128, "big")), "e": "AQAB", "kid": "short"}
    return {
        "no list": {"keys": 5},
        "an object for the list": {"keys": {"0": good}},
        "a text for the list": {"keys": "keys"},
        "no keys": {"keys": []},
        "null": {"keys": None},
        "another name": {"key": [good]},
        "texts": {"keys": ["a", 5, None, [good]]},
        "a secret": {"keys": [OctKey.generate_key(256).as_dict(private=True)]},
        "RSA of 512 bits": {"keys": [weak_rsa(512)]},
        "RSA of 1,024 bits": {"keys": [short]},
        "for encryption": {"keys": [{**good, "use": "enc"}]},
        "for other operations": {"keys": [{**good, "key_ops": ["encrypt"]}]},
        "operations that are none": {"keys": [{**good, "key_ops": "verify"}]},
        "a kind that is none": {"keys": [{**good, "kty": ["RSA"]}, {**good, "kty": "DSA"}, {"kid": "x"}]},
        "without a modulus": {"keys": [{"kty": "RSA", "e": "AQAB"}]},
        "an empty modulus": {"keys": [{**good, "n": ""}]},
        "a modulus that is no base64": {"keys": [{**good, "n": "=+/"}]},
        "a number for a modulus": {"keys": [{**good, "n": 5}]},
        "an exponent of one": {"keys": [{**good, "e": "AQ"}]},
        "a point that is on no curve": {"keys": [{"kty": "EC", "crv": "P-256", "x": "AQ", "y": "AQ"}]},
        "a curve that is none": {"keys": [{"kty": "EC", "crv": "P-0", "x": "AQ", "y": "AQ"}]},
        "a short Edwards key": {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "AQ"}]},
        "a kid that is a list": {"keys": [{**good, "kid": [right.kid]}]},
        "a list": [good],
        "a text": "keys",
    }


def send(content: bytes, status: int = 200, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def drip(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    for _ in range(60):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.1)


def drip_head(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
    for _ in range(60):
        handler.wfile.write(b"a")
        handler.wfile.flush()
        time.sleep(0.1)


def answers(outside: OutsideIssuer) -> dict[str, Callable[[BaseHTTPRequestHandler], None]]:
    """What a broken or hostile server may answer for its keys."""
    known = json.dumps({"keys": [outside.keys[0].as_dict(private=False)]}).encode()
    return {
        "no JSON": send(b"<html>"),
        "nothing": send(b""),
        "half of it": send(known[:100]),
        "deep": send(b"[" * 200_000),
        "no UTF-8": send(b'{"keys": "\xff"}'),
        "a redirect": send(b"", 302, Location=f"{outside.url}/elsewhere"),
        "a redirect to a file": send(b"", 307, Location="file:///etc/passwd"),
        "a fault": send(known, 500),
        "not there": send(known, 404),
        "more than a megabyte": send(b" " * (1 << 20) + known),
        "a compressed megabyte": send(gzip.compress(b" " * (64 << 20)), Content_Encoding="gzip"),
        "less than announced": send(known, Content_Length=str(len(known) + 5), Connection="close"),
    }


def test_no_key_that_is_weak_or_none_is_used(outside: OutsideIssuer, clock: Clock) -> None:
    sets = unusable(outside.keys[0])
    taken: list[str] = []
    for what, published in sets.items():
        outside.answers["/keys"] = send(json.dumps(published).encode())
        try:
            taken.append(f"{what}: {OIDCIssuer(trust(outside.url), clock=clock).verify(outside.sign())}")
        except Unavailable as error:
            assert "cannot be fetched" in error.message, what
    assert not taken, "\n".join(taken)
    print(f"{len(sets)} sets of keys")


def test_a_key_among_many_unusable_ones_is_used(outside: OutsideIssuer, issuer: OIDCIssuer) -> None:
    right = outside.keys[0].as_dict(private=False)
    passed = [
        key
        for one in unusable(outside.keys[0]).values()
        if isinstance(one, dict) and isinstance(one.get("keys"), list)
        for key in one["keys"]
    ]
    bad = [key for key in passed if not isinstance(key, dict) or key.get("kid") != right["kid"]]
    okp = OKPKey.generate_key("Ed25519", {"kid": "edwards"}).as_dict(private=False)
    outside.answers["/keys"] = send(json.dumps({"keys": [*bad, okp, right, right]}).encode())
    issuer.verify(outside.sign())


def test_a_broken_answer_is_a_sentence_and_keeps_known_keys(
    outside: OutsideIssuer, issuer: OIDCIssuer, clock: Clock
) -> None:
    issuer.verify(outside.sign())
    kinds = answers(outside)
    for what, answer in kinds.items():
        for path in ("/keys", "/.well-known/openid-configuration"):
            outside.answers = {path: answer}
            with pytest.raises(Unavailable, match="cannot be fetched"):
                OIDCIssuer(trust(outside.url), clock=clock).verify(outside.sign())
            clock.now += timeouts.ISSUER_KEYS_SECONDS + 1
            issuer.verify(outside.sign(jti=f"{what} {path}"))
    print(f"{2 * len(kinds)} answers")


@pytest.mark.parametrize("slowly", [drip, drip_head])
def test_a_slow_issuer_holds_up_its_own_new_keys_alone(
    outside: OutsideIssuer,
    issuer: OIDCIssuer,
    clock: Clock,
    slowly: Callable[[BaseHTTPRequestHandler], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(timeouts, "ISSUER_RESPONSE_SECONDS", 2)
    known = outside.sign()
    issuer.verify(known)
    outside.answers["/keys"] = slowly
    clock.now += timeouts.ISSUER_RETRY_SECONDS + 1
    ended: list[str] = []

    def forge(number: int) -> None:
        try:
            issuer.verify(outside.sign(FOREIGN, jti=str(number)))
        except (Unauthorized, Unavailable) as error:
            ended.append(type(error).__name__)

    forgers = [threading.Thread(target=forge, args=(number,)) for number in range(2 * MAX_WAITING_THREADS)]
    began = time.monotonic()
    for thread in forgers:
        thread.start()
    until(lambda: ended)  # one fetches, a few wait for it, and the others are sent away
    if any(thread.is_alive() for thread in forgers):
        issuer.verify(known)
        issuer.verify(outside.sign(jti="never seen"))
        assert any(thread.is_alive() for thread in forgers) or time.monotonic() > began + 2, "nobody waited with them"
    for thread in forgers:
        thread.join()
    assert ended.count("Unavailable") >= MAX_WAITING_THREADS - 1
    assert ended.count("Unauthorized") + ended.count("Unavailable") == len(forgers)

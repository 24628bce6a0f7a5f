"""Sign-in to the web console at an OpenID Connect provider: authorization code flow with PKCE (RFC 6749, RFC 7636).

The access token that the provider issues is verified as that of any call (`oidc`). The levels and sources in it are
those of the session; scopes limit programs, and a session has all of them. These rights are valid as long as the token;
then the refresh token, which is stored encrypted, gets new ones. A user whom the provider disables or takes a role from
loses the rights within the lifetime of a token.
"""

from __future__ import annotations

import hmac
import json
import threading
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final, cast
from urllib.parse import quote, urlencode

import structlog
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from whohas import addresses, timeouts
from whohas.auth.callers import SCOPE_ALL
from whohas.auth.oidc import OIDCIssuer
from whohas.auth.sessions import CONSOLE_CLIENT_ID, SESSION_ENDED, OutsideRights, Session, Sessions
from whohas.errors import Unauthorized, Unavailable

MAX_ANSWER_BYTES: Final = 1 << 20
"""The maximum size of a document of the provider in bytes."""

_ENCRYPTION: Final = {"alg": "dir", "enc": "A256GCM"}

log = structlog.get_logger("whohas.auth")


class OIDCSignIn:
    """Signs users in at the provider of an installation.

    Args:
        issuer: verifies the access tokens of the provider.
        client_id: the id under which the console is registered at the provider.
        client_secret: its secret; empty for a public client.
        scopes: the scopes to request, such as `openid`.
        key: a secret of the installation; the key that encrypts refresh tokens is derived from it.
    """

    def __init__(
        self, issuer: OIDCIssuer, client_id: str, client_secret: str, scopes: tuple[str, ...], key: bytes
    ) -> None:
        self._issuer = issuer
        self._client_id = client_id
        self._client_secret = client_secret
        self._scopes = scopes
        self._key = OctKey.import_key(hmac.digest(key, b"refresh tokens of the console", sha256))
        self._lock = threading.Lock()
        self._discovered: Mapping[str, Any] | None = None

    def authorization_address(self, redirect_uri: str, state: str, challenge: str) -> str:
        """Return the address of the provider's sign-in page.

        Args:
            redirect_uri: the address of the console that the provider sends the browser back to.
            state: a random text that comes back with the code.
            challenge: the PKCE challenge, by S256.

        Raises:
            Unavailable: the provider does not answer, or its discovery document is wrong.
        """
        asked = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(self._scopes),
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        # not the known document: where nobody answers, users get a message and not a dead address
        address = self._endpoint("authorization_endpoint", self._discover())
        return f"{address}{'&' if '?' in address else '?'}{urlencode(asked)}"

    def sign_out_address(self) -> str | None:
        """Return the address of the provider's page that ends the user's session there; None if it publishes none.

        See OpenID Connect RP-Initiated Logout 1.0. The provider asks the user first, because no ID token is sent.

        Raises:
            Unavailable: the provider does not answer, or its discovery document is wrong.
        """
        if "end_session_endpoint" not in self._discovery():
            return None
        address = self._endpoint("end_session_endpoint")
        return f"{address}{'&' if '?' in address else '?'}{urlencode({'client_id': self._client_id})}"

    @property
    def issuer(self) -> str:
        """The URL of the provider."""
        return self._issuer.name

    def redeem(self, code: str, redirect_uri: str, verifier: str) -> OutsideRights:
        """Return the rights of the user who signed in with a code.

        Args:
            code: the code.
            redirect_uri: that of the request to sign in.
            verifier: the PKCE verifier.

        Raises:
            Unauthorized: the provider refuses the code, or its access token is not one that this server accepts.
            Unavailable: the provider does not answer.
        """
        return self._rights(
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": redirect_uri,
                "code_verifier": verifier,
            }
        )

    def renewed(self, sessions: Sessions, id: str, session: Session) -> Session:
        """Return a session whose rights are valid: the same, or one whose rights were renewed.

        Args:
            sessions: the sessions of the installation.
            id: the id of the session.
            session: a session of a user of the provider.

        Raises:
            Unauthorized: the provider gives no new rights: the user was disabled or signed out, or there is no refresh
                token.
            Unavailable: the provider does not answer.
        """
        if not _is_over(session):
            return session
        with self._lock:  # a provider may accept a refresh token once, and several requests come at the same time
            session = sessions.find(id, active=False)
            if session.outside is None or not _is_over(session):
                return session
            if session.outside.renewal is None:
                raise Unauthorized(SESSION_ENDED)
            try:
                token = jwe.decrypt_compact(session.outside.renewal, self._key).plaintext or b""
                rights = self._rights({"grant_type": "refresh_token", "refresh_token": token.decode()})
            except JoseError:
                raise Unauthorized(SESSION_ENDED) from None
            except Unauthorized:
                session = sessions.find(id, active=False)  # another server may have been quicker
                if not _is_over(session):
                    return session
                raise
            if rights.caller.id != session.caller.id:
                raise Unauthorized(SESSION_ENDED)
            kept = rights.renewal or session.outside.renewal
            return sessions.renew(session, OutsideRights(rights.caller, rights.end, kept))

    def _rights(self, form: Mapping[str, str]) -> OutsideRights:
        answer = self._token_answer(form)
        token = answer.get("access_token")
        if not isinstance(token, str):
            raise Unauthorized(f"{self._issuer.name} sent no access token.")
        caller, expires = self._issuer.verify_until(token)
        if not caller.is_user:
            raise Unauthorized(f"The token of {self._issuer.name} is of a program. Only users can sign in.")
        renewal = answer.get("refresh_token")
        encrypted = jwe.encrypt_compact(dict(_ENCRYPTION), renewal, self._key) if isinstance(renewal, str) else None
        caller = replace(caller, scopes=frozenset({SCOPE_ALL}), client_id=CONSOLE_CLIENT_ID)
        return OutsideRights(caller, datetime.fromtimestamp(expires, UTC), encrypted)

    def _token_answer(self, form: Mapping[str, str]) -> Mapping[str, Any]:
        headers = {"Accept": "application/json"}
        fields = {**form, "client_id": self._client_id}
        if self._client_secret:
            methods = self._discovery().get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
            if isinstance(methods, list) and "client_secret_basic" not in methods:
                fields["client_secret"] = self._client_secret
            else:  # RFC 6749, 2.3.1: both are encoded first
                pair = f"{quote(self._client_id, safe='')}:{quote(self._client_secret, safe='')}"
                headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        status, answer = self._ask("POST", self._endpoint("token_endpoint"), headers, fields)
        if status >= 500:
            raise Unavailable(f"{self._issuer.name} answers with status {status}. Try again in a minute.")
        if status != 200:
            reason = str(answer.get("error", status))[:100]
            log.info("sign-in refused by the outside issuer", issuer=self._issuer.name, reason=reason)
            raise Unauthorized(f"{self._issuer.name} refused the sign-in: {reason}.")
        return answer

    def _endpoint(self, name: str, discovery: Mapping[str, Any] | None = None) -> str:
        value = (discovery or self._discovery()).get(name)
        address = addresses.try_parse(value, services=True) if isinstance(value, str) else None
        secure = self._issuer.name.startswith("https:")
        if address is None or address.fragment or (secure and address.scheme != "https"):
            raise Unavailable(f"The discovery document of {self._issuer.name} has no usable {name}.")
        return address.text

    def _discovery(self) -> Mapping[str, Any]:
        return self._discovered or self._discover()

    def _discover(self) -> Mapping[str, Any]:
        address = f"{self._issuer.name.rstrip('/')}/.well-known/openid-configuration"
        status, document = self._ask("GET", address, {"Accept": "application/json"}, {})
        if status != 200 or document.get("issuer") != self._issuer.name:
            raise Unavailable(f"The discovery document of {self._issuer.name} cannot be read (status {status}).")
        self._discovered = document
        return document

    def _ask(
        self, method: str, address: str, headers: Mapping[str, str], fields: Mapping[str, str]
    ) -> tuple[int, Mapping[str, Any]]:
        """Return the status and the JSON object of an answer; an empty object if it has another body."""
        import httpx2  # here, because importing it takes time and few servers have an external provider

        try:
            with (
                httpx2.Client(timeout=timeouts.ISSUER_RESPONSE_SECONDS, follow_redirects=False) as http,
                http.stream(method, address, headers=dict(headers), data=dict(fields) or None) as response,
            ):
                content = bytearray()
                for chunk in response.iter_bytes():
                    content += chunk
                    if len(content) > MAX_ANSWER_BYTES:
                        raise Unavailable(f"The answer of {address} is longer than {MAX_ANSWER_BYTES:,} bytes.")
                status = response.status_code
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise Unavailable(f"{self._issuer.name} does not answer: {error or type(error).__name__}.") from error
        try:
            value = json.loads(bytes(content))
        except (ValueError, RecursionError):
            value = {}
        return status, cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def _is_over(session: Session) -> bool:
    return session.outside is not None and session.outside.end <= datetime.now(UTC)

"""Bearer tokens of the lab: an OAuth token endpoint for service accounts' key files, and who a token belongs to."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Final
from urllib.parse import parse_qs

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from keycheck.lab.gcp.errors import unauthenticated
from keycheck.model.types import Clock

LIFETIME: Final = timedelta(hours=1)
_LONGEST_BODY: Final = 20_000
_GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_AUDIENCE: Final = "https://oauth2.googleapis.com/token"
"""What google-auth writes into assertions, whatever the token endpoint is."""
_HOST: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class _Issued:
    principal: str
    until: datetime


class RefusedAssertionError(Exception):
    """A signed assertion that gives no token. The text is for the caller."""


class Tokens:
    """Service accounts' keys and the tokens that were given out.

    Lifetimes run on `wall`, which must be the clock of google-auth's process: the lab's own clock may be years away.
    """

    def __init__(self, wall: Clock, entropy: Callable[[int], bytes]) -> None:
        self._wall = wall
        self._entropy = entropy
        self._keys: dict[str, tuple[str, rsa.RSAPublicKey]] = {}
        self._issued: dict[bytes, _Issued] = {}
        self._lock = Lock()
        self._server: ThreadingHTTPServer | None = None
        self._thread: Thread | None = None

    @property
    def uri(self) -> str:
        """Where assertions are exchanged for tokens."""
        if self._server is None:
            return ""
        return f"http://{_HOST}:{self._server.server_address[1]}/token"

    def start(self) -> None:
        tokens = self

        class Handler(_Handler):
            owner = tokens

        self._server = ThreadingHTTPServer((_HOST, 0), Handler)
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join(5)
        self._server = self._thread = None

    def mint(self, principal: str, lifetime: timedelta = LIFETIME) -> str:
        """A fresh access token for a principal (`user:…`, `serviceAccount:…`)."""
        token = "ya29.lab-" + self._entropy(24).hex()
        with self._lock:
            self._issued[_digest(token)] = _Issued(principal, self._wall() + lifetime)
        return token

    def expire(self, principal: str | None = None) -> None:
        """Let every token that was given out (to `principal`) be past its end."""
        with self._lock:
            for digest, issued in self._issued.items():
                if principal in (None, issued.principal):
                    self._issued[digest] = _Issued(issued.principal, self._wall() - timedelta(seconds=1))

    def service_account(self, email: str, project: str, home: Path) -> Path:
        """Make a key for a service account; gives the path of its JSON key file, readable by the owner alone."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        key_id = self._entropy(20).hex()
        self._keys[key_id] = (email, key.public_key())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        document = {
            "type": "service_account",
            "project_id": project,
            "private_key_id": key_id,
            "private_key": pem,
            "client_email": email,
            "client_id": str(int.from_bytes(self._entropy(8), "big")),
            "token_uri": self.uri,
            "universe_domain": "googleapis.com",
        }
        path = home / f"{email}.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps(document, indent=2), encoding="utf-8")
        return path

    def principal(self, authorization: str | None) -> str:
        """Whose token a call carries. Raises UNAUTHENTICATED."""
        if not authorization:
            raise unauthenticated("CREDENTIALS_MISSING")
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise unauthenticated("ACCESS_TOKEN_INVALID")
        issued = self._issued.get(_digest(token))
        if issued is not None:
            if issued.until <= self._wall():
                raise unauthenticated("ACCESS_TOKEN_EXPIRED")
            return issued.principal
        if token.count(".") != 2:
            raise unauthenticated("ACCESS_TOKEN_INVALID")
        try:
            # a self-signed JWT is taken in place of an access token
            return f"serviceAccount:{self._verified(token)}"
        except RefusedAssertionError:
            raise unauthenticated("ACCESS_TOKEN_INVALID") from None

    def exchange(self, form: bytes) -> str:
        """Body of a token request -> access token. Raises `RefusedAssertionError`."""
        fields = parse_qs(form.decode("ascii", "replace"), max_num_fields=10)
        if fields.get("grant_type") != [_GRANT]:
            raise RefusedAssertionError("unsupported grant type")
        return self.mint(f"serviceAccount:{self._verified(fields.get('assertion', [''])[0], exchange=True)}")

    def _verified(self, jwt: str, *, exchange: bool = False) -> str:
        parts = jwt.split(".")
        if len(parts) != 3:
            raise RefusedAssertionError("no JWT")
        try:
            header, claims = (json.loads(_unpadded(part)) for part in parts[:2])
            signature = _unpadded(parts[2])
            email, public = self._keys[str(header["kid"])]
            issuer, until = str(claims["iss"]), float(claims["exp"])
        except (ValueError, KeyError, TypeError):
            raise RefusedAssertionError("malformed JWT, or a key that is not known") from None
        if header.get("alg") != "RS256" or issuer != email:
            raise RefusedAssertionError("wrong algorithm or issuer")
        try:
            public.verify(signature, f"{parts[0]}.{parts[1]}".encode(), padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            raise RefusedAssertionError("invalid JWT signature") from None
        if until <= self._wall().timestamp():
            raise RefusedAssertionError("the JWT is past its end")
        if exchange and claims.get("aud") not in (_AUDIENCE, self.uri):
            raise RefusedAssertionError("wrong audience")
        return email


class _Handler(BaseHTTPRequestHandler):
    owner: Tokens
    timeout = 10

    def do_POST(self) -> None:  # the name is the base class's
        length = self.headers.get("content-length", "")
        if self.path != "/token" or not length.isdecimal() or int(length) > _LONGEST_BODY:
            self._answer(400, {"error": "invalid_request"})
            return
        try:
            token = self.owner.exchange(self.rfile.read(int(length)))
        except RefusedAssertionError as refused:
            self._answer(400, {"error": "invalid_grant", "error_description": str(refused)})
            return
        self._answer(200, {"access_token": token, "expires_in": int(LIFETIME.total_seconds()), "token_type": "Bearer"})

    def log_message(self, format: str, *args: object) -> None:  # the name is the base class's
        return None

    def _answer(self, status: int, body: dict[str, str | int]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json; charset=UTF-8")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

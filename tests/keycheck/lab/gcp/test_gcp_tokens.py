"""Real google-auth with key files that are made here."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from google.api_core import exceptions
from google.auth.exceptions import RefreshError
from google.auth.transport.requests import Request
from google.cloud.kms_v1 import KeyManagementServiceClient
from google.cloud.kms_v1.services.key_management_service.transports import KeyManagementServiceGrpcTransport
from google.oauth2.service_account import Credentials

from keycheck.lab.gcp.cloud import GcpCloud
from keycheck.lab.gcp.dial import channel

if TYPE_CHECKING:
    from conftest import Estate

EMAIL = "app@acme.iam.gserviceaccount.com"
KEY = "projects/acme/locations/europe-west3/keyRings/r/cryptoKeys/k"
SCOPES = ["https://www.googleapis.com/auth/cloudkms"]


def look(address: str, token: str) -> str:
    with channel(address, lambda: token) as opened:
        client = KeyManagementServiceClient(transport=KeyManagementServiceGrpcTransport(channel=opened))
        return client.get_crypto_key(name=KEY).name


def test_a_key_file_gives_a_token_that_is_the_accounts(estate: Estate, tmp_path: Path) -> None:
    estate.cloud.iam.bind(KEY, "roles/cloudkms.viewer", f"serviceAccount:{EMAIL}")
    path = estate.cloud.service_account(EMAIL, tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    credentials = Credentials.from_service_account_file(str(path), scopes=SCOPES)
    credentials.refresh(Request())
    assert look(estate.cloud.address, credentials.token) == KEY
    own = credentials.with_always_use_jwt_access(True)
    own._create_self_signed_jwt("https://cloudkms.googleapis.com/")
    own.refresh(Request())
    assert own.token.count(".") == 2
    assert look(estate.cloud.address, own.token) == KEY
    with pytest.raises(exceptions.Unauthenticated):
        look(estate.cloud.address, own.token[:-4] + "AAAA")


def test_a_key_that_was_never_issued_gives_none(estate: Estate, tmp_path: Path) -> None:
    path = estate.cloud.service_account(EMAIL, tmp_path)
    other = json.loads(estate.cloud.service_account("x@acme.iam.gserviceaccount.com", tmp_path).read_text())
    forged = json.loads(path.read_text()) | {"private_key": other["private_key"]}
    credentials = Credentials.from_service_account_info(forged, scopes=SCOPES)
    with pytest.raises(RefreshError, match="invalid_grant"):
        credentials.refresh(Request())


def test_tokens_end_with_the_wall_clock(tmp_path: Path) -> None:
    wall = [datetime.now(UTC)]
    with GcpCloud(clock=lambda: datetime(2030, 1, 1, tzinfo=UTC), wall=lambda: wall[0]) as cloud:
        cloud.directory.project("acme")
        cloud.kms.seed_key(KEY)
        cloud.iam.bind("projects/acme", "roles/viewer", "user:u@example.com")
        token = cloud.token("user:u@example.com")
        assert look(cloud.address, token) == KEY
        wall[0] += timedelta(hours=1)
        with pytest.raises(exceptions.Unauthenticated):
            look(cloud.address, token)

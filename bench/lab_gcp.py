"""How many decrypts a second the lab's Google Cloud serves, client and server in one process.

python bench/lab_gcp.py [--seconds 3] [--threads 4] [--logged]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from google.cloud.kms_v1 import KeyManagementServiceClient
from google.cloud.kms_v1.services.key_management_service.transports import KeyManagementServiceGrpcTransport

from keycheck.lab.gcp.cloud import GcpCloud

WHO = "serviceAccount:app@acme.iam.gserviceaccount.com"
KEY = "projects/acme/locations/europe-west3/keyRings/bench/cryptoKeys/bench"
TARGET = 500


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--logged", action="store_true", help="with Data Access logs on")
    options = parser.parse_args()
    for what, rate in rates(options.seconds, options.threads, logged=options.logged):
        print(f"{what}: {rate:.0f} decrypts a second ({'met' if rate >= TARGET else 'MISSED'})")


def rates(seconds: float = 3.0, threads: int = 4, *, logged: bool = False) -> list[tuple[str, float]]:
    """With one thread and with several; `logged`: with Data Access logs on."""
    with GcpCloud(clock=lambda: datetime.now(UTC)) as cloud:
        cloud.directory.project("acme", cloud.directory.folder(cloud.directory.organization()))
        cloud.kms.seed_key(KEY)
        cloud.iam.bind("projects/acme", "roles/cloudkms.cryptoKeyEncrypterDecrypter", WHO)
        if logged:
            cloud.iam.audit("projects/acme", "DATA_READ")
        with cloud.channel(WHO) as channel:
            client = KeyManagementServiceClient(transport=KeyManagementServiceGrpcTransport(channel=channel))
            return [(f"Cloud KMS, {n} thread(s) of this process", measured(client, seconds, n)) for n in (1, threads)]


def measured(client: KeyManagementServiceClient, seconds: float, threads: int) -> float:
    """Decrypts a second of a 32-byte data key with 40 bytes of additional authenticated data."""
    aad = b"a" * 40
    ciphertext = client.encrypt(
        request={"name": KEY, "plaintext": b"k" * 32, "additional_authenticated_data": aad}
    ).ciphertext
    request = {"name": KEY, "ciphertext": ciphertext, "additional_authenticated_data": aad}
    end = time.monotonic() + seconds
    work: Callable[[int], int] = lambda _: _calls(client, request, end)  # noqa: E731
    with ThreadPoolExecutor(threads) as pool:
        done = sum(pool.map(work, range(threads)))
    return done / seconds


def _calls(client: KeyManagementServiceClient, request: dict[str, str | bytes], end: float) -> int:
    count = 0
    while time.monotonic() < end:
        client.decrypt(request=request)
        count += 1
    return count


if __name__ == "__main__":
    main()

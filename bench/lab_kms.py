"""How many decryptions a second the lab's AWS KMS serves to concurrent clients in another process.

    python bench/lab_kms.py [seconds] [connections]

Two rates: bare HTTP clients, which show what the server can do, and boto3, which shows what a user gets and is bound
by the SDK's own cost.
"""

from __future__ import annotations

import base64
import http.client
import json
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime

from keycheck.lab.aws.cloud import AwsCloud

ACCOUNT, REGION = "111111111111", "eu-central-1"
FULL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "kms:*", "Resource": "*"}]}


def rates(seconds: float = 3.0, connections: int = 8) -> list[tuple[str, float]]:
    """Run the cloud here and the clients in child processes; each kind of client with its rate."""
    found = []
    with AwsCloud(clock=lambda: datetime.now(UTC)) as cloud:
        owner = cloud.directory.add_user(f"arn:aws:iam::{ACCOUNT}:user/bench", policies=[FULL])
        caller = cloud.directory.caller_of(owner.access_key_id, None, datetime.now(UTC))
        key = cloud.kms.create(ACCOUNT, REGION)
        sealed = cloud.kms.call(
            caller, REGION, "Encrypt", KeyId=key.arn, Plaintext=b"k" * 32, EncryptionContext={"tenant": "1"}
        )["CiphertextBlob"]
        task = {
            "url": cloud.url,
            "id": owner.access_key_id,
            "secret": owner.secret,
            "blob": base64.b64encode(sealed).decode(),
            "seconds": seconds,
            "connections": connections,
        }
        for kind in ("bare", "boto3"):
            child = subprocess.run(
                [sys.executable, __file__, kind], input=json.dumps(task), text=True, capture_output=True, check=True
            )
            found.append((f"AWS KMS, {kind} clients, {connections} connections", float(child.stdout)))
    return found


def bare(task: dict[str, object], ends: float) -> int:
    """One connection's count."""
    host = str(task["url"]).removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=10)
    body = json.dumps({"CiphertextBlob": task["blob"], "EncryptionContext": {"tenant": "1"}})
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": "TrentService.Decrypt",
        "Authorization": f"AWS4-HMAC-SHA256 Credential={task['id']}/20260101/{REGION}/kms/aws4_request, Signature=0",
    }
    done = 0
    while time.monotonic() < ends:
        connection.request("POST", "/", body, headers)
        answer = connection.getresponse()
        if answer.status != 200 or b"Plaintext" not in answer.read():
            raise RuntimeError(f"refused with status {answer.status}")
        done += 1
    connection.close()
    return done


def boto(task: dict[str, object], ends: float) -> int:
    """One client's count."""
    import boto3

    client = boto3.Session().client(
        "kms",
        region_name=REGION,
        endpoint_url=task["url"],
        aws_access_key_id=task["id"],
        aws_secret_access_key=task["secret"],
    )
    sealed = base64.b64decode(str(task["blob"]))
    client.decrypt(CiphertextBlob=sealed, EncryptionContext={"tenant": "1"})
    done = 0
    while time.monotonic() < ends:
        client.decrypt(CiphertextBlob=sealed, EncryptionContext={"tenant": "1"})
        done += 1
    client.close()
    return done


def drive(kind: str) -> None:
    """Run as many clients as asked and print their joint rate."""
    task = json.load(sys.stdin)
    run = {"bare": bare, "boto3": boto}[kind]
    spent = float(task["seconds"])
    ends = time.monotonic() + spent + (2.0 if kind == "boto3" else 0.0)
    counts: list[int] = []
    begun = time.monotonic()
    threads = [threading.Thread(target=lambda: counts.append(run(task, ends))) for _ in range(int(task["connections"]))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(counts) < len(threads):
        raise SystemExit("a client failed")
    print(sum(counts) / (time.monotonic() - begun))


if __name__ == "__main__":
    if sys.argv[1:2] in (["bare"], ["boto3"]):
        drive(sys.argv[1])
    else:
        for what, rate in rates(float((sys.argv[1:2] or ["3"])[0]), int((sys.argv[2:3] or ["8"])[0])):
            print(f"{what}: {rate:.0f} decryptions a second")

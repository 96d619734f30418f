"""How other tools reach the lab's AWS: credentials, endpoints, and a stand-in for the services that the lab lacks."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from key_scene import clouds

from keycheck.lab.aws_estate import CONFIG_FILE, EXTERNAL_ID_FILE
from keycheck.lab.key_sites import INSPECTOR, REGIONS
from keycheck.lab.world import Lab

PROFILE: Final = "peer"
_READS: Final = ("kms:List*", "kms:Get*", "kms:Describe*", "cloudtrail:*")
_MOST_BYTES: Final = 1 << 20


@contextmanager
def reaching(lab: Lab) -> Iterator[Mapping[str, str]]:
    """The environment that a tool needs: as the same role as keycheck, which may now list all keys too."""
    statement = {"Effect": "Allow", "Action": [*_READS], "Resource": "*"}
    cloud = clouds(lab).aws.cloud
    cloud.directory.set_policies(INSPECTOR, [{"Version": "2012-10-17", "Statement": [statement]}])
    secret = (lab.home / EXTERNAL_ID_FILE).read_text()
    config = lab.home / "peer.config"
    config.write_text(
        f"{(lab.home / CONFIG_FILE).read_text()}\n[profile {PROFILE}]\nrole_arn = {INSPECTOR}\n"
        f"source_profile = auditor\nexternal_id = {secret}\nregion = {REGIONS[0]}\n"
    )
    with _stand_in() as elsewhere:
        yield {
            "AWS_CONFIG_FILE": str(config),
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            # For all services, so that nothing reaches the real AWS: the lab refuses what it does not serve.
            "AWS_ENDPOINT_URL": cloud.url,
            "AWS_ENDPOINT_URL_EC2": elsewhere,
            "AWS_ENDPOINT_URL_RESOURCE_GROUPS_TAGGING_API": elsewhere,
            "NO_PROXY": "127.0.0.1",
            "HOME": str(lab.home),
        }


@contextmanager
def _stand_in() -> Iterator[str]:
    """URL of a server that names the Regions, knows no tags, and nothing else."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _StandIn)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _StandIn(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(min(int(self.headers.get("Content-Length") or 0), _MOST_BYTES))
        if self.headers.get("X-Amz-Target", "").endswith(".GetResources"):
            self._say(200, "application/x-amz-json-1.1", b'{"ResourceTagMappingList": []}')
        elif b"Action=DescribeRegions" in body:
            self._say(200, "text/xml", _regions(() if b"not-opted-in" in body else REGIONS))
        else:
            self._say(403, "application/x-amz-json-1.1", b'{"__type": "AccessDeniedException"}')

    def _say(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


def _regions(names: tuple[str, ...]) -> bytes:
    items = "".join(
        f"<item><regionName>{name}</regionName><regionEndpoint>ec2.{name}.amazonaws.com</regionEndpoint>"
        "<optInStatus>opt-in-not-required</optInStatus></item>"
        for name in names
    )
    head = '<DescribeRegionsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><regionInfo>'
    return f"{head}{items}</regionInfo></DescribeRegionsResponse>".encode()

"""`keycheck ranges`: import, show, look up; and update from a server of this machine."""

from __future__ import annotations

import csv
import json
import ssl
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
import typer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from made_lists import AWS, CLOUDFLARE, CLOUDFLARE6, FASTLY, LISTS, OWN, written

from keycheck.errors import KeycheckError, UsageError
from keycheck.model.verdict import ExitCode
from probes.residency.ranges.command import app


class Said:
    """What the verb printed, and how it ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def ranges(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> object:
    """`keycheck ranges ARGUMENTS`, with a data directory of the test's own and bytes for standard input."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))

    def run(*arguments: object, stdin: bytes = b"") -> Said:
        (tmp_path / "stdin").write_bytes(stdin)
        with (tmp_path / "stdin").open() as file:
            monkeypatch.setattr(sys, "stdin", file)
            try:
                code = int(typer.main.get_command(app).main([*map(str, arguments)], standalone_mode=False))
            except KeycheckError as error:
                code = int(
                    getattr(
                        error, "exit_code", ExitCode.USAGE if isinstance(error, UsageError) else ExitCode.TOOL_FAILED
                    )
                )
                sys.stderr.write(f"{error}\n{error.advice}\n")
        sys.stdout.flush()
        out, err = capfdbinary.readouterr()
        return Said(code, out.decode(), err.decode())

    return run


@pytest.fixture
def lists(tmp_path: Path) -> Mapping[str, list[Path]]:
    """Every list as a file, or two."""
    found: dict[str, list[Path]] = {}
    for name, files in LISTS.items():
        found[name] = [tmp_path / f"{name.replace(':', '-')}-{number}" for number, _ in enumerate(files)]
        for path, data in zip(found[name], files, strict=True):
            path.write_bytes(data)
    return found


def test_import_show_and_lookup(ranges, lists) -> None:  # type: ignore[no-untyped-def]
    assert ranges("lookup", "3.121.64.1").code == ExitCode.USAGE
    for name, files in lists.items():
        said = ranges("import", name, *files)
        assert said.code == ExitCode.MET, said.err
        assert said.out.startswith(f"{name}: ")
    shown = json.loads(ranges("show", "--format", "json").out)["sources"]
    assert [row["name"] for row in shown] == sorted(lists)
    aws, azure, own = (next(row for row in shown if row["name"] == name) for name in ("aws", "azure", "own:acme"))
    assert (aws["published"], aws["prefixes"], aws["rows"]) == ("2026-08-22T15:17:05Z", 7, 8)
    assert (azure["standing"], azure["age_seconds"]) == ("undated", None)
    assert own["standing"] == "fresh"
    assert all(row["name"] in ranges("show").out for row in shown)
    said = ranges("lookup", "3.121.64.1", "104.16.0.1", "9.9.9.9", "2a01:4f8::1")
    assert said.out.splitlines() == [
        "3.121.64.1\taws eu-central-1-ist-1 (border group of eu-central-1), AMAZON, 3.121.64.0/20",
        "104.16.0.1\tcloudflare no place: anycast, 104.16.0.0/13",
        "9.9.9.9\tin no source",
        "2a01:4f8::1\town:acme acme south, 2a01:4f8::/32",
    ]
    (row,) = csv.DictReader(ranges("lookup", "--format", "csv", "3.121.64.1").out.splitlines())
    assert (row["place"], row["region"], row["status"]) == ("eu-central-1-ist-1", "eu-central-1", "attributed")
    told = json.loads(ranges("lookup", "--format", "json", "3.121.64.1").out)
    assert told["attributions"][0]["border_group"] == "eu-central-1-ist-1"


def test_a_log_comes_in_and_goes_out_line_by_line(ranges, lists) -> None:  # type: ignore[no-untyped-def]
    ranges("import", "aws", *lists["aws"])
    log = b"2 eni-1 3.120.0.1 9.9.9.9 ACCEPT\n" * 3 + b"2 eni-1 9.9.9.9 3.120.0.1 ACCEPT\n"
    said = ranges("lookup", "--stdin", stdin=log)
    assert said.code == ExitCode.MET
    assert said.out.splitlines()[0].startswith("3.120.0.1\taws eu-central-1")
    assert len(said.out.splitlines()) == 4
    assert "4 lines, addresses in column 3; 1 in no source, 0 without an address" in said.err
    said = ranges("lookup", "--stdin", "--column", "4", "--format", "json", stdin=log + b"garbage\n")
    assert said.code == ExitCode.INCOMPLETE
    assert [json.loads(line)["status"] for line in said.out.splitlines()] == [
        *["no-source"] * 3,
        "attributed",
        "malformed",
    ]


@pytest.mark.parametrize(
    "line",
    [
        *(
            "lookup",
            "lookup --stdin 1.2.3.4",
            "lookup --column 2 1.2.3.4",
            "lookup nonsense",
            "lookup --format xml 1.2.3.4",
        ),
        *("show --format csv", "import awz list", "import aws none", "import aws list --dated yesterday"),
        *("import aws list --dated 2999-01-01T00:00:00Z", "import aws good --dated 2026-08-23T00:00:00Z"),
        *("import aws good good", "import aws good --allow-private", "update --source azure", "update --source nobody"),
        *("update --from https://x/", "update --source aws --from http://127.0.0.1:1/", "update --source own:x"),
        *("update --source aws --from https://", "update --source aws --ca list", "import aws list"),
    ],
)
def test_wrong_usage_says_so_and_does_nothing(ranges, tmp_path, monkeypatch, line) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list").write_bytes(b"{}")
    (tmp_path / "good").write_bytes(LISTS["aws"][0])
    assert ranges("import", "aws", tmp_path / "good").code == ExitCode.MET
    before = (tmp_path / "data" / "keycheck" / "ranges.index").read_bytes()
    said = ranges(*line.split())
    assert said.code == ExitCode.USAGE
    assert said.out == ""
    assert (tmp_path / "data" / "keycheck" / "ranges.index").read_bytes() == before


def test_dates_shrinks_and_private_ranges_that_are_accepted_by_hand_are_shown(ranges, tmp_path) -> None:  # type: ignore[no-untyped-def]
    many, few = tmp_path / "many", tmp_path / "few"
    many.write_text("prefix,provider,region\n" + "".join(f"127.{n}.0.0/16,lab,a\n" for n in range(10)))
    few.write_text("prefix,provider,region\n127.1.0.0/16,lab,a\n")
    assert ranges("import", "own:lab", many).code == ExitCode.USAGE
    assert ranges("import", "own:lab", many, "--allow-private").code == ExitCode.MET
    assert ranges("import", "own:lab", few, "--allow-private").code == ExitCode.USAGE
    dated = f"{datetime.now(UTC) - timedelta(days=40):%Y-%m-%dT%H:%M:%SZ}"
    said = ranges("import", "own:lab", few, "--allow-private", "--accept-shrink", "--dated", dated)
    assert said.code == ExitCode.MET
    shown = ranges("show").out
    assert "own:lab: old, 40 days old" in shown
    assert "a shrink from 10 prefixes" in shown
    assert "private and reserved ranges" in shown
    assert (
        ranges("lookup", "--index", tmp_path / "data" / "keycheck" / "ranges.index", "127.1.1.1").code == ExitCode.MET
    )


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that signs itself, with its key."""
    home = tmp_path_factory.mktemp("tls")
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    (home / "ca.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (home / "server.pem").write_bytes((home / "ca.pem").read_bytes() + secret)
    return home


@contextmanager
def mirror(tls: Path, answers: Mapping[str, tuple[int, bytes, int]]) -> Iterator[str]:
    """A server of lists over TLS: status, body and the length that it says the body has."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body, length = answers[self.path]
            self.send_response(status)
            self.send_header("Content-Length", str(length))
            self.send_header("Location", "https://elsewhere.example/")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls / "server.pem")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield f"https://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join(5)


def test_update_fetches_over_tls_and_keeps_what_it_cannot_replace(ranges, tls, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    aws, fastly = written(AWS), written(FASTLY)
    answers = {
        "/aws": (200, aws, len(aws)),
        "/azure/ServiceTags_Public_20261116.json": (200, LISTS["azure"][0], len(LISTS["azure"][0])),
        "/v4": (200, CLOUDFLARE, len(CLOUDFLARE)),
        "/v6": (200, CLOUDFLARE6, len(CLOUDFLARE6)),
        "/cut": (200, aws[:-20], len(aws)),
        "/garbled": (200, aws[:-20], len(aws) - 20),
        "/moved": (301, b"", 0),
        "/other": (200, fastly, len(fastly)),
        "/big": (200, b"x" * 300_000, 300_000),
    }
    with mirror(tls, answers) as base:
        ca = ("--ca", tls / "ca.pem", "--seconds", "5")
        said = ranges("update", "--source", "aws", "--from", f"{base}/aws", *ca)
        assert (said.code, said.err) == (ExitCode.MET, "")
        assert ranges("update", "--source", "cloudflare", "--from", f"{base}/v4", "--from", f"{base}/v6", *ca).code == 0
        name = "ServiceTags_Public_20261116.json"
        assert ranges("update", "--source", "azure", "--from", f"{base}/azure/{name}", *ca).code == ExitCode.MET
        shown = {row["name"]: row for row in json.loads(ranges("show", "--format", "json").out)["sources"]}
        assert shown["aws"]["origin"] == f"{base}/aws"
        assert (shown["cloudflare"]["dated"], shown["cloudflare"]["standing"]) == ("fetched", "fresh")
        assert shown["azure"]["published"] == "2026-11-16T00:00:00Z"
        monkeypatch.setattr("probes.residency.ranges.reading.MAX_BYTES", 100_000)
        for path, word in (
            ("/cut", "ended"),
            ("/garbled", "JSON"),
            ("/moved", "301"),
            ("/other", "prefixes"),
            ("/big", "more than"),
        ):
            said = ranges("update", "--source", "aws", "--from", base + path, *ca)
            assert said.code == ExitCode.INCOMPLETE
            assert "aws was not updated" in said.err
            assert word in said.err
        assert ranges("update", "--source", "aws", "--from", f"{base}/aws").code == ExitCode.INCOMPLETE, (
            "no CA, no trust"
        )
        after = {row["name"]: row for row in json.loads(ranges("show", "--format", "json").out)["sources"]}
        assert after == {name: {**row, "age_seconds": after[name]["age_seconds"]} for name, row in shown.items()}


def test_update_of_everything_names_what_it_left_out(ranges, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    def nowhere(host: str, seconds: float) -> tuple[str, ...]:
        return ()

    monkeypatch.setattr("probes.residency.ranges.command.system_resolver", nowhere)
    said = ranges("update", "--seconds", "2")
    assert said.code == ExitCode.INCOMPLETE
    for name in ("aws", "gcp", "oci", "cloudflare", "fastly"):
        assert f"{name} was not updated" in said.err
    assert "azure was left out" in said.err


def test_an_own_file_as_the_module_describes_it(ranges, lists) -> None:  # type: ignore[no-untyped-def]
    assert OWN.startswith(b"prefix,provider,region,service\n")
    assert ranges("import", "own:acme", *lists["own:acme"]).code == ExitCode.MET
    assert "own:acme acme acme-north, api, 8.1.0.0/16" in ranges("lookup", "8.1.1.1").out

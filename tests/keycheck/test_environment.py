import os
import subprocess
import sys
from pathlib import Path

import pytest

from keycheck.environment import neutralise_openssl_conf

GROUP_OF_A_HANDSHAKE = """
import os, sys
if sys.argv[1] == "clean":
    from keycheck.environment import neutralise_openssl_conf
    done = neutralise_openssl_conf(os.environ)
    print(done.found[0][0], done.too_late)
import datetime
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL
key = ec.generate_private_key(ec.SECP256R1())
now = datetime.datetime(2026, 1, 1)
name = x509.Name([])
certificate = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    .serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(9999)).sign(key, hashes.SHA256()))
context = SSL.Context(SSL.TLS_SERVER_METHOD)
context.use_certificate(certificate)
context.use_privatekey(key)
server, client = SSL.Connection(context, None), SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), None)
server.set_accept_state(); client.set_connect_state()
for _ in range(6):
    for one, other in ((client, server), (server, client)):
        try: one.do_handshake()
        except SSL.WantReadError: pass
        try: other.bio_write(one.bio_read(65536))
        except SSL.WantReadError: pass
print(client.get_group_name())
"""


def group(tmp_path: Path, mode: str) -> list[str]:
    config = tmp_path / "openssl.cnf"
    config.write_text(
        "openssl_conf = init\n[init]\nssl_conf = ssl\n[ssl]\nsystem_default = tls\n[tls]\nGroups = secp384r1\n"
    )
    environment = {**os.environ, "OPENSSL_CONF": str(config)}
    done = subprocess.run(
        [sys.executable, "-c", GROUP_OF_A_HANDSHAKE, mode], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_an_ambient_configuration_changes_the_group_unless_neutralised(tmp_path: Path) -> None:
    assert group(tmp_path, "ambient") == ["secp384r1"]  # the hazard is real
    assert group(tmp_path, "clean") == ["OPENSSL_CONF", "False", "X25519MLKEM768"]


def test_what_was_found_is_told_once_and_the_default_file_is_shut_out() -> None:
    environ = {"OPENSSL_CONF": "/x", "OPENSSL_MODULES": "/m", "SSLKEYLOGFILE": "/k", "PATH": "/bin"}
    done = neutralise_openssl_conf(environ)
    assert done.found == (("OPENSSL_CONF", "/x"), ("OPENSSL_MODULES", "/m"), ("SSLKEYLOGFILE", "/k"))
    assert environ == {"OPENSSL_CONF": os.devnull, "PATH": "/bin"}
    assert neutralise_openssl_conf(environ).found == ()


def test_too_late_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "OpenSSL.SSL", sys)
    assert neutralise_openssl_conf({}).too_late

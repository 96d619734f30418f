import re
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.tls.wire import codepoints as c

REGISTRIES = [
    c.VERSIONS, c.SUITES, c.SUITES13, c.ANY_SUITE, c.SSL2_KINDS, c.GROUPS, c.SIGNATURE_SCHEMES, c.ALERTS, c.EXTENSIONS,
    c.COMPRESSIONS,
]  # fmt: skip


@given(st.sampled_from(REGISTRIES), st.integers(0, 0xFFFF))
def test_every_code_point_has_a_name_that_leads_back(registry: c.Registry, code: int) -> None:
    code %= 16**registry.digits
    assert registry.code(registry.name(code)) == code


@pytest.mark.parametrize(
    ("registry", "code", "name"),
    [
        (c.VERSIONS, 0x0304, "TLSv1.3"),
        (c.VERSIONS, 0x0002, "SSLv2"),
        (c.SUITES, 0x0019, "TLS_DH_anon_EXPORT_WITH_DES40_CBC_SHA"),
        (c.SUITES, 0x002A, "TLS_KRB5_EXPORT_WITH_RC2_CBC_40_MD5"),
        (c.SUITES, 0xC019, "TLS_ECDH_anon_WITH_AES_256_CBC_SHA"),
        (c.SUITES, 0xC071, "TLS_ECDHE_PSK_WITH_ARIA_256_CBC_SHA384"),
        (c.SUITES, 0xC09B, "TLS_ECDHE_PSK_WITH_CAMELLIA_256_CBC_SHA384"),
        (c.SUITES, 0xC0AB, "TLS_PSK_DHE_WITH_AES_256_CCM_8"),
        (c.SUITES, 0xC0B3, "TLS_ECCPWD_WITH_AES_256_CCM_SHA384"),
        (c.SUITES, 0xCCAE, "TLS_RSA_PSK_WITH_CHACHA20_POLY1305_SHA256"),
        (c.SUITES13, 0xC0B4, "TLS_SHA256_SHA256"),
        (c.SUITES13, 0x00C6, "TLS_SM4_GCM_SM3"),
        (c.SUITES13, 0x1307, "TLS_AEGIS_128L_SHA256"),
        (c.SUITES13, 0xC106, "TLS_GOSTR341112_256_WITH_MAGMA_MGM_S"),
        (c.SSL2_KINDS, 0x0700C0, "SSL_CK_DES_192_EDE3_CBC_WITH_MD5"),
        (c.GROUPS, 29, "x25519"),
        (c.GROUPS, 41, "curveSM2"),
        (c.GROUPS, 260, "ffdhe8192"),
        (c.GROUPS, 0x11EC, "X25519MLKEM768"),
        (c.GROUPS, 0x11EE, "curveSM2MLKEM768"),
        (c.GROUPS, 0x0202, "MLKEM1024"),
        (c.SIGNATURE_SCHEMES, 0x0806, "rsa_pss_rsae_sha512"),
        (c.ALERTS, 120, "no_application_protocol"),
        (c.EXTENSIONS, 51, "key_share"),
        (c.GROUPS, 0x7777, "0x7777"),
    ],
)
def test_known_points(registry: c.Registry, code: int, name: str) -> None:
    assert registry.name(code) == name
    assert registry.code(name) == code


def test_the_registries_are_whole() -> None:
    assert len(c.SUITES) - len(c.HISTORIC_SUITES) == 335
    assert not set(c.SUITES) & set(c.SUITES13)
    assert 0x00FF not in c.SUITES
    assert 0x5600 not in c.SUITES  # signalling values are no suites
    assert all(group in c.GROUPS for group in range(1, 42))
    assert set(c.GROUPS) >= c.GROUPS13
    assert set(c.ANY_SUITE) == set(c.SUITES) | set(c.SUITES13)


def test_post_quantum_groups() -> None:
    hybrid = {0x11EB, 0x11EC, 0x11ED, 0x11EE, 0x6399}
    assert hybrid <= c.HYBRID_PQ_GROUPS
    assert {0x0200, 0x0201, 0x0202} <= c.PURE_PQ_GROUPS
    assert all(map(c.is_post_quantum, hybrid))
    assert not any(map(c.is_post_quantum, [*range(1, 42), *range(256, 261)]))
    assert not c.PURE_PQ_GROUPS & c.HYBRID_PQ_GROUPS


def test_an_unknown_name_is_refused_with_advice() -> None:
    with pytest.raises(ValueError, match="did you mean 'X25519MLKEM768'"):
        c.GROUPS.code("X25519MLKEM786")
    with pytest.raises(ValueError, match="4 digits"):
        c.GROUPS.code("0x1")


def test_grease() -> None:
    assert [code for code in range(0x10000) if c.is_grease(code)] == [0x0A0A + 0x1010 * n for n in range(16)]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="compares with the openssl program where there is one")
def test_openssl_agrees() -> None:
    listing = subprocess.run(
        ["openssl", "ciphers", "-V", "-stdname", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"],
        capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip
    for high, low, name in re.findall(r"0x(..),0x(..) - (TLS_\S+)", listing):
        assert c.ANY_SUITE.name(int(high + low, 16)) == name

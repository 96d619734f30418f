"""The ciphers that formats declare, by the names that facts and messages use."""

from __future__ import annotations

from typing import Final

from probes.fields.formats.seam import Cipher

AES_256_GCM: Final = Cipher("AES-256-GCM", "AES", 256, True)
AES_192_GCM: Final = Cipher("AES-192-GCM", "AES", 192, True)
AES_128_GCM: Final = Cipher("AES-128-GCM", "AES", 128, True)
AES_GCM: Final = Cipher("AES-GCM", "AES", None, True)
AES_256_CBC_HMAC: Final = Cipher("AES-256-CBC-HMAC", "AES", 256, True)
AES_192_CBC_HMAC: Final = Cipher("AES-192-CBC-HMAC", "AES", 192, True)
AES_128_CBC_HMAC: Final = Cipher("AES-128-CBC-HMAC", "AES", 128, True)
AES_CBC_HMAC: Final = Cipher("AES-CBC-HMAC", "AES", None, True)
AES_256_CBC: Final = Cipher("AES-256-CBC", "AES", 256, False)
AES_128_CBC: Final = Cipher("AES-128-CBC", "AES", 128, False)
AES_CBC: Final = Cipher("AES-CBC", "AES", None, False)
AES_256_CTR_HMAC: Final = Cipher("AES-256-CTR-HMAC", "AES", 256, True)
AES_256_CTR: Final = Cipher("AES-256-CTR", "AES", 256, False)
AES_256_SIV: Final = Cipher("AES-256-SIV", "AES", 256, True)
CHACHA20: Final = Cipher("ChaCha20-Poly1305", "ChaCha20", 256, True)
XCHACHA20: Final = Cipher("XChaCha20-Poly1305", "ChaCha20", 256, True)
UNSTATED: Final = Cipher("unstated", "unknown", None, None)

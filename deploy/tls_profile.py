"""Which TLS the front speaks: Mozilla's intermediate profile, as constants that nginx and HAProxy share.

Source: guideline 6.0 of April 2026, https://ssl-config.mozilla.org/guidelines/. It lets in every browser of the
last ten years. Its first curve, X25519MLKEM768, is left out: OpenSSL before 3.5 does not start with it.
Knows no file format. If this is wrong, old clients are locked out, or what they send can be read.
"""

from __future__ import annotations

PROTOCOLS = ("TLSv1.2", "TLSv1.3")
# Of TLS 1.2: forward secrecy and authenticated encryption alone. Any of them will do, so the client chooses: it
# knows whether its processor has AES.
CIPHERS = ":".join((
    "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305",
))  # fmt: skip
CIPHERSUITES = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"  # of TLS 1.3
CURVES = "X25519:prime256v1:secp384r1"
HSTS = "max-age=63072000"  # two years; the names below this one are left to their owners

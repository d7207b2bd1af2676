"""The TLS profile is what the OpenSSL of this machine knows by these names."""

from __future__ import annotations

import subprocess

from deploy import tls_profile


def test_the_profile_is_what_openssl_knows() -> None:
    """A cipher that OpenSSL does not know is left out without a word."""
    command = ["openssl", "ciphers", "-s", "-tls1_2", tls_profile.CIPHERS]
    done = subprocess.run(command, capture_output=True, text=True)
    assert {name for name in done.stdout.strip().split(":") if "TLS_" not in name} == set(
        tls_profile.CIPHERS.split(":")
    )

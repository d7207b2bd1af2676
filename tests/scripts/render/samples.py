"""A harden.toml and its secrets, as the three verbs read them."""

from __future__ import annotations

from pathlib import Path

from deploy.scram import make_verifier

PASSWORD = "correct horse battery"
VERIFIER = make_verifier(PASSWORD, salt=b"0123456789abcdef")
KEY = "k3y-of-sessions-which-nobody-knows"
FILE = """\
[app]
name = "checked-shop"
target = "shop:app"

[database]
name = "shop"
role = "shop"
"""
SECRETS = f"""\
DATABASE_URL="postgresql://shop:correct%20horse%20battery@/shop?host=/run/checked-shop-pgbouncer/1"
DATABASE_VERIFIER='{VERIFIER}'
SECRET_KEY={KEY}
"""


def write(folder: Path, text: str = FILE) -> Path:
    """Write both into a folder; returns the harden.toml."""
    (folder / "harden.toml").write_text(text)
    secrets = folder / "secrets.env"
    secrets.touch(mode=0o600)
    secrets.write_text(SECRETS)
    return folder / "harden.toml"

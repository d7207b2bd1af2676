"""The reference shop as it comes."""

from __future__ import annotations

from backend.shop import create_app

application = create_app()

"""The reference shop with nothing that watches it: neither its cursors nor its requests.

No setting takes all of it away, so two names are replaced before the app is made.
"""

from __future__ import annotations

from typing import Any

from backend import extension, watch
from backend.shop import create_app


def _not_at_all(*_: Any) -> None:
    return None


def _as_it_is(app: Any, *_: Any) -> Any:
    return app


watch.start = _not_at_all
extension.RequestWatch = _as_it_is  # type: ignore[assignment, misc]
application = create_app()

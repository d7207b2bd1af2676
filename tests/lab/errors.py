"""The lab's one error: a line for a person, as every command of the kit has it."""

from __future__ import annotations

from scripts.errors import CommandError


class LabError(CommandError):
    """Something in the lab did not do what it was told; `log` is the host's console where there is one."""

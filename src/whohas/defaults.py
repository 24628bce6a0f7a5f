"""Defaults of settings, for modules that must not load the settings: child processes load as little as they can."""

from __future__ import annotations

from typing import Final

DEFAULT_ORG: Final = "whohas"
"""The name of an organization that was not set. Files for people do not show it."""

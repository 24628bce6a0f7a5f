"""A clock that a test sets, for modules that read the time of day."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, tzinfo
from types import ModuleType, SimpleNamespace

import pytest


class Clock:
    """The time of day of some modules, as far from the real one as a test says; clocks that nobody sets go on."""

    def __init__(self, patch: pytest.MonkeyPatch, *modules: ModuleType) -> None:
        self.ahead = timedelta(0)
        clock = self

        class Shifted(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> datetime:
                return datetime.now(tz) + clock.ahead

        others = {name: getattr(time, name) for name in dir(time) if not name.startswith("_")}
        module = SimpleNamespace(**{
            **others,
            "time": lambda: time.time() + self.ahead.total_seconds(),
            "time_ns": lambda: time.time_ns() + round(self.ahead.total_seconds() * 1e9),
        })  # fmt: skip
        for one in modules:
            if hasattr(one, "datetime"):
                patch.setattr(one, "datetime", Shifted)
            if hasattr(one, "time"):
                patch.setattr(one, "time", module)

    def set(self, **ahead: float) -> None:
        """Set it so far ahead of the real time, or with negative numbers behind it; see `timedelta`."""
        self.ahead = timedelta(**ahead)

"""Build hook of the wheel of whohas: it requires `whohas-client` of its own version, which is written in one place."""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PinClient(BuildHookInterface[Any]):
    """Adds the requirement to the metadata of the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the requirement; `version` is the kind of build, such as `standard`."""
        build_data["dependencies"].append(f"whohas-client=={self.metadata.version}")

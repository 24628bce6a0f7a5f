"""Detection of misspelled settings among the environment variables."""

from __future__ import annotations

import re
from collections.abc import Mapping

from whohas.hints import did_you_mean
from whohas.settings import Settings

_OF_KUBERNETES = re.compile(r"WHOHAS_(.+_)?(SERVICE_(HOST|PORT(_.+)?)|PORT_[0-9]+_(TCP|UDP|SCTP)(_.+)?)")
"""Variables that Kubernetes sets for a service whose name begins with `whohas`; they are not misspelled settings."""


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """Return a warning for each environment variable that begins with `WHOHAS_` and is not a setting.

    The values are not repeated: they may be secrets.
    """
    known = {f"WHOHAS_{name.upper()}" for name in Settings.model_fields} | {"WHOHAS_CONFIG"}
    return [
        f"{name[:100]} is set in the environment, but there is no such setting: it has no effect."
        f"{did_you_mean(name.upper(), known)}"
        for name, value in sorted(environ.items())
        if name.upper().startswith("WHOHAS_")
        and name.upper() not in known
        and not _OF_KUBERNETES.fullmatch(name)
        and not value.startswith(("tcp://", "udp://", "sctp://"))
    ]

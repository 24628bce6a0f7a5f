"""Variables of the environment that look like settings."""

from __future__ import annotations

import re
from collections.abc import Mapping

from whohas.hints import did_you_mean
from whohas.settings import Settings

_OF_KUBERNETES = re.compile(r"WHOHAS_(.+_)?(SERVICE_(HOST|PORT(_.+)?)|PORT_[0-9]+_(TCP|UDP|SCTP)(_.+)?)")
"""Variables that Kubernetes sets for a service whose name begins with `whohas`."""


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """Return a sentence for each variable that begins with `WHOHAS_` and is no setting; without its value, which may
    be a secret."""
    known = {f"WHOHAS_{name.upper()}" for name in Settings.model_fields} | {"WHOHAS_CONFIG"}
    return [
        f"{name[:100]} is set in the environment, and there is no such setting: it has no effect."
        f"{did_you_mean(name.upper(), known)}"
        for name, value in sorted(environ.items())
        if name.upper().startswith("WHOHAS_")
        and name.upper() not in known
        and not _OF_KUBERNETES.fullmatch(name)
        and not value.startswith(("tcp://", "udp://", "sctp://"))
    ]

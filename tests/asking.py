"""HTTP requests as patient as tests are; httpx2 gives up after five seconds unless it is given another time."""

from __future__ import annotations

from functools import partial

import httpx2

from patience import PATIENCE_SECONDS

Client = partial(httpx2.Client, timeout=PATIENCE_SECONDS)
get = partial(httpx2.get, timeout=PATIENCE_SECONDS)
post = partial(httpx2.post, timeout=PATIENCE_SECONDS)
request = partial(httpx2.request, timeout=PATIENCE_SECONDS)

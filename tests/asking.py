"""HTTP requests as patient as tests are, and cheap.

httpx2 gives up after five seconds unless it is given another time. And each of its clients, so each request without one,
reads all certificates of the machine anew, which takes ten times as long as the request.
"""

from __future__ import annotations

import ssl
from functools import partial

import httpx2

from patience import PATIENCE_SECONDS

_CERTIFICATES = ssl.create_default_context()

Client = partial(httpx2.Client, timeout=PATIENCE_SECONDS, verify=_CERTIFICATES)
head = partial(httpx2.head, timeout=PATIENCE_SECONDS, verify=_CERTIFICATES)
get = partial(httpx2.get, timeout=PATIENCE_SECONDS, verify=_CERTIFICATES)
options = partial(httpx2.options, timeout=PATIENCE_SECONDS, verify=_CERTIFICATES)
post = partial(httpx2.post, timeout=PATIENCE_SECONDS, verify=_CERTIFICATES)
request = partial(httpx2.request, timeout=PATIENCE_SECONDS, verify=_CERTIFICATES)

"""Start, watch, download and cancel runs from Python, on any server that speaks the Reports Data Extraction API.

::

    from whohas.client import Client

    with Client.from_env() as client:
        run = client.start("ACCOUNTS", {"sourceName": "Active Directory"})
        result = client.wait(run.id, on_progress=lambda result: print(result.progress))
        client.download(run.id, "csv", "accounts.csv")

`AsyncClient` has the same methods as coroutines. Failures raise the errors of `whohas.errors`, with the message and the
tracking id of the server.
"""

from whohas.client._async import AsyncClient
from whohas.client._sync import Client

__all__ = ["AsyncClient", "Client"]

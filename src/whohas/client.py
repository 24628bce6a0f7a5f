"""The former place of the Python client, which is now the package `whohas_client`; it goes with the next release."""

from whohas_client import AsyncClient, Client

__all__ = ["AsyncClient", "Client"]

"""Incomplete multipart uploads in S3: found by the prefix of their keys, and aborted.

An upload that a process began and neither completed nor aborted, because it was killed, is invisible among the objects
of a bucket, and the owner of the bucket pays for it. obstore has no request to list or abort such uploads, but it signs
requests, with credentials from wherever it takes its own. A signature covers the whole address. So the query of a
request is given to obstore as the end of the address of the bucket, in a store that is made for one signature::

    the address of the bucket    http://127.0.0.1:7070/acme
    the endpoint of that store   http://127.0.0.1:7070/acme?uploads=&prefix=files/4f/&x-whohas=
    what obstore signs           http://127.0.0.1:7070/acme?uploads=&prefix=files/4f/&x-whohas=/none

S3 ignores parameters that begin with `x-`, so the key that obstore appends does no harm.

Google Cloud Storage and Azure have no such function here: a rule on the life cycle of the bucket has to remove
incomplete uploads from the former, and the latter removes them after a week (docs/how-to/files-in-a-store.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode, urlsplit
from xml.etree import ElementTree

from whohas import timeouts
from whohas.object_stores import ObjectStore, store_errors

_NAMESPACE = "{*}"
_VALID = timedelta(seconds=timeouts.STORE_SIGNATURE_SECONDS)
_KEY = "none"
"""The key that obstore appends to the address of a request for which no key is needed."""


@dataclass(frozen=True, slots=True)
class IncompleteUpload:
    """A multipart upload that was begun and not completed.

    Attributes:
        key: the key of the object that it would become, relative to the prefix of the store.
        id: its id.
        begun: when it was begun, by the clock of the store.
    """

    key: str
    id: str
    begun: datetime


def list_uploads(store: ObjectStore, prefix: str = "") -> Iterator[IncompleteUpload]:
    """Yield the incomplete uploads whose keys begin with a prefix; none for a store that is not S3.

    Args:
        prefix: relative to the prefix of the store.

    Raises:
        StoreFailed: the store failed.
    """
    if store.address.scheme != "s3":
        return
    before = f"{store.address.prefix}/" if store.address.prefix else ""
    marker: dict[str, str] = {}
    while True:
        page = ElementTree.fromstring(  # noqa: S314 - expat limits the expansion of entities
            _request(store, "GET", "", {"uploads": "", "prefix": before + prefix, **marker}, "list incomplete uploads")
        )
        for upload in page.iterfind(f"{_NAMESPACE}Upload"):
            yield IncompleteUpload(
                _text(upload, "Key").removeprefix(before),
                _text(upload, "UploadId"),
                datetime.fromisoformat(_text(upload, "Initiated")),
            )
        if _text(page, "IsTruncated") != "true":
            return
        marker = {
            "key-marker": _text(page, "NextKeyMarker"),
            "upload-id-marker": _text(page, "NextUploadIdMarker"),
        }


def abort_upload(store: ObjectStore, key: str, upload_id: str) -> None:
    """Abort an incomplete upload; no effect if it is gone.

    Args:
        key: relative to the prefix of the store.

    Raises:
        StoreFailed: the store failed.
    """
    before = f"{store.address.prefix}/" if store.address.prefix else ""
    _request(store, "DELETE", before + key, {"uploadId": upload_id}, f"abort the upload of {key}")


def _text(element: ElementTree.Element, name: str) -> str:
    return element.findtext(f"{_NAMESPACE}{name}") or ""


def _request(store: ObjectStore, method: Any, key: str, query: dict[str, str], action: str) -> bytes:
    """Send a signed request, and return the body of the response; a missing upload is no error."""
    import httpx2

    with store_errors(store.address, action):
        url = _signed(store, method, key, query)
        try:
            response = httpx2.request(method, url, timeout=timeouts.STORE_REQUEST_SECONDS)
        except httpx2.HTTPError as error:
            # as the errors of obstore, whose texts `store_errors` knows
            raise OSError(f"error sending request: {error}") from error
        if response.status_code == 404 and "NoSuchUpload" in response.text:
            return b""
        if not response.is_success:
            raise OSError(f"{response.status_code} {response.reason_phrase}: {response.text}")
        return response.content


def _signed(store: ObjectStore, method: Any, key: str, query: dict[str, str]) -> str:
    import obstore
    from obstore.store import S3Store

    # the address of the bucket, whether the settings in the environment put its name into the host or the path
    example = urlsplit(obstore.sign(store.raw, "GET", _KEY, _VALID))
    before = f"{store.address.prefix}/" if store.address.prefix else ""
    path = example.path.removesuffix(f"/{before}{_KEY}")
    address = f"{example.scheme}://{example.netloc}{path}" + (f"/{quote(key)}" if key else "")
    endpoint = f"{address}?{urlencode(query, safe='/')}&x-whohas="
    config: Any = {"endpoint": endpoint, "aws_endpoint_url_s3": endpoint}
    signer = S3Store(
        store.address.bucket,
        config=config,
        virtual_hosted_style_request=True,  # so that the name of the bucket is not put before the key once more
        client_options=store.raw.client_options,
    )
    return obstore.sign(signer, method, _KEY, _VALID)

"""Addresses of stores: what they name, and what they may not contain."""

from __future__ import annotations

import pytest

from whohas.errors import InvalidArguments
from whohas.object_stores import StoreAddress, StoreFailed, StoreFault, delta_options, parse_address, store_errors

GOOD = {
    "s3://acme-identity": StoreAddress("s3", "acme-identity", ""),
    "s3://acme-identity/": StoreAddress("s3", "acme-identity", ""),
    "s3://acme.identity/a/b/": StoreAddress("s3", "acme.identity", "a/b"),
    "gs://acme/whohas": StoreAddress("gs", "acme", "whohas"),
    "az://container/whohas": StoreAddress("az", "container", "whohas"),
    "file:///srv/whohas": StoreAddress("file", "", "/srv/whohas"),
    "file:///srv/who%20has/": StoreAddress("file", "", "/srv/who has"),
}
BAD = (
    "", "acme", "/srv/whohas", "s3:/acme", "s3://", "s3:///x", "S3://acme", "http://acme/x", "s3a://acme", "file://srv/x",
    "file://", "file:///a/../b", "s3://acme/a//b", "s3://acme/../b", "s3://acme/a b", "s3://acme/%2e", "s3://ac me/x",
    "s3://acme/ä", "s3://acme/a\nb", "s3://a", "s3://acme/a?x", "s3://acme/a#x", "file:///a\0b",
)  # fmt: skip
SECRET = "hunter2hunter2"


@pytest.mark.parametrize(("text", "address"), sorted(GOOD.items()))
def test_a_good_address_is_parsed(text: str, address: StoreAddress) -> None:
    assert parse_address(text) == address
    assert parse_address(str(address)) == address


@pytest.mark.parametrize("text", sorted(BAD))
def test_a_bad_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidArguments):
        parse_address(text)


@pytest.mark.parametrize(
    "text",
    [
        f"s3://key:{SECRET}@acme/x",
        f"s3://{SECRET}@acme",
        f"s3://acme/x?aws_secret_access_key={SECRET}",
        f"https://key:{SECRET}@acme/x",
        f"az://acme/x#{SECRET}",
    ],
)
def test_an_address_with_credentials_is_refused_without_repeating_them(text: str) -> None:
    with pytest.raises(InvalidArguments) as caught:
        parse_address(text)
    assert SECRET not in caught.value.message


def test_a_child_of_an_address_is_below_it() -> None:
    assert str(parse_address("s3://acme").child("accounts")) == "s3://acme/accounts"
    assert str(parse_address("s3://acme/x").child("accounts")) == "s3://acme/x/accounts"
    assert str(parse_address("file:///srv/w").child("accounts")) == "file:///srv/w/accounts"


def test_delta_gets_no_options_for_the_local_disk() -> None:
    assert delta_options(parse_address("file:///srv/w")) == {}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("403 Forbidden: <Error><Code>AccessDenied</Code><Message>No.</Message></Error>", StoreFault.DENIED),
        ("404 <Error><Code>NoSuchBucket</Code></Error>", StoreFault.NO_BUCKET),
        ("403 <Error><Code>InvalidAccessKeyId</Code></Error>", StoreFault.UNKNOWN_KEY),
        ("403 <Error><Code>SignatureDoesNotMatch</Code></Error>", StoreFault.UNKNOWN_KEY),
        ("403 <Error><Code>RequestTimeTooSkewed</Code></Error>", StoreFault.CLOCK),
        ("507 <Error><Code>InsufficientStorage</Code></Error>", StoreFault.FULL),
        ("write: No space left on device (os error 28)", StoreFault.FULL),
        ("HTTP error: error sending request", StoreFault.UNREACHABLE),
        ("Error performing PUT http://169.254.169.254/latest/api/token", StoreFault.UNKNOWN_KEY),
        ("something else", StoreFault.OTHER),
    ],
)
def test_errors_of_stores_are_told_apart(text: str, fault: StoreFault) -> None:
    from obstore.exceptions import GenericError

    with pytest.raises(StoreFailed) as caught, store_errors(parse_address("s3://acme/x"), "take accounts/1.parquet"):
        raise GenericError(text)
    assert caught.value.fault is fault
    assert caught.value.message.startswith("The store s3://acme/x could not take accounts/1.parquet: ")


def test_a_missing_object_and_a_missing_bucket_differ() -> None:
    address = parse_address("s3://acme/x")
    with pytest.raises(FileNotFoundError), store_errors(address):
        raise FileNotFoundError("404 Not Found: <Error><Code>NoSuchKey</Code></Error>")
    with pytest.raises(StoreFailed, match=r"The bucket is not there\. Create the bucket"), store_errors(address):
        raise FileNotFoundError(
            "404 <Error><Code>NoSuchBucket</Code><Message>The bucket is not there.</Message></Error>"
        )


def test_an_unknown_user_is_not_a_missing_object() -> None:
    with pytest.raises(StoreFailed, match="Correct the credentials"), store_errors(parse_address("s3://acme/x")):
        raise FileNotFoundError("404 <Error><Code>XAdminUserNotFound</Code></Error>")


def test_errors_of_delta_are_its_own_unless_the_store_failed() -> None:
    from deltalake.exceptions import CommitFailedError

    address = parse_address("s3://acme/x")
    with pytest.raises(CommitFailedError), store_errors(address):
        raise CommitFailedError("Failed to commit transaction: 0")
    with pytest.raises(StoreFailed, match="AccessDenied"), store_errors(address):
        raise CommitFailedError("Failed to commit transaction: <Error><Code>AccessDenied</Code></Error>")


def test_the_tree_that_delta_draws_becomes_one_line() -> None:
    drawn = "Kernel error\n   \x1b[31m\u21b3\x1b[0m error sending request\n   \x1b[31m\u21b3\x1b[0m tcp connect error"
    with pytest.raises(StoreFailed) as caught, store_errors(parse_address("s3://acme/x"), "open the table accounts"):
        raise OSError(drawn)
    assert "could not open the table accounts: Kernel error: error sending request: tcp connect error." in str(
        caught.value
    )


def test_errors_of_our_own_code_are_not_those_of_a_store() -> None:
    with pytest.raises(ZeroDivisionError), store_errors(parse_address("s3://acme/x")):
        _ = 1 / 0

"""All settings of whohas, in one class.

The first of these sources that has a value wins: an argument of the constructor (from the command line), the
environment variable `WHOHAS_<NAME>`, the TOML file that `WHOHAS_CONFIG` names (default: `whohas.toml` in the home
folder), the default below.
"""

from __future__ import annotations

import ipaddress
import os
import re
import threading
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from platformdirs import user_data_path
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings.sources import TomlConfigSettingsSource
from sqlalchemy import make_url

from whohas import addresses, file_modes, timeouts
from whohas.db.engine import parse_database_url
from whohas.defaults import DEFAULT_ORG
from whohas.errors import InvalidArguments
from whohas.file_modes import PermissionChanges
from whohas.object_stores import StoreAddress, parse_address
from whohas.zones import UnknownZone, parse_zone

MiB = 1 << 20

Names = Annotated[tuple[str, ...], NoDecode]
"""A list of names; in an environment variable they are separated by commas."""

_ORIGIN = re.compile(r"\*|https?://[^/?#@\s]+")


class Settings(BaseSettings):
    """The settings of an installation: immutable, read once at the start of a process and passed to its parts."""

    model_config = SettingsConfigDict(env_prefix="WHOHAS_", frozen=True, extra="forbid", str_strip_whitespace=True)

    home: Path = Field(
        default_factory=lambda: user_data_path("whohas", appauthor=False),
        description="The folder that holds everything: warehouse, files of runs, database, keys.",
    )
    org: str = Field(DEFAULT_ORG, description="The organization's name, as `attributes.org` and the token carry it.")
    host: str = Field("127.0.0.1", description="The address that `whohas serve` listens on.")
    port: int = Field(8437, ge=0, le=65535, description="The port of `whohas serve`; 0 takes a free one.")
    database_url: str | None = Field(
        None,
        description="The database, such as `postgresql://whohas:secret@db/whohas`, for many servers and workers; "
        "default: the SQLite file `whohas.db` in the home folder, for one server.",
    )
    files_url: str | None = Field(
        None,
        description="The folder or the prefix in an object store for the files of runs: `file:///srv/files`, "
        "`s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX` or `az://CONTAINER/PREFIX`; default: the folder `artefacts` in the "
        "home folder. Credentials come from the environment or the platform.",
    )
    files_cache_bytes: int = Field(
        10 << 30,
        ge=0,
        description="The size of the local copies of files in an object store, in bytes; the copies that were not used "
        "for the longest time are removed. Copies are made for the rows in the console and for further formats.",
    )
    downloads: str = Field(
        "stream",
        pattern="^(stream|redirect)$",
        description="How a file in an object store is downloaded: through the server (`stream`), or from the store "
        "itself (`redirect`), to which the server redirects by a signed address that is valid for 60 seconds.",
    )
    database_wait_seconds: float = Field(
        timeouts.DATABASE_START_SECONDS,
        ge=0,
        le=86400,
        description="Seconds that a starting server or worker waits for a PostgreSQL that does not answer, before it "
        "exits with code 1.",
    )
    max_body_bytes: int = Field(1 * MiB, ge=1024, description="The longest request body that is read, in bytes.")
    token_lifetime: int = Field(
        timeouts.TOKEN_SECONDS,
        ge=60,
        description="Seconds that an access token is valid; long, because SDKs never fetch a second one.",
    )
    token_key_days: int = Field(
        90, ge=0, description="Days after which a new key signs access tokens; 0 for never. Older tokens stay valid."
    )
    rate_limit: int = Field(
        100, ge=0, description="Calls that a client may make under one API version in ten seconds; 0 for any number."
    )
    tls_certificate: Path | None = Field(
        None, description="A PEM file with the server's certificate and its chain: it then speaks HTTPS."
    )
    tls_key: Path | None = Field(None, description="A PEM file with the certificate's private key.")
    trusted_proxies: Names = Field(
        (),
        description="Addresses or networks of proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.",
    )
    oidc_issuer: str | None = Field(
        None,
        description="The URL of an external OpenID Connect issuer whose tokens are also accepted, exactly as in their "
        "claim `iss`.",
    )
    oidc_audience: str | None = Field(None, description="The value that the claim `aud` of such a token must contain.")
    oidc_algorithms: Names = Field(("RS256", "ES256"), description="The algorithms that may sign such a token.")
    oidc_name_claim: str = Field(
        "preferred_username",
        description="The claim with a user's name; a token without it stands for a program, which may not cancel.",
    )
    oidc_levels_claim: str = Field(
        "groups",
        description="The claim from which user levels are derived; dots lead into objects: `realm_access.roles`.",
    )
    oidc_levels: Names = Field(
        (), description="User levels for values of that claim, such as `auditors=REPORT_ADMIN`; other values give none."
    )
    oidc_sources_claim: str = Field(
        "sources", description="The claim with the ids of the sources that a source administrator is restricted to."
    )
    oidc_scopes: Names = Field(
        (),
        description="Scopes that every token of that issuer has, in addition to the known ones in its claim `scope`.",
    )
    oidc_client_id: str | None = Field(
        None,
        description="The client id under which the web console is registered at that issuer: users then sign in to the "
        "console there. Register the redirect address `https://HOST/console/signed-in`.",
    )
    oidc_client_secret: SecretStr | None = Field(
        None, description="The secret of that client; without one it is a public client, which PKCE protects."
    )
    oidc_client_scopes: Names = Field(
        ("openid", "profile"),
        description="The scopes that the console requests there; some issuers give a refresh token only for "
        "`offline_access`.",
    )
    console: bool = Field(True, description="Whether `whohas serve` has the web console at `/console`.")
    console_idle_seconds: int = Field(
        timeouts.CONSOLE_IDLE_SECONDS,
        ge=10 * timeouts.CONSOLE_SEEN_SECONDS,
        description="Seconds without a request after which a session of the web console ends.",
    )
    console_session_seconds: int = Field(
        timeouts.CONSOLE_SESSION_SECONDS,
        ge=10 * timeouts.CONSOLE_SEEN_SECONDS,
        description="Seconds after the sign-in at which a session of the web console ends in any case.",
    )
    csv_media_type: str = Field(
        "application/csv",
        pattern=r"^[\w.+-]+/[\w.+-]+(; ?charset=[\w-]+)?$",
        description="The Content-Type of a CSV download; `text/csv; charset=utf-8` suits PowerShell.",
    )
    cors_origins: Names = Field((), description="Origins whose pages may call the API from a browser, or `*` for any.")
    concurrent_reports: Names = Field(
        (), description="Report types of which several identical runs may be active at once (no single flight)."
    )
    default_formats: Names = Field(
        ("csv", "pdf"), description="The files of a run that selects none (`selectedFormats`), such as `csv`."
    )
    print_rows: int = Field(
        100_000,
        ge=0,
        description="Above this number of rows a run makes a PDF only if it is selected (`selectedFormats`).",
    )
    time_zone: str = Field("UTC", description="The time zone of times in files for people, such as `Europe/Berlin`.")
    page_size: str = Field(
        "a4",
        pattern="^(a4|letter)$",
        description="The paper of a PDF, and of an XLSX that is printed: `a4` or `letter`.",
    )
    keep_extracts: bool = Field(
        True,
        description="Whether a run that makes several files also keeps its rows, so that further formats can be made "
        "quickly later; otherwise its SQL is run again for them.",
    )
    search_phrases: bool = Field(
        False,
        description="Whether several words of an unquoted value, as in `email:a.b@x.com`, must follow each other; "
        "without it any of them is enough, as in the published API.",
    )
    search_clauses: int = Field(
        1_024,
        ge=1,
        description="The most clauses of a group in a search, counted once equal ones, and values of one field, are "
        "merged; all groups together may have four times as many.",
    )
    search_values: int = Field(
        65_536, ge=1, description="The most values of one field in a search; together they are one clause."
    )
    search_patterns: int = Field(
        128, ge=0, description="The most fuzzy words and regular expressions of a search, together."
    )
    search_columns: int = Field(
        4_096, ge=1, description="The most columns of a search export, and the most fields it is sorted by."
    )
    search_statement: int = Field(8 * MiB, ge=10_000, description="The longest SQL of a search, in characters.")
    search_plan_seconds: float = Field(
        10, ge=0, description="The longest that reading a search and making its SQL may take, in seconds of processor."
    )
    search_notes: int = Field(
        100, ge=1, description="The most notes about one search; of more, the number is reported."
    )
    worker: bool = Field(True, description="Whether `whohas serve` also executes runs; if not, a `whohas worker` must.")
    load_rejected_percent: float = Field(
        5, ge=0, le=100, description="A load stops if it would reject more of the rows of a file or source than this."
    )
    load_unreadable_percent: float = Field(
        5,
        ge=0,
        le=100,
        description="A load stops if more of the filled cells of a column than this cannot be read.",
    )
    load_few: int = Field(
        2,
        ge=0,
        description="Rejected rows of a file, or unreadable cells of a column, that never stop a load by themselves, "
        "unless the file has no other rows.",
    )
    load_removed_percent: float = Field(
        20,
        ge=0,
        le=100,
        description="A load stops if it would remove more of the keys that a table has for a source than this.",
    )
    load_small_table: int = Field(
        50,
        ge=0,
        description="Below this number of rows of a source, `load_small_removed` counts instead of the percentage.",
    )
    load_small_removed: int = Field(
        10, ge=0, description="Keys that a load may remove from so small a table; it never removes all of them."
    )
    runs_at_once: int = Field(
        default_factory=lambda: max(1, (os.cpu_count() or 2) // 2),
        ge=1,
        description="Runs that a worker executes at the same time, in addition to small ones; others stay queued.",
    )
    small_runs_at_once: int = Field(
        1, ge=1, description="Small runs that a worker executes in addition, so that they never wait for large ones."
    )
    small_run: int = Field(
        20_000,
        ge=0,
        description="How large a small run may be: its estimated rows times the cost of its formats (a CSV costs 1, a "
        "PDF 6).",
    )
    runs_per_launcher: int = Field(
        100, ge=1, description="Active runs of one launcher; one more is refused with status 429."
    )
    runs_waiting: int = Field(10_000, ge=1, description="Queued runs in all; one more is refused with status 429.")
    run_seconds: int = Field(
        timeouts.RUN_SECONDS,
        ge=1,
        description="Seconds that one attempt at a run may take; a longer one fails with a message.",
    )
    drain_seconds: int = Field(
        timeouts.DRAIN_SECONDS,
        ge=0,
        description="Seconds that a stopping worker (SIGTERM) waits for its runs to end, before it returns them to the "
        "queue.",
    )
    spill: Path | None = Field(
        None,
        description="A folder on a local disk for the temporary files of engines; default: `spill` in the home folder.",
    )
    engine: str = Field(
        "duckdb",
        pattern="^(duckdb|spark|trino)$",
        description="The engine that executes a run whose argument `engine` does not name one: `duckdb`, which is "
        "built in, `spark` or `trino`.",
    )
    spark_url: str | None = Field(
        None,
        description="The Spark Connect server for the engine `spark`, such as `sc://spark.acme.example:15002`, or "
        "`sc://HOST:443/;use_ssl=true`; needs `whohas[spark]`. It must reach the warehouse: under the same path, or in `s3://`.",
    )
    spark_token: SecretStr | None = Field(None, description="The token for that server, if it requires one.")
    spark_folder: Path | None = Field(
        None,
        description="The folder in which Spark writes the rows of a run for whohas, which both must reach under the "
        "same path; default: `exchange` in the home folder.",
    )
    trino_url: str | None = Field(
        None,
        description="The Trino server for the engine `trino`, with the user, the catalog and the schema, such as "
        "`https://whohas@trino.acme.example/lake/whohas`; needs `whohas[trino]`. The catalog must have the Delta Lake "
        "connector, and reach the home folder under the same path.",
    )
    trino_token: SecretStr | None = Field(
        None, description="The token (JWT) for that server, if it requires one; needs `https`."
    )
    trino_password: SecretStr | None = Field(
        None, description="The password of the user in `trino_url`, instead of a token; needs `https`."
    )
    trino_files: str = Field(
        "local://",
        pattern="^(local|file)://$",
        description="The beginning of the addresses by which Trino reaches folders: `local://` if the catalog has "
        "`fs.native-local.enabled=true` and `local.location=/`, or `file://` if it has `fs.hadoop.enabled=true`.",
    )
    run_threads: int = Field(
        default_factory=lambda: os.cpu_count() or 1, ge=1, description="Threads of one run's engine."
    )
    run_memory: int = Field(
        1024 * MiB, ge=128 * MiB, description="Bytes that one run's engine may use before it spills to disk."
    )
    run_attempts: int = Field(3, ge=1, description="Times that a run may lose its worker before it fails for good.")
    hook_private_targets: bool = Field(
        False, description="Whether webhooks may be addresses of this machine and of private networks."
    )
    hook_attempts: int = Field(
        8, ge=1, le=20, description="Attempts to deliver a message to a webhook before it is given up."
    )
    hook_retry_seconds: float = Field(
        timeouts.HOOK_RETRY_SECONDS,
        gt=0,
        le=3600,
        description="Seconds from the first attempt at a message to the second; then each wait is four times longer.",
    )
    keep_files_days: float = Field(
        90, ge=0, description="Days that the files of a run are kept after its end; 0: forever. See `whohas hold`."
    )
    keep_files_bytes: int = Field(
        0,
        ge=0,
        description="Bytes that the files of all runs may use; beyond that the oldest are deleted. 0: no limit.",
    )
    keep_runs_days: float = Field(
        400, ge=0, description="Days that the record of a run is kept after its end; 0: forever."
    )
    sweep_seconds: float = Field(
        timeouts.SWEEP_SECONDS, ge=1, description="Seconds between the sweeps that delete what is no longer kept."
    )
    warehouse_mode: str = Field(
        "private",
        pattern="^(private|group)$",
        description="Readers of the warehouse's tables apart from their owner: nobody (`private`), or the group of its "
        "folder (`group`), so that other engines can.",
    )
    warehouse_url: str | None = Field(
        None,
        description="Where the warehouse lies, such as `s3://bucket/prefix`, `gs://bucket/prefix`, "
        "`az://container/prefix` or `file:///srv/warehouse`; default: the folder `warehouse` in the home folder. "
        "Credentials, region and endpoint come from the environment, such as `AWS_ENDPOINT_URL`, or the platform.",
    )
    cache_bytes: int = Field(
        20 << 30,
        ge=0,
        description="Bytes that copies of the files of a warehouse in an object store may take in the home folder; "
        "those that were not used for the longest time are removed. 0: no limit.",
    )
    min_free_bytes: int = Field(
        256 * MiB, ge=0, description="Free bytes that `/readyz` requires on the disk of the home folder."
    )
    metrics: str = Field(
        "open",
        pattern="^(open|token|off)$",
        description="Readers of `/metrics`: anybody (`open`), callers with a token (`token`), or nobody (`off`).",
    )
    otlp_endpoint: str | None = Field(
        None,
        description="The URL of an OpenTelemetry collector for traces (OTLP over HTTP), such as "
        "`http://127.0.0.1:4318`; needs `whohas[otel]`.",
    )
    audit_downloads: str = Field(
        "auditable",
        pattern="^(auditable|all)$",
        description="The downloads that the audit log records: requests with `auditable=true` (`auditable`), or `all`.",
    )
    kafka_servers: Names = Field(
        (),
        description="Kafka brokers that get every audit event, such as `kafka.acme.example:9092`; needs "
        "`whohas[kafka]`.",
    )
    kafka_topic: str = Field(
        "REPORT.cloud-audit", pattern=r"^[A-Za-z0-9._-]{1,249}$", description="The topic of audit events."
    )
    kafka_security: str = Field(
        "plaintext",
        pattern="^(plaintext|ssl|sasl_plaintext|sasl_ssl)$",
        description="The protocol for the brokers: `plaintext`, `ssl`, `sasl_plaintext` or `sasl_ssl`.",
    )
    kafka_sasl: str = Field("SCRAM-SHA-512", description="The SASL mechanism, such as `PLAIN` or `SCRAM-SHA-512`.")
    kafka_user: str | None = Field(None, description="The user for SASL.")
    kafka_password: SecretStr | None = Field(None, description="The user's password.")
    kafka_ca: Path | None = Field(
        None, description="A PEM file with the certificate authorities for the brokers; default: the system's."
    )
    kafka_certificate: Path | None = Field(
        None, description="A PEM file with the client certificate, if brokers require one."
    )
    kafka_key: Path | None = Field(None, description="A PEM file with the private key of the client certificate.")
    kafka_options: Names = Field(
        (),
        description="Further options of librdkafka, such as `compression.type=lz4`; options that protect against loss "
        "cannot be changed.",
    )
    log_level: str = Field(
        "info",
        pattern="^(debug|info|warning|error)$",
        description="The lowest level that the log of servers and workers contains.",
    )
    log_format: str = Field(
        "auto",
        pattern="^(auto|text|json)$",
        description="The form of the log: `text` for people, `json` with an object a line, or `auto`: text on a "
        "terminal and JSON elsewhere.",
    )

    @field_validator(
        "cors_origins",
        "concurrent_reports",
        "default_formats",
        "trusted_proxies",
        "oidc_algorithms",
        "oidc_levels",
        "oidc_scopes",
        "oidc_client_scopes",
        "kafka_servers",
        "kafka_options",
        mode="before",
    )
    @classmethod
    def _split_names(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("otlp_endpoint")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        with addresses.as_value_error():
            address = None if value is None else addresses.parse(value, services=True)
        if address is not None and (address.query or address.fragment):
            raise ValueError("it must be an address without a query: /v1/traces is put after it")
        return value

    @field_validator("warehouse_url")
    @classmethod
    def _address_of_store(cls, value: str | None) -> str | None:
        if value:
            with addresses.as_value_error():
                parse_address(value)
        return value or None

    @field_validator("kafka_topic")
    @classmethod
    def _topic_of_kafka(cls, value: str) -> str:
        # rejected by org.apache.kafka.common.internals.Topic.validate, but accepted by the pattern
        if value in (".", ".."):
            raise ValueError(f"Kafka takes no topic named {value!r}; choose a name such as REPORT.cloud-audit")
        return value

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            parse_zone(value)
        except UnknownZone as error:
            raise ValueError(str(error)) from None
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            if network != "*":
                try:
                    ipaddress.ip_network(network)
                except ValueError as error:
                    raise ValueError(f"{error}; write an address or a network, as in 10.0.0.0/8, or *") from None
        return value

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"{origin!r} is no origin; write scheme, host and port, as in https://reports.example:8443"
                )
        return value

    @field_validator("kafka_servers")
    @classmethod
    def _brokers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for broker in value:
            protocol, separator, rest = broker.rpartition("://")  # librdkafka accepts a protocol before the host
            if separator and protocol.lower() not in ("plaintext", "ssl", "sasl_plaintext", "sasl_ssl"):
                raise ValueError(f"{broker[:200]!r} begins with an unknown protocol; write HOST:PORT")
            with addresses.as_value_error():
                addresses.parse_host_and_port(rest)
        return value

    @field_validator("kafka_options")
    @classmethod
    def _pairs(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for option in value:
            if not option.partition("=")[0].strip() or "=" not in option:
                raise ValueError(f"{option!r} is no option; write name=value, as in compression.type=lz4")
        return value

    @field_validator("kafka_ca", "kafka_certificate", "kafka_key")
    @classmethod
    def _readable(cls, value: Path | None) -> Path | None:
        if value is not None and not os.access(value, os.R_OK):
            raise ValueError(f"{value} is not there or cannot be read; name a file that the user of whohas may read")
        return value

    @field_validator("files_url")
    @classmethod
    def _store_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            return str(parse_address(value))
        except InvalidArguments as error:
            raise ValueError(error.message) from None

    @field_validator("spark_url")
    @classmethod
    def _spark_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if not re.fullmatch(r"sc://[^/;\s]+/?(;[\w.-]+=[^;\s]*|/;[\w.-]+=[^;\s]*)*", value):
            raise ValueError("it must be the address of a Spark Connect server, as in sc://spark.acme.example:15002")
        if re.search(r";(token|session_id)=", value):
            raise ValueError("it must not have a token or a session: set the token as WHOHAS_SPARK_TOKEN")
        return value

    @field_validator("trino_url")
    @classmethod
    def _trino_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            url = urlsplit(value)
            port_is_valid = url.port != 0
        except ValueError:
            port_is_valid = False
        else:
            if url.password is not None:
                raise ValueError("it must not have a password: set it as WHOHAS_TRINO_PASSWORD")
            if (
                port_is_valid
                and url.scheme in ("http", "https")
                and url.hostname
                and url.username
                and re.fullmatch(r"/[^/\s]+/[^/\s]+/?", url.path)
                and not url.query
                and not url.fragment
            ):
                return value
        raise ValueError(
            "it must name a user, a server, a catalog and a schema, as in https://whohas@trino.acme.example/lake/whohas"
        )

    @field_validator("home")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @model_validator(mode="after")
    def _redirects_to_a_store(self) -> Settings:
        if self.downloads == "redirect" and self.files_address.is_local:
            raise ValueError(
                "downloads is redirect, and files_url is a local folder, which clients cannot be redirected to; set "
                "files_url to an object store, or downloads to stream"
            )
        return self

    @model_validator(mode="after")
    def _engine_is_set_up(self) -> Settings:
        for engine, url in (("spark", self.spark_url), ("trino", self.trino_url)):
            if self.engine == engine and url is None:
                raise ValueError(
                    f"engine is {engine}, and there is no {engine}_url: set WHOHAS_{engine.upper()}_URL too"
                )
        if self.spark_url is not None and self.warehouse_address.scheme not in ("file", "s3"):
            raise ValueError(
                f"spark_url is set, and warehouse_url is an address of {self.warehouse_address.scheme}://: Spark reads "
                "a warehouse in a folder that it and whohas have at the same path, or in s3://; leave one of them out"
            )
        if self.trino_url is not None and not self.warehouse_address.is_local:
            raise ValueError(
                "trino_url is set, and warehouse_url is an object store: Trino reads a warehouse in a folder that it "
                "and whohas have at the same path; leave one of them out"
            )
        return self

    @model_validator(mode="after")
    def _trino_secrets_are_encrypted(self) -> Settings:
        if self.trino_token is not None and self.trino_password is not None:
            raise ValueError("trino_token and trino_password are both set: leave one of them out")
        secret = "trino_token" if self.trino_token else "trino_password" if self.trino_password else ""
        if secret and self.trino_url is not None and self.trino_url.startswith("http:"):
            raise ValueError(
                f"{secret} is set, and trino_url begins with http: it would be sent unencrypted; use https"
            )
        return self

    @model_validator(mode="after")
    def _both_of_tls(self) -> Settings:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key are needed together; set both or neither")
        return self

    @model_validator(mode="after")
    def _groups_of_folders(self) -> Settings:
        if self.is_warehouse_shared and not self.warehouse_address.is_local:
            raise ValueError(
                "warehouse_mode=group is for a warehouse in a folder; for an object store grant rights on the bucket, "
                "and leave warehouse_mode out"
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        named = os.environ.get("WHOHAS_CONFIG")
        home = os.environ.get("WHOHAS_HOME")
        path = (
            Path(named)
            if named
            else (Path(home) if home else user_data_path("whohas", appauthor=False)) / "whohas.toml"
        )
        if named and not path.is_file():
            raise InvalidArguments(
                f"WHOHAS_CONFIG names {path}, and there is no such file. Create it, or correct the path."
            )
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, path)

    def make_home(self, *, serving: bool = False) -> None:
        """Create the home folder if it is missing, and restrict it to its owner; see `file_modes`.

        Also sets the umask of the process. Changed permissions, and failures to change them, are logged.

        Args:
            serving: whether this is a long-running process. It then checks every file in a background thread; others
                check every file only if the topmost folders had wrong permissions.

        Raises:
            OSError: the folder cannot be created.
            Unavailable: another user has placed a file in it; see `file_modes.check_owners`.
        """
        file_modes.restrict_process()
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        done = file_modes.restrict_home(self.home, group=self.is_warehouse_shared)
        file_modes.check_owners(self.home)
        url = make_url(self.sqlalchemy_url)
        if url.get_backend_name() == "sqlite" and url.database and Path(url.database).parent != self.home:
            files = file_modes.restrict_files(*(Path(f"{url.database}{end}") for end in ("", "-wal", "-shm")))
            done.restricted += files.restricted
            done.faults += files.faults
        if serving:
            thread = threading.Thread(target=self._tighten_all, args=(done,), name="permissions", daemon=True)
            thread.start()
            thread.join(timeouts.PERMISSIONS_WAIT_SECONDS)
        elif done.restricted or done.opened:
            self._tighten_all(done)
        else:
            file_modes.log_changes(self.home, done)

    def _tighten_all(self, done: PermissionChanges) -> None:
        file_modes.log_changes(
            self.home, file_modes.restrict_all_files(self.home, done, group=self.is_warehouse_shared)
        )

    @property
    def is_warehouse_shared(self) -> bool:
        """Whether the tables are readable by the group of the warehouse folder."""
        return self.warehouse_mode == "group"

    @property
    def warehouse_address(self) -> StoreAddress:
        """Where the Delta tables and their manifests lie."""
        if self.warehouse_url is None:
            return StoreAddress("file", "", str(self.home / "warehouse"))
        return parse_address(self.warehouse_url)

    @property
    def cache_path(self) -> Path:
        """The folder for copies of the files of object stores, with a subfolder for each warehouse."""
        return self.home / "cache"

    @property
    def artefacts_path(self) -> Path:
        """The folder of the files of runs in the home folder."""
        return self.home / "artefacts"

    @property
    def files_address(self) -> StoreAddress:
        """The address of the folder or of the prefix in an object store that has the files of runs."""
        return parse_address(self.files_url or self.artefacts_path.as_uri())

    @property
    def files_cache_path(self) -> Path:
        """The folder of the local copies of files in an object store."""
        return self.home / "cache" / "files"

    @property
    def spill_path(self) -> Path:
        """The folder for temporary files of engines, with a subfolder for each worker."""
        return self.spill or self.home / "spill"

    @property
    def exchange_path(self) -> Path:
        """The folder in which other engines write the rows of runs, with a subfolder for each attempt."""
        return self.spark_folder or self.home / "exchange"

    @property
    def load_records_path(self) -> Path:
        """The folder of the records of loads."""
        return self.home / "loads"

    @property
    def audit_log_path(self) -> Path:
        """The file of the audit log."""
        return self.home / "audit.ndjson"

    @property
    def sqlalchemy_url(self) -> str:
        """The URL of the database, with its driver and password."""
        url = parse_database_url(self.database_url or f"sqlite:///{self.home / 'whohas.db'}")
        return url.render_as_string(hide_password=False)


def load_settings(**overrides: Any) -> Settings:
    """Read the settings from arguments, environment variables and the settings file.

    Args:
        overrides: settings that win over the environment and the file.

    Raises:
        InvalidArguments: settings are unknown or have invalid values (the message names each), or the file cannot be
            read.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise InvalidArguments(f"The settings are wrong. {faults}.") from None
    except ValueError as error:  # the file is not valid TOML
        raise InvalidArguments(f"The settings file cannot be read: {error}. Correct it; it is in TOML.") from None

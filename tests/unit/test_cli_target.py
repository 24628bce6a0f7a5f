"""Which installation a command works on: options, then variables, then the file with profiles, then this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from whohas.cli.target import LocalTarget, ServerTarget, choose_target
from whohas.errors import InvalidArguments, WrongUsage

FILE = """
activeenvironment: Audit
authtype: pat
environments:
  audit:
    baseurl: https://audit.example.com/
    tenanturl: https://audit.example.com
    pat: {clientid: audit-id, clientsecret: audit-secret}
  Tenant:
    baseurl: https://tenant.example.com
  nowhere: {}
"""
ENVIRONMENT = {
    "SAIL_BASE_URL": "https://env.example.com/",
    "SAIL_CLIENT_ID": "env-id",
    "SAIL_CLIENT_SECRET": "env-secret",
}
CREDENTIALS = {name: value for name, value in ENVIRONMENT.items() if name != "SAIL_BASE_URL"}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(FILE)
    return path


def chosen(
    config: Path,
    server: str | None = None,
    profile: str | None = None,
    local: bool = False,
    environ: dict[str, str] | None = None,
) -> tuple[str, str, str] | str:
    """Return address, id and secret of the chosen server; `local` for the local installation."""
    target = choose_target(server, profile, local, environ or {}, config)
    return (target.url, target.client_id, target.client_secret) if isinstance(target, ServerTarget) else "local"


def test_options_win_over_variables_and_those_over_files(config: Path) -> None:
    home = {"WHOHAS_HOME": "/srv/whohas"}
    environment = ("https://env.example.com", "env-id", "env-secret")
    audit = ("https://audit.example.com", "audit-id", "audit-secret")
    assert chosen(config, local=True, environ=ENVIRONMENT) == "local"
    assert chosen(config, profile="AUDIT", environ=ENVIRONMENT) == audit
    assert chosen(config, server="https://audit.example.com", environ=ENVIRONMENT) == audit
    assert chosen(config, environ={**ENVIRONMENT, **home}) == environment
    assert chosen(config, environ=home) == "local"
    assert chosen(config) == audit
    assert chosen(config.with_name("missing.yaml")) == "local"


def test_a_secret_is_never_sent_to_another_server(config: Path) -> None:
    for server, profile in (("https://tenant.example.com", None), (None, "tenant")):
        assert chosen(config, server, profile, environ=ENVIRONMENT) == ("https://tenant.example.com", "", "")
        known = chosen(config, server, profile, environ=CREDENTIALS)
        assert known == ("https://tenant.example.com", "env-id", "env-secret")
    target = choose_target("https://tenant.example.com", None, False, ENVIRONMENT, config)
    assert isinstance(target, ServerTarget)
    with pytest.raises(InvalidArguments, match=r"no credentials for the server https://tenant.example.com"):
        target.check_credentials()
    assert "env-secret" not in repr(choose_target(None, None, False, ENVIRONMENT, config))


def test_an_active_profile_without_credentials_is_not_chosen(config: Path) -> None:
    config.write_text(FILE.replace("Audit", "tenant"))
    target = choose_target(None, None, False, {}, config)
    assert target == LocalTarget("the profile tenant of ~/.sailpoint/config.yaml has no credentials")
    assert chosen(config, environ=CREDENTIALS) == ("https://tenant.example.com", "env-id", "env-secret")
    config.write_text(FILE.replace("Audit", "nowhere"))
    assert chosen(config) == "local"


@pytest.mark.parametrize(
    ("server", "profile", "local", "error", "says"),
    [
        ("https://a.example.com", "audit", False, WrongUsage, "exclude each other"),
        (None, "audit", True, WrongUsage, "exclude each other"),
        ("a.example.com", None, False, WrongUsage, "--server is 'a.example.com', which is no address"),
        (None, "audits", False, InvalidArguments, "no profile 'audits' .* The profiles are: audit, tenant, nowhere"),
        (None, "nowhere", False, InvalidArguments, "has no baseurl"),
    ],
)
def test_a_choice_that_cannot_be_made_is_refused(
    config: Path, server: str | None, profile: str | None, local: bool, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        choose_target(server, profile, local, {}, config)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("a: [", "is not YAML"),
        ("- a", "the file must be a mapping"),
        ("environments: [a]", "environments must be a mapping"),
        ("environments: {a: b}", r"environments\.a must be a mapping"),
        ("environments: {a: {pat: x}}", r"environments\.a\.pat must be a mapping"),
    ],
)
def test_a_damaged_file_is_named_with_the_remedy(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(content)
    with pytest.raises(InvalidArguments, match=says) as refused:
        choose_target(None, "a", False, {}, path)
    assert str(path) in refused.value.message and "--local" in refused.value.message


def test_an_empty_file_has_no_profiles(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("# nothing yet\n")
    assert chosen(path) == "local"

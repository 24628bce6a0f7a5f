"""The entry point of mapping proposals: sample and profile the files, then write the TOML text of a mapping."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from whohas.ingest.proposals.cells import quoted
from whohas.ingest.proposals.keys import SystemType, detect_system
from whohas.ingest.proposals.parts import AccountSections
from whohas.ingest.proposals.profile import FileProfile, ProfiledColumn, profile_sample, split_values
from whohas.ingest.proposals.sample import FormatSetting, read_sample
from whohas.ingest.proposals.several import ACCOUNT_CONCEPTS, FileRoles, find_file_roles
from whohas.ingest.proposals.words import Concept, name_words
from whohas.ingest.proposals.written import TomlSection, named_columns, toml_text, toml_value
from whohas.plurals import pluralize


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposed mapping.

    Attributes:
        text: the mapping as TOML, with a comment for each decision.
        notes: the points that a person has to check, also part of `text`.
    """

    text: str
    notes: tuple[str, ...]


def propose(paths: Sequence[Path], name: str | None = None, target: Path | None = None) -> Proposal:
    """Propose a mapping for files of one system.

    Args:
        paths: the files, at least one.
        name: the source's name; None derives it from the name of the main file (accounts, if there is such a file).
        target: path at which the mapping will be saved: the mapping names its files relative to that folder. None:
            relative to the current folder.

    Raises:
        InvalidArguments: a file cannot be read, or has no table.
        SeveralSystems: the files come from different systems.
    """
    import duckdb

    samples = [read_sample(path) for path in paths]
    with duckdb.connect() as connection:
        connection.execute("SET threads = 2")
        profiles = [profile_sample(sample, connection) for sample in samples]
    return propose_from_profiles(profiles, name, target)


def propose_from_profiles(
    profiles: Sequence[FileProfile], name: str | None = None, target: Path | None = None
) -> Proposal:
    """Propose a mapping from profiles of files; arguments and errors as in `propose`."""
    roles = find_file_roles(profiles)
    folder = (target.parent if target is not None else Path()).resolve()

    def file(profile: FileProfile) -> str:
        return Path(os.path.relpath(profile.path.resolve(), folder)).as_posix()

    main = roles.accounts or roles.memberships or roles.entitlements or profiles[0]
    sections: list[TomlSection] = [_source(roles, main, name), *_file_formats(profiles)]
    notes = [f"{profile.path.name}: {note}" for profile in profiles for note in profile.notes]
    if roles.accounts is not None and roles.account_key is not None:
        per_row = roles.membership_columns if roles.memberships is None else None
        accounts = AccountSections(
            roles.accounts, detect_system(roles.accounts), roles.account_key, per_row, _rights(roles)
        )
        account_sections = accounts.build(file(roles.accounts))
        sections += account_sections
        if not any(column.concept in ACCOUNT_CONCEPTS for column in roles.accounts.columns):
            notes.append(
                f"{roles.accounts.path.name}: no column is named like one for accounts or people, so "
                f"{quoted(roles.account_key.column)} is a guess. Check that the file lists accounts."
            )
        if not roles.account_key.unique:
            begin = (
                "" if roles.account_key.nearly_unique else "no column is unique; the one with most different values is "
            )
            notes.append(
                f"{roles.accounts.path.name}: {begin}{quoted(roles.account_key.column)}: {roles.account_key.why}."
            )
        sections.insert(2, _values(roles.accounts, account_sections))
    if roles.entitlements is not None and roles.entitlement_key is not None:
        sections += _entitlements(roles.entitlements, roles.entitlement_key, file(roles.entitlements))
    if roles.memberships is not None and roles.membership_columns is not None:
        sections += _memberships(roles, file(roles.memberships))
    for profile in profiles:
        if not profile.rows:
            notes.append(f"{profile.path.name} has no rows: the mapping is based on the names of its columns alone.")
        elif all(column.concept is None for column in profile.columns):
            notes.append(
                f"{profile.path.name}: no column has a known name. Does the first line name the columns? "
                f"It is: {', '.join(column.name for column in profile.columns[:6])}."
            )
    notes += [
        f"{profile.path.name} is not used: it has neither accounts, entitlements nor memberships."
        for profile in roles.unused
    ]
    saved = target.name if target is not None else "map.toml"
    head = [
        f"A mapping for {', '.join(profile.path.name for profile in profiles)}, proposed by whohas map. "
        "Each line has its reason. Read them, correct wrong lines, and add missing ones."
    ]
    command = target if target is not None else Path(saved)
    tail = [
        *(f"Note: {note}" for note in notes),
        "What to do next:",
        *([] if target is not None else [f"  save this text as {saved} in this folder"]),
        f"  whohas load {command} --check     (reports what a load would do, and writes nothing)",
        f"  whohas load {command}",
        "All keys: whohas docs load",
    ]
    return Proposal(toml_text(head, [section for section in sections if section], tail), tuple(notes))


def _rights(roles: FileRoles) -> frozenset[str] | None:
    """Return the entitlement values in the files other than the accounts' file; None without such a file."""
    if roles.entitlements is not None and roles.entitlement_key is not None:
        return roles.entitlement_key.values
    if roles.memberships is not None and roles.membership_columns is not None:
        return split_values(roles.membership_columns.entitlement)
    return None


def _source(roles: FileRoles, main: FileProfile, name: str | None) -> TomlSection:
    """Return the section `[source]`: one name for all rows, or a column that names the source of each row."""
    section = TomlSection("source")
    kind = detect_system(main)
    source: ProfiledColumn | None = roles.account_key.source if roles.account_key is not None else None
    if roles.accounts is None and roles.membership_columns is not None:
        source = roles.membership_columns.source
    if roles.accounts is None and roles.membership_columns is None:
        source = roles.source
    candidate = next((column for column in main.columns_of(Concept.SOURCE) if _separates(main, column)), None)
    if (
        source is None
        and candidate is not None
        and kind.system_type is not SystemType.HR
        and _NAMES_SYSTEMS & set(name_words(candidate.name))
    ):
        source = candidate
    files = [profile for profile in (roles.accounts, roles.entitlements, roles.memberships) if profile is not None]
    if source is not None:
        candidate = source
        lacking = [file for file in files if all(column.name != candidate.name for column in file.columns)]
        if lacking:
            source = None
            section.comments.append(
                f"{quoted(candidate)} separates {pluralize(candidate.distinct, 'system')}, and {lacking[0].path.name} "
                "has no such column. One mapping cannot have both files: write a mapping for each system, with files "
                "that only have its rows."
            )
    if source is not None and name is None:
        words = ", ".join(value for value, _ in source.frequent[:4])
        section.add("column", source.name, f"each row names its source: {words}{', …' if source.distinct > 4 else ''}")
    else:
        section.add(
            "name", name or _title(main.path), "as you gave it" if name else "from the file's name: choose your own"
        )
        if candidate is not None and kind.system_type is not SystemType.HR and not section.comments:
            words = ", ".join(value for value, _ in candidate.frequent[:3])
            section.comments.append(
                f"All rows become one source. If {quoted(candidate)} ({words}, …) names the system of each row, write "
                f"column = {toml_value(candidate.name)} instead of name."
            )
    hr = kind.system_type is SystemType.HR
    section.add("type", kind.system_type.value, "any text" if hr else kind.why or "a file with columns")
    if hr and roles.accounts is not None:
        section.add("authoritative", True, f"each row becomes an identity: {kind.why}")
    elif (
        roles.accounts is not None
        and main.first_column_of(Concept.EMPLOYEE) is not None
        and kind.system_type is SystemType.OTHER
    ):
        section.comments.append("If each row of this file is to become an identity: authoritative = true")
    return section


_NAMES_SYSTEMS: Final = frozenset(
    "source application app system instance tenant anwendung mandant systeme aplicacion sistema".split()  # noqa: SIM905
)
"""Words in the name of a column that certainly names the system of a row. Words such as "organization" are missing
because such a column may name a department of the company."""


def _separates(profile: FileProfile, column: ProfiledColumn) -> bool:
    """Return whether a column may name the system of each row: it is always filled and its values repeat."""
    return column.filled == profile.rows and 2 <= column.distinct <= profile.rows / 2


def _title(path: Path) -> str:
    stem = path.name
    for ending in (".gz", ".csv", ".txt", ".tsv", ".xlsx", ".parquet"):
        stem = stem.removesuffix(ending)
    words = [word for word in name_words(stem) if not word.isdigit()] or [stem]
    known = {"hr": "HR", "ad": "Active Directory", "crm": "CRM", "erp": "ERP", "saas": "SaaS", "sap": "SAP"}
    return " ".join(known.get(word, word.capitalize()) for word in words)


def _file_formats(profiles: Sequence[FileProfile]) -> list[TomlSection]:
    """Return the sections `[csv]` and `[xlsx]`.

    A mapping has one of each for all files, so a key in which the files differ becomes a comment, not a setting.
    """
    sections: list[TomlSection] = []
    for form in ("csv", "xlsx"):
        section = TomlSection(form)
        files = [profile for profile in profiles if profile.format == form]
        keys = list(dict.fromkeys(setting.key for profile in files for setting in profile.settings))
        for key in keys:
            found: list[tuple[FileProfile, FormatSetting]] = [
                (profile, setting) for profile in files for setting in profile.settings if setting.key == key
            ]
            values = {setting.value for _, setting in found}
            if len(values) == 1 and len(found) == len(files):
                section.add(key, found[0][1].value, found[0][1].why)
            elif key == "delimiter":
                continue  # a load detects the delimiter of each file
            else:
                listed = "; ".join(
                    f"{profile.path.name}: {setting.value!r}, {setting.why}" for profile, setting in found
                )
                section.comments.append(
                    f"The files differ in {key} ({listed}), but a mapping has one value for all. Export the files "
                    "alike, or write a mapping for each file."
                )
        sections.append(section)
    return sections


def _values(profile: FileProfile, sections: Sequence[TomlSection]) -> TomlSection:
    """Return the section `[values]`: the texts that mean "no value", such as `N/A`, in columns that the mapping uses.

    Without it, a load would report these cells as unreadable.
    """
    section = TomlSection("values")
    typed = ("accounts.columns", "identities.columns", "manager", "correlation")
    named = named_columns(*(part for part in sections if part.name in typed))
    meaningless = {
        text: column.name for column in profile.columns if column.name in named for text in column.no_value_texts
    }
    if meaningless:
        where = ", ".join(f"{text!r} in {column!r}" for text, column in meaningless.items())
        section.add("empty", list(meaningless), f"texts that mean no value: {where}")
    return section


def _entitlements(profile: FileProfile, value: ProfiledColumn, file: str) -> list[TomlSection]:
    section = TomlSection("entitlements")
    section.add("file", file, pluralize(profile.rows, "row"))
    section.add("attributes", [c.name for c in profile.columns if c is not value], "the other columns")
    columns = TomlSection("entitlements.columns")
    columns.add(
        "value",
        value.name,
        "by which the other file names the entitlements" if not profile.is_unique(value) else "unique",
    )
    coded = {"id", "key", "code", "no", "nr", "number", "guid"} & set(name_words(value.name))
    names = profile.columns_of(Concept.DISPLAY_NAME) + (profile.columns_of(Concept.ENTITLEMENT) if coded else [])
    name = next((column for column in names if column is not value), value)
    columns.add("name", name.name, "what reports show")
    description = profile.first_column_of(Concept.DESCRIPTION)
    if description is not None:
        columns.add("description", description.name, "by its name")
    return [section, columns]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(toml_value(name) for name in names)


def _memberships(roles: FileRoles, file: str) -> list[TomlSection]:
    held, profile = roles.membership_columns, roles.memberships
    assert held is not None and profile is not None
    section = TomlSection("memberships")
    section.add("file", file, f"{pluralize(profile.rows, 'row')}, one for each account and entitlement")
    if roles.accounts is None:
        section.comments.append(
            "No file describes the accounts: they are derived from these rows. If you have a file of accounts, call "
            "whohas map with both files."
        )
    dropped = [c for c in profile.columns if c.filled and c not in (held.account, held.entitlement, held.source)]
    alike = [column.name for column in dropped if column.name not in held.differing]
    if roles.accounts is None and alike:
        section.add("attributes", alike, "the same in all rows of an account, therefore kept as its attributes")
    elif alike:
        section.comments.append(f"Not loaded, for the other file describes the accounts: {_listed(alike)}.")
    if held.differing:
        section.comments.append(
            "Not loaded, for an account's rows differ there and a membership has no attributes: "
            f"{_listed(held.differing)}."
        )
    columns = TomlSection("memberships.columns")
    columns.add(
        "account",
        held.account.name,
        f"{pluralize(held.account.distinct, 'account')} in {pluralize(profile.rows, 'row')}",
    )
    columns.add("entitlement", held.entitlement.name, pluralize(held.entitlement.distinct, "different value"))
    lists = TomlSection("memberships.lists")
    if held.entitlement.separator:
        lists.add(
            held.entitlement.name,
            held.entitlement.separator,
            pluralize(held.entitlement.multi_valued_cells, "cell has", "cells have") + " several values",
        )
    return [section, columns, lists]

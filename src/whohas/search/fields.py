"""The fields of each index: one catalogue for queries, columns, sorting and spreading.

Names and nesting are those of the published search documents; types follow the warehouse's tables. What is a list of
objects there is an `Element` here: a query reaches into it by `@name(…)`, an export by `name.spread`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

import pyarrow as pa

from whohas.engine.sql import literal, quote
from whohas.warehouse import schema
from whohas.warehouse.columns import Table
from whohas.warehouse.times import iso_time

FieldKind = Literal["text", "id", "date", "boolean", "integer"]
"""What a field holds. An id is one word, whatever it is made of; a date is a time in UTC."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a document or of an element in it.

    Attributes:
        name: the published name, dotted; in an element relative to it.
        sql: where its value comes from, over a row `t` of the element's rows.
        many: whether it may have several values; they are kept as one text, `VALUE_SEPARATOR` between them.
        place: the column of the index that has it; the name, but for attributes whose names differ by case alone.
    """

    name: str
    kind: FieldKind
    sql: str
    many: bool = False
    place: str = ""

    @property
    def column(self) -> str:
        return self.place or self.name


@dataclass(frozen=True, slots=True)
class Element:
    """The documents of an index, or a list of objects in each of them.

    Attributes:
        path: the list's name, dotted where it lies in another list; empty for the documents themselves.
        rows: SQL for the rows `t`. Those of a list have their document's id as `holder`, and, where the list lies in
            a column, `ord`, their place in it, and `parent`, the place of the object that they lie in.
        fields: by name.
        maps: open maps of names to values: the name's beginning, and the column.
        depends: the warehouse's tables that it is made of.
        shared: whether many documents have equal objects: these are kept once, and apart who has which.
        listed: whether its objects lie in a list in a column, so that they have a place in it.
        details: the fields that a spread adds.
    """

    path: str
    rows: str
    fields: dict[str, Field]
    maps: dict[str, str] = field(default_factory=dict[str, str])
    depends: tuple[str, ...] = ()
    shared: bool = False
    listed: bool = False
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Index:
    """What can be searched under one name.

    Attributes:
        name: the contract's name.
        title: the name of its file in an export.
        columns: what an export shows where the caller names no columns.
        elements: by path; the documents under the empty one.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    elements: dict[str, Element]

    @property
    def documents(self) -> Element:
        return self.elements[""]


def kind_of(name: str, type: pa.DataType) -> FieldKind:
    """A field's kind by its name and the type of its column."""
    if pa.types.is_timestamp(type):
        return "date"
    if pa.types.is_boolean(type):
        return "boolean"
    if pa.types.is_integer(type):
        return "integer"
    return "id" if name == "id" or name.endswith(".id") else "text"


def _column(table: Table, spec: str) -> Field:
    """`name` or `name=column` of a table."""
    name, _, column = spec.partition("=")
    type = table.column(column or name).type
    place = f"t.{quote(column or name)}"
    if pa.types.is_list(type):
        return Field(name, "text", joined(place), many=True)
    return _single(name, type, place)


def _single(name: str, type: pa.DataType, place: str) -> Field:
    """A field of one value. A partition's column is empty where nothing is known, and an empty id is none."""
    kind = kind_of(name, type)
    return Field(name, kind, f"nullif({place}, '')" if kind == "id" else place)


def joined(sql: str) -> str:
    """Several values as one text; null where there is none, for an empty text is a value."""
    return f"list_aggregate({sql}, 'string_agg', chr(31))"


def _fields(table: Table, names: str, *more: Field) -> dict[str, Field]:
    found = [*(_column(table, spec) for spec in names.split()), *more]
    return {one.name: one for one in found}


def _struct_fields(type: pa.StructType, place: str, prefix: str = "") -> Iterable[Field]:
    """The fields of an object in a list; lists within it give fields of several values."""
    for member in type:
        name, here = f"{prefix}{member.name}", f"{place}.{quote(member.name)}"
        if pa.types.is_struct(member.type):
            yield from _struct_fields(member.type, here, f"{name}.")
        elif not pa.types.is_list(member.type):
            yield _dated(_single(name, member.type, here))
        elif pa.types.is_struct(member.type.value_type):
            for inner in _struct_fields(member.type.value_type, "x", f"{name}."):
                text = f"list_transform({here}, lambda x: ({inner.sql})::VARCHAR)"
                yield Field(inner.name, "text", joined(text), many=True)
        else:
            yield Field(name, "text", joined(here), many=True)


_DATES = frozenset({"modified", "date"})
"""Times that the tables keep as text, for they lie in objects."""


def _dated(one: Field) -> Field:
    if one.kind == "text" and one.name in _DATES:
        return Field(one.name, "date", iso_time(one.sql))
    return one


def _lists(table: Table, *columns: str) -> dict[str, Element]:
    """The elements that lie in a table's rows, and those that lie in these."""
    found: dict[str, Element] = {}
    for column in columns:
        rows = (
            f"(SELECT d.id AS holder, generate_subscripts(d.{quote(column)}, 1) AS ord, NULL::BIGINT AS parent, "
            f"unnest(d.{quote(column)}) AS e FROM {table.name} d)"
        )
        type = table.column(column).type.value_type
        found[column] = _list(table, column, rows, type)
        for member in type:
            if pa.types.is_list(member.type) and pa.types.is_struct(member.type.value_type):
                inner = (
                    f"(SELECT o.holder, generate_subscripts(o.e.{quote(member.name)}, 1) AS ord, o.ord AS parent, "
                    f"unnest(o.e.{quote(member.name)}) AS e FROM {rows} o)"
                )
                path = f"{column}.{member.name}"
                found[path] = _list(table, path, inner, member.type.value_type)
    return found


def _list(table: Table, path: str, rows: str, type: pa.StructType) -> Element:
    fields = {one.name: one for one in _struct_fields(type, "t.e")}
    details = tuple(name for name in fields if name.count(".") == 0 or name.endswith(".name"))
    return Element(path, rows, fields, depends=(table.name,), listed=True, details=details)


_PERSON = "owner.id=ownerId owner.name=ownerName owner.email=ownerEmail"
_OWNER_TYPE = Field("owner.type", "text", "CASE WHEN t.ownerId IS NOT NULL THEN 'IDENTITY' END")


_NAMED: Final[tuple[tuple[str, FieldKind], ...]] = (("id", "id"), ("name", "text"))


def _counted(name: str, computed: str) -> Field:
    """A counter: the document's own where it has one, else what is counted."""
    return Field(name, "integer", f"coalesce(t.{name}, {computed})")


def _named(name: str, given: str, derived: str) -> Field:
    """A name: the document's own where it has one, else what is derived."""
    return Field(name, "text", f"coalesce(nullif({given}, ''), {derived}, {given})")


def _held(name: str, computed: str) -> Field:
    """A counter of access: what is counted where accounts decide what the identity holds, else as `_counted`."""
    return Field(
        name, "integer", f"CASE WHEN t.counted THEN coalesce({computed}, 0) ELSE coalesce(t.{name}, {computed}, 0) END"
    )


_IDENTITY_ROWS = """(
    WITH named AS (
        SELECT managerId, bool_or(managerId <> id) AS others FROM identities WHERE managerId IS NOT NULL GROUP BY 1
    ), managers AS (
        SELECT m.id, min(m.name) AS name, min(coalesce(nullif(m.displayName, ''), m.name)) AS displayName,
               bool_or(n.others) AS others
        FROM named n JOIN identities m ON m.id = n.managerId GROUP BY 1
    )
    SELECT i.*, a.accounts, coalesce(h.derived, false) OR o.identityId IS NOT NULL AS counted,
           h.access, h.entitlements, h.roles, h.accessProfiles, p.apps,
           m.name AS leaderName, m.displayName AS leaderDisplayName,
           coalesce(l.others, CASE WHEN (SELECT count(*) FROM managers) > 0 THEN false END) AS leads
    FROM identities i
    LEFT JOIN managers m ON m.id = i.managerId
    LEFT JOIN managers l ON l.id = i.id
    LEFT JOIN (SELECT identityId, count(*) AS accounts FROM accounts GROUP BY 1) a ON a.identityId = i.id
    LEFT JOIN (
        SELECT identityId, count(*) AS access, count(*) FILTER (WHERE type = 'ENTITLEMENT') AS entitlements,
               count(*) FILTER (WHERE type = 'ROLE') AS roles,
               count(*) FILTER (WHERE type = 'ACCESS_PROFILE') AS accessProfiles, bool_or(derived) AS derived
        FROM identity_access GROUP BY 1
    ) h ON h.identityId = i.id
    LEFT JOIN (
        SELECT DISTINCT identityId FROM overruled_access v
        WHERE NOT EXISTS (FROM identity_access s WHERE s.identityId = v.identityId AND s.type = v.type AND s.id = v.id)
    ) o ON o.identityId = i.id
    LEFT JOIN (SELECT identityId, count(*) AS apps FROM identity_apps GROUP BY 1) p ON p.identityId = i.id
)"""

_IDENTITIES = Index(
    "identities",
    "Identities",
    (
        "id", "name", "displayName", "firstName", "lastName", "email", "status", "inactive", "employeeNumber",
        "manager.displayName", "isManager", "identityProfile.name", "source.name", "attributes.cloudLifecycleState",
        "accountCount", "accessCount", "created", "modified",
    ),
    {
        "": Element(
            "",
            _IDENTITY_ROWS,
            _fields(
                schema.IDENTITIES,
                "id name displayName firstName lastName email phone created modified synced inactive protected status "
                "lifecycleState employeeNumber manager.id=managerId manager.name=managerName "
                "manager.displayName=managerDisplayName isManager identityProfile.id=identityProfileId "
                "identityProfile.name=identityProfileName source.id=sourceId source.name=sourceName disabled locked "
                "processingState processingDetails.date=processingDate processingDetails.stage=processingStage "
                "processingDetails.retryCount=processingRetryCount "
                "processingDetails.stackTrace=processingStackTrace processingDetails.message=processingMessage "
                "tags visibleSegments visibleSegmentCount",
                # these take the places of the columns above: what no document says is derived, as in the reports
                _named("manager.name", "t.managerName", "t.leaderName"),
                _named("manager.displayName", "t.managerDisplayName", "t.leaderDisplayName"),
                Field("isManager", "boolean", "coalesce(t.isManager, t.leads)"),
                _counted("accountCount", "t.accounts, 0"),
                _held("accessCount", "t.access"),
                _held("entitlementCount", "t.entitlements"),
                _held("roleCount", "t.roles"),
                _held("accessProfileCount", "t.accessProfiles"),
                _counted("appCount", "t.apps, 0"),
                _counted("ownsCount", "len(t.owned), 0"),
                _counted("tagsCount", "len(t.tags), 0"),
                Field("tagCount", "integer", "coalesce(t.tagsCount, len(t.tags), 0)"),
            ),
            {"attributes": "attributes"},
            ("identities", "accounts", "overruled_access", "identity_access", "identity_apps"),
        ),
        "accounts": Element(
            "accounts",
            "(SELECT *, identityId AS holder FROM accounts WHERE identityId IS NOT NULL)",
            _fields(
                schema.ACCOUNTS,
                "id name accountId=nativeIdentity source.id=sourceId source.name=sourceName source.type=sourceType "
                "disabled locked privileged manuallyCorrelated passwordLastSet created supportsPasswordChange",
            ),
            {"entitlementAttributes": "entitlementAttributes", "accountAttributes": "attributes"},
            ("identities", "accounts"),
            details=(
                "id", "name", "accountId", "source.name", "source.type", "disabled", "locked", "privileged",
                "manuallyCorrelated", "passwordLastSet", "created",
            ),
        ),
        "access": Element(
            "access",
            "(SELECT *, identityId AS holder FROM identity_access)",
            _fields(
                schema.IDENTITY_ACCESS,
                "id name displayName description type source.id=sourceId source.name=sourceName owner.id=ownerId "
                "owner.name=ownerName owner.displayName=ownerDisplayName revocable privileged attribute value schema "
                "standalone disabled enabled requestable cloudEligible cloudGoverned",
            ),
            depends=("identities", "identity_access"),
            shared=True,
            details=(
                "id", "type", "name", "displayName", "description", "source.name", "owner.displayName", "attribute",
                "value", "privileged", "standalone", "revocable", "disabled",
            ),
        ),
        "apps": Element(
            "apps",
            "(SELECT *, identityId AS holder FROM identity_apps)",
            _fields(
                schema.IDENTITY_APPS,
                "id name source.id=sourceId source.name=sourceName account.id=accountId "
                "account.accountId=accountNativeIdentity",
            ),
            depends=("identities", "identity_apps"),
            details=("id", "name", "source.name", "account.id", "account.accountId"),
        ),
        "owns": Element(
            "owns",
            "(SELECT d.id AS holder, unnest(d.owned) AS e FROM identities d)",
            {
                one.name: one
                for one in (
                    Field("id", "id", "t.e.id"),
                    Field("name", "text", "t.e.name"),
                    Field("type", "text", "t.e.type"),
                    *(
                        Field(f"{list}.{name}", kind, f"CASE WHEN t.e.type = {literal(type)} THEN t.e.{name} END")
                        for list, type in schema.OWNED.items()
                        for name, kind in _NAMED
                    ),
                )
            },
            depends=("identities",),
            details=("type", "id", "name"),
        ),
    },
)  # fmt: skip

_ACCESS_PROFILES = Index(
    "accessprofiles",
    "Access Profiles",
    (
        "id", "name", "description", "source.name", "owner.name", "enabled", "requestable", "entitlementCount",
        "created", "modified",
    ),
    {
        "": Element(
            "",
            "access_profiles",
            _fields(
                schema.ACCESS_PROFILES,
                f"id name description created modified synced enabled requestable requestCommentsRequired {_PERSON} "
                "source.id=sourceId source.name=sourceName tags",
                _OWNER_TYPE,
                _counted("entitlementCount", "len(t.entitlements), 0"),
                _counted("segmentCount", "len(t.segments), 0"),
            ),
            depends=("access_profiles",),
        ),
        **_lists(schema.ACCESS_PROFILES, "entitlements", "segments", "apps"),
    },
)  # fmt: skip

_ROLES = Index(
    "roles",
    "Roles",
    (
        "id", "name", "description", "owner.name", "enabled", "requestable", "accessProfileCount",
        "entitlementCount", "created", "modified",
    ),
    {
        "": Element(
            "",
            "roles",
            _fields(
                schema.ROLES,
                f"id name description created modified synced enabled requestable requestCommentsRequired {_PERSON} "
                "tags dimensional dimensionSchemaAttributeCount",
                _OWNER_TYPE,
                _counted("accessProfileCount", "len(t.accessProfiles), 0"),
                _counted("entitlementCount", "len(t.entitlements), 0"),
                _counted("segmentCount", "len(t.segments), 0"),
            ),
            depends=("roles",),
        ),
        **_lists(
            schema.ROLES, "accessProfiles", "entitlements", "segments", "dimensions", "dimensionSchemaAttributes"
        ),
    },
)  # fmt: skip

_ENTITLEMENTS = Index(
    "entitlements",
    "Entitlements",
    (
        "id", "name", "displayName", "description", "attribute", "value", "source.name", "schema", "privileged",
        "requestable", "cloudGoverned", "created", "modified",
    ),
    {
        "": Element(
            "",
            "entitlements",
            _fields(
                schema.ENTITLEMENTS,
                "id name displayName description modified synced created source.id=sourceId source.name=sourceName "
                "source.type=sourceType requestable cloudGoverned privileged tags attribute value "
                "sourceSchemaObjectType schema hash truncatedAttributes containsDataAccess "
                "owner.id=ownerId owner.name=ownerName",
                _counted("segmentCount", "len(t.segments), 0"),
                *(
                    Field(
                        f"manuallyUpdatedFields.{name}", "boolean",
                        f"list_contains(t.manuallyUpdatedFields, {literal(name)})",
                    )
                    for name in ("DESCRIPTION", "DISPLAY_NAME")
                ),
            ),
            {"attributes": "attributes"},
            ("entitlements",),
        ),
        **_lists(schema.ENTITLEMENTS, "segments", "permissions"),
    },
)  # fmt: skip

_EVENTS = Index(
    "events",
    "Events",
    (
        "id", "created", "name", "type", "action", "status", "actor.name", "target.name", "operation",
        "technicalName", "trackingNumber", "ipAddress", "details",
    ),
    {
        "": Element(
            "",
            "events",
            _fields(
                schema.EVENTS,
                "id name created synced action type actor.name=actorName target.name=targetName stack trackingNumber "
                "ipAddress details objects operation status technicalName",
            ),
            {"attributes": "attributes"},
            ("events",),
        ),
    },
)  # fmt: skip

_ACTIVITIES = Index(
    "accountactivities",
    "Account Activities",
    (
        "id", "created", "action", "stage", "status", "requester.name", "recipient.name", "sources", "errors",
        "warnings", "trackingNumber", "modified",
    ),
    {
        "": Element(
            "",
            "account_activities",
            _fields(
                schema.ACCOUNT_ACTIVITIES,
                "id action created modified synced stage status requester.id=requesterId "
                "requester.name=requesterName requester.type=requesterType recipient.id=recipientId "
                "recipient.name=recipientName recipient.type=recipientType trackingNumber errors warnings sources",
            ),
            depends=("account_activities",),
        ),
        **_lists(
            schema.ACCOUNT_ACTIVITIES, "approvals", "originalRequests", "expansionItems", "accountRequests"
        ),
    },
)  # fmt: skip

INDICES: Final[dict[str, Index]] = {
    index.name: index for index in (_IDENTITIES, _ACCESS_PROFILES, _ENTITLEMENTS, _ROLES, _EVENTS, _ACTIVITIES)
}
"""Every index by its name, in the order in which an export shows them."""

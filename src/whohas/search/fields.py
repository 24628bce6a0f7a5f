"""The schema of the search index: each index's fields and nested lists, used by queries, columns, sorting and spreads.

Names and nesting are those of the published search documents; types follow the warehouse's tables. A list of objects in
a document is an `Element`: a query tests its objects by `@name(…)`, an export gives a row for each by `name.spread`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

import pyarrow as pa

from whohas.engine.sql import quote_identifier, string_literal
from whohas.warehouse import schema
from whohas.warehouse.columns import Table
from whohas.warehouse.times import rfc3339_time

FieldKind = Literal["text", "id", "date", "boolean", "integer"]
"""The type of a field. An id is compared as a whole and not cut into words; a date is a time in UTC."""


@dataclass(frozen=True, slots=True)
class IndexField:
    """A field of a document, or of the objects of a list in it.

    Attributes:
        name: the published name, dotted; for the objects of a list, relative to them (`source.id`).
        kind: its type.
        sql: the text of the SQL expression that gives its value, over a row `t` of the element's rows; empty for an
            attribute of a map, which has only its column in the index.
        multi_valued: whether it may have several values; they are stored as one text, joined by `VALUE_SEPARATOR`.
        index_column: its column in the index, if that is not named as the field; empty otherwise. See `column`.
    """

    name: str
    kind: FieldKind
    sql: str
    multi_valued: bool = False
    index_column: str = ""

    @property
    def column(self) -> str:
        """Its column in the index: the name, unless two attributes differ only by case or a name is unprintable."""
        return self.index_column or self.name


@dataclass(frozen=True, slots=True)
class Element:
    """The documents of an index, or the objects of one list in them. Each element is a table of the index.

    Attributes:
        path: the list's name, dotted for a list in another list; empty for the documents themselves.
        rows: SQL for the rows, named `t` in the fields' expressions. Rows of a list have their document's id as
            `holder`. If `from_list_column`, they also have `ord`, their position in the list from 1, and `parent`, the
            position of the object that contains the list (null if the document does).
        fields: the fields by name.
        map_columns: the map columns whose keys become fields: the prefix of these fields' names, and the column.
        source_tables: the warehouse's tables that it is made from.
        shared: whether many documents have equal objects. These are then stored once, and pairs of document and object
            separately.
        from_list_column: whether the objects come from a list in a column of the warehouse, so that they have a
            position.
        spread_fields: the fields that a spread adds to the file.
    """

    path: str
    rows: str
    fields: dict[str, IndexField]
    map_columns: dict[str, str] = field(default_factory=dict[str, str])
    source_tables: tuple[str, ...] = ()
    shared: bool = False
    from_list_column: bool = False
    spread_fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Index:
    """One search index, such as `identities`.

    Attributes:
        name: its name in the published API.
        title: the name of its file in an export, without extension.
        default_columns: the columns of an export that names none.
        elements: the elements by path; the documents have the empty path.
    """

    name: str
    title: str
    default_columns: tuple[str, ...]
    elements: dict[str, Element]

    @property
    def documents(self) -> Element:
        return self.elements[""]


def field_kind(name: str, type: pa.DataType) -> FieldKind:
    """Return the kind of a field with one value, by its name and the type of its column."""
    if pa.types.is_timestamp(type):
        return "date"
    if pa.types.is_boolean(type):
        return "boolean"
    if pa.types.is_integer(type):
        return "integer"
    return "id" if name == "id" or name.endswith(".id") else "text"


def _table_field(table: Table, spec: str) -> IndexField:
    """Return the field that `name` or `name=column` means: `source.id=sourceId` is the column sourceId as source.id."""
    name, _, column = spec.partition("=")
    type = table.column(column or name).type
    sql = f"t.{quote_identifier(column or name)}"
    if pa.types.is_list(type):
        return IndexField(name, "text", join_values_sql(sql), multi_valued=True)
    return _single_value_field(name, type, sql)


def _single_value_field(name: str, type: pa.DataType, sql: str) -> IndexField:
    """Return a field with one value.

    The column of a partition key is empty, not null, for an unknown id, so an empty id is read as null.
    """
    kind = field_kind(name, type)
    return IndexField(name, kind, f"nullif({sql}, '')" if kind == "id" else sql)


def join_values_sql(sql: str) -> str:
    """Return the expression that joins a list's values by `VALUE_SEPARATOR`.

    It is null for an empty list, because an empty text is a value.
    """
    return f"list_aggregate({sql}, 'string_agg', chr(31))"


def _fields(table: Table, names: str, *more: IndexField) -> dict[str, IndexField]:
    found = [*(_table_field(table, spec) for spec in names.split()), *more]
    return {field.name: field for field in found}


def _struct_fields(type: pa.StructType, sql: str, prefix: str = "") -> Iterable[IndexField]:
    """Yield an `IndexField` for each leaf of an Arrow struct; names of nested structs are joined with dots.

    A list gives a field with several values, and so does each field of the structs in a list.

    Args:
        type: the struct's Arrow type.
        sql: the SQL expression of the struct.
        prefix: what to put before the names.
    """
    for member in type:
        name, member_sql = f"{prefix}{member.name}", f"{sql}.{quote_identifier(member.name)}"
        if pa.types.is_struct(member.type):
            yield from _struct_fields(member.type, member_sql, f"{name}.")
        elif not pa.types.is_list(member.type):
            yield _as_date(_single_value_field(name, member.type, member_sql))
        elif pa.types.is_struct(member.type.value_type):
            for inner in _struct_fields(member.type.value_type, "x", f"{name}."):
                text = f"list_transform({member_sql}, lambda x: ({inner.sql})::VARCHAR)"
                yield IndexField(inner.name, "text", join_values_sql(text), multi_valued=True)
        else:
            yield IndexField(name, "text", join_values_sql(member_sql), multi_valued=True)


_DATES = frozenset({"modified", "date"})
"""Fields that are times, but that the warehouse stores as text because they are in a struct."""


def _as_date(field: IndexField) -> IndexField:
    if field.kind == "text" and field.name in _DATES:
        return IndexField(field.name, "date", rfc3339_time(field.sql))
    return field


def _list_elements(table: Table, *columns: str) -> dict[str, Element]:
    """Return the elements of list columns, and of the lists in their objects, by path.

    Args:
        table: the table of the documents.
        columns: its list columns.
    """
    elements: dict[str, Element] = {}
    for column in columns:
        rows = (
            f"(SELECT d.id AS holder, generate_subscripts(d.{quote_identifier(column)}, 1) AS ord, "
            f"NULL::BIGINT AS parent, unnest(d.{quote_identifier(column)}) AS e FROM {table.name} d)"
        )
        type = table.column(column).type.value_type
        elements[column] = _list_element(table, column, rows, type)
        for member in type:
            if pa.types.is_list(member.type) and pa.types.is_struct(member.type.value_type):
                inner = (
                    f"(SELECT o.holder, generate_subscripts(o.e.{quote_identifier(member.name)}, 1) AS ord, "
                    f"o.ord AS parent, unnest(o.e.{quote_identifier(member.name)}) AS e FROM {rows} o)"
                )
                path = f"{column}.{member.name}"
                elements[path] = _list_element(table, path, inner, member.type.value_type)
    return elements


def _list_element(table: Table, path: str, rows: str, type: pa.StructType) -> Element:
    fields = {field.name: field for field in _struct_fields(type, "t.e")}
    details = tuple(name for name in fields if name.count(".") == 0 or name.endswith(".name"))
    return Element(path, rows, fields, source_tables=(table.name,), from_list_column=True, spread_fields=details)


_OWNER = "owner.id=ownerId owner.name=ownerName owner.email=ownerEmail"
_OWNER_TYPE = IndexField("owner.type", "text", "CASE WHEN t.ownerId IS NOT NULL THEN 'IDENTITY' END")


_OWNED_FIELDS: Final[tuple[tuple[str, FieldKind], ...]] = (("id", "id"), ("name", "text"))


def _counter_or(name: str, computed: str) -> IndexField:
    """Return a counter field: the document's own value, or else the computed count."""
    return IndexField(name, "integer", f"coalesce(t.{name}, {computed})")


def _name_or(name: str, document_value: str, derived: str) -> IndexField:
    """Return a name field: the document's own value if it is not empty, or else the derived one."""
    return IndexField(name, "text", f"coalesce(nullif({document_value}, ''), {derived}, {document_value})")


def _access_count(name: str, computed: str) -> IndexField:
    """Return a counter field of an identity's access.

    If the identity's access is derived from its accounts (`counted`), the computed count; or else as `_counter_or`.
    """
    return IndexField(
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
                # These replace the fields of the same name above: values that documents lack are derived, as in
                # the reports.
                _name_or("manager.name", "t.managerName", "t.leaderName"),
                _name_or("manager.displayName", "t.managerDisplayName", "t.leaderDisplayName"),
                IndexField("isManager", "boolean", "coalesce(t.isManager, t.leads)"),
                _counter_or("accountCount", "t.accounts, 0"),
                _access_count("accessCount", "t.access"),
                _access_count("entitlementCount", "t.entitlements"),
                _access_count("roleCount", "t.roles"),
                _access_count("accessProfileCount", "t.accessProfiles"),
                _counter_or("appCount", "t.apps, 0"),
                _counter_or("ownsCount", "len(t.owned), 0"),
                _counter_or("tagsCount", "len(t.tags), 0"),
                IndexField("tagCount", "integer", "coalesce(t.tagsCount, len(t.tags), 0)"),
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
            spread_fields=(
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
            source_tables=("identities", "identity_access"),
            shared=True,
            spread_fields=(
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
            source_tables=("identities", "identity_apps"),
            spread_fields=("id", "name", "source.name", "account.id", "account.accountId"),
        ),
        "owns": Element(
            "owns",
            "(SELECT d.id AS holder, unnest(d.owned) AS e FROM identities d)",
            {
                one.name: one
                for one in (
                    IndexField("id", "id", "t.e.id"),
                    IndexField("name", "text", "t.e.name"),
                    IndexField("type", "text", "t.e.type"),
                    *(
                        IndexField(
                            f"{list}.{name}", kind, f"CASE WHEN t.e.type = {string_literal(type)} THEN t.e.{name} END"
                        )
                        for list, type in schema.OWNED_TYPES.items()
                        for name, kind in _OWNED_FIELDS
                    ),
                )
            },
            source_tables=("identities",),
            spread_fields=("type", "id", "name"),
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
                f"id name description created modified synced enabled requestable requestCommentsRequired {_OWNER} "
                "source.id=sourceId source.name=sourceName tags",
                _OWNER_TYPE,
                _counter_or("entitlementCount", "len(t.entitlements), 0"),
                _counter_or("segmentCount", "len(t.segments), 0"),
            ),
            source_tables=("access_profiles",),
        ),
        **_list_elements(schema.ACCESS_PROFILES, "entitlements", "segments", "apps"),
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
                f"id name description created modified synced enabled requestable requestCommentsRequired {_OWNER} "
                "tags dimensional dimensionSchemaAttributeCount",
                _OWNER_TYPE,
                _counter_or("accessProfileCount", "len(t.accessProfiles), 0"),
                _counter_or("entitlementCount", "len(t.entitlements), 0"),
                _counter_or("segmentCount", "len(t.segments), 0"),
            ),
            source_tables=("roles",),
        ),
        **_list_elements(
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
                _counter_or("segmentCount", "len(t.segments), 0"),
                *(
                    IndexField(
                        f"manuallyUpdatedFields.{name}", "boolean",
                        f"list_contains(t.manuallyUpdatedFields, {string_literal(name)})",
                    )
                    for name in ("DESCRIPTION", "DISPLAY_NAME")
                ),
            ),
            {"attributes": "attributes"},
            ("entitlements",),
        ),
        **_list_elements(schema.ENTITLEMENTS, "segments", "permissions"),
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
            source_tables=("account_activities",),
        ),
        **_list_elements(
            schema.ACCOUNT_ACTIVITIES, "approvals", "originalRequests", "expansionItems", "accountRequests"
        ),
    },
)  # fmt: skip

INDICES: Final[dict[str, Index]] = {
    index.name: index for index in (_IDENTITIES, _ACCESS_PROFILES, _ENTITLEMENTS, _ROLES, _EVENTS, _ACTIVITIES)
}
"""Every index by its name, in the order of the files of an export."""

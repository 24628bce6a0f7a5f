"""The schema of the warehouse: its tables, column by column.

This is the only definition: the Delta schemas, the parsing of documents and `docs/reference/tables.md` are derived from
it. Columns have the names of the published API's documents; a nested object is flattened (`owner.id` is `ownerId`).
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from whohas.warehouse.columns import (
    ATTRIBUTES,
    BOOLEAN,
    INTEGER,
    TEXT,
    TEXT_LIST,
    TIME,
    Table,
    TableColumn,
    computed_column,
    object_list,
)

_REFERENCES = object_list(id=TEXT, name=TEXT)
_HELD_ENTITLEMENTS = object_list(
    id=TEXT,
    name=TEXT,
    description=TEXT,
    attribute=TEXT,
    value=TEXT,
    schema=TEXT,
    privileged=BOOLEAN,
    hasPermissions=BOOLEAN,
    sourceSchemaObjectType=TEXT,
    hash=TEXT,
)
_OWNED_THING = object_list(id=TEXT, name=TEXT, type=TEXT)
_REQUEST_ATTRIBUTES = object_list(name=TEXT, op=TEXT, value=TEXT)
_APP_OWNER = pa.struct([("id", TEXT), ("name", TEXT), ("type", TEXT), ("email", TEXT)])
_PARTY = pa.struct([("id", TEXT), ("name", TEXT), ("type", TEXT)])


def _c(name: str, type: pa.DataType, doc: str, *at: str) -> TableColumn:
    return TableColumn(name, type, doc, at)


_CREATED = _c("created", TIME, "When it was created.")
_MODIFIED = _c("modified", TIME, "When it last changed.")
_SYNCED = _c("synced", TIME, "When it was last written to the search index.")
_SOURCE = (
    _c("sourceId", TEXT, "Its source's id.", "sourceId", "source.id"),
    _c("sourceName", TEXT, "The source's name.", "sourceName", "source.name"),
)
_OWNER = (
    _c("ownerId", TEXT, "The id of the identity that owns it.", "owner.id"),
    _c("ownerName", TEXT, "The owner's name.", "owner.name"),
    _c("ownerEmail", TEXT, "The owner's email address.", "owner.email"),
)
_REQUESTS = (
    _c("enabled", BOOLEAN, "Whether it is enabled."),
    _c("requestable", BOOLEAN, "Whether people can request it."),
    _c("requestCommentsRequired", BOOLEAN, "Whether a request needs a comment."),
)
_SEGMENTS = (
    _c("segments", _REFERENCES, "The segments whose members can see it."),
    _c("segmentCount", INTEGER, "The number of these segments."),
)
_TAGS = _c("tags", TEXT_LIST, "Its tags.")

# fmt: off
# One line for each column, where it fits.
SOURCES = Table(
    "sources",
    "A system from which accounts are loaded.",
    (
        _c("id", TEXT, "The source's id; reports call it `application` or `authoritativeSource`."),
        _c("name", TEXT, "Its name."),
        _c("type", TEXT, "The kind of system, such as `Active Directory - Direct` or `DelimitedFile`."),
        _c("description", TEXT, "A description of its purpose."),
        _c("authoritative", BOOLEAN, "Whether identities are created from its accounts, as from an HR system."),
        _c("connector", TEXT, "The connector that reads it."),
        _c("connectionType", TEXT, "The type of the connection to it."),
        _c("ownerId", TEXT, "The id of the identity that owns it.", "owner.id"),
        _c("ownerName", TEXT, "The owner's name.", "owner.name"),
        _c("features", TEXT_LIST, "The features that the connector supports."),
        _c("healthy", BOOLEAN, "Whether its last health check succeeded."),
        _c("status", TEXT, "The status that the last health check reported."),
        _CREATED,
        _MODIFIED,
        _c("accountAttributes",
           TEXT_LIST, "The names of its accounts' attributes, sorted: columns of the ACCOUNTS report."),
        _c("correlation",
           TEXT, "The mapping's rule that correlates its accounts, as JSON; null: each account names its identity."),
        _c("loaded", TIME, "When its accounts were last loaded."),
        _c("loadId", TEXT, "The last load that read a file of its accounts; null if they were derived from "
           "memberships or from accounts nested in identities."),
        computed_column("managerCorrelation",
              TEXT, "The mapping's rule that finds the managers of its identities, as JSON; null: each identity names "
              "its manager."),
        computed_column("holdingsFrom",
              TEXT, "The origin of the entitlements of its accounts: FILE (memberships or a file of account "
              "entitlements) or DOCUMENTS (the access of identities); null if no file gives them."),
    ),
)

IDENTITY_PROFILES = Table(
    "identity_profiles",
    "Settings for the identities that are created from one authoritative source.",
    (
        _c("id", TEXT, "The profile's id."),
        _c("name", TEXT, "Its name."),
        _c("description", TEXT, "A description of its purpose."),
        _c("priority", INTEGER, "Its priority: of several profiles, the lowest number applies to an identity."),
        _c("ownerId", TEXT, "The id of the identity that owns it.", "owner.id"),
        _c("ownerName", TEXT, "The owner's name.", "owner.name"),
        _c("authoritativeSourceId", TEXT, "The source that its identities come from.", "authoritativeSource.id"),
        _c("authoritativeSourceName", TEXT, "That source's name.", "authoritativeSource.name"),
        _c("identityCount", INTEGER, "The number of its identities when it was exported."),
        _c("identityRefreshRequired", BOOLEAN, "Whether its identities are waiting for processing."),
        _c("hasTimeBasedAttr", BOOLEAN, "Whether the value of an attribute depends on the current time."),
        _CREATED,
        _MODIFIED,
    ),
)

IDENTITIES = Table(
    "identities",
    "A person, or another subject that holds access.",
    (
        _c("id", TEXT, "The identity's id."),
        _c("name", TEXT, "Its unique name (alias).", "alias", "name"),
        _c("displayName", TEXT, "The name for people. If the data has none: a `name` of several words, else first and "
           "last name, else the `name`.", "displayName", "attributes.displayName"),
        _c("firstName", TEXT, "Given name.", "firstName", "attributes.firstname"),
        _c("lastName", TEXT, "Family name.", "lastName", "attributes.lastname"),
        _c("email", TEXT, "Email address.", "email", "emailAddress", "attributes.email"),
        _c("phone", TEXT, "Telephone number.", "phone", "attributes.phone"),
        _CREATED,
        _MODIFIED,
        _c("synced", TIME, "When it was last processed.", "synced", "lastRefresh"),
        _c("inactive", BOOLEAN, "Whether it is no longer in use."),
        _c("protected", BOOLEAN, "Whether it is protected from automatic changes."),
        _c("status", TEXT, "Its registration status, such as ACTIVE or UNREGISTERED.", "status", "identityStatus"),
        _c("lifecycleState", TEXT, "Its lifecycle state, such as active or terminated.",
           "lifecycleState.stateName", "attributes.cloudLifecycleState"),
        _c("employeeNumber", TEXT, "Its number in the authoritative source.", "employeeNumber",
           "attributes.identificationNumber"),
        _c("managerId", TEXT, "The id of the manager's identity.", "manager.id", "managerRef.id"),
        _c("managerName", TEXT, "The manager's unique name, if a document has it; else see the identity `managerId`.",
           "manager.name", "managerRef.name"),
        _c("managerDisplayName", TEXT, "The manager's display name, if a document has it; else see the identity "
           "`managerId`.", "manager.displayName", "managerRef.name"),
        _c("isManager", BOOLEAN, "Whether others report to it, if a document has it; else see the `managerId` of the "
           "others."),
        _c("identityProfileId", TEXT, "The id of its identity profile.", "identityProfile.id"),
        _c("identityProfileName", TEXT, "That profile's name.", "identityProfile.name"),
        _c("sourceId", TEXT, "The id of its authoritative source; empty if none is known.", "source.id",
           "attributes.cloudAuthoritativeSource"),
        _c("sourceName", TEXT, "That source's name.", "source.name"),
        _c("disabled", BOOLEAN, "Whether it may not sign in."),
        _c("locked", BOOLEAN, "Whether it is locked after failed sign-ins."),
        _c("processingState", TEXT, "ERROR if its last processing failed."),
        _c("processingDate", TIME, "When that processing failed.", "processingDetails.date"),
        _c("processingStage", TEXT, "The stage at which it failed.", "processingDetails.stage"),
        _c("processingRetryCount", INTEGER, "The number of retries.", "processingDetails.retryCount"),
        _c("processingStackTrace", TEXT, "The stack trace of the failure.", "processingDetails.stackTrace"),
        _c("processingMessage", TEXT, "The error message of the failure.", "processingDetails.message"),
        _c("accountCount", INTEGER, "The number of accounts in its document; null: reports and searches count them."),
        _c("appCount", INTEGER, "The number of applications in its document."),
        _c("accessCount", INTEGER, "The number of access items in its document."),
        _c("entitlementCount", INTEGER, "The number of entitlements in its document."),
        _c("roleCount", INTEGER, "The number of roles in its document."),
        _c("accessProfileCount", INTEGER, "The number of access profiles in its document."),
        _c("owned", _OWNED_THING, "Owned objects: sources, entitlements, access profiles, roles, apps, …", "owns"),
        _c("ownsCount", INTEGER, "The number of owned objects in its document."),
        _TAGS,
        _c("tagsCount", INTEGER, "The number of tags.", "tagsCount", "tagCount"),
        _c("visibleSegments", TEXT_LIST, "The segments that it can see."),
        _c("visibleSegmentCount", INTEGER, "The number of segments that it can see."),
        _c("attributes", ATTRIBUTES, "All identity attributes."),
    ),
    partition="sourceId",
)

ACCOUNTS = Table(
    "accounts",
    "An account on a source: a user of the system, with its identity if it is correlated.",
    (
        _c("id", TEXT, "The account's id; derived from source and native identity if a file has none."),
        _c("nativeIdentity", TEXT, "Its identifier on the source, such as a distinguished name.", "nativeIdentity",
           "accountId"),
        _c("name", TEXT, "The name for people."),
        *_SOURCE,
        _c("sourceType", TEXT, "The source's type.", "source.type"),
        _c("identityId", TEXT, "The id of its identity; null if it is uncorrelated.", "identityId",
           "identity.id"),
        _c("identityName", TEXT, "That identity's name in the account's document.", "identity.name"),
        _c("correlated", BOOLEAN, "Whether it has an identity."),
        _c("manuallyCorrelated", BOOLEAN, "Whether a person chose that identity."),
        _c("authoritative", BOOLEAN, "Whether an identity was created from it."),
        _c("disabled", BOOLEAN, "Whether it may not sign in."),
        _c("locked", BOOLEAN, "Whether it is locked after failed sign-ins."),
        _c("privileged", BOOLEAN, "Whether it has more rights than ordinary accounts."),
        _c("systemAccount", BOOLEAN, "Whether a system, not a person, uses it."),
        _c("isMachine", BOOLEAN, "Whether it belongs to a machine identity."),
        _c("hasEntitlements", BOOLEAN,
           "Whether it holds entitlements, if a file has it; else see `account_entitlements`."),
        _c("supportsPasswordChange", BOOLEAN, "Whether the identity system can change its password."),
        _c("passwordLastSet", TIME, "When its password was last set."),
        _c("uuid", TEXT, "Its unique id on the source."),
        _c("description", TEXT, "A description of its purpose."),
        _c("connectionType", TEXT, "The type of the connection to its source."),
        _c("features", TEXT, "The operations that it supports."),
        _c("origin", TEXT, "Its origin: AGGREGATED (read from the source) or PROVISIONED (created by a request)."),
        _c("cloudLifecycleState", TEXT, "Its identity's lifecycle state."),
        _c("identityState", TEXT, "Its identity's state."),
        _c("ownerIdentityId", TEXT, "The id of the identity that owns a machine account.", "ownerIdentity.id"),
        _c("ownerIdentityName", TEXT, "That owner's name.", "ownerIdentity.name"),
        _CREATED,
        _MODIFIED,
        _c("entitlementAttributes", ATTRIBUTES, "The attributes whose values are entitlements."),
        _c("attributes", ATTRIBUTES, "All attributes from the source.", "attributes", "accountAttributes"),
    ),
    partition="sourceId", shredded=True,
)

ENTITLEMENTS = Table(
    "entitlements",
    "A right on a source: a group, a permission, a role of the application.",
    (
        _c("id", TEXT, "The entitlement's id; derived from source, attribute and value if a file has none."),
        _c("name", TEXT, "Its name."),
        _c("displayName", TEXT, "The name for people."),
        _c("description", TEXT, "A description of the access."),
        _c("attribute", TEXT, "The account attribute that has it as a value, such as memberOf."),
        _c("value", TEXT, "That attribute's value."),
        _c("schema", TEXT, "The source's schema it belongs to."),
        _c("sourceSchemaObjectType", TEXT, "Its object type in the source's schema."),
        *_SOURCE,
        _c("sourceType", TEXT, "The source's type.", "source.type"),
        _c("privileged", BOOLEAN, "Whether it allows more than ordinary rights."),
        _c("requestable", BOOLEAN, "Whether people can request it."),
        _c("cloudGoverned", BOOLEAN, "Whether it is governed as cloud access."),
        _c("containsDataAccess", BOOLEAN, "Whether it gives access to data."),
        _c("ownerId", TEXT, "The id of the identity that owns it.", "owner.id"),
        _c("ownerName", TEXT, "The owner's name.", "owner.name"),
        _c("hash", TEXT, "The hash in its document."),
        *_SEGMENTS,
        _TAGS,
        _c("permissions", object_list(target=TEXT, rights=TEXT_LIST), "Its permissions: rights on targets."),
        _c("truncatedAttributes", TEXT_LIST, "Names of attributes that were too long to index."),
        _c("manuallyUpdatedFields", TEXT_LIST, "The names of fields that a person changed."),
        _CREATED,
        _MODIFIED,
        _SYNCED,
        _c("attributes", ATTRIBUTES, "All attributes from the source."),
    ),
    partition="sourceId",
)

ACCOUNT_ENTITLEMENTS = Table(
    "account_entitlements",
    "An entitlement that an account holds.",
    (
        _c("accountId", TEXT, "The account's id."),
        _c("entitlementId", TEXT, "The entitlement's id."),
        _c("sourceId", TEXT, "The id of the source of both."),
        _c("attribute", TEXT, "The account attribute that has the entitlement as a value."),
        _c("value", TEXT, "That attribute's value."),
    ),
    partition="sourceId",
)

ACCESS_PROFILES = Table(
    "access_profiles",
    "A bundle of entitlements of one source.",
    (
        _c("id", TEXT, "The access profile's id."),
        _c("name", TEXT, "Its name."),
        _c("description", TEXT, "A description of the access."),
        *_SOURCE,
        *_OWNER,
        *_REQUESTS,
        _c("entitlements", _HELD_ENTITLEMENTS, "Its entitlements."),
        _c("entitlementCount", INTEGER, "The number of its entitlements."),
        *_SEGMENTS,
        _TAGS,
        _c("apps", object_list(id=TEXT, name=TEXT, description=TEXT, owner=_APP_OWNER),
           "The applications it belongs to."),
        _CREATED,
        _MODIFIED,
        _SYNCED,
    ),
)

ROLES = Table(
    "roles",
    "A bundle of access profiles and entitlements across sources.",
    (
        _c("id", TEXT, "The role's id."),
        _c("name", TEXT, "Its name."),
        _c("description", TEXT, "A description of the access."),
        *_OWNER,
        *_REQUESTS,
        _c("accessProfiles", _REFERENCES, "Its access profiles."),
        _c("accessProfileCount", INTEGER, "The number of its access profiles."),
        _c("entitlements", _HELD_ENTITLEMENTS, "Its entitlements."),
        _c("entitlementCount", INTEGER, "The number of its entitlements."),
        *_SEGMENTS,
        _TAGS,
        _c("dimensional", BOOLEAN, "Whether it has dimensions."),
        _c("dimensionSchemaAttributeCount", INTEGER, "The number of attributes that choose a dimension."),
        _c("dimensionSchemaAttributes",
           object_list(derived=BOOLEAN, displayName=TEXT, name=TEXT), "The attributes that choose a dimension."),
        _c(
            "dimensions",
            object_list(
                id=TEXT,
                name=TEXT,
                description=TEXT,
                entitlements=_HELD_ENTITLEMENTS,
                accessProfiles=_REFERENCES,
            ),
            "Its dimensions, each with the access that it adds.",
        ),
        _CREATED,
        _MODIFIED,
        _SYNCED,
    ),
)

IDENTITY_ACCESS = Table(
    "identity_access",
    "An access item (entitlement, access profile or role) that an identity holds.",
    (
        _c("identityId", TEXT, "The id of the identity that holds it."),
        _c("type", TEXT, "ENTITLEMENT, ACCESS_PROFILE or ROLE."),
        _c("id", TEXT, "The id of the access item."),
        _c("name", TEXT, "Its name."),
        _c("displayName", TEXT, "The name for people."),
        _c("description", TEXT, "A description of the access."),
        *_SOURCE,
        _c("ownerId", TEXT, "The id of the identity that owns it.", "owner.id"),
        _c("ownerName", TEXT, "The owner's name.", "owner.name"),
        _c("ownerDisplayName", TEXT, "The owner's display name.", "owner.displayName"),
        _c("attribute", TEXT, "For an entitlement: the account attribute that has it as a value."),
        _c("value", TEXT, "For an entitlement: that attribute's value."),
        _c("schema", TEXT, "For an entitlement: its schema."),
        _c("privileged", BOOLEAN, "Whether it allows more than ordinary rights."),
        _c("standalone", BOOLEAN, "Whether it is held directly, not through a role or an access profile."),
        _c("enabled", BOOLEAN, "Whether it is enabled."),
        _c("disabled", BOOLEAN, "Whether a role is disabled."),
        _c("requestable", BOOLEAN, "Whether people can request it."),
        _c("revocable", BOOLEAN, "Whether it can be revoked."),
        _c("cloudEligible", BOOLEAN, "Whether it could be governed as cloud access."),
        _c("cloudGoverned", BOOLEAN, "Whether it is governed as cloud access."),
        _c("identitySourceId", TEXT, "The id of the identity's authoritative source: a load of that source's "
           "identities replaces these rows."),
        computed_column("derived", BOOLEAN,
                        "Whether a load derived it from accounts' entitlements; else a document had it."),
    ),
    partition="identitySourceId",
)

OVERRULED_ACCESS = Table(
    "overruled_access",
    "Access in identity documents that the accounts contradict. Such a row is missing from `identity_access`, or is "
    "there with `standalone` filled in. It is kept because accounts that are loaded later may confirm it.",
    tuple(column for column in IDENTITY_ACCESS.columns if column.name != "derived"),
    partition="identitySourceId",
)

IDENTITY_APPS = Table(
    "identity_apps",
    "An application that an identity can use, and the account with which it does.",
    (
        _c("identityId", TEXT, "The id of the identity that can use it."),
        _c("id", TEXT, "The application's id."),
        _c("name", TEXT, "Its name."),
        *_SOURCE,
        _c("accountId", TEXT, "The account's id.", "account.id"),
        _c("accountNativeIdentity", TEXT, "That account's identifier on the source.", "account.accountId"),
        _c("identitySourceId", TEXT, "The id of the identity's authoritative source, as in `identity_access`."),
    ),
    partition="identitySourceId",
)

APPS = Table(
    "apps",
    "An application that identities can use.",
    (
        _c("id", TEXT, "The application's id."),
        _c("name", TEXT, "Its name."),
        _c("description", TEXT, "A description of its purpose."),
        _c("sourceId", TEXT, "The id of the source of its accounts.", "sourceId", "source.id", "accountSource.id"),
        _c("sourceName", TEXT, "That source's name.", "sourceName", "source.name", "accountSource.name"),
        *_OWNER,
        _c("enabled", BOOLEAN, "Whether it is enabled."),
        _CREATED,
        _MODIFIED,
    ),
)

_REQUESTED = object_list(
    accountId=TEXT,
    op=TEXT,
    result=pa.struct([("status", TEXT), ("errors", TEXT_LIST), ("ticketId", TEXT)]),
    attributeRequests=_REQUEST_ATTRIBUTES,
    provisioningTarget=_PARTY,
    source=_PARTY,
)

ACCOUNT_ACTIVITIES = Table(
    "account_activities",
    "A requested change of access and its outcome.",
    (
        _c("id", TEXT, "The activity's id."),
        _c("action", TEXT, "The requested action."),
        _c("stage", TEXT, "The stage that it has reached."),
        _c("status", TEXT, "Its outcome."),
        _c("requesterId", TEXT, "The requester's id.", "requester.id"),
        _c("requesterName", TEXT, "The requester's name.", "requester.name"),
        _c("requesterType", TEXT, "The requester's type.", "requester.type"),
        _c("recipientId", TEXT, "The id of the recipient of the access.", "recipient.id"),
        _c("recipientName", TEXT, "The recipient's name.", "recipient.name"),
        _c("recipientType", TEXT, "The recipient's type.", "recipient.type"),
        _c("trackingNumber", TEXT, "The number that it shares with its events."),
        _c("errors", TEXT_LIST, "Error messages."),
        _c("warnings", TEXT_LIST, "Warning messages."),
        _c(
            "approvals",
            object_list(
                comments=object_list(comment=TEXT, commenter=TEXT, date=TEXT),
                modified=TEXT,
                owner=_PARTY,
                result=TEXT,
                attributeRequest=pa.struct([("name", TEXT), ("op", TEXT), ("value", TEXT)]),
                source=_PARTY,
            ),
            "The decisions of approvers.",
        ),
        _c("originalRequests", _REQUESTED, "The requested changes, by source."),
        _c(
            "expansionItems",
            object_list(
                accountId=TEXT,
                cause=TEXT,
                name=TEXT,
                id=TEXT,
                state=TEXT,
                source=_PARTY,
                attributeRequest=pa.struct([("name", TEXT), ("op", TEXT), ("value", TEXT)]),
            ),
            "The individual changes into which the request was expanded.",
        ),
        _c("accountRequests", _REQUESTED, "The performed changes, by source."),
        _c("sources", TEXT, "The names of the affected sources."),
        _CREATED,
        _MODIFIED,
        _SYNCED,
    ),
)

EVENTS = Table(
    "events",
    "An event in the audit log of the identity system.",
    (
        _c("id", TEXT, "The event's id."),
        _c("name", TEXT, "The event's name, for people."),
        _c("created", TIME, "When it happened."),
        _SYNCED,
        _c("action", TEXT, "The action."),
        _c("type", TEXT, "The event's type."),
        _c("actorName", TEXT, "The name of the actor.", "actor.name"),
        _c("targetName", TEXT, "The name of the person or object that was acted on.", "target.name"),
        _c("stack", TEXT, "The part of the identity system that reported it."),
        _c("trackingNumber", TEXT, "The number that it shares with an account activity."),
        _c("ipAddress", TEXT, "The actor's IP address."),
        _c("details", TEXT, "Details of the event."),
        _c("objects", TEXT_LIST, "The types of the affected objects."),
        _c("operation", TEXT, "The operation."),
        _c("status", TEXT, "The operation's outcome, such as PASSED."),
        _c("technicalName", TEXT, "The event's technical name."),
        _c("attributes", ATTRIBUTES, "The event's other attributes."),
        _c("month", TEXT, "The month in which it happened, `YYYY-MM`; empty if it has no time."),
    ),
    partition="month",
)

OWNED_TYPES: Final = {
    "sources": "SOURCE",
    "entitlements": "ENTITLEMENT",
    "accessProfiles": "ACCESS_PROFILE",
    "roles": "ROLE",
    "apps": "APP",
    "governanceGroups": "GOVERNANCE_GROUP",
}
"""The lists in the object `owns` of an identity's document, each with the `type` of its objects in `owned`."""

TABLES: Final[dict[str, Table]] = {
    table.name: table
    for table in (
        SOURCES, IDENTITY_PROFILES, IDENTITIES, ACCOUNTS, ENTITLEMENTS,
        ACCOUNT_ENTITLEMENTS, ACCESS_PROFILES, ROLES, IDENTITY_ACCESS, OVERRULED_ACCESS,
        IDENTITY_APPS, APPS, ACCOUNT_ACTIVITIES, EVENTS,
    )
}
"""Every table by its name."""

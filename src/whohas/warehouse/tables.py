"""The tables of identity data at rest, column by column.

This is the one definition: the Delta schemas, the reading of documents and `docs/reference/tables.md` come
from it. Names are those of the published documents; a nested object is flattened (`owner.id` is `ownerId`).
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from whohas.warehouse.columns import ATTRIBUTES, BOOLEAN, INTEGER, TEXT, TEXTS, TIME, Column, Table, made, objects

_REFERENCES = objects(id=TEXT, name=TEXT)
_HELD_ENTITLEMENTS = objects(
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
_OWNED_THING = objects(id=TEXT, name=TEXT, type=TEXT)
_REQUEST_ATTRIBUTES = objects(name=TEXT, op=TEXT, value=TEXT)
_APP_OWNER = pa.struct([("id", TEXT), ("name", TEXT), ("type", TEXT), ("email", TEXT)])
_PARTY = pa.struct([("id", TEXT), ("name", TEXT), ("type", TEXT)])


def _c(name: str, type: pa.DataType, doc: str, *at: str) -> Column:
    return Column(name, type, doc, at)


_CREATED = _c("created", TIME, "When it came to be.")
_MODIFIED = _c("modified", TIME, "When it last changed.")
_SYNCED = _c("synced", TIME, "When the search index last saw it.")
_SOURCE = (
    _c("sourceId", TEXT, "Its source.", "sourceId", "source.id"),
    _c("sourceName", TEXT, "The source's name.", "sourceName", "source.name"),
)
_OWNER = (
    _c("ownerId", TEXT, "Who answers for it: an identity's id.", "owner.id"),
    _c("ownerName", TEXT, "The owner's name.", "owner.name"),
    _c("ownerEmail", TEXT, "The owner's mail address.", "owner.email"),
)
_REQUESTS = (
    _c("enabled", BOOLEAN, "Whether it is in force."),
    _c("requestable", BOOLEAN, "Whether people can ask for it."),
    _c("requestCommentsRequired", BOOLEAN, "Whether a request needs a comment."),
)
_SEGMENTS = (
    _c("segments", _REFERENCES, "The segments that see it."),
    _c("segmentCount", INTEGER, "How many segments see it."),
)
_TAGS = _c("tags", TEXTS, "Its tags.")

# fmt: off
# a line a column
SOURCES = Table(
    "sources",
    "A system that accounts come from.",
    (
        _c("id", TEXT, "The source's id; reports call it `application` or `authoritativeSource`."),
        _c("name", TEXT, "Its name."),
        _c("type", TEXT, "The kind of system, such as `Active Directory - Direct` or `DelimitedFile`."),
        _c("description", TEXT, "A description of its purpose."),
        _c("authoritative", BOOLEAN, "Whether its accounts make identities (an HR system does)."),
        _c("connector", TEXT, "The connector that reads it."),
        _c("connectionType", TEXT, "How it is reached."),
        _c("ownerId", TEXT, "Who answers for it: an identity's id.", "owner.id"),
        _c("ownerName", TEXT, "The owner's name.", "owner.name"),
        _c("features", TEXTS, "What the connector can do."),
        _c("healthy", BOOLEAN, "Whether its last check went well."),
        _c("status", TEXT, "What the last check said."),
        _CREATED,
        _MODIFIED,
        _c("accountAttributes",
           TEXTS, "The names of its accounts' attributes, sorted: columns of the ACCOUNTS report."),
        _c("correlation",
           TEXT, "The rule by which a mapping correlates its accounts, as JSON; null: as the accounts say."),
        _c("loaded", TIME, "When a load last brought its accounts."),
        _c("loadId", TEXT, "The last load that brought a file of its accounts; null where they are made from "
           "memberships, or nested in identities."),
        made("managerCorrelation",
              TEXT, "The rule by which a mapping finds the managers of its identities, as JSON; null: as they say."),
        made("holdingsFrom",
              TEXT, "What says which entitlements its accounts hold: FILE (memberships or a file of account "
              "entitlements), DOCUMENTS (the access of identities); null where nothing does."),
    ),
)

IDENTITY_PROFILES = Table(
    "identity_profiles",
    "How identities are made from one authoritative source.",
    (
        _c("id", TEXT, "The profile's id."),
        _c("name", TEXT, "Its name."),
        _c("description", TEXT, "A description of its purpose."),
        _c("priority", INTEGER, "Which profile wins for an identity with several: the lowest."),
        _c("ownerId", TEXT, "Who answers for it: an identity's id.", "owner.id"),
        _c("ownerName", TEXT, "The owner's name.", "owner.name"),
        _c("authoritativeSourceId", TEXT, "The source that its identities come from.", "authoritativeSource.id"),
        _c("authoritativeSourceName", TEXT, "That source's name.", "authoritativeSource.name"),
        _c("identityCount", INTEGER, "How many identities it had when it was exported."),
        _c("identityRefreshRequired", BOOLEAN, "Whether its identities wait for processing."),
        _c("hasTimeBasedAttr", BOOLEAN, "Whether an attribute depends on the time."),
        _CREATED,
        _MODIFIED,
    ),
)

IDENTITIES = Table(
    "identities",
    "A person, or whatever else holds access.",
    (
        _c("id", TEXT, "The identity's id."),
        _c("name", TEXT, "Its unique name (alias).", "alias", "name"),
        _c("displayName", TEXT, "The name that people read; where nothing gives it a `name` of several words, else "
           "first and last name, else the `name`.", "displayName", "attributes.displayName"),
        _c("firstName", TEXT, "Given name.", "firstName", "attributes.firstname"),
        _c("lastName", TEXT, "Family name.", "lastName", "attributes.lastname"),
        _c("email", TEXT, "Mail address.", "email", "emailAddress", "attributes.email"),
        _c("phone", TEXT, "Telephone number.", "phone", "attributes.phone"),
        _CREATED,
        _MODIFIED,
        _c("synced", TIME, "When it was last processed.", "synced", "lastRefresh"),
        _c("inactive", BOOLEAN, "Whether it is no longer in use."),
        _c("protected", BOOLEAN, "Whether it is kept from automatic change."),
        _c("status", TEXT, "Its registration status, such as ACTIVE or UNREGISTERED.", "status", "identityStatus"),
        _c("lifecycleState", TEXT, "Where it is in its life, such as active or terminated.",
           "lifecycleState.stateName", "attributes.cloudLifecycleState"),
        _c("employeeNumber", TEXT, "Its number in the authoritative source.", "employeeNumber",
           "attributes.identificationNumber"),
        _c("managerId", TEXT, "The manager's identity: its id.", "manager.id", "managerRef.id"),
        _c("managerName", TEXT, "The manager's unique name, where a document has it; else that of `managerId` counts.",
           "manager.name", "managerRef.name"),
        _c("managerDisplayName", TEXT, "The manager's name as people read it, likewise.", "manager.displayName",
           "managerRef.name"),
        _c("isManager", BOOLEAN, "Whether others report to it, where a document says; else their `managerId` counts."),
        _c("identityProfileId", TEXT, "The profile that made it.", "identityProfile.id"),
        _c("identityProfileName", TEXT, "That profile's name.", "identityProfile.name"),
        _c("sourceId", TEXT, "The authoritative source it comes from; empty where none is known.", "source.id",
           "attributes.cloudAuthoritativeSource"),
        _c("sourceName", TEXT, "That source's name.", "source.name"),
        _c("disabled", BOOLEAN, "Whether it may not sign in."),
        _c("locked", BOOLEAN, "Whether it is locked after failed sign-ins."),
        _c("processingState", TEXT, "ERROR where its last processing failed."),
        _c("processingDate", TIME, "When that processing failed.", "processingDetails.date"),
        _c("processingStage", TEXT, "The stage at which it failed.", "processingDetails.stage"),
        _c("processingRetryCount", INTEGER, "How often it was tried again.", "processingDetails.retryCount"),
        _c("processingStackTrace", TEXT, "The trace of the failure.", "processingDetails.stackTrace"),
        _c("processingMessage", TEXT, "The reason of the failure.", "processingDetails.message"),
        _c("accountCount", INTEGER, "Accounts, as the document counts them; else searches and reports do."),
        _c("appCount", INTEGER, "Applications, as the document counts them."),
        _c("accessCount", INTEGER, "Access items, as the document counts them."),
        _c("entitlementCount", INTEGER, "Entitlements, as the document counts them."),
        _c("roleCount", INTEGER, "Roles, as the document counts them."),
        _c("accessProfileCount", INTEGER, "Access profiles, as the document counts them."),
        _c("owned", _OWNED_THING, "Owned objects: sources, entitlements, access profiles, roles, apps, …", "owns"),
        _c("ownsCount", INTEGER, "How many things it owns, as the document counts them."),
        _TAGS,
        _c("tagsCount", INTEGER, "How many tags it has.", "tagsCount", "tagCount"),
        _c("visibleSegments", TEXTS, "The segments it sees."),
        _c("visibleSegmentCount", INTEGER, "How many segments it sees."),
        _c("attributes", ATTRIBUTES, "Every identity attribute."),
    ),
    partition="sourceId",
)

ACCOUNTS = Table(
    "accounts",
    "What a source knows an identity by.",
    (
        _c("id", TEXT, "The account's id; made from source and native identity where a file has none."),
        _c("nativeIdentity", TEXT, "How the source itself names it, such as a distinguished name.", "nativeIdentity",
           "accountId"),
        _c("name", TEXT, "The name that people read."),
        *_SOURCE,
        _c("sourceType", TEXT, "The source's kind.", "source.type"),
        _c("identityId", TEXT, "The identity that holds it; null where it is uncorrelated.", "identityId",
           "identity.id"),
        _c("identityName", TEXT, "That identity's name, as the account's own document has it.", "identity.name"),
        _c("correlated", BOOLEAN, "Whether it has an identity."),
        _c("manuallyCorrelated", BOOLEAN, "Whether a person chose that identity."),
        _c("authoritative", BOOLEAN, "Whether it is the account that an identity was made from."),
        _c("disabled", BOOLEAN, "Whether it may not sign in."),
        _c("locked", BOOLEAN, "Whether it is locked after failed sign-ins."),
        _c("privileged", BOOLEAN, "Whether it can do more than ordinary accounts."),
        _c("systemAccount", BOOLEAN, "Whether a system, not a person, uses it."),
        _c("isMachine", BOOLEAN, "Whether it belongs to a machine identity."),
        _c("hasEntitlements", BOOLEAN,
           "Whether it holds entitlements, where a file says; else `account_entitlements` counts."),
        _c("supportsPasswordChange", BOOLEAN, "Whether its password can be changed from outside."),
        _c("passwordLastSet", TIME, "When its password was last set."),
        _c("uuid", TEXT, "The source's own unique id."),
        _c("description", TEXT, "A description of its purpose."),
        _c("connectionType", TEXT, "How its source is reached."),
        _c("features", TEXT, "The operations that it supports."),
        _c("origin", TEXT, "How it was found: AGGREGATED or PROVISIONED."),
        _c("cloudLifecycleState", TEXT, "Its identity's lifecycle state."),
        _c("identityState", TEXT, "Its identity's state."),
        _c("ownerIdentityId", TEXT, "Who answers for a machine account.", "ownerIdentity.id"),
        _c("ownerIdentityName", TEXT, "That owner's name.", "ownerIdentity.name"),
        _CREATED,
        _MODIFIED,
        _c("entitlementAttributes", ATTRIBUTES, "The attributes that hold entitlements."),
        _c("attributes", ATTRIBUTES, "Every attribute that the source gave.", "attributes", "accountAttributes"),
    ),
    partition="sourceId", shredded=True,
)

ENTITLEMENTS = Table(
    "entitlements",
    "A right on a source: a group, a permission, a role of the application.",
    (
        _c("id", TEXT, "The entitlement's id; made from source, attribute and value where a file has none."),
        _c("name", TEXT, "Its name."),
        _c("displayName", TEXT, "The name that people read."),
        _c("description", TEXT, "A description of the access."),
        _c("attribute", TEXT, "The account attribute that carries it, such as memberOf."),
        _c("value", TEXT, "That attribute's value."),
        _c("schema", TEXT, "The source's schema it belongs to."),
        _c("sourceSchemaObjectType", TEXT, "The kind of object it is on its source."),
        *_SOURCE,
        _c("sourceType", TEXT, "The source's kind.", "source.type"),
        _c("privileged", BOOLEAN, "Whether it allows more than ordinary rights."),
        _c("requestable", BOOLEAN, "Whether people can ask for it."),
        _c("cloudGoverned", BOOLEAN, "Whether it is governed as cloud access."),
        _c("containsDataAccess", BOOLEAN, "Whether it gives access to data."),
        _c("ownerId", TEXT, "Who answers for it: an identity's id.", "owner.id"),
        _c("ownerName", TEXT, "The owner's name.", "owner.name"),
        _c("hash", TEXT, "The document's own hash."),
        *_SEGMENTS,
        _TAGS,
        _c("permissions", objects(target=TEXT, rights=TEXTS), "Rights on targets."),
        _c("truncatedAttributes", TEXTS, "Attributes that were too long to index."),
        _c("manuallyUpdatedFields", TEXTS, "The names of fields that a person changed."),
        _CREATED,
        _MODIFIED,
        _SYNCED,
        _c("attributes", ATTRIBUTES, "Every attribute that the source gave."),
    ),
    partition="sourceId",
)

ACCOUNT_ENTITLEMENTS = Table(
    "account_entitlements",
    "An entitlement that an account holds.",
    (
        _c("accountId", TEXT, "The account."),
        _c("entitlementId", TEXT, "The entitlement."),
        _c("sourceId", TEXT, "The source of both."),
        _c("attribute", TEXT, "The account attribute that carries it."),
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
        _c("entitlements", _HELD_ENTITLEMENTS, "The entitlements in it."),
        _c("entitlementCount", INTEGER, "How many entitlements are in it."),
        *_SEGMENTS,
        _TAGS,
        _c("apps", objects(id=TEXT, name=TEXT, description=TEXT, owner=_APP_OWNER), "The applications it belongs to."),
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
        _c("accessProfiles", _REFERENCES, "The access profiles in it."),
        _c("accessProfileCount", INTEGER, "How many access profiles are in it."),
        _c("entitlements", _HELD_ENTITLEMENTS, "The entitlements in it."),
        _c("entitlementCount", INTEGER, "How many entitlements are in it."),
        *_SEGMENTS,
        _TAGS,
        _c("dimensional", BOOLEAN, "Whether it has dimensions."),
        _c("dimensionSchemaAttributeCount", INTEGER, "How many attributes choose a dimension."),
        _c("dimensionSchemaAttributes",
           objects(derived=BOOLEAN, displayName=TEXT, name=TEXT), "The attributes that choose a dimension."),
        _c(
            "dimensions",
            objects(
                id=TEXT,
                name=TEXT,
                description=TEXT,
                entitlements=_HELD_ENTITLEMENTS,
                accessProfiles=_REFERENCES,
            ),
            "Its dimensions, each with what it adds.",
        ),
        _CREATED,
        _MODIFIED,
        _SYNCED,
    ),
)

IDENTITY_ACCESS = Table(
    "identity_access",
    "What an identity holds, and through what.",
    (
        _c("identityId", TEXT, "Who holds it."),
        _c("type", TEXT, "ENTITLEMENT, ACCESS_PROFILE or ROLE."),
        _c("id", TEXT, "The id of the access item."),
        _c("name", TEXT, "Its name."),
        _c("displayName", TEXT, "The name that people read."),
        _c("description", TEXT, "A description of the access."),
        *_SOURCE,
        _c("ownerId", TEXT, "Who answers for it.", "owner.id"),
        _c("ownerName", TEXT, "The owner's name.", "owner.name"),
        _c("ownerDisplayName", TEXT, "The owner's name as people read it.", "owner.displayName"),
        _c("attribute", TEXT, "For an entitlement: the attribute that carries it."),
        _c("value", TEXT, "For an entitlement: that attribute's value."),
        _c("schema", TEXT, "For an entitlement: its schema."),
        _c("privileged", BOOLEAN, "Whether it allows more than ordinary rights."),
        _c("standalone", BOOLEAN, "Whether it is held by itself, not through a role or an access profile."),
        _c("enabled", BOOLEAN, "Whether it is in force."),
        _c("disabled", BOOLEAN, "Whether a role is switched off."),
        _c("requestable", BOOLEAN, "Whether people can ask for it."),
        _c("revocable", BOOLEAN, "Whether it can be taken away."),
        _c("cloudEligible", BOOLEAN, "Whether it could be governed as cloud access."),
        _c("cloudGoverned", BOOLEAN, "Whether it is governed as cloud access."),
        _c("identitySourceId",
           TEXT, "The identity's authoritative source: a load of that source's identities replaces these rows."),
        made("derived", BOOLEAN, "Whether a load derived it from what accounts hold; else a document gave it."),
    ),
    partition="identitySourceId",
)

OVERRULED_ACCESS = Table(
    "overruled_access",
    "What documents give and what does not hold as it was given, because accounts say otherwise: no part of "
    "`identity_access`, or there with `standalone` filled in. It is kept, for accounts may confirm it later.",
    tuple(column for column in IDENTITY_ACCESS.columns if column.name != "derived"),
    partition="identitySourceId",
)

IDENTITY_APPS = Table(
    "identity_apps",
    "An application that an identity can use, and the account by which it does.",
    (
        _c("identityId", TEXT, "The identity that can use it."),
        _c("id", TEXT, "The application."),
        _c("name", TEXT, "Its name."),
        *_SOURCE,
        _c("accountId", TEXT, "The account's id.", "account.id"),
        _c("accountNativeIdentity", TEXT, "How the source names that account.", "account.accountId"),
        _c("identitySourceId", TEXT, "The authoritative source of the identity, as in `identity_access`."),
    ),
    partition="identitySourceId",
)

APPS = Table(
    "apps",
    "An application that people see.",
    (
        _c("id", TEXT, "The application's id."),
        _c("name", TEXT, "Its name."),
        _c("description", TEXT, "A description of its purpose."),
        _c("sourceId", TEXT, "The source behind it.", "sourceId", "source.id", "accountSource.id"),
        _c("sourceName", TEXT, "That source's name.", "sourceName", "source.name", "accountSource.name"),
        *_OWNER,
        _c("enabled", BOOLEAN, "Whether it is in use."),
        _CREATED,
        _MODIFIED,
    ),
)

_REQUESTED = objects(
    accountId=TEXT,
    op=TEXT,
    result=pa.struct([("status", TEXT), ("errors", TEXTS), ("ticketId", TEXT)]),
    attributeRequests=_REQUEST_ATTRIBUTES,
    provisioningTarget=_PARTY,
    source=_PARTY,
)

ACCOUNT_ACTIVITIES = Table(
    "account_activities",
    "A change of access that was asked for, and what became of it.",
    (
        _c("id", TEXT, "The activity's id."),
        _c("action", TEXT, "The requested action."),
        _c("stage", TEXT, "How far it came."),
        _c("status", TEXT, "How it ended."),
        _c("requesterId", TEXT, "Who asked.", "requester.id"),
        _c("requesterName", TEXT, "The requester's name.", "requester.name"),
        _c("requesterType", TEXT, "What the requester is.", "requester.type"),
        _c("recipientId", TEXT, "Whom it is for.", "recipient.id"),
        _c("recipientName", TEXT, "The recipient's name.", "recipient.name"),
        _c("recipientType", TEXT, "What the recipient is.", "recipient.type"),
        _c("trackingNumber", TEXT, "The number that binds it to its events."),
        _c("errors", TEXTS, "What went wrong."),
        _c("warnings", TEXTS, "What nearly did."),
        _c(
            "approvals",
            objects(
                comments=objects(comment=TEXT, commenter=TEXT, date=TEXT),
                modified=TEXT,
                owner=_PARTY,
                result=TEXT,
                attributeRequest=pa.struct([("name", TEXT), ("op", TEXT), ("value", TEXT)]),
                source=_PARTY,
            ),
            "Who approved what.",
        ),
        _c("originalRequests", _REQUESTED, "The requested changes, by source."),
        _c(
            "expansionItems",
            objects(
                accountId=TEXT,
                cause=TEXT,
                name=TEXT,
                id=TEXT,
                state=TEXT,
                source=_PARTY,
                attributeRequest=pa.struct([("name", TEXT), ("op", TEXT), ("value", TEXT)]),
            ),
            "What the request came to mean.",
        ),
        _c("accountRequests", _REQUESTED, "The performed changes, by source."),
        _c("sources", TEXT, "The names of the sources concerned."),
        _CREATED,
        _MODIFIED,
        _SYNCED,
    ),
)

EVENTS = Table(
    "events",
    "Something that happened, as the audit trail of the identity system has it.",
    (
        _c("id", TEXT, "The event's id."),
        _c("name", TEXT, "What happened, in words."),
        _c("created", TIME, "When it happened."),
        _SYNCED,
        _c("action", TEXT, "The action."),
        _c("type", TEXT, "The kind of event."),
        _c("actorName", TEXT, "The actor.", "actor.name"),
        _c("targetName", TEXT, "To whom or what.", "target.name"),
        _c("stack", TEXT, "The part of the system that reports it."),
        _c("trackingNumber", TEXT, "The number that binds it to an activity."),
        _c("ipAddress", TEXT, "Where it came from."),
        _c("details", TEXT, "More about it."),
        _c("objects", TEXTS, "The kinds of object concerned."),
        _c("operation", TEXT, "The operation."),
        _c("status", TEXT, "How it ended, such as PASSED."),
        _c("technicalName", TEXT, "The event's technical name."),
        _c("attributes", ATTRIBUTES, "Everything else it carries."),
        _c("month", TEXT, "The month it happened in, `YYYY-MM`; empty where it has no time."),
    ),
    partition="month",
)

OWNED: Final = {
    "sources": "SOURCE",
    "entitlements": "ENTITLEMENT",
    "accessProfiles": "ACCESS_PROFILE",
    "roles": "ROLE",
    "apps": "APP",
    "governanceGroups": "GOVERNANCE_GROUP",
}
"""The lists of an identity's `owns`, and the type that their objects have in `owned`."""

TABLES: Final[dict[str, Table]] = {
    table.name: table
    for table in (
        SOURCES, IDENTITY_PROFILES, IDENTITIES, ACCOUNTS, ENTITLEMENTS,
        ACCOUNT_ENTITLEMENTS, ACCESS_PROFILES, ROLES, IDENTITY_ACCESS, OVERRULED_ACCESS,
        IDENTITY_APPS, APPS, ACCOUNT_ACTIVITIES, EVENTS,
    )
}
"""Every table by its name."""

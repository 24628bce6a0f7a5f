BEGIN TRANSACTION;
CREATE TABLE application_versions (
    version_id TEXT NOT NULL PRIMARY KEY,
    version_name TEXT NOT NULL UNIQUE,
    version_timestamp INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000),
    created_at INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000)
, "application_name" TEXT DEFAULT NULL);
INSERT INTO "application_versions" VALUES('70b47b8f-00be-46e7-9d9e-7139494133a1','1',1795762436000,1795762436000,'whohas');
CREATE TABLE client (
	id VARCHAR(32) NOT NULL, 
	name VARCHAR(200) NOT NULL, 
	secret VARCHAR(64) NOT NULL, 
	scopes JSON NOT NULL, 
	created DATETIME NOT NULL, 
	revoked DATETIME, 
	PRIMARY KEY (id)
);
INSERT INTO "client" VALUES('dcc0f536e21e4d948e9c8d6886f04d48','ann','370e54f566001aa2da15f7fbd26c74c2b3ec1118487802ed8959cfb80ac71068','["sp:scopes:all"]','2026-11-27 06:53:56.260564',NULL);
CREATE TABLE dbos_migrations (version INTEGER NOT NULL PRIMARY KEY);
INSERT INTO "dbos_migrations" VALUES(125);
CREATE TABLE notifications (
    message_uuid TEXT NOT NULL DEFAULT (hex(randomblob(16))) PRIMARY KEY,
    destination_uuid TEXT NOT NULL,
    topic TEXT,
    message TEXT NOT NULL,
    created_at_epoch_ms INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000), "serialization" TEXT DEFAULT NULL, "consumed" BOOLEAN NOT NULL DEFAULT FALSE, consumed_by_function_id INTEGER,
    FOREIGN KEY (destination_uuid) REFERENCES workflow_status(workflow_uuid) 
        ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE TABLE "operation_outputs" (
    workflow_uuid TEXT NOT NULL,
    function_id INTEGER NOT NULL,
    function_name TEXT NOT NULL DEFAULT '',
    output TEXT,
    error TEXT,
    child_workflow_id TEXT,
    started_at_epoch_ms INTEGER,
    completed_at_epoch_ms INTEGER,
    serialization TEXT,
    application_name TEXT DEFAULT NULL,
    retention_timestamp INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000),
    PRIMARY KEY (workflow_uuid, function_id)
);
CREATE TABLE queues (
    queue_id TEXT PRIMARY KEY DEFAULT (hex(randomblob(16))),
    name TEXT NOT NULL UNIQUE,
    concurrency INTEGER,
    worker_concurrency INTEGER,
    rate_limit_max INTEGER,
    rate_limit_period_sec REAL,
    priority_enabled BOOLEAN NOT NULL DEFAULT FALSE,
    partition_queue BOOLEAN NOT NULL DEFAULT FALSE,
    polling_interval_sec REAL NOT NULL DEFAULT 1.0,
    created_at INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000),
    updated_at INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000)
, "application_name" TEXT DEFAULT NULL, "partition_concurrency" INTEGER DEFAULT NULL, "partition_worker_concurrency" INTEGER DEFAULT NULL, "partition_rate_limit_max" INTEGER DEFAULT NULL, "partition_rate_limit_period_sec" REAL DEFAULT NULL);
INSERT INTO "queues" VALUES('7BE99F87412884E6AF8E68C623BF22A1','runs',NULL,1,NULL,NULL,1,0,0.05,1795762436000,1795762436472,'whohas',NULL,NULL,NULL,NULL);
CREATE TABLE report_switch (
	report_type TEXT NOT NULL, 
	PRIMARY KEY (report_type)
);
INSERT INTO "report_switch" VALUES('IDENTITY_PROFILE_IDENTITY_ERROR');
CREATE TABLE run (
	id VARCHAR(32) NOT NULL, 
	report_type TEXT NOT NULL, 
	report_name TEXT NOT NULL, 
	description TEXT NOT NULL, 
	arguments JSON NOT NULL, 
	"key" VARCHAR(64) NOT NULL, 
	single_flight BOOLEAN NOT NULL, 
	attributes JSON NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	snapshot INTEGER NOT NULL, 
	launcher TEXT NOT NULL, 
	created DATETIME NOT NULL, 
	launched DATETIME, 
	completed DATETIME, 
	rows BIGINT, 
	progress TEXT NOT NULL, 
	percent INTEGER NOT NULL, 
	attempt INTEGER NOT NULL, 
	formats JSON NOT NULL, 
	messages JSON NOT NULL, 
	artefacts JSON NOT NULL, 
	statement TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "run" VALUES('1342bbed7b944d3b9350d7da81f5d408','ACCOUNTS','Accounts Report','The accounts of one source with the identities that hold them, and a column for each attribute.','{"application": "s", "sourceName": "S"}','3f4122d64e68813771d8bae228319aa2d12071d905570b40a6337b597e70e5c3',1,'{"org": "whohas"}','succeeded',1,'ann','2026-11-27 06:53:57.094665','2026-11-27 06:53:57.630194','2026-11-27 06:53:57.997118',1,'Done, 1 rows',100,1,'["csv"]','[]','[{"format": "csv", "name": "1-accounts.csv", "media_type": "", "bytes": 182, "rows": 1, "sha256": "b6538f2a5951dcedaa5ef6829682bf8f72732be522226c97ee4b32eca15d226b"}]','SELECT a.id, a.nativeIdentity, a.name, a.sourceId, s.name AS sourceName,
       a.identityId, coalesce(i.displayName, i.name, a.identityName) AS identityName,
       a.correlated, a.manuallyCorrelated, a.disabled, a.locked, a.privileged, a.hasEntitlements,
       a.created, a.modified
FROM accounts a
JOIN sources s ON s.id = a.sourceId
LEFT JOIN identities i ON i.id = a.identityId
WHERE a.sourceId = $source');
INSERT INTO "run" VALUES('51d530435bd44cc4b79649d0a04fa7d0','ACCOUNTS','Accounts Report','The accounts of one source with the identities that hold them, and a column for each attribute.','{"application": "s", "sourceName": "S"}','3f4122d64e68813771d8bae228319aa2d12071d905570b40a6337b597e70e5c3',1,'{"org": "whohas"}','running',1,'ann','2026-11-27 06:53:58.289741','2026-11-27 06:53:58.303485',NULL,NULL,'Starting',0,1,'["csv"]','[]','[]','SELECT a.id, a.nativeIdentity, a.name, a.sourceId, s.name AS sourceName,
       a.identityId, coalesce(i.displayName, i.name, a.identityName) AS identityName,
       a.correlated, a.manuallyCorrelated, a.disabled, a.locked, a.privileged, a.hasEntitlements,
       a.created, a.modified
FROM accounts a
JOIN sources s ON s.id = a.sourceId
LEFT JOIN identities i ON i.id = a.identityId
WHERE a.sourceId = $source');
INSERT INTO "run" VALUES('1160a711c014413d93147e294a0dc970','IDENTITIES','Identities Report','The identities, each with how many accounts it has and whether an authoritative source knows it.','{"correlatedOnly": false}','a82ed5424ddac247560f128cdcb350f796c0df59707ecb5082e9ff579cc6d89d',1,'{"org": "whohas"}','queued',1,'ann','2026-11-27 06:53:58.329364',NULL,NULL,NULL,'Queued',0,0,'["csv"]','[]','[]','WITH held AS (
    SELECT a.identityId, count(*) AS accounts, count(*) FILTER (WHERE s.authoritative) AS authoritative
    FROM accounts a
    JOIN sources s ON s.id = a.sourceId
    WHERE a.identityId IS NOT NULL
    GROUP BY a.identityId
)
SELECT i.id, i.name, coalesce(i.displayName, i.name) AS displayName, i.firstName, i.lastName, i.email,
       i.status, i.lifecycleState, i.identityProfileName AS identityProfile,
       coalesce(s.name, i.sourceName) AS source, coalesce(i.managerDisplayName, i.managerName) AS manager,
       i.isManager, i.employeeNumber, coalesce(h.accounts, 0) AS accountCount,
       coalesce(h.authoritative, 0) > 0 AS correlated, i.created, i.modified
FROM identities i
LEFT JOIN held h ON h.identityId = i.id
LEFT JOIN sources s ON s.id = i.sourceId');
INSERT INTO "run" VALUES('b31d43eba70e456281989f6a082eb2de','ORPHAN_IDENTITIES','Orphan Identities Report','The identities that have no account on an authoritative source.','{"selectedFormats": ["CSV"]}','82a7cfb84746bc75a1416f085733ebb85cf15095008c60469b5abfbde6df7cbe',1,'{"org": "whohas"}','cancelling',1,'ann','2026-11-27 06:53:58.377359','2026-11-27 06:53:58.404419',NULL,NULL,'Cancelling',0,1,'["csv"]','[]','[]','WITH held AS (
    SELECT a.identityId, list_sort(list(DISTINCT s.name)) AS sources, bool_or(coalesce(s.authoritative, false)) AS known
    FROM accounts a
    JOIN sources s ON s.id = a.sourceId
    WHERE a.identityId IS NOT NULL
    GROUP BY a.identityId
)
SELECT i.id, i.name, coalesce(i.displayName, i.name) AS displayName, i.email, i.status, i.lifecycleState,
       h.sources AS accountSources, i.created, i.modified
FROM identities i
LEFT JOIN held h ON h.identityId = i.id
WHERE NOT coalesce(h.known, false)');
INSERT INTO "run" VALUES('b9ac185e14ea4311b361ca6c732398cd','UNCORRELATED_ACCOUNTS','Uncorrelated Accounts Report','The accounts, of all sources, that no identity holds.','{"selectedFormats": ["CSV"]}','2126947d35e2fc35cd5bbe98788eac018a8a3decea5ff743eb9f48bd778beb03',1,'{"org": "whohas"}','cancelled',1,'ann','2026-11-27 06:53:58.437836',NULL,'2026-11-27 06:53:58.460894',NULL,'Cancelled',0,0,'["csv"]','[]','[]','SELECT a.id, a.name, a.nativeIdentity, a.sourceId, s.name AS sourceName, a.disabled, a.locked, a.privileged,
       a.created, a.modified, s.loaded, s.loadId
FROM accounts a
JOIN sources s ON s.id = a.sourceId
WHERE NOT a.correlated');
CREATE TABLE streams (
    workflow_uuid TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    "offset" INTEGER NOT NULL, function_id INTEGER NOT NULL DEFAULT 0, "serialization" TEXT DEFAULT NULL,
    PRIMARY KEY (workflow_uuid, key, "offset"),
    FOREIGN KEY (workflow_uuid) REFERENCES workflow_status(workflow_uuid) 
        ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE TABLE workflow_events (
    workflow_uuid TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL, "serialization" TEXT DEFAULT NULL,
    PRIMARY KEY (workflow_uuid, key),
    FOREIGN KEY (workflow_uuid) REFERENCES workflow_status(workflow_uuid) 
        ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE TABLE workflow_events_history (
    workflow_uuid TEXT NOT NULL,
    function_id INTEGER NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL, "serialization" TEXT DEFAULT NULL,
    PRIMARY KEY (workflow_uuid, function_id, key),
    FOREIGN KEY (workflow_uuid) REFERENCES workflow_status(workflow_uuid)
        ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE TABLE workflow_input (
    workflow_uuid TEXT NOT NULL PRIMARY KEY,
    inputs TEXT,
    retention_timestamp INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000)
);
INSERT INTO "workflow_input" VALUES('1342bbed7b944d3b9350d7da81f5d408','{"namedArgs":{},"positionalArgs":["1342bbed7b944d3b9350d7da81f5d408"]}',1795762437000);
INSERT INTO "workflow_input" VALUES('51d530435bd44cc4b79649d0a04fa7d0','{"namedArgs":{},"positionalArgs":["51d530435bd44cc4b79649d0a04fa7d0"]}',1795762438000);
INSERT INTO "workflow_input" VALUES('1160a711c014413d93147e294a0dc970','{"namedArgs":{},"positionalArgs":["1160a711c014413d93147e294a0dc970"]}',1795762438000);
INSERT INTO "workflow_input" VALUES('b31d43eba70e456281989f6a082eb2de','{"namedArgs":{},"positionalArgs":["b31d43eba70e456281989f6a082eb2de"]}',1795762438000);
INSERT INTO "workflow_input" VALUES('b9ac185e14ea4311b361ca6c732398cd','{"namedArgs":{},"positionalArgs":["b9ac185e14ea4311b361ca6c732398cd"]}',1795762438000);
CREATE TABLE workflow_output (
    workflow_uuid TEXT NOT NULL PRIMARY KEY,
    output TEXT,
    error TEXT,
    retention_timestamp INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000)
);
INSERT INTO "workflow_output" VALUES('1342bbed7b944d3b9350d7da81f5d408','null',NULL,1795762438000);
CREATE TABLE workflow_schedules (
    schedule_id TEXT PRIMARY KEY,
    schedule_name TEXT NOT NULL UNIQUE,
    workflow_name TEXT NOT NULL,
    workflow_class_name TEXT,
    schedule TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'ACTIVE',
    context TEXT NOT NULL
, "last_fired_at" TEXT DEFAULT NULL, "automatic_backfill" BOOLEAN NOT NULL DEFAULT FALSE, "cron_timezone" TEXT DEFAULT NULL, "queue_name" TEXT DEFAULT NULL, "application_name" TEXT DEFAULT NULL);
CREATE TABLE workflow_status (
    workflow_uuid TEXT PRIMARY KEY,
    status TEXT,
    name TEXT,
    authenticated_user TEXT,
    assumed_role TEXT,
    authenticated_roles TEXT,
    request TEXT,
    output TEXT,
    error TEXT,
    executor_id TEXT,
    created_at INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000),
    updated_at INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000),
    application_version TEXT,
    application_id TEXT,
    class_name TEXT DEFAULT NULL,
    config_name TEXT DEFAULT NULL,
    recovery_attempts INTEGER DEFAULT 0,
    queue_name TEXT,
    workflow_timeout_ms INTEGER,
    workflow_deadline_epoch_ms INTEGER,
    inputs TEXT,
    started_at_epoch_ms INTEGER,
    deduplication_id TEXT,
    priority INTEGER NOT NULL DEFAULT 0
, queue_partition_key TEXT, forked_from TEXT, "owner_xid" TEXT DEFAULT NULL, "parent_workflow_id" TEXT DEFAULT NULL, "serialization" TEXT DEFAULT NULL, "delay_until_epoch_ms" BIGINT DEFAULT NULL, "was_forked_from" BOOLEAN NOT NULL DEFAULT FALSE, "rate_limited" BOOLEAN NOT NULL DEFAULT FALSE, "completed_at" BIGINT, "attributes" TEXT, "schedule_name" TEXT, "debounce_deadline_epoch_ms" BIGINT DEFAULT NULL, "is_debounced" BOOLEAN NOT NULL DEFAULT FALSE, "application_name" TEXT DEFAULT NULL, "creator_xid" TEXT DEFAULT NULL);
INSERT INTO "workflow_status" VALUES('1342bbed7b944d3b9350d7da81f5d408','SUCCESS','carry_out',NULL,NULL,NULL,NULL,NULL,NULL,'embedded',1795762437000,1795762438000,'1',NULL,NULL,NULL,1,'runs',NULL,NULL,NULL,1795762437000,NULL,0,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,1795762438000,'null',NULL,NULL,0,'whohas','52defa4f-c6fc-48e1-9cb4-6b95bc67f14f');
INSERT INTO "workflow_status" VALUES('51d530435bd44cc4b79649d0a04fa7d0','PENDING','carry_out',NULL,NULL,NULL,NULL,NULL,NULL,'embedded',1795762438000,1795762438000,'1',NULL,NULL,NULL,0,'runs',NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,NULL,'null',NULL,NULL,0,'whohas','9ec7a72b-72eb-4a78-8a03-241b366d9f81');
INSERT INTO "workflow_status" VALUES('1160a711c014413d93147e294a0dc970','ENQUEUED','carry_out',NULL,NULL,NULL,NULL,NULL,NULL,NULL,1795762438000,1795762438000,'1',NULL,NULL,NULL,0,'runs',NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,NULL,'null',NULL,NULL,0,'whohas','93455ae2-28b2-4306-8d51-8bb4423339e5');
INSERT INTO "workflow_status" VALUES('b31d43eba70e456281989f6a082eb2de','ENQUEUED','carry_out',NULL,NULL,NULL,NULL,NULL,NULL,NULL,1795762438000,1795762438000,'1',NULL,NULL,NULL,0,'runs',NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,NULL,'null',NULL,NULL,0,'whohas','b3dd0096-fc56-4abe-8320-52f406e21d8f');
INSERT INTO "workflow_status" VALUES('b9ac185e14ea4311b361ca6c732398cd','ENQUEUED','carry_out',NULL,NULL,NULL,NULL,NULL,NULL,NULL,1795762438000,1795762438000,'1',NULL,NULL,NULL,0,'runs',NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,NULL,'null',NULL,NULL,0,'whohas','3712c7ff-4ada-4120-8eeb-acbdd28aa0ea');
CREATE INDEX ix_run_key ON run ("key");
CREATE INDEX ix_run_created ON run (created);
CREATE UNIQUE INDEX run_single_flight ON run ("key") WHERE single_flight AND state IN ('queued', 'running', 'cancelling');
CREATE INDEX workflow_status_created_at_index ON workflow_status (created_at);
CREATE INDEX idx_workflow_topic ON notifications (destination_uuid, topic);
CREATE INDEX "idx_workflow_status_delayed" ON "workflow_status" ("delay_until_epoch_ms") WHERE status = 'DELAYED';
CREATE INDEX "idx_workflow_status_forked_from" ON "workflow_status" ("forked_from") WHERE "forked_from" IS NOT NULL;
CREATE INDEX "idx_workflow_status_parent_workflow_id" ON "workflow_status" ("parent_workflow_id") WHERE "parent_workflow_id" IS NOT NULL;
CREATE UNIQUE INDEX "uq_workflow_status_dedup_id" ON "workflow_status" ("queue_name", "deduplication_id") WHERE "deduplication_id" IS NOT NULL;
CREATE INDEX "idx_workflow_status_pending" ON "workflow_status" ("created_at") WHERE "status" = 'PENDING';
CREATE INDEX "idx_workflow_status_failed" ON "workflow_status" ("status", "created_at") WHERE "status" IN ('ERROR', 'CANCELLED', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED');
CREATE INDEX "idx_workflow_status_rate_limited" ON "workflow_status" ("queue_name", "started_at_epoch_ms") WHERE "rate_limited" = TRUE;
CREATE INDEX "idx_workflow_status_completed_at" ON "workflow_status" ("completed_at") WHERE "completed_at" IS NOT NULL;
CREATE INDEX "idx_workflow_status_started_at" ON "workflow_status" ("started_at_epoch_ms") WHERE "started_at_epoch_ms" IS NOT NULL;
CREATE INDEX "idx_workflow_status_schedule_name" ON "workflow_status" ("schedule_name") WHERE "schedule_name" IS NOT NULL;
CREATE UNIQUE INDEX "uq_application_versions_owner_version"
    ON application_versions ("application_name", "version_name")
    WHERE "application_name" IS NOT NULL;
CREATE UNIQUE INDEX "uq_application_versions_unclaimed_version"
    ON application_versions ("version_name")
    WHERE "application_name" IS NULL;
CREATE INDEX idx_workflow_input_retention
    ON workflow_input (retention_timestamp);
CREATE INDEX idx_workflow_output_retention
    ON workflow_output (retention_timestamp);
CREATE INDEX idx_operation_outputs_retention
    ON operation_outputs (retention_timestamp);
CREATE INDEX "idx_workflow_status_in_flight_v2" ON "workflow_status" ("queue_name", "status", "priority", "created_at", "application_name") WHERE "status" IN ('ENQUEUED', 'PENDING');
CREATE INDEX "idx_workflow_status_partition_dequeue_v3" ON "workflow_status" ("queue_name", "status", "queue_partition_key", "priority", "created_at", "workflow_uuid", "application_name") WHERE "status" IN ('ENQUEUED', 'PENDING') AND "queue_partition_key" IS NOT NULL;
CREATE INDEX "idx_operation_outputs_completed_at_function_name_v2" ON "operation_outputs" ("completed_at_epoch_ms", "function_name", "application_name");
CREATE INDEX "idx_workflow_status_deadline" ON "workflow_status" ("workflow_deadline_epoch_ms") WHERE "status" IN ('ENQUEUED', 'PENDING', 'DELAYED') AND "workflow_deadline_epoch_ms" IS NOT NULL;
CREATE INDEX "idx_application_versions_timestamp" ON "application_versions" ("version_timestamp" DESC);
CREATE INDEX "idx_application_versions_owner_timestamp" ON "application_versions" ("application_name", "version_timestamp" DESC);
COMMIT;

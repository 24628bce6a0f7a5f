BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0005');
CREATE TABLE application_versions (
    version_id TEXT NOT NULL PRIMARY KEY,
    version_name TEXT NOT NULL UNIQUE,
    version_timestamp INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000),
    created_at INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000)
, "application_name" TEXT DEFAULT NULL);
INSERT INTO "application_versions" VALUES('f12347e6-d493-4554-9224-70b157aa4855','1',1795881405000,1795881405000,'whohas');
CREATE TABLE audit_event (
	number INTEGER NOT NULL, 
	created DATETIME NOT NULL, 
	event TEXT NOT NULL, 
	sequence BIGINT, 
	hash VARCHAR(64), 
	filed BOOLEAN NOT NULL, 
	sent BOOLEAN NOT NULL, 
	refused TEXT, 
	PRIMARY KEY (number), 
	UNIQUE (sequence)
);
INSERT INTO "audit_event" VALUES(1,'2026-11-28 15:56:46.560244','{"data":{"actor":{"kind":"system","name":"whohas"},"arguments":{"application":"s","selectedFormats":["CSV"],"sourceName":"S"},"outcome":"accepted","report":"ACCOUNTS","run":"54de85125db2422b923212dad81af049","snapshot":1},"datacontenttype":"application/json","id":"1de4b716ff0b488c9b170c83dbae1cc3","specversion":"1.0","subject":"54de85125db2422b923212dad81af049","time":"2026-11-28T15:56:46.560244Z","type":"whohas.run.started"}',NULL,NULL,0,0,NULL);
INSERT INTO "audit_event" VALUES(2,'2026-11-28 15:56:47.550812','{"data":{"actor":{"kind":"system","name":"whohas"},"files":[{"bytes":182,"fileName":"1-accounts.csv","format":"csv","rows":1,"sha256":"b6538f2a5951dcedaa5ef6829682bf8f72732be522226c97ee4b32eca15d226b"}],"launcher":"ann","outcome":"succeeded","report":"ACCOUNTS","rows":1,"run":"54de85125db2422b923212dad81af049"},"datacontenttype":"application/json","id":"05c055b491404b4ab7d3851d8de9e43a","specversion":"1.0","subject":"54de85125db2422b923212dad81af049","time":"2026-11-28T15:56:47.550812Z","type":"whohas.run.ended"}',NULL,NULL,0,0,NULL);
INSERT INTO "audit_event" VALUES(3,'2026-11-28 15:56:47.594153','{"data":{"actor":{"kind":"system","name":"whohas"},"arguments":{"application":"s","selectedFormats":["CSV"],"sourceName":"S","timeZone":"+01:00"},"outcome":"accepted","report":"ACCOUNTS","run":"3454728f6d524ecb9cd79ddf994b23d7","snapshot":1},"datacontenttype":"application/json","id":"1ef4599a9ba541e486749d08fc7327a5","specversion":"1.0","subject":"3454728f6d524ecb9cd79ddf994b23d7","time":"2026-11-28T15:56:47.594153Z","type":"whohas.run.started"}',NULL,NULL,0,0,NULL);
INSERT INTO "audit_event" VALUES(4,'2026-11-28 15:56:47.606974','{"data":{"actor":{"kind":"system","name":"whohas"},"arguments":{"application":"s","selectedFormats":["PDF"],"sourceName":"S","timeZone":"+01:00"},"outcome":"accepted","report":"ACCOUNTS","run":"9f1fde65cc4c460caaa9801b873e93ad","snapshot":1},"datacontenttype":"application/json","id":"1e180a143e2b4c0787c796ba40d59137","specversion":"1.0","subject":"9f1fde65cc4c460caaa9801b873e93ad","time":"2026-11-28T15:56:47.606974Z","type":"whohas.run.started"}',NULL,NULL,0,0,NULL);
INSERT INTO "audit_event" VALUES(5,'2026-11-28 15:56:47.721281','{"data":{"actor":{"kind":"system","name":"whohas"},"outcome":"accepted","report":"ACCOUNTS","run":"9f1fde65cc4c460caaa9801b873e93ad"},"datacontenttype":"application/json","id":"59b134450a0a4a238cbf22ecfcfd5989","specversion":"1.0","subject":"9f1fde65cc4c460caaa9801b873e93ad","time":"2026-11-28T15:56:47.721281Z","type":"whohas.run.cancelled"}',NULL,NULL,0,0,NULL);
INSERT INTO "audit_event" VALUES(6,'2026-11-28 15:56:47.744073','{"data":{"actor":{"kind":"system","name":"whohas"},"arguments":{"application":"s","selectedFormats":["CSV"],"sourceName":"S","timeZone":"+02:00"},"outcome":"accepted","report":"ACCOUNTS","run":"608dd4be99844132b29ed24549e679e3","snapshot":1},"datacontenttype":"application/json","id":"b49212e5324b4dad95116997b6e96d8c","specversion":"1.0","subject":"608dd4be99844132b29ed24549e679e3","time":"2026-11-28T15:56:47.744073Z","type":"whohas.run.started"}',NULL,NULL,0,0,NULL);
INSERT INTO "audit_event" VALUES(7,'2026-11-28 15:56:47.781564','{"data":{"actor":{"kind":"system","name":"whohas"},"arguments":{"application":"s","selectedFormats":["PDF"],"sourceName":"S","timeZone":"+02:00"},"outcome":"accepted","report":"ACCOUNTS","run":"ecccb9ad6c574eea93ddbf6f4797bbcd","snapshot":1},"datacontenttype":"application/json","id":"2b7e4dbd973a407da60eaa42edba737d","specversion":"1.0","subject":"ecccb9ad6c574eea93ddbf6f4797bbcd","time":"2026-11-28T15:56:47.781564Z","type":"whohas.run.started"}',NULL,NULL,0,0,NULL);
INSERT INTO "audit_event" VALUES(8,'2026-11-28 15:56:47.812165','{"data":{"actor":{"kind":"system","name":"whohas"},"arguments":{"application":"s","selectedFormats":["CSV"],"sourceName":"S","timeZone":"+03:00"},"outcome":"accepted","report":"ACCOUNTS","run":"6eb9e4f558a848b8a9b2264b1a53687e","snapshot":1},"datacontenttype":"application/json","id":"faaa5816e1e5494d9e3e06892b769f5e","specversion":"1.0","subject":"6eb9e4f558a848b8a9b2264b1a53687e","time":"2026-11-28T15:56:47.812165Z","type":"whohas.run.started"}',NULL,NULL,0,0,NULL);
INSERT INTO "audit_event" VALUES(9,'2026-11-28 15:56:47.835339','{"data":{"actor":{"kind":"system","name":"whohas"},"arguments":{"application":"s","selectedFormats":["PDF"],"sourceName":"S","timeZone":"+03:00"},"outcome":"accepted","report":"ACCOUNTS","run":"470f249697d341a98154585c9b9aa236","snapshot":1},"datacontenttype":"application/json","id":"ad9de614e9a34480a2a70719b65d6ca2","specversion":"1.0","subject":"470f249697d341a98154585c9b9aa236","time":"2026-11-28T15:56:47.835339Z","type":"whohas.run.started"}',NULL,NULL,0,0,NULL);
CREATE TABLE audit_head (
	sequence BIGINT NOT NULL, 
	hash VARCHAR(64) NOT NULL, 
	fault TEXT NOT NULL
);
INSERT INTO "audit_head" VALUES(0,'0000000000000000000000000000000000000000000000000000000000000000','');
CREATE TABLE audit_load (
	load_id VARCHAR(32) NOT NULL, 
	PRIMARY KEY (load_id)
);
CREATE TABLE "client" (
	id VARCHAR(32) NOT NULL, 
	name VARCHAR(200) NOT NULL, 
	secret VARCHAR(64) NOT NULL, 
	scopes JSON NOT NULL, 
	created DATETIME NOT NULL, 
	revoked DATETIME, 
	person VARCHAR(32), 
	levels JSON NOT NULL, 
	sources JSON NOT NULL, 
	redirects JSON NOT NULL, 
	tokens_from DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT client_person FOREIGN KEY(person) REFERENCES person (id)
);
CREATE TABLE dbos_migrations (version INTEGER NOT NULL PRIMARY KEY);
INSERT INTO "dbos_migrations" VALUES(125);
CREATE TABLE hold (
	run_id VARCHAR(32) NOT NULL, 
	holder TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	held DATETIME NOT NULL, 
	PRIMARY KEY (run_id)
);
CREATE TABLE hook (
	id VARCHAR(32) NOT NULL, 
	url TEXT NOT NULL, 
	report_type TEXT, 
	created DATETIME NOT NULL, 
	disabled TEXT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE hook_message (
	hook_id VARCHAR(32) NOT NULL, 
	run_id VARCHAR(32) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	attempts INTEGER NOT NULL, 
	due DATETIME NOT NULL, 
	delivered DATETIME, 
	answer TEXT NOT NULL, 
	PRIMARY KEY (hook_id, run_id), 
	FOREIGN KEY(hook_id) REFERENCES hook (id) ON DELETE CASCADE
);
CREATE TABLE limit_count (
	"key" VARCHAR(64) NOT NULL, 
	events INTEGER NOT NULL, 
	ends DATETIME NOT NULL, 
	PRIMARY KEY ("key")
);
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
CREATE TABLE person (
	id VARCHAR(32) NOT NULL, 
	name VARCHAR(200) NOT NULL, 
	password TEXT, 
	levels JSON NOT NULL, 
	sources JSON NOT NULL, 
	created DATETIME NOT NULL, 
	disabled DATETIME, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
CREATE TABLE phase_total (
	report_type TEXT NOT NULL, 
	phase TEXT NOT NULL, 
	count BIGINT NOT NULL, 
	seconds DOUBLE NOT NULL, 
	rows BIGINT NOT NULL, 
	PRIMARY KEY (report_type, phase)
);
INSERT INTO "phase_total" VALUES('ACCOUNTS','Checking the CSV',1,1.8247127532958984375e-02,1);
INSERT INTO "phase_total" VALUES('ACCOUNTS','Extracting',1,6.487178802490234375e-02,0);
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
INSERT INTO "queues" VALUES('07BD892546080CACDC832D824278BE8F','runs',NULL,1,NULL,NULL,1,0,1.0,1795881405000,1795881405519,'whohas',NULL,NULL,NULL,NULL);
INSERT INTO "queues" VALUES('41690C29DC0D14A9096DA159C32DED32','small',NULL,1,NULL,NULL,1,0,1.0,1795881405000,1795881405562,'whohas',NULL,NULL,NULL,NULL);
CREATE TABLE report_switch (
	report_type TEXT NOT NULL, 
	PRIMARY KEY (report_type)
);
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
	statement TEXT NOT NULL, executor VARCHAR(32), lost INTEGER DEFAULT '0' NOT NULL, size BIGINT DEFAULT '0' NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "run" VALUES('54de85125db2422b923212dad81af049','ACCOUNTS','Accounts Report','The accounts of one source with the identities that hold them, and a column for each attribute.','{"application": "s", "sourceName": "S", "selectedFormats": ["CSV"]}','b87f40f886bb97d0b2ee45a036505da6c637b5af1fec7340636c7501c0404909',1,'{"org": "whohas"}','succeeded',1,'ann','2026-11-28 15:56:46.442801','2026-11-28 15:56:46.613300','2026-11-28 15:56:47.546485',1,'Done, 1 rows',100,1,'["csv"]','[]','[{"format": "csv", "name": "1-accounts.csv", "media_type": "", "bytes": 182, "rows": 1, "sha256": "b6538f2a5951dcedaa5ef6829682bf8f72732be522226c97ee4b32eca15d226b"}]','SELECT a.id, a.nativeIdentity, a.name, a.sourceId, s.name AS sourceName,
       a.identityId,
       coalesce(nullif(i.displayName, ''''), nullif(i.name, ''''), a.identityName) AS identityName,
       a.correlated, a.manuallyCorrelated, a.disabled, a.locked, a.privileged, a.hasEntitlements,
       a.created, a.modified
FROM accounts a
JOIN sources s ON s.id = a.sourceId
LEFT JOIN identities i ON i.id = a.identityId
WHERE a.sourceId = $source','1f821f0891754e7fae5b8873a16072f9',0,1);
INSERT INTO "run" VALUES('3454728f6d524ecb9cd79ddf994b23d7','ACCOUNTS','Accounts Report','The accounts of one source with the identities that hold them, and a column for each attribute.','{"application": "s", "sourceName": "S", "selectedFormats": ["CSV"], "timeZone": "+01:00"}','d2ba977ad302c286e4bcfd0ba6beab6fe3bfe82bf3902821e855166bfa31ac98',1,'{"org": "whohas"}','running',1,'ann','2026-11-28 15:56:47.569997','2026-11-28 15:56:47.670330',NULL,NULL,'Starting',0,1,'["csv"]','[]','[]','SELECT a.id, a.nativeIdentity, a.name, a.sourceId, s.name AS sourceName,
       a.identityId,
       coalesce(nullif(i.displayName, ''''), nullif(i.name, ''''), a.identityName) AS identityName,
       a.correlated, a.manuallyCorrelated, a.disabled, a.locked, a.privileged, a.hasEntitlements,
       a.created, a.modified
FROM accounts a
JOIN sources s ON s.id = a.sourceId
LEFT JOIN identities i ON i.id = a.identityId
WHERE a.sourceId = $source','1f821f0891754e7fae5b8873a16072f9',0,1);
INSERT INTO "run" VALUES('9f1fde65cc4c460caaa9801b873e93ad','ACCOUNTS','Accounts Report','The accounts of one source with the identities that hold them, and a column for each attribute.','{"application": "s", "sourceName": "S", "selectedFormats": ["PDF"], "timeZone": "+01:00"}','749ebe093041f1cec22b1e17f7d113f0884ba55e849281f78414f3d18026d22d',1,'{"org": "whohas"}','cancelling',1,'ann','2026-11-28 15:56:47.596346','2026-11-28 15:56:47.675042',NULL,NULL,'Cancelling',0,1,'["pdf"]','[]','[]','SELECT a.id, a.nativeIdentity, a.name, a.sourceId, s.name AS sourceName,
       a.identityId,
       coalesce(nullif(i.displayName, ''''), nullif(i.name, ''''), a.identityName) AS identityName,
       a.correlated, a.manuallyCorrelated, a.disabled, a.locked, a.privileged, a.hasEntitlements,
       a.created, a.modified
FROM accounts a
JOIN sources s ON s.id = a.sourceId
LEFT JOIN identities i ON i.id = a.identityId
WHERE a.sourceId = $source','1f821f0891754e7fae5b8873a16072f9',0,6);
INSERT INTO "run" VALUES('608dd4be99844132b29ed24549e679e3','ACCOUNTS','Accounts Report','The accounts of one source with the identities that hold them, and a column for each attribute.','{"application": "s", "sourceName": "S", "selectedFormats": ["CSV"], "timeZone": "+02:00"}','2ec141e6a861801394a746c714e2d694c9ea78bce7a0d857667b1d7cda3420eb',1,'{"org": "whohas"}','queued',1,'ann','2026-11-28 15:56:47.730081',NULL,NULL,NULL,'Queued',0,0,'["csv"]','[]','[]','SELECT a.id, a.nativeIdentity, a.name, a.sourceId, s.name AS sourceName,
       a.identityId,
       coalesce(nullif(i.displayName, ''''), nullif(i.name, ''''), a.identityName) AS identityName,
       a.correlated, a.manuallyCorrelated, a.disabled, a.locked, a.privileged, a.hasEntitlements,
       a.created, a.modified
FROM accounts a
JOIN sources s ON s.id = a.sourceId
LEFT JOIN identities i ON i.id = a.identityId
WHERE a.sourceId = $source',NULL,0,1);
INSERT INTO "run" VALUES('ecccb9ad6c574eea93ddbf6f4797bbcd','ACCOUNTS','Accounts Report','The accounts of one source with the identities that hold them, and a column for each attribute.','{"application": "s", "sourceName": "S", "selectedFormats": ["PDF"], "timeZone": "+02:00"}','9e4f525af5ca9a7285735f19aed7a297659d617bed538b9f08fc7b380d6d58a3',1,'{"org": "whohas"}','queued',1,'ann','2026-11-28 15:56:47.758467',NULL,NULL,NULL,'Queued',0,0,'["pdf"]','[]','[]','SELECT a.id, a.nativeIdentity, a.name, a.sourceId, s.name AS sourceName,
       a.identityId,
       coalesce(nullif(i.displayName, ''''), nullif(i.name, ''''), a.identityName) AS identityName,
       a.correlated, a.manuallyCorrelated, a.disabled, a.locked, a.privileged, a.hasEntitlements,
       a.created, a.modified
FROM accounts a
JOIN sources s ON s.id = a.sourceId
LEFT JOIN identities i ON i.id = a.identityId
WHERE a.sourceId = $source',NULL,0,6);
INSERT INTO "run" VALUES('6eb9e4f558a848b8a9b2264b1a53687e','ACCOUNTS','Accounts Report','The accounts of one source with the identities that hold them, and a column for each attribute.','{"application": "s", "sourceName": "S", "selectedFormats": ["CSV"], "timeZone": "+03:00"}','58e2d228d2932ec3367d6fd8c3de31db6146a3fef343accb514c4e7e853aa5aa',1,'{"org": "whohas"}','queued',1,'ann','2026-11-28 15:56:47.794119',NULL,NULL,NULL,'Queued',0,0,'["csv"]','[]','[]','SELECT a.id, a.nativeIdentity, a.name, a.sourceId, s.name AS sourceName,
       a.identityId,
       coalesce(nullif(i.displayName, ''''), nullif(i.name, ''''), a.identityName) AS identityName,
       a.correlated, a.manuallyCorrelated, a.disabled, a.locked, a.privileged, a.hasEntitlements,
       a.created, a.modified
FROM accounts a
JOIN sources s ON s.id = a.sourceId
LEFT JOIN identities i ON i.id = a.identityId
WHERE a.sourceId = $source',NULL,0,1);
INSERT INTO "run" VALUES('470f249697d341a98154585c9b9aa236','ACCOUNTS','Accounts Report','The accounts of one source with the identities that hold them, and a column for each attribute.','{"application": "s", "sourceName": "S", "selectedFormats": ["PDF"], "timeZone": "+03:00"}','4e791c208401af85fd432af17efff581b42479af28a73d476bf6faba0f8cc71c',1,'{"org": "whohas"}','queued',1,'ann','2026-11-28 15:56:47.820899',NULL,NULL,NULL,'Queued',0,0,'["pdf"]','[]','[]','SELECT a.id, a.nativeIdentity, a.name, a.sourceId, s.name AS sourceName,
       a.identityId,
       coalesce(nullif(i.displayName, ''''), nullif(i.name, ''''), a.identityName) AS identityName,
       a.correlated, a.manuallyCorrelated, a.disabled, a.locked, a.privileged, a.hasEntitlements,
       a.created, a.modified
FROM accounts a
JOIN sources s ON s.id = a.sourceId
LEFT JOIN identities i ON i.id = a.identityId
WHERE a.sourceId = $source',NULL,0,6);
CREATE TABLE run_launch (
	run VARCHAR(32) NOT NULL, 
	launcher VARCHAR(32) NOT NULL, 
	source TEXT, 
	PRIMARY KEY (run, launcher), 
	FOREIGN KEY(run) REFERENCES run (id) ON DELETE CASCADE
);
CREATE TABLE schedule (
	id VARCHAR(32) NOT NULL, 
	name TEXT NOT NULL, 
	report_type TEXT NOT NULL, 
	arguments JSON NOT NULL, 
	cron TEXT NOT NULL, 
	time_zone TEXT NOT NULL, 
	launcher TEXT NOT NULL, 
	owner VARCHAR(32), 
	paused BOOLEAN NOT NULL, 
	created DATETIME NOT NULL, 
	next_at DATETIME NOT NULL, 
	last_at DATETIME, 
	last_run VARCHAR(32), 
	last_error TEXT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
CREATE TABLE sign_in_code (
	hash VARCHAR(64) NOT NULL, 
	client VARCHAR(32) NOT NULL, 
	person VARCHAR(32) NOT NULL, 
	redirect TEXT NOT NULL, 
	challenge VARCHAR(43) NOT NULL, 
	scopes JSON NOT NULL, 
	expires DATETIME NOT NULL, 
	PRIMARY KEY (hash)
);
CREATE TABLE streams (
    workflow_uuid TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    "offset" INTEGER NOT NULL, function_id INTEGER NOT NULL DEFAULT 0, "serialization" TEXT DEFAULT NULL,
    PRIMARY KEY (workflow_uuid, key, "offset"),
    FOREIGN KEY (workflow_uuid) REFERENCES workflow_status(workflow_uuid) 
        ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE TABLE worker (
	executor VARCHAR(32) NOT NULL, 
	host TEXT NOT NULL, 
	process INTEGER NOT NULL, 
	started DATETIME NOT NULL, 
	seen DATETIME NOT NULL, 
	PRIMARY KEY (executor)
);
CREATE TABLE worker_beat (
	id VARCHAR(32) NOT NULL, 
	host TEXT NOT NULL, 
	process INTEGER NOT NULL, 
	started DATETIME NOT NULL, 
	seen DATETIME NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "worker_beat" VALUES('077ea775c30a4ccdb5acf34b51fd1673','host',10985,'2026-11-28 15:56:45.575162','2026-11-28 15:56:50.629249');
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
INSERT INTO "workflow_input" VALUES('54de85125db2422b923212dad81af049','{"namedArgs":{},"positionalArgs":["54de85125db2422b923212dad81af049"]}',1795881406000);
INSERT INTO "workflow_input" VALUES('3454728f6d524ecb9cd79ddf994b23d7','{"namedArgs":{},"positionalArgs":["3454728f6d524ecb9cd79ddf994b23d7"]}',1795881407000);
INSERT INTO "workflow_input" VALUES('9f1fde65cc4c460caaa9801b873e93ad','{"namedArgs":{},"positionalArgs":["9f1fde65cc4c460caaa9801b873e93ad"]}',1795881407000);
INSERT INTO "workflow_input" VALUES('608dd4be99844132b29ed24549e679e3','{"namedArgs":{},"positionalArgs":["608dd4be99844132b29ed24549e679e3"]}',1795881407000);
INSERT INTO "workflow_input" VALUES('ecccb9ad6c574eea93ddbf6f4797bbcd','{"namedArgs":{},"positionalArgs":["ecccb9ad6c574eea93ddbf6f4797bbcd"]}',1795881407000);
INSERT INTO "workflow_input" VALUES('6eb9e4f558a848b8a9b2264b1a53687e','{"namedArgs":{},"positionalArgs":["6eb9e4f558a848b8a9b2264b1a53687e"]}',1795881407000);
INSERT INTO "workflow_input" VALUES('470f249697d341a98154585c9b9aa236','{"namedArgs":{},"positionalArgs":["470f249697d341a98154585c9b9aa236"]}',1795881407000);
CREATE TABLE workflow_output (
    workflow_uuid TEXT NOT NULL PRIMARY KEY,
    output TEXT,
    error TEXT,
    retention_timestamp INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000)
);
INSERT INTO "workflow_output" VALUES('54de85125db2422b923212dad81af049','null',NULL,1795881407000);
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
INSERT INTO "workflow_status" VALUES('54de85125db2422b923212dad81af049','SUCCESS','carry_out',NULL,NULL,NULL,NULL,NULL,NULL,'1f821f0891754e7fae5b8873a16072f9',1795881406000,1795881407000,'1',NULL,NULL,NULL,1,'small',NULL,NULL,NULL,1795881406000,NULL,0,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,1795881407000,'null',NULL,NULL,0,'whohas','ebfc4e01-2b5a-4a42-858e-af285b182449');
INSERT INTO "workflow_status" VALUES('3454728f6d524ecb9cd79ddf994b23d7','PENDING','carry_out',NULL,NULL,NULL,NULL,NULL,NULL,'1f821f0891754e7fae5b8873a16072f9',1795881407000,1795881407000,'1',NULL,NULL,NULL,1,'small',NULL,NULL,NULL,1795881407000,NULL,0,NULL,NULL,'f2452716-3561-4cf7-ae40-a39097604cfd',NULL,'portable_json',NULL,0,0,NULL,'null',NULL,NULL,0,'whohas','ab2d67b1-5e20-4471-861d-0c0a9a975170');
INSERT INTO "workflow_status" VALUES('9f1fde65cc4c460caaa9801b873e93ad','PENDING','carry_out',NULL,NULL,NULL,NULL,NULL,NULL,'1f821f0891754e7fae5b8873a16072f9',1795881407000,1795881407000,'1',NULL,NULL,NULL,1,'runs',NULL,NULL,NULL,1795881407000,NULL,0,NULL,NULL,'b12ce6d8-227e-44ea-85a8-0d39c210445d',NULL,'portable_json',NULL,0,0,NULL,'null',NULL,NULL,0,'whohas','6b5ec8e2-cf10-4b36-afdd-346f46417152');
INSERT INTO "workflow_status" VALUES('608dd4be99844132b29ed24549e679e3','ENQUEUED','carry_out',NULL,NULL,NULL,NULL,NULL,NULL,NULL,1795881407000,1795881407000,'1',NULL,NULL,NULL,0,'small',NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,NULL,'null',NULL,NULL,0,'whohas','e144b1d6-5412-4576-9c49-d71cf8dfe61e');
INSERT INTO "workflow_status" VALUES('ecccb9ad6c574eea93ddbf6f4797bbcd','ENQUEUED','carry_out',NULL,NULL,NULL,NULL,NULL,NULL,NULL,1795881407000,1795881407000,'1',NULL,NULL,NULL,0,'runs',NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,NULL,'null',NULL,NULL,0,'whohas','9e78e2d3-c8f1-4da3-ad6d-532574a6e851');
INSERT INTO "workflow_status" VALUES('6eb9e4f558a848b8a9b2264b1a53687e','ENQUEUED','carry_out',NULL,NULL,NULL,NULL,NULL,NULL,NULL,1795881407000,1795881407000,'1',NULL,NULL,NULL,0,'small',NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,NULL,'null',NULL,NULL,0,'whohas','9a29fdd5-d650-45c8-ac3a-e56cecfd7f82');
INSERT INTO "workflow_status" VALUES('470f249697d341a98154585c9b9aa236','ENQUEUED','carry_out',NULL,NULL,NULL,NULL,NULL,NULL,NULL,1795881407000,1795881407000,'1',NULL,NULL,NULL,0,'runs',NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,'portable_json',NULL,0,0,NULL,'null',NULL,NULL,0,'whohas','27e8a137-2b31-4e07-a666-023079efbe13');
CREATE INDEX ix_run_key ON run ("key");
CREATE INDEX ix_run_created ON run (created);
CREATE UNIQUE INDEX run_single_flight ON run ("key") WHERE single_flight AND state IN ('queued', 'running', 'cancelling');
CREATE INDEX run_state ON run (state, created);
CREATE INDEX ix_sign_in_code_expires ON sign_in_code (expires);
CREATE INDEX ix_limit_count_ends ON limit_count (ends);
CREATE INDEX ix_run_completed ON run (completed);
CREATE INDEX ix_schedule_next_at ON schedule (next_at);
CREATE INDEX hook_message_due ON hook_message (state, due);
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

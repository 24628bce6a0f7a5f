SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
CREATE SCHEMA dbos;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE dbos.application_versions (
    version_id text NOT NULL,
    version_name text NOT NULL,
    version_timestamp bigint DEFAULT ((EXTRACT(epoch FROM now()) * 1000.0))::bigint NOT NULL,
    created_at bigint DEFAULT ((EXTRACT(epoch FROM now()) * 1000.0))::bigint NOT NULL,
    application_name text
);
CREATE TABLE dbos.dbos_migrations (
    version bigint NOT NULL
);
CREATE TABLE dbos.event_dispatch_kv (
    service_name text NOT NULL,
    workflow_fn_name text NOT NULL,
    key text NOT NULL,
    value text,
    update_seq numeric(38,0),
    update_time numeric(38,15)
);
CREATE TABLE dbos.notifications (
    message_uuid text DEFAULT gen_random_uuid() NOT NULL,
    destination_uuid text NOT NULL,
    topic text,
    message text NOT NULL,
    created_at_epoch_ms bigint DEFAULT ((EXTRACT(epoch FROM now()) * 1000.0))::bigint NOT NULL,
    serialization text,
    consumed boolean DEFAULT false NOT NULL,
    consumed_by_function_id integer
);
CREATE TABLE dbos.operation_outputs (
    workflow_uuid text NOT NULL,
    function_id integer NOT NULL,
    function_name text DEFAULT ''::text NOT NULL,
    output text,
    error text,
    child_workflow_id text,
    started_at_epoch_ms bigint,
    completed_at_epoch_ms bigint,
    serialization text,
    application_name text,
    retention_timestamp bigint DEFAULT ((EXTRACT(epoch FROM now()) * 1000.0))::bigint NOT NULL
);
CREATE TABLE dbos.queues (
    queue_id text DEFAULT (gen_random_uuid())::text NOT NULL,
    name text NOT NULL,
    concurrency integer,
    worker_concurrency integer,
    rate_limit_max integer,
    rate_limit_period_sec double precision,
    priority_enabled boolean DEFAULT false NOT NULL,
    partition_queue boolean DEFAULT false NOT NULL,
    polling_interval_sec double precision DEFAULT 1.0 NOT NULL,
    created_at bigint DEFAULT ((EXTRACT(epoch FROM now()) * 1000.0))::bigint NOT NULL,
    updated_at bigint DEFAULT ((EXTRACT(epoch FROM now()) * 1000.0))::bigint NOT NULL,
    application_name text,
    partition_concurrency integer,
    partition_worker_concurrency integer,
    partition_rate_limit_max integer,
    partition_rate_limit_period_sec double precision
);
CREATE TABLE dbos.streams (
    workflow_uuid text NOT NULL,
    key text NOT NULL,
    value text NOT NULL,
    "offset" integer NOT NULL,
    function_id integer DEFAULT 0 NOT NULL,
    serialization text
);
CREATE TABLE dbos.workflow_events (
    workflow_uuid text NOT NULL,
    key text NOT NULL,
    value text NOT NULL,
    serialization text
);
CREATE TABLE dbos.workflow_events_history (
    workflow_uuid text NOT NULL,
    function_id integer NOT NULL,
    key text NOT NULL,
    value text NOT NULL,
    serialization text
);
CREATE TABLE dbos.workflow_input (
    workflow_uuid text NOT NULL,
    inputs text,
    retention_timestamp bigint DEFAULT ((EXTRACT(epoch FROM now()) * 1000.0))::bigint NOT NULL
);
CREATE TABLE dbos.workflow_output (
    workflow_uuid text NOT NULL,
    output text,
    error text,
    retention_timestamp bigint DEFAULT ((EXTRACT(epoch FROM now()) * 1000.0))::bigint NOT NULL
);
CREATE TABLE dbos.workflow_schedules (
    schedule_id text NOT NULL,
    schedule_name text NOT NULL,
    workflow_name text NOT NULL,
    workflow_class_name text,
    schedule text NOT NULL,
    status text DEFAULT 'ACTIVE'::text NOT NULL,
    context text NOT NULL,
    last_fired_at text,
    automatic_backfill boolean DEFAULT false NOT NULL,
    cron_timezone text,
    queue_name text,
    application_name text
);
CREATE TABLE dbos.workflow_status (
    workflow_uuid text NOT NULL,
    status text,
    name text,
    authenticated_user text,
    assumed_role text,
    authenticated_roles text,
    request text,
    output text,
    error text,
    executor_id text,
    created_at bigint DEFAULT ((EXTRACT(epoch FROM now()) * 1000.0))::bigint NOT NULL,
    updated_at bigint DEFAULT ((EXTRACT(epoch FROM now()) * 1000.0))::bigint NOT NULL,
    application_version text,
    application_id text,
    class_name character varying(255) DEFAULT NULL::character varying,
    config_name character varying(255) DEFAULT NULL::character varying,
    recovery_attempts bigint DEFAULT 0,
    queue_name text,
    workflow_timeout_ms bigint,
    workflow_deadline_epoch_ms bigint,
    inputs text,
    started_at_epoch_ms bigint,
    deduplication_id text,
    priority integer DEFAULT 0 NOT NULL,
    queue_partition_key text,
    forked_from text,
    owner_xid text,
    parent_workflow_id text,
    serialization text,
    delay_until_epoch_ms bigint,
    was_forked_from boolean DEFAULT false NOT NULL,
    rate_limited boolean DEFAULT false NOT NULL,
    completed_at bigint,
    attributes jsonb,
    schedule_name text,
    debounce_deadline_epoch_ms bigint,
    is_debounced boolean DEFAULT false NOT NULL,
    application_name text,
    creator_xid text
);
CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.audit_event (
    number bigint NOT NULL,
    created timestamp with time zone NOT NULL,
    event text NOT NULL,
    sequence bigint,
    hash character varying(64),
    filed boolean NOT NULL,
    sent boolean NOT NULL,
    refused text
);
CREATE SEQUENCE public.audit_event_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.audit_event_number_seq OWNED BY public.audit_event.number;
CREATE TABLE public.audit_head (
    sequence bigint NOT NULL,
    hash character varying(64) NOT NULL,
    fault text NOT NULL
);
CREATE TABLE public.audit_load (
    load_id character varying(32) NOT NULL
);
CREATE TABLE public.client (
    id character varying(32) NOT NULL,
    name character varying(200) NOT NULL,
    secret character varying(64) NOT NULL,
    scopes json NOT NULL,
    created timestamp with time zone NOT NULL,
    revoked timestamp with time zone,
    person character varying(32),
    levels json NOT NULL,
    sources json NOT NULL,
    redirects json NOT NULL,
    tokens_from timestamp with time zone NOT NULL
);
CREATE TABLE public.hold (
    run_id character varying(32) NOT NULL,
    holder text NOT NULL,
    reason text NOT NULL,
    held timestamp with time zone NOT NULL
);
CREATE TABLE public.hook (
    id character varying(32) NOT NULL,
    url text NOT NULL,
    report_type text,
    created timestamp with time zone NOT NULL,
    disabled text NOT NULL
);
CREATE TABLE public.hook_message (
    hook_id character varying(32) NOT NULL,
    run_id character varying(32) NOT NULL,
    state character varying(16) NOT NULL,
    attempts integer NOT NULL,
    due timestamp with time zone NOT NULL,
    delivered timestamp with time zone,
    answer text NOT NULL
);
CREATE TABLE public.limit_count (
    key character varying(64) NOT NULL,
    events integer NOT NULL,
    ends timestamp with time zone NOT NULL
);
CREATE TABLE public.person (
    id character varying(32) NOT NULL,
    name character varying(200) NOT NULL,
    password text,
    levels json NOT NULL,
    sources json NOT NULL,
    created timestamp with time zone NOT NULL,
    disabled timestamp with time zone
);
CREATE TABLE public.phase_total (
    report_type text NOT NULL,
    phase text NOT NULL,
    count bigint NOT NULL,
    seconds double precision NOT NULL,
    rows bigint NOT NULL
);
CREATE TABLE public.report_switch (
    report_type text NOT NULL
);
CREATE TABLE public.run (
    id character varying(32) NOT NULL,
    report_type text NOT NULL,
    report_name text NOT NULL,
    description text NOT NULL,
    arguments json NOT NULL,
    key character varying(64) NOT NULL,
    single_flight boolean NOT NULL,
    attributes json NOT NULL,
    state character varying(16) NOT NULL,
    snapshot integer NOT NULL,
    launcher text NOT NULL,
    created timestamp with time zone NOT NULL,
    launched timestamp with time zone,
    completed timestamp with time zone,
    rows bigint,
    progress text NOT NULL,
    percent integer NOT NULL,
    attempt integer NOT NULL,
    formats json NOT NULL,
    messages json NOT NULL,
    artefacts json NOT NULL,
    statement text NOT NULL,
    executor character varying(32),
    lost integer DEFAULT 0 NOT NULL,
    size bigint DEFAULT '0'::bigint NOT NULL
);
CREATE TABLE public.run_launch (
    run character varying(32) NOT NULL,
    launcher character varying(32) NOT NULL,
    source text
);
CREATE TABLE public.schedule (
    id character varying(32) NOT NULL,
    name text NOT NULL,
    report_type text NOT NULL,
    arguments json NOT NULL,
    cron text NOT NULL,
    time_zone text NOT NULL,
    launcher text NOT NULL,
    owner character varying(32),
    paused boolean NOT NULL,
    created timestamp with time zone NOT NULL,
    next_at timestamp with time zone NOT NULL,
    last_at timestamp with time zone,
    last_run character varying(32),
    last_error text NOT NULL
);
CREATE TABLE public.sign_in_code (
    hash character varying(64) NOT NULL,
    client character varying(32) NOT NULL,
    person character varying(32) NOT NULL,
    redirect text NOT NULL,
    challenge character varying(43) NOT NULL,
    scopes json NOT NULL,
    expires timestamp with time zone NOT NULL
);
CREATE TABLE public.worker (
    executor character varying(32) NOT NULL,
    host text NOT NULL,
    process integer NOT NULL,
    started timestamp with time zone NOT NULL,
    seen timestamp with time zone NOT NULL
);
CREATE TABLE public.worker_beat (
    id character varying(32) NOT NULL,
    host text NOT NULL,
    process integer NOT NULL,
    started timestamp with time zone NOT NULL,
    seen timestamp with time zone NOT NULL
);
ALTER TABLE ONLY public.audit_event ALTER COLUMN number SET DEFAULT nextval('public.audit_event_number_seq'::regclass);
INSERT INTO dbos.application_versions VALUES ('0d7a9e71-c690-4396-ac1e-acb3c46159df', '1', 1795881440227, 1795881440227, 'whohas');
INSERT INTO dbos.dbos_migrations VALUES (125);
INSERT INTO dbos.queues VALUES ('e728f683-6ff1-41e2-955c-b081a5892d89', 'runs', NULL, 1, NULL, NULL, true, false, 0.125, 1795881440364, 1795881440327, 'whohas', NULL, NULL, NULL, NULL);
INSERT INTO dbos.queues VALUES ('2de0c362-29e6-4f32-ac99-db43a327a4cb', 'small', NULL, 1, NULL, NULL, true, false, 0.125, 1795881440493, 1795881440485, 'whohas', NULL, NULL, NULL, NULL);
INSERT INTO dbos.workflow_input VALUES ('bdfe7009e6214cba83cd0e988c7066a0', '{"namedArgs":{},"positionalArgs":["bdfe7009e6214cba83cd0e988c7066a0"]}', 1795881441715);
INSERT INTO dbos.workflow_input VALUES ('63b53d110edd488590d2234dc901aba6', '{"namedArgs":{},"positionalArgs":["63b53d110edd488590d2234dc901aba6"]}', 1795881444123);
INSERT INTO dbos.workflow_input VALUES ('778704b2ff64488c9d11b2e4336af57e', '{"namedArgs":{},"positionalArgs":["778704b2ff64488c9d11b2e4336af57e"]}', 1795881444189);
INSERT INTO dbos.workflow_input VALUES ('8f388021b5cd4974b844eebfba9ec153', '{"namedArgs":{},"positionalArgs":["8f388021b5cd4974b844eebfba9ec153"]}', 1795881444379);
INSERT INTO dbos.workflow_input VALUES ('9806bc677cfd4fcb8a5ad618cad5881e', '{"namedArgs":{},"positionalArgs":["9806bc677cfd4fcb8a5ad618cad5881e"]}', 1795881444415);
INSERT INTO dbos.workflow_input VALUES ('fda2ed82ebec4980b3263af3c733f5a2', '{"namedArgs":{},"positionalArgs":["fda2ed82ebec4980b3263af3c733f5a2"]}', 1795881444452);
INSERT INTO dbos.workflow_input VALUES ('cc55bf67b466468793865d0b274642b0', '{"namedArgs":{},"positionalArgs":["cc55bf67b466468793865d0b274642b0"]}', 1795881444514);
INSERT INTO dbos.workflow_output VALUES ('bdfe7009e6214cba83cd0e988c7066a0', 'null', NULL, 1795881444069);
INSERT INTO dbos.workflow_status VALUES ('bdfe7009e6214cba83cd0e988c7066a0', 'SUCCESS', 'carry_out', NULL, NULL, NULL, NULL, NULL, NULL, 'f5a932a1c53343e781a84e6adb55c967', 1795881441715, 1795881444069, '1', NULL, NULL, NULL, 1, 'small', NULL, NULL, NULL, 1795881441840, NULL, 0, NULL, NULL, NULL, NULL, 'portable_json', NULL, false, false, 1795881444069, 'null', NULL, NULL, false, 'whohas', '975087ef-b596-43be-a15f-8fc3ec106e61');
INSERT INTO dbos.workflow_status VALUES ('63b53d110edd488590d2234dc901aba6', 'PENDING', 'carry_out', NULL, NULL, NULL, NULL, NULL, NULL, 'f5a932a1c53343e781a84e6adb55c967', 1795881444123, 1795881444209, '1', NULL, NULL, NULL, 1, 'small', NULL, NULL, NULL, 1795881444209, NULL, 0, NULL, NULL, 'a95cf1d3-0393-4474-91cc-34b02a6a99f2', NULL, 'portable_json', NULL, false, false, NULL, 'null', NULL, NULL, false, 'whohas', '3d03ea45-54ca-4ec8-9749-00128cbf7305');
INSERT INTO dbos.workflow_status VALUES ('778704b2ff64488c9d11b2e4336af57e', 'PENDING', 'carry_out', NULL, NULL, NULL, NULL, NULL, NULL, 'f5a932a1c53343e781a84e6adb55c967', 1795881444189, 1795881444256, '1', NULL, NULL, NULL, 1, 'runs', NULL, NULL, NULL, 1795881444256, NULL, 0, NULL, NULL, 'b25d0235-d86b-43b0-b638-40b78257a5e7', NULL, 'portable_json', NULL, false, false, NULL, 'null', NULL, NULL, false, 'whohas', '54cb157f-ce55-4c57-9398-13367a9fd46b');
INSERT INTO dbos.workflow_status VALUES ('8f388021b5cd4974b844eebfba9ec153', 'ENQUEUED', 'carry_out', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1795881444379, 1795881444379, '1', NULL, NULL, NULL, 0, 'small', NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 'portable_json', NULL, false, false, NULL, 'null', NULL, NULL, false, 'whohas', 'c35cee65-8285-465e-ab2d-81da56fb9632');
INSERT INTO dbos.workflow_status VALUES ('9806bc677cfd4fcb8a5ad618cad5881e', 'ENQUEUED', 'carry_out', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1795881444415, 1795881444415, '1', NULL, NULL, NULL, 0, 'runs', NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 'portable_json', NULL, false, false, NULL, 'null', NULL, NULL, false, 'whohas', '3cabe3ad-6cfc-4b77-8a59-ef8b7db3fa1e');
INSERT INTO dbos.workflow_status VALUES ('fda2ed82ebec4980b3263af3c733f5a2', 'ENQUEUED', 'carry_out', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1795881444452, 1795881444452, '1', NULL, NULL, NULL, 0, 'small', NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 'portable_json', NULL, false, false, NULL, 'null', NULL, NULL, false, 'whohas', '7d893e5c-601a-448e-a522-33e7efec4b31');
INSERT INTO dbos.workflow_status VALUES ('cc55bf67b466468793865d0b274642b0', 'ENQUEUED', 'carry_out', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1795881444514, 1795881444514, '1', NULL, NULL, NULL, 0, 'runs', NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 'portable_json', NULL, false, false, NULL, 'null', NULL, NULL, false, 'whohas', '33b91879-b308-435c-b098-7aee8d3baf9c');
INSERT INTO public.alembic_version VALUES ('0005');
INSERT INTO public.audit_event VALUES (1, '2026-11-28 15:57:21.769405+00', '{"data":{"actor":{"kind":"system","name":"whohas"},"arguments":{"application":"s","selectedFormats":["CSV"],"sourceName":"S"},"outcome":"accepted","report":"ACCOUNTS","run":"bdfe7009e6214cba83cd0e988c7066a0","snapshot":1},"datacontenttype":"application/json","id":"69610f66c7514b75be77d2fb5180fa5d","specversion":"1.0","subject":"bdfe7009e6214cba83cd0e988c7066a0","time":"2026-11-28T15:57:21.769405Z","type":"whohas.run.started"}', NULL, NULL, false, false, NULL);
INSERT INTO public.audit_event VALUES (2, '2026-11-28 15:57:23.991029+00', '{"data":{"actor":{"kind":"system","name":"whohas"},"files":[{"bytes":182,"fileName":"1-accounts.csv","format":"csv","rows":1,"sha256":"b6538f2a5951dcedaa5ef6829682bf8f72732be522226c97ee4b32eca15d226b"}],"launcher":"ann","outcome":"succeeded","report":"ACCOUNTS","rows":1,"run":"bdfe7009e6214cba83cd0e988c7066a0"},"datacontenttype":"application/json","id":"cdc437837f71453db4885b4fc89d380e","specversion":"1.0","subject":"bdfe7009e6214cba83cd0e988c7066a0","time":"2026-11-28T15:57:23.991029Z","type":"whohas.run.ended"}', NULL, NULL, false, false, NULL);
INSERT INTO public.audit_event VALUES (3, '2026-11-28 15:57:24.158409+00', '{"data":{"actor":{"kind":"system","name":"whohas"},"arguments":{"application":"s","selectedFormats":["CSV"],"sourceName":"S","timeZone":"+01:00"},"outcome":"accepted","report":"ACCOUNTS","run":"63b53d110edd488590d2234dc901aba6","snapshot":1},"datacontenttype":"application/json","id":"67370cb6ae97499f80c426c02e846112","specversion":"1.0","subject":"63b53d110edd488590d2234dc901aba6","time":"2026-11-28T15:57:24.158409Z","type":"whohas.run.started"}', NULL, NULL, false, false, NULL);
INSERT INTO public.audit_event VALUES (4, '2026-11-28 15:57:24.246047+00', '{"data":{"actor":{"kind":"system","name":"whohas"},"arguments":{"application":"s","selectedFormats":["PDF"],"sourceName":"S","timeZone":"+01:00"},"outcome":"accepted","report":"ACCOUNTS","run":"778704b2ff64488c9d11b2e4336af57e","snapshot":1},"datacontenttype":"application/json","id":"551d29038b504621850cfbb52e743d94","specversion":"1.0","subject":"778704b2ff64488c9d11b2e4336af57e","time":"2026-11-28T15:57:24.246047Z","type":"whohas.run.started"}', NULL, NULL, false, false, NULL);
INSERT INTO public.audit_event VALUES (5, '2026-11-28 15:57:24.36203+00', '{"data":{"actor":{"kind":"system","name":"whohas"},"outcome":"accepted","report":"ACCOUNTS","run":"778704b2ff64488c9d11b2e4336af57e"},"datacontenttype":"application/json","id":"5c4f0249d3e84669a34fd8931dcc6aa8","specversion":"1.0","subject":"778704b2ff64488c9d11b2e4336af57e","time":"2026-11-28T15:57:24.362030Z","type":"whohas.run.cancelled"}', NULL, NULL, false, false, NULL);
INSERT INTO public.audit_event VALUES (6, '2026-11-28 15:57:24.394896+00', '{"data":{"actor":{"kind":"system","name":"whohas"},"arguments":{"application":"s","selectedFormats":["CSV"],"sourceName":"S","timeZone":"+02:00"},"outcome":"accepted","report":"ACCOUNTS","run":"8f388021b5cd4974b844eebfba9ec153","snapshot":1},"datacontenttype":"application/json","id":"39a6189669a94f4ea0b660fcf966859c","specversion":"1.0","subject":"8f388021b5cd4974b844eebfba9ec153","time":"2026-11-28T15:57:24.394896Z","type":"whohas.run.started"}', NULL, NULL, false, false, NULL);
INSERT INTO public.audit_event VALUES (7, '2026-11-28 15:57:24.430117+00', '{"data":{"actor":{"kind":"system","name":"whohas"},"arguments":{"application":"s","selectedFormats":["PDF"],"sourceName":"S","timeZone":"+02:00"},"outcome":"accepted","report":"ACCOUNTS","run":"9806bc677cfd4fcb8a5ad618cad5881e","snapshot":1},"datacontenttype":"application/json","id":"a28011a865e249cc952c541558b2f157","specversion":"1.0","subject":"9806bc677cfd4fcb8a5ad618cad5881e","time":"2026-11-28T15:57:24.430117Z","type":"whohas.run.started"}', NULL, NULL, false, false, NULL);
INSERT INTO public.audit_event VALUES (8, '2026-11-28 15:57:24.457193+00', '{"data":{"actor":{"kind":"system","name":"whohas"},"arguments":{"application":"s","selectedFormats":["CSV"],"sourceName":"S","timeZone":"+03:00"},"outcome":"accepted","report":"ACCOUNTS","run":"fda2ed82ebec4980b3263af3c733f5a2","snapshot":1},"datacontenttype":"application/json","id":"51c8a402470243e181d973de31963afb","specversion":"1.0","subject":"fda2ed82ebec4980b3263af3c733f5a2","time":"2026-11-28T15:57:24.457193Z","type":"whohas.run.started"}', NULL, NULL, false, false, NULL);
INSERT INTO public.audit_event VALUES (9, '2026-11-28 15:57:24.540488+00', '{"data":{"actor":{"kind":"system","name":"whohas"},"arguments":{"application":"s","selectedFormats":["PDF"],"sourceName":"S","timeZone":"+03:00"},"outcome":"accepted","report":"ACCOUNTS","run":"cc55bf67b466468793865d0b274642b0","snapshot":1},"datacontenttype":"application/json","id":"a511d2562e8c4c2694366453f123f8bb","specversion":"1.0","subject":"cc55bf67b466468793865d0b274642b0","time":"2026-11-28T15:57:24.540488Z","type":"whohas.run.started"}', NULL, NULL, false, false, NULL);
INSERT INTO public.audit_head VALUES (0, '0000000000000000000000000000000000000000000000000000000000000000', '');
INSERT INTO public.phase_total VALUES ('ACCOUNTS', 'Checking the CSV', 1, 0.07181859016418457, 1);
INSERT INTO public.phase_total VALUES ('ACCOUNTS', 'Extracting', 1, 0.289592981338501, 0);
INSERT INTO public.run VALUES ('bdfe7009e6214cba83cd0e988c7066a0', 'ACCOUNTS', 'Accounts Report', 'The accounts of one source with the identities that hold them, and a column for each attribute.', '{"application": "s", "sourceName": "S", "selectedFormats": ["CSV"]}', 'b87f40f886bb97d0b2ee45a036505da6c637b5af1fec7340636c7501c0404909', true, '{"org": "whohas"}', 'succeeded', 1, 'ann', '2026-11-28 15:57:21.094509+00', '2026-11-28 15:57:21.913791+00', '2026-11-28 15:57:23.96829+00', 1, 'Done, 1 rows', 100, 1, '["csv"]', '[]', '[{"format": "csv", "name": "1-accounts.csv", "media_type": "", "bytes": 182, "rows": 1, "sha256": "b6538f2a5951dcedaa5ef6829682bf8f72732be522226c97ee4b32eca15d226b"}]', 'SELECT a.id, a.nativeIdentity, a.name, a.sourceId, s.name AS sourceName,
       a.identityId,
       coalesce(nullif(i.displayName, ''''), nullif(i.name, ''''), a.identityName) AS identityName,
       a.correlated, a.manuallyCorrelated, a.disabled, a.locked, a.privileged, a.hasEntitlements,
       a.created, a.modified
FROM accounts a
JOIN sources s ON s.id = a.sourceId
LEFT JOIN identities i ON i.id = a.identityId
WHERE a.sourceId = $source', 'f5a932a1c53343e781a84e6adb55c967', 0, 1);
INSERT INTO public.run VALUES ('63b53d110edd488590d2234dc901aba6', 'ACCOUNTS', 'Accounts Report', 'The accounts of one source with the identities that hold them, and a column for each attribute.', '{"application": "s", "sourceName": "S", "selectedFormats": ["CSV"], "timeZone": "+01:00"}', 'd2ba977ad302c286e4bcfd0ba6beab6fe3bfe82bf3902821e855166bfa31ac98', true, '{"org": "whohas"}', 'running', 1, 'ann', '2026-11-28 15:57:24.097565+00', '2026-11-28 15:57:24.293844+00', NULL, NULL, 'Starting', 0, 1, '["csv"]', '[]', '[]', 'SELECT a.id, a.nativeIdentity, a.name, a.sourceId, s.name AS sourceName,
       a.identityId,
       coalesce(nullif(i.displayName, ''''), nullif(i.name, ''''), a.identityName) AS identityName,
       a.correlated, a.manuallyCorrelated, a.disabled, a.locked, a.privileged, a.hasEntitlements,
       a.created, a.modified
FROM accounts a
JOIN sources s ON s.id = a.sourceId
LEFT JOIN identities i ON i.id = a.identityId
WHERE a.sourceId = $source', 'f5a932a1c53343e781a84e6adb55c967', 0, 1);
INSERT INTO public.run VALUES ('778704b2ff64488c9d11b2e4336af57e', 'ACCOUNTS', 'Accounts Report', 'The accounts of one source with the identities that hold them, and a column for each attribute.', '{"application": "s", "sourceName": "S", "selectedFormats": ["PDF"], "timeZone": "+01:00"}', '749ebe093041f1cec22b1e17f7d113f0884ba55e849281f78414f3d18026d22d', true, '{"org": "whohas"}', 'cancelling', 1, 'ann', '2026-11-28 15:57:24.169371+00', '2026-11-28 15:57:24.304657+00', NULL, NULL, 'Cancelling', 0, 1, '["pdf"]', '[]', '[]', 'SELECT a.id, a.nativeIdentity, a.name, a.sourceId, s.name AS sourceName,
       a.identityId,
       coalesce(nullif(i.displayName, ''''), nullif(i.name, ''''), a.identityName) AS identityName,
       a.correlated, a.manuallyCorrelated, a.disabled, a.locked, a.privileged, a.hasEntitlements,
       a.created, a.modified
FROM accounts a
JOIN sources s ON s.id = a.sourceId
LEFT JOIN identities i ON i.id = a.identityId
WHERE a.sourceId = $source', 'f5a932a1c53343e781a84e6adb55c967', 0, 6);
INSERT INTO public.run VALUES ('8f388021b5cd4974b844eebfba9ec153', 'ACCOUNTS', 'Accounts Report', 'The accounts of one source with the identities that hold them, and a column for each attribute.', '{"application": "s", "sourceName": "S", "selectedFormats": ["CSV"], "timeZone": "+02:00"}', '2ec141e6a861801394a746c714e2d694c9ea78bce7a0d857667b1d7cda3420eb', true, '{"org": "whohas"}', 'queued', 1, 'ann', '2026-11-28 15:57:24.369629+00', NULL, NULL, NULL, 'Queued', 0, 0, '["csv"]', '[]', '[]', 'SELECT a.id, a.nativeIdentity, a.name, a.sourceId, s.name AS sourceName,
       a.identityId,
       coalesce(nullif(i.displayName, ''''), nullif(i.name, ''''), a.identityName) AS identityName,
       a.correlated, a.manuallyCorrelated, a.disabled, a.locked, a.privileged, a.hasEntitlements,
       a.created, a.modified
FROM accounts a
JOIN sources s ON s.id = a.sourceId
LEFT JOIN identities i ON i.id = a.identityId
WHERE a.sourceId = $source', NULL, 0, 1);
INSERT INTO public.run VALUES ('9806bc677cfd4fcb8a5ad618cad5881e', 'ACCOUNTS', 'Accounts Report', 'The accounts of one source with the identities that hold them, and a column for each attribute.', '{"application": "s", "sourceName": "S", "selectedFormats": ["PDF"], "timeZone": "+02:00"}', '9e4f525af5ca9a7285735f19aed7a297659d617bed538b9f08fc7b380d6d58a3', true, '{"org": "whohas"}', 'queued', 1, 'ann', '2026-11-28 15:57:24.402023+00', NULL, NULL, NULL, 'Queued', 0, 0, '["pdf"]', '[]', '[]', 'SELECT a.id, a.nativeIdentity, a.name, a.sourceId, s.name AS sourceName,
       a.identityId,
       coalesce(nullif(i.displayName, ''''), nullif(i.name, ''''), a.identityName) AS identityName,
       a.correlated, a.manuallyCorrelated, a.disabled, a.locked, a.privileged, a.hasEntitlements,
       a.created, a.modified
FROM accounts a
JOIN sources s ON s.id = a.sourceId
LEFT JOIN identities i ON i.id = a.identityId
WHERE a.sourceId = $source', NULL, 0, 6);
INSERT INTO public.run VALUES ('fda2ed82ebec4980b3263af3c733f5a2', 'ACCOUNTS', 'Accounts Report', 'The accounts of one source with the identities that hold them, and a column for each attribute.', '{"application": "s", "sourceName": "S", "selectedFormats": ["CSV"], "timeZone": "+03:00"}', '58e2d228d2932ec3367d6fd8c3de31db6146a3fef343accb514c4e7e853aa5aa', true, '{"org": "whohas"}', 'queued', 1, 'ann', '2026-11-28 15:57:24.446552+00', NULL, NULL, NULL, 'Queued', 0, 0, '["csv"]', '[]', '[]', 'SELECT a.id, a.nativeIdentity, a.name, a.sourceId, s.name AS sourceName,
       a.identityId,
       coalesce(nullif(i.displayName, ''''), nullif(i.name, ''''), a.identityName) AS identityName,
       a.correlated, a.manuallyCorrelated, a.disabled, a.locked, a.privileged, a.hasEntitlements,
       a.created, a.modified
FROM accounts a
JOIN sources s ON s.id = a.sourceId
LEFT JOIN identities i ON i.id = a.identityId
WHERE a.sourceId = $source', NULL, 0, 1);
INSERT INTO public.run VALUES ('cc55bf67b466468793865d0b274642b0', 'ACCOUNTS', 'Accounts Report', 'The accounts of one source with the identities that hold them, and a column for each attribute.', '{"application": "s", "sourceName": "S", "selectedFormats": ["PDF"], "timeZone": "+03:00"}', '4e791c208401af85fd432af17efff581b42479af28a73d476bf6faba0f8cc71c', true, '{"org": "whohas"}', 'queued', 1, 'ann', '2026-11-28 15:57:24.48191+00', NULL, NULL, NULL, 'Queued', 0, 0, '["pdf"]', '[]', '[]', 'SELECT a.id, a.nativeIdentity, a.name, a.sourceId, s.name AS sourceName,
       a.identityId,
       coalesce(nullif(i.displayName, ''''), nullif(i.name, ''''), a.identityName) AS identityName,
       a.correlated, a.manuallyCorrelated, a.disabled, a.locked, a.privileged, a.hasEntitlements,
       a.created, a.modified
FROM accounts a
JOIN sources s ON s.id = a.sourceId
LEFT JOIN identities i ON i.id = a.identityId
WHERE a.sourceId = $source', NULL, 0, 6);
INSERT INTO public.worker VALUES ('f5a932a1c53343e781a84e6adb55c967', 'host', 11637, '2026-11-28 15:57:19.992303+00', '2026-11-28 15:57:30.3017+00');
INSERT INTO public.worker_beat VALUES ('de893f3fcbea403d838727ddaf584f6f', 'host', 11637, '2026-11-28 15:57:20.520961+00', '2026-11-28 15:57:25.689425+00');
SELECT pg_catalog.setval('public.audit_event_number_seq', 9, true);
ALTER TABLE ONLY dbos.application_versions
    ADD CONSTRAINT application_versions_pkey PRIMARY KEY (version_id);
ALTER TABLE ONLY dbos.application_versions
    ADD CONSTRAINT application_versions_version_name_key UNIQUE (version_name);
ALTER TABLE ONLY dbos.dbos_migrations
    ADD CONSTRAINT dbos_migrations_pkey PRIMARY KEY (version);
ALTER TABLE ONLY dbos.event_dispatch_kv
    ADD CONSTRAINT event_dispatch_kv_pkey PRIMARY KEY (service_name, workflow_fn_name, key);
ALTER TABLE ONLY dbos.notifications
    ADD CONSTRAINT notifications_pkey PRIMARY KEY (message_uuid);
ALTER TABLE ONLY dbos.operation_outputs
    ADD CONSTRAINT operation_outputs_pkey PRIMARY KEY (workflow_uuid, function_id);
ALTER TABLE ONLY dbos.queues
    ADD CONSTRAINT queues_name_key UNIQUE (name);
ALTER TABLE ONLY dbos.queues
    ADD CONSTRAINT queues_pkey PRIMARY KEY (queue_id);
ALTER TABLE ONLY dbos.streams
    ADD CONSTRAINT streams_pkey PRIMARY KEY (workflow_uuid, key, "offset");
ALTER TABLE ONLY dbos.workflow_events_history
    ADD CONSTRAINT workflow_events_history_pkey PRIMARY KEY (workflow_uuid, function_id, key);
ALTER TABLE ONLY dbos.workflow_events
    ADD CONSTRAINT workflow_events_pkey PRIMARY KEY (workflow_uuid, key);
ALTER TABLE ONLY dbos.workflow_input
    ADD CONSTRAINT workflow_input_pkey PRIMARY KEY (workflow_uuid);
ALTER TABLE ONLY dbos.workflow_output
    ADD CONSTRAINT workflow_output_pkey PRIMARY KEY (workflow_uuid);
ALTER TABLE ONLY dbos.workflow_schedules
    ADD CONSTRAINT workflow_schedules_pkey PRIMARY KEY (schedule_id);
ALTER TABLE ONLY dbos.workflow_schedules
    ADD CONSTRAINT workflow_schedules_schedule_name_key UNIQUE (schedule_name);
ALTER TABLE ONLY dbos.workflow_status
    ADD CONSTRAINT workflow_status_pkey PRIMARY KEY (workflow_uuid);
ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.audit_event
    ADD CONSTRAINT audit_event_pkey PRIMARY KEY (number);
ALTER TABLE ONLY public.audit_event
    ADD CONSTRAINT audit_event_sequence_key UNIQUE (sequence);
ALTER TABLE ONLY public.audit_load
    ADD CONSTRAINT audit_load_pkey PRIMARY KEY (load_id);
ALTER TABLE ONLY public.client
    ADD CONSTRAINT client_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.hold
    ADD CONSTRAINT hold_pkey PRIMARY KEY (run_id);
ALTER TABLE ONLY public.hook_message
    ADD CONSTRAINT hook_message_pkey PRIMARY KEY (hook_id, run_id);
ALTER TABLE ONLY public.hook
    ADD CONSTRAINT hook_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.limit_count
    ADD CONSTRAINT limit_count_pkey PRIMARY KEY (key);
ALTER TABLE ONLY public.person
    ADD CONSTRAINT person_name_key UNIQUE (name);
ALTER TABLE ONLY public.person
    ADD CONSTRAINT person_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.phase_total
    ADD CONSTRAINT phase_total_pkey PRIMARY KEY (report_type, phase);
ALTER TABLE ONLY public.report_switch
    ADD CONSTRAINT report_switch_pkey PRIMARY KEY (report_type);
ALTER TABLE ONLY public.run_launch
    ADD CONSTRAINT run_launch_pkey PRIMARY KEY (run, launcher);
ALTER TABLE ONLY public.run
    ADD CONSTRAINT run_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.schedule
    ADD CONSTRAINT schedule_name_key UNIQUE (name);
ALTER TABLE ONLY public.schedule
    ADD CONSTRAINT schedule_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.sign_in_code
    ADD CONSTRAINT sign_in_code_pkey PRIMARY KEY (hash);
ALTER TABLE ONLY public.worker_beat
    ADD CONSTRAINT worker_beat_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.worker
    ADD CONSTRAINT worker_pkey PRIMARY KEY (executor);
CREATE INDEX idx_application_versions_owner_timestamp ON dbos.application_versions USING btree (application_name, version_timestamp DESC);
CREATE INDEX idx_application_versions_timestamp ON dbos.application_versions USING btree (version_timestamp DESC);
CREATE INDEX idx_operation_outputs_completed_at_function_name_v2 ON dbos.operation_outputs USING btree (completed_at_epoch_ms, function_name) INCLUDE (application_name);
CREATE INDEX idx_operation_outputs_retention ON dbos.operation_outputs USING btree (retention_timestamp);
CREATE INDEX idx_workflow_input_retention ON dbos.workflow_input USING btree (retention_timestamp);
CREATE INDEX idx_workflow_output_retention ON dbos.workflow_output USING btree (retention_timestamp);
CREATE INDEX idx_workflow_status_attributes ON dbos.workflow_status USING gin (attributes) WHERE (attributes IS NOT NULL);
CREATE INDEX idx_workflow_status_completed_at ON dbos.workflow_status USING btree (completed_at) WHERE (completed_at IS NOT NULL);
CREATE INDEX idx_workflow_status_deadline ON dbos.workflow_status USING btree (workflow_deadline_epoch_ms) WHERE ((status = ANY (ARRAY['ENQUEUED'::text, 'PENDING'::text, 'DELAYED'::text])) AND (workflow_deadline_epoch_ms IS NOT NULL));
CREATE INDEX idx_workflow_status_delayed ON dbos.workflow_status USING btree (delay_until_epoch_ms) WHERE (status = 'DELAYED'::text);
CREATE INDEX idx_workflow_status_failed ON dbos.workflow_status USING btree (status, created_at) WHERE (status = ANY (ARRAY['ERROR'::text, 'CANCELLED'::text, 'MAX_RECOVERY_ATTEMPTS_EXCEEDED'::text]));
CREATE INDEX idx_workflow_status_forked_from ON dbos.workflow_status USING btree (forked_from) WHERE (forked_from IS NOT NULL);
CREATE INDEX idx_workflow_status_in_flight_v2 ON dbos.workflow_status USING btree (queue_name, status, priority, created_at) INCLUDE (application_name) WHERE (status = ANY (ARRAY['ENQUEUED'::text, 'PENDING'::text]));
CREATE INDEX idx_workflow_status_parent_workflow_id ON dbos.workflow_status USING btree (parent_workflow_id) WHERE (parent_workflow_id IS NOT NULL);
CREATE INDEX idx_workflow_status_partition_dequeue_v3 ON dbos.workflow_status USING btree (queue_name, status, queue_partition_key, priority, created_at, workflow_uuid) INCLUDE (application_name) WHERE ((status = ANY (ARRAY['ENQUEUED'::text, 'PENDING'::text])) AND (queue_partition_key IS NOT NULL));
CREATE INDEX idx_workflow_status_pending ON dbos.workflow_status USING btree (created_at) WHERE (status = 'PENDING'::text);
CREATE INDEX idx_workflow_status_rate_limited ON dbos.workflow_status USING btree (queue_name, started_at_epoch_ms) WHERE (rate_limited = true);
CREATE INDEX idx_workflow_status_schedule_name ON dbos.workflow_status USING btree (schedule_name) WHERE (schedule_name IS NOT NULL);
CREATE INDEX idx_workflow_status_started_at ON dbos.workflow_status USING btree (started_at_epoch_ms) WHERE (started_at_epoch_ms IS NOT NULL);
CREATE INDEX idx_workflow_topic ON dbos.notifications USING btree (destination_uuid, topic);
CREATE UNIQUE INDEX uq_application_versions_owner_version ON dbos.application_versions USING btree (application_name, version_name) WHERE (application_name IS NOT NULL);
CREATE UNIQUE INDEX uq_application_versions_unclaimed_version ON dbos.application_versions USING btree (version_name) WHERE (application_name IS NULL);
CREATE UNIQUE INDEX uq_workflow_status_dedup_id ON dbos.workflow_status USING btree (queue_name, deduplication_id) WHERE (deduplication_id IS NOT NULL);
CREATE INDEX workflow_status_created_at_index ON dbos.workflow_status USING btree (created_at);
CREATE INDEX hook_message_due ON public.hook_message USING btree (state, due);
CREATE INDEX ix_limit_count_ends ON public.limit_count USING btree (ends);
CREATE INDEX ix_run_completed ON public.run USING btree (completed);
CREATE INDEX ix_run_created ON public.run USING btree (created);
CREATE INDEX ix_run_key ON public.run USING btree (key);
CREATE INDEX ix_schedule_next_at ON public.schedule USING btree (next_at);
CREATE INDEX ix_sign_in_code_expires ON public.sign_in_code USING btree (expires);
CREATE UNIQUE INDEX run_single_flight ON public.run USING btree (key) WHERE (single_flight AND ((state)::text = ANY ((ARRAY['queued'::character varying, 'running'::character varying, 'cancelling'::character varying])::text[])));
CREATE INDEX run_state ON public.run USING btree (state, created);
ALTER TABLE ONLY dbos.notifications
    ADD CONSTRAINT notifications_destination_uuid_fkey FOREIGN KEY (destination_uuid) REFERENCES dbos.workflow_status(workflow_uuid) ON UPDATE CASCADE ON DELETE CASCADE;
ALTER TABLE ONLY dbos.streams
    ADD CONSTRAINT streams_workflow_uuid_fkey FOREIGN KEY (workflow_uuid) REFERENCES dbos.workflow_status(workflow_uuid) ON UPDATE CASCADE ON DELETE CASCADE;
ALTER TABLE ONLY dbos.workflow_events_history
    ADD CONSTRAINT workflow_events_history_workflow_uuid_fkey FOREIGN KEY (workflow_uuid) REFERENCES dbos.workflow_status(workflow_uuid) ON UPDATE CASCADE ON DELETE CASCADE;
ALTER TABLE ONLY dbos.workflow_events
    ADD CONSTRAINT workflow_events_workflow_uuid_fkey FOREIGN KEY (workflow_uuid) REFERENCES dbos.workflow_status(workflow_uuid) ON UPDATE CASCADE ON DELETE CASCADE;
ALTER TABLE ONLY public.client
    ADD CONSTRAINT client_person FOREIGN KEY (person) REFERENCES public.person(id);
ALTER TABLE ONLY public.hook_message
    ADD CONSTRAINT hook_message_hook_id_fkey FOREIGN KEY (hook_id) REFERENCES public.hook(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.run_launch
    ADD CONSTRAINT run_launch_run_fkey FOREIGN KEY (run) REFERENCES public.run(id) ON DELETE CASCADE;

"""Every time that one part of whohas waits for another, in seconds, and how these times relate.

A time stands here if another one depends on it, in this module or elsewhere: what is longer than what, and why, is in
`RELATIONS`. A value that follows from another is computed from it. A unit test evaluates each relation, and the page on
the life of a run shows them. Settings that users change (`settings.py`) have their defaults here.

What stays in a module of its own: `cli.serve.SWITCH_SECONDS` (a slice of processor time, nobody waits for it),
`runs.sealing` (a pause in one loop over one file), and the times of `whohas.client`, which talks to other servers too.
"""

from __future__ import annotations

from typing import Final

# The lease of a worker

LEASE_BEAT_SECONDS: Final = 0.5
"""From one heartbeat of a worker to the next on PostgreSQL, where its runs depend on them."""
LEASE_LOCAL_BEAT_SECONDS: Final = 10.0
"""The same on SQLite, where heartbeats only show a worker that hangs: each is a commit, which wakes the queue."""
LEASE_PATIENCE_SECONDS: Final = 6 * LEASE_BEAT_SECONDS
"""How long a worker whose heartbeats fail lets its children go on."""
LEASE_MARGIN_SECONDS: Final = 0.5
"""What it takes then until the children are gone, and what the commit of a heartbeat takes."""
LEASE_GONE_SECONDS: Final = LEASE_PATIENCE_SECONDS + LEASE_MARGIN_SECONDS
"""How long after its last heartbeat a worker's children are gone, whatever became of it: it may be alive, and cut
off."""
LEASE_SETTLE_SECONDS: Final = 4 * LEASE_BEAT_SECONDS
"""How long a worker waits with taking over after it found the database: after an outage the others come back too."""
LEASE_HERE_SECONDS: Final = 5.0
"""How old the last heartbeat of a worker is at most to which the command line leaves its run."""
LEASE_DEAD_SECONDS: Final = 2 * LEASE_LOCAL_BEAT_SECONDS
"""After how much silence a worker is not counted as alive."""
LEASE_HUNG_SECONDS: Final = 30.0
"""How long a worker that holds its lock may be silent; then its session is ended, and it has lost its runs."""
RECOVERY_LOOK_SECONDS: Final = LEASE_BEAT_SECONDS
"""How often workers that died are looked for."""
RECOVERY_TIDY_SECONDS: Final = 60.0
"""How often files are looked for that lost attempts wrote after their run was over."""
RECOVERY_STRAY_SECONDS: Final = 600.0
"""How long after its end the folder of a run is looked at for them."""

# Children, and the attempts that they carry out

CHILD_WORD_SECONDS: Final = 1.0
"""How often a child hears that its worker is there."""
CHILD_PARENT_SECONDS: Final = 15.0
"""After so long without hearing it a child exits."""
CHILD_TERM_SECONDS: Final = 0.5
"""How long a child has after SIGTERM before SIGKILL."""
CHILD_EXIT_CODE_SECONDS: Final = 5.0
"""How long after the end of a child its exit code is waited for."""
CHILD_MEMORY_SECONDS: Final = 10.0
"""How long before the end of a child that was killed memory may have been short for that to be the reason."""
CHILD_FORK_SECONDS: Final = 600.0
"""How long a child is waited for: all libraries may have to be loaded first, by a process of low priority. On a machine
with forty other busy processes that took more than two minutes."""
ENGINE_PROGRESS_SECONDS: Final = 0.2
"""How often the engine is asked how far it is."""
ATTEMPT_LOOK_SECONDS: Final = 0.1
"""How often the row of a run is asked whether it was cancelled: a cancel takes effect within this time."""
ATTEMPT_NOTE_SECONDS: Final = 0.5
"""How often progress is written to the row."""
ATTEMPT_AGAIN_SECONDS: Final = 0.25
"""How long a database that does not take an attempt's end is left alone before the next try."""
ATTEMPT_WRITE_SECONDS: Final = 60.0
"""How long an attempt's end tries to get into the database; then recovery takes care of the run."""
ATTEMPT_STOPPING_SECONDS: Final = 2.0
"""The same, while the worker shuts down."""
RENDER_LOOK_SECONDS: Final = 1.0
"""How often the child is asked that makes a file of a run that is over."""
RUN_SECONDS: Final = 6 * 3600
"""How long one attempt may take (WHOHAS_RUN_SECONDS)."""

# The queue

QUEUE_POLL_SECONDS: Final = 1.0
"""How often queued runs are looked for without any hint."""
QUEUE_COMMITS_SECONDS: Final = 0.02
"""How often SQLite is asked whether something was committed, while something is."""
QUEUE_QUIET_SECONDS: Final = 0.1
"""How often it is asked once nothing was committed for a while: an idle server takes next to no processor time."""
QUEUE_QUIET_AFTER_SECONDS: Final = 1.0
"""How long that while is."""
START_RETRY_SECONDS: Final = 5
"""After which a start that was refused for want of room may find some."""
LEFTOVERS_LOCK_SECONDS: Final = 2
"""How long the tables of an earlier version's queue may be in use before they are left for the next start."""

# Shutting down, in this order

STOP_LOOK_SECONDS: Final = 1.0
"""How often a worker looks whether a signal came at the very moment at which it began to wait for one."""
HTTP_GRACE_SECONDS: Final = 5
"""How long requests in progress may take to end."""
TASKS_STOP_SECONDS: Final = 10.0
"""How long periodic tasks may take to end."""
DRAIN_SECONDS: Final = 10
"""How long runs in progress may take to end (WHOHAS_DRAIN_SECONDS)."""
QUEUE_STOP_SECONDS: Final = 5.0
"""How long runs may take to be handed back once they are stopped."""
AUDIT_DRAIN_SECONDS: Final = 3.0
"""How long a relay that stops waits for what Kafka has not yet acknowledged."""

# The database

DATABASE_CONNECT_SECONDS: Final = 5
"""How long PostgreSQL may take to accept a connection."""
DATABASE_START_SECONDS: Final = 120
"""How long a server or worker that starts waits for PostgreSQL (WHOHAS_DATABASE_WAIT_SECONDS)."""
DATABASE_RETRY_SECONDS: Final = 1.0
"""How long it leaves PostgreSQL alone before it tries again."""
DATABASE_CALLER_SECONDS: Final = 5
"""After which a caller may try again whom it refuses meanwhile."""
DATABASE_IDLE_SECONDS: Final = 5
"""After how much silence TCP asks the other side whether it is there."""
DATABASE_PROBE_SECONDS: Final = 1
"""From one such question to the next."""
DATABASE_PROBES: Final = 5
"""How many such questions remain without an answer before the connection is given up. A number."""
DATABASE_PEER_GONE_SECONDS: Final = DATABASE_IDLE_SECONDS + DATABASE_PROBES * DATABASE_PROBE_SECONDS
"""After which a peer that is gone without a word is found out, on either side."""
DATABASE_TRANSACTION_SECONDS: Final = 60
"""How long a transaction may do nothing before PostgreSQL ends it."""
SQLITE_BUSY_SECONDS: Final = 30
"""How long a change of SQLite waits for its turn."""
FILE_LOCK_POLL_SECONDS: Final = 0.05
"""How often a lock on a file is tried for that is waited for, but not without end."""

# HTTP

HTTP_KEEP_ALIVE_SECONDS: Final = 65
"""How long an idle connection stays open."""
HTTP_HEAD_SECONDS: Final = 20
"""How long the headers of a request may take from their first byte on."""
HTTP_BODY_SECONDS: Final = 30
"""How long its body may take; a second more for each 4,096 bytes of it that came."""
HTTP_STALLED_SECONDS: Final = 60
"""How long a client may take no byte at all of an answer."""
HTTP_LINGER_SECONDS: Final = 10
"""How long a connection that is being closed may take to send what is left."""
HTTP_HANDSHAKE_SECONDS: Final = 60
"""How long a TLS handshake may take: asyncio's own limit. Not ours to choose."""
HTTP_IDLE_LEAST_SECONDS: Final = 0.5
"""How long a connection is idle at least before it is closed to make room for others."""
HTTP_LOOK_SECONDS: Final = 1.0
"""How often connections, and the files of the certificate, are looked at."""
HTTP_CONNECTIONS_LOG_SECONDS: Final = 10
"""From one line of the log on too many connections to the next."""
HTTP_UNREAD_SECONDS: Final = 60
"""How long the rest of a body that nobody reads is taken before the connection is closed on it."""
HTTP_PROXY_IDLE_SECONDS: Final = 60
"""How long common proxies and load balancers leave a connection open on which nothing comes. Not ours to choose."""
WATCH_POLL_SECONDS: Final = 0.25
"""How often live updates look for changes."""
WATCH_WAIT_SECONDS: Final = 1.0
"""How long they wait at most before they look whether their client is still there, or the database is again."""
WATCH_LOOK_BACK_SECONDS: Final = 5.0
"""Runs that ended so long before a look are looked at: clocks of several servers differ, commits come late."""
WATCH_HEARTBEAT_SECONDS: Final = 15.0
"""How long a stream of live updates is silent at most: FastAPI then sends a comment. Not ours to choose."""
WATCH_RIGHTS_SECONDS: Final = 5.0
"""How often the token of a stream is looked at again: so long it may outlast a right that is taken away."""
WATCH_LONGEST_SECONDS: Final = 3600.0
"""A stream ends after this, so that its client comes back."""
TRACES_SECONDS: Final = 5
"""How long the collector of traces may take for a batch."""

# Tokens and keys

TOKEN_SECONDS: Final = 12 * 3600
"""How long an access token is valid (WHOHAS_TOKEN_LIFETIME)."""
CODE_SECONDS: Final = 60.0
"""How long the code of a sign-in is valid."""
KEYS_LOOK_SECONDS: Final = 5.0
"""After which the folder of keys is read again: so soon every server knows what another one did."""
KEYS_UNKNOWN_SECONDS: Final = 0.2
"""The same where a token names a key that is not known."""
ISSUER_KEYS_SECONDS: Final = 600
"""How long the keys of another issuer are kept."""
ISSUER_AGAIN_SECONDS: Final = 5
"""From one question for them to the next at least."""
ISSUER_ANSWER_SECONDS: Final = 5
"""How long the issuer may take to answer."""
ISSUER_LEEWAY_SECONDS: Final = 30
"""How far its clock may differ from ours."""
LIMIT_CALLS_SECONDS: Final = 10
"""The window in which a client's calls are counted."""
LIMIT_GUESSES_SECONDS: Final = 300
"""The window in which wrong secrets and passwords are counted."""

# The audit log

AUDIT_POLL_SECONDS: Final = 0.25
"""How long after its act an event may wait before it is looked for."""
AUDIT_LEAD_SECONDS: Final = 1.0
"""How often processes that do not relay events try to become the one that does."""
AUDIT_AGAIN_SECONDS: Final = 1.0
"""How long Kafka is left alone after an error."""
AUDIT_COLLECT_SECONDS: Final = 0.05
"""How long Kafka's answer is waited for at a time."""
AUDIT_FOLLOW_SECONDS: Final = 0.25
"""How often `whohas audit --follow` looks for new events."""
AUDIT_LOADS_SECONDS: Final = 10.0
"""How often loads are looked for that were stopped before their event was written."""
KAFKA_SECONDS: Final = 10
"""How long Kafka may take for a batch; then it is sent again."""
DENIALS_WINDOW_SECONDS: Final = 60.0
"""The window in which denied requests of one kind are counted rather than written."""
DENIALS_FLUSH_SECONDS: Final = 1.0
"""How often windows that are over are looked for."""

# Webhooks, schedules, retention

HOOK_ANSWER_SECONDS: Final = 20.0
"""How long a webhook may take, from looking its name up to the headers of its answer."""
HOOK_CONNECT_SECONDS: Final = HOOK_ANSWER_SECONDS / 2
"""How long one step of that may take."""
HOOK_LEASE_SECONDS: Final = 120
"""After which a message that a worker took and did not report on is sent again."""
HOOK_RETRY_SECONDS: Final = 5.0
"""From a message's first attempt to its second (WHOHAS_HOOK_RETRY_SECONDS)."""
TICK_SECONDS: Final = 1.0
"""How late a schedule or the message of a webhook may be."""
SWEEP_SECONDS: Final = 3600
"""From one sweep of what is not to be kept to the next (WHOHAS_SWEEP_SECONDS)."""
UNFINISHED_SECONDS: Final = 3600.0
"""A file that nobody owns is removed once it has not changed for so long: it may be in the making."""

PERMISSIONS_WAIT_SECONDS: Final = 1.0
"""How long a start waits for permissions deep in the home folder; they are gone through beside it, for as long as need
be: the folder itself is closed before."""

# A clock that jumps

CLOCK_AHEAD_SECONDS: Final = 24 * 3600
"""A time that lies further ahead than this was written under a clock that was wrong."""
CLOCK_STEP_SECONDS: Final = 1.0
"""What a clock may gain or lose during a run without being taken for one that jumped."""
CLOCK_BACK_SECONDS: Final = 3600
"""By so much a clock may be set back before times of a schedule that it shows once more count once more."""
CLOCK_LOOK_SECONDS: Final = 60.0
"""How often it is looked for schedules that a clock which was set back would keep waiting."""
CLOCK_GAP_SECONDS: Final = 30 * 24 * 3600
"""After so long without a run, a server that starts does not trust its clock at once."""

# The command line

CLI_POLL_SECONDS: Final = 0.1
"""How often a command looks at its run."""
CLI_WATCH_SECONDS: Final = 0.25
"""How often `whohas watch` looks at all runs."""


RELATIONS: Final = (
    (
        "CLOCK_STEP_SECONDS < CLOCK_BACK_SECONDS < CLOCK_AHEAD_SECONDS < CLOCK_GAP_SECONDS",
        "A clock that was set by the difference of two time zones is not taken for a wrong one.",
    ),
    (
        "TOKEN_SECONDS <= CLOCK_AHEAD_SECONDS",
        "A clock that is set back makes no token valid for more than a few times as long.",
    ),
    (
        "LEASE_BEAT_SECONDS * 6 == LEASE_PATIENCE_SECONDS",
        "Heartbeats may fail for a restart of PostgreSQL; six in a row are too many.",
    ),
    (
        "LEASE_PATIENCE_SECONDS < LEASE_GONE_SECONDS",
        "A worker ends its children before another one takes its runs.",
    ),
    (
        "ATTEMPT_LOOK_SECONDS < LEASE_MARGIN_SECONDS",
        "A worker looks at its lease, and its children end at SIGTERM, within the time that others allow for it.",
    ),
    (
        "LEASE_BEAT_SECONDS < LEASE_SETTLE_SECONDS",
        "After an outage, each worker has taken its lock again before any is taken for dead.",
    ),
    (
        "LEASE_GONE_SECONDS < LEASE_HERE_SECONDS",
        "The command line leaves its run to a worker that may still have its runs, rather than to begin a second one.",
    ),
    (
        "LEASE_HERE_SECONDS < LEASE_HUNG_SECONDS",
        "A worker that is silent gets no new runs before it loses those that it has.",
    ),
    (
        "RECOVERY_LOOK_SECONDS <= LEASE_BEAT_SECONDS",
        "Dead workers are found as quickly as heartbeats can show.",
    ),
    (
        "CHILD_WORD_SECONDS + max(ATTEMPT_LOOK_SECONDS, RENDER_LOOK_SECONDS) < CHILD_PARENT_SECONDS / 5",
        "A child may miss several words of its worker on a busy machine.",
    ),
    (
        "CHILD_EXIT_CODE_SECONDS + RENDER_LOOK_SECONDS < CHILD_MEMORY_SECONDS",
        "The kernel's count of kills from before a child was killed is still known when its exit code is.",
    ),
    (
        "CHILD_PARENT_SECONDS < LEASE_HUNG_SECONDS",
        "The children of a worker that hangs are gone before another one takes its runs.",
    ),
    (
        "DATABASE_RETRY_SECONDS + DATABASE_CONNECT_SECONDS < DATABASE_START_SECONDS / 10",
        "A server that starts tries PostgreSQL several times before it gives up.",
    ),
    (
        "DATABASE_PEER_GONE_SECONDS < CHILD_PARENT_SECONDS",
        "A worker that waits for a database that is gone is not taken for one that hangs.",
    ),
    (
        "DATABASE_PEER_GONE_SECONDS < LEASE_HUNG_SECONDS",
        "A machine that is gone is found out by TCP before its worker counts as hung.",
    ),
    (
        "CHILD_PARENT_SECONDS + LEASE_HUNG_SECONDS < RECOVERY_STRAY_SECONDS",
        "What a lost attempt writes late is still looked for.",
    ),
    (
        "RECOVERY_TIDY_SECONDS * 5 < RECOVERY_STRAY_SECONDS",
        "The folder of a run is looked at several times.",
    ),
    (
        "LEASE_LOCAL_BEAT_SECONDS * 2 == LEASE_DEAD_SECONDS",
        "A worker may miss a heartbeat on SQLite and still counts.",
    ),
    (
        "LEASE_HERE_SECONDS < LEASE_DEAD_SECONDS < LEASE_HUNG_SECONDS",
        "A worker that is silent is reported before it loses its runs.",
    ),
    (
        "ATTEMPT_LOOK_SECONDS <= ENGINE_PROGRESS_SECONDS < ATTEMPT_NOTE_SECONDS",
        "Progress that is written is new, and a cancel does not wait for it.",
    ),
    (
        "ATTEMPT_AGAIN_SECONDS < ATTEMPT_STOPPING_SECONDS < ATTEMPT_WRITE_SECONDS",
        "An attempt's end is tried several times, fewer while the worker shuts down.",
    ),
    (
        "ATTEMPT_LOOK_SECONDS + CHILD_TERM_SECONDS + ATTEMPT_STOPPING_SECONDS + ATTEMPT_AGAIN_SECONDS < "
        "QUEUE_STOP_SECONDS",
        "A worker that shuts down waits until its runs are handed back.",
    ),
    (
        "HTTP_GRACE_SECONDS + TASKS_STOP_SECONDS + DRAIN_SECONDS + QUEUE_STOP_SECONDS + AUDIT_DRAIN_SECONDS < 90",
        "A server stops by itself before systemd kills it (TimeoutStopSec). Kubernetes waits 30 seconds: "
        "raise terminationGracePeriodSeconds to 45.",
    ),
    (
        "QUEUE_COMMITS_SECONDS < QUEUE_QUIET_SECONDS < QUEUE_POLL_SECONDS",
        "Hints come sooner than the poll that finds what they missed.",
    ),
    (
        "HTTP_PROXY_IDLE_SECONDS < HTTP_KEEP_ALIVE_SECONDS",
        "A proxy closes an idle connection first: one that the server closed would fail the proxy's next request.",
    ),
    (
        "HTTP_LOOK_SECONDS < HTTP_LINGER_SECONDS < HTTP_HEAD_SECONDS < HTTP_BODY_SECONDS",
        "Connections are looked at several times before one of their limits is over.",
    ),
    (
        "WATCH_HEARTBEAT_SECONDS < HTTP_STALLED_SECONDS",
        "A stream whose client is gone is found out by the comments that it does not read.",
    ),
    (
        "WATCH_HEARTBEAT_SECONDS * 2 < HTTP_PROXY_IDLE_SECONDS",
        "No proxy cuts a stream on which nothing happens.",
    ),
    (
        "WATCH_POLL_SECONDS < WATCH_WAIT_SECONDS < WATCH_HEARTBEAT_SECONDS",
        "A stream is alive while nothing happens.",
    ),
    (
        "WATCH_WAIT_SECONDS < WATCH_LOOK_BACK_SECONDS",
        "No run ends unseen between two looks.",
    ),
    (
        "WATCH_WAIT_SECONDS < WATCH_RIGHTS_SECONDS < WATCH_LONGEST_SECONDS",
        "The token of a stream is checked every few seconds during the stream.",
    ),
    (
        "KEYS_UNKNOWN_SECONDS < KEYS_LOOK_SECONDS",
        "The key of another server is known at once, and one that it removed soon.",
    ),
    (
        "ISSUER_ANSWER_SECONDS <= ISSUER_AGAIN_SECONDS < ISSUER_KEYS_SECONDS",
        "An issuer that does not answer is not asked again before that question is over.",
    ),
    (
        "AUDIT_COLLECT_SECONDS < AUDIT_POLL_SECONDS <= AUDIT_LEAD_SECONDS",
        "Events are looked for more often than a new relay.",
    ),
    (
        "AUDIT_DRAIN_SECONDS < KAFKA_SECONDS",
        "A relay that stops does not wait for a Kafka that is away; the events stay in the outbox.",
    ),
    (
        "DENIALS_FLUSH_SECONDS < DENIALS_WINDOW_SECONDS",
        "A window is written soon after it is over.",
    ),
    (
        "HOOK_CONNECT_SECONDS < HOOK_ANSWER_SECONDS",
        "A webhook that accepts no connection leaves time for another address of its name.",
    ),
    (
        "HOOK_ANSWER_SECONDS * 2 < HOOK_LEASE_SECONDS",
        "No message is sent again while its first attempt is in progress.",
    ),
    (
        "TICK_SECONDS < HOOK_RETRY_SECONDS",
        "A message is sent again when it is due.",
    ),
    (
        "HTTP_GRACE_SECONDS < HTTP_UNREAD_SECONDS",
        "A server that stops does not wait for a body that nobody reads.",
    ),
    (
        "RECOVERY_TIDY_SECONDS < UNFINISHED_SECONDS",
        "Recovery removes what it knows of first; the sweep removes the rest.",
    ),
)
"""What must hold between them, as an expression, and why."""

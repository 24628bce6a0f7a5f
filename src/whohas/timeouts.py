"""All timeouts and intervals between parts of whohas, in seconds, and the relations that must hold between them.

A value belongs here if another one depends on it. `RELATIONS` states which must be longer than which, and why; a unit
test evaluates each, and `docs/explanation` shows them. Values that follow from others are computed. Settings that users
can change (`settings.py`) have their defaults here.

Not here: `cli.serve.THREAD_SWITCH_SECONDS` (a slice of processor time), `execution.digest` (a pause within one loop),
and the timeouts of `whohas_client`, which also talks to other servers.
"""

from __future__ import annotations

from typing import Final

# The lease of a worker

LEASE_HEARTBEAT_SECONDS: Final = 0.5
"""Interval of a worker's heartbeats on PostgreSQL, where its lease on runs depends on them."""
LEASE_SQLITE_HEARTBEAT_SECONDS: Final = 10.0
"""Interval of heartbeats on SQLite. They only reveal a hung worker, and each is a commit that wakes the queue."""
LEASE_PATIENCE_SECONDS: Final = 6 * LEASE_HEARTBEAT_SECONDS
"""How long a worker may fail to write its heartbeat before it kills its child processes."""
LEASE_MARGIN_SECONDS: Final = 0.5
"""Allowance for killing the child processes and for the commit of a heartbeat."""
LEASE_EXPIRY_SECONDS: Final = LEASE_PATIENCE_SECONDS + LEASE_MARGIN_SECONDS
"""Age of a worker's last heartbeat at which its child processes have certainly ended, even if the worker is alive but
cut off from the database."""
LEASE_TAKEOVER_DELAY_SECONDS: Final = 4 * LEASE_HEARTBEAT_SECONDS
"""How long a worker that has (re)connected to the database waits before it takes over runs: after an outage the other
workers need time to renew their heartbeats."""
LEASE_CLI_TRUST_SECONDS: Final = 5.0
"""Maximum age of a worker's heartbeat for the command line to leave its run to that worker."""
LEASE_DEAD_SECONDS: Final = 2 * LEASE_SQLITE_HEARTBEAT_SECONDS
"""Age of the last heartbeat at which a worker is no longer counted as alive."""
LEASE_HUNG_SECONDS: Final = 30.0
"""Age of the last heartbeat at which a worker that still holds its lock counts as hung: its database session is
terminated, and it loses its runs."""
RECOVERY_POLL_SECONDS: Final = LEASE_HEARTBEAT_SECONDS
"""Interval of the search for dead workers."""
RECOVERY_TIDY_SECONDS: Final = 60.0
"""Interval of the search for files that lost attempts wrote after their run had ended."""
RECOVERY_STRAY_SECONDS: Final = 600.0
"""How long after the end of a run its folder is searched for such files."""

# Child processes, and the attempts at runs that they execute

CHILD_KEEPALIVE_SECONDS: Final = 1.0
"""Interval of the messages by which a worker shows its child processes that it is alive."""
CHILD_ORPHAN_SECONDS: Final = 15.0
"""A child process exits if it has received no such message for this long."""
CHILD_TERM_SECONDS: Final = 0.5
"""Time between SIGTERM and SIGKILL for a child process."""
ENGINE_STOP_SECONDS: Final = 0.8 * CHILD_TERM_SECONDS
"""How long a child process that is ended waits for another engine to confirm that it has stopped."""
CHILD_EXIT_CODE_SECONDS: Final = 5.0
"""How long to wait for the exit code of a child process that has ended."""
CHILD_MEMORY_SECONDS: Final = 10.0
"""A killed child process counts as out of memory if the kernel killed a process for lack of memory within this time
before its end."""
CHILD_FORK_SECONDS: Final = 600.0
"""How long to wait for a new child process. A low-priority process may have to load all libraries first, which took
more than two minutes on a machine with forty other busy processes."""
CHILD_SPARE_SECONDS: Final = 2.0
"""How long a child process that was forked before its run was queued waits for work before it is ended."""
ENGINE_PROGRESS_SECONDS: Final = 0.2
"""Interval at which the engine is asked for its progress."""
ATTEMPT_CANCEL_POLL_SECONDS: Final = 0.1
"""Interval at which the row of a run is checked for a cancel: a cancel takes effect within this time."""
ATTEMPT_PROGRESS_SECONDS: Final = 0.5
"""Interval at which progress is written to the row of a run."""
ATTEMPT_RETRY_SECONDS: Final = 0.25
"""Pause between two tries to write the result of an attempt to a database that fails."""
ATTEMPT_WRITE_SECONDS: Final = 60.0
"""How long to try to write the result of an attempt; afterwards recovery takes care of the run."""
ATTEMPT_STOPPING_SECONDS: Final = 2.0
"""The same while the worker shuts down."""
RENDER_POLL_SECONDS: Final = 1.0
"""Interval at which a child process that makes another format of an ended run is checked."""
RUN_SECONDS: Final = 6 * 3600
"""Maximum duration of one attempt (WHOHAS_RUN_SECONDS)."""

# The queue

QUEUE_POLL_SECONDS: Final = 1.0
"""Interval at which a worker polls for queued runs without a notification."""
QUEUE_COMMIT_POLL_SECONDS: Final = 0.02
"""Interval at which SQLite is checked for new commits while there are some."""
QUEUE_IDLE_POLL_SECONDS: Final = 0.1
"""The same after `QUEUE_QUIET_AFTER_SECONDS` without a commit, so that an idle server uses almost no processor time."""
QUEUE_QUIET_AFTER_SECONDS: Final = 1.0
"""Time without commits after which a database counts as quiet."""
START_RETRY_SECONDS: Final = 5
"""`Retry-After` for a start that was refused because too many runs are active or queued."""
LEFTOVERS_LOCK_SECONDS: Final = 2
"""How long to wait for the lock on the queue tables of an earlier version; then their removal is left to the next
start."""

# Shutting down, in this order

SIGNAL_POLL_SECONDS: Final = 1.0
"""Maximum length of one wait for a signal; a signal that arrives just before the wait is noticed after it."""
HTTP_GRACE_SECONDS: Final = 5
"""How long requests in progress may take to end."""
TASKS_STOP_SECONDS: Final = 10.0
"""How long periodic tasks may take to end."""
DRAIN_SECONDS: Final = 10
"""How long runs in progress may take to end (WHOHAS_DRAIN_SECONDS)."""
QUEUE_STOP_SECONDS: Final = 5.0
"""How long it may take to return stopped runs to the queue."""
AUDIT_DRAIN_SECONDS: Final = 3.0
"""How long a relay that stops waits for acknowledgements from Kafka."""

# The database

DATABASE_CONNECT_SECONDS: Final = 5
"""How long PostgreSQL may take to accept a connection."""
DATABASE_START_SECONDS: Final = 120
"""How long a server or worker that starts waits for PostgreSQL (WHOHAS_DATABASE_WAIT_SECONDS)."""
DATABASE_RETRY_SECONDS: Final = 1.0
"""Pause between two attempts of such a start to connect."""
DATABASE_RETRY_AFTER_SECONDS: Final = 5
"""`Retry-After` for requests that are refused while the server waits for PostgreSQL."""
DATABASE_IDLE_SECONDS: Final = 5
"""Silence on a connection after which TCP sends keepalive probes."""
DATABASE_PROBE_SECONDS: Final = 1
"""Interval of the keepalive probes."""
DATABASE_PROBES: Final = 5
"""Number of unanswered keepalive probes after which the connection is closed; a count, not seconds."""
DATABASE_PEER_GONE_SECONDS: Final = DATABASE_IDLE_SECONDS + DATABASE_PROBES * DATABASE_PROBE_SECONDS
"""Time after which either side notices that the other vanished without closing the connection."""
DATABASE_TRANSACTION_SECONDS: Final = 60
"""How long a transaction may be idle before PostgreSQL terminates it."""
SQLITE_BUSY_SECONDS: Final = 30
"""How long a SQLite transaction waits for the write lock."""
FILE_LOCK_POLL_SECONDS: Final = 0.05
"""Interval between tries to acquire a file lock with a time limit."""

# Object stores

STORE_CONNECT_SECONDS: Final = 5
"""How long one attempt to connect to an object store may take."""
STORE_REQUEST_SECONDS: Final = 30
"""How long one request to an object store may take; each part of a file is a separate request."""
STORE_RETRY_SECONDS: Final = 20
"""How long a failed request to an object store is repeated before the store counts as unreachable."""
STORE_SIGNATURE_SECONDS: Final = 60
"""How long the signature of a request that whohas sends to an object store itself is valid."""
SIGNED_ADDRESS_SECONDS: Final = 60
"""How long a signed address of a file is valid, with which a client downloads it from the object store itself."""

CACHE_IDLE_SECONDS: Final = 3600
"""How long a copy of a file of a warehouse in an object store is kept in any case after its last use, and what a killed
download left."""
ABANDONED_LOAD_SECONDS: Final = 2 * 24 * 3600
"""How long a load into an object store may take; after that it counts as killed, and its files are removed."""

# HTTP

HTTP_KEEP_ALIVE_SECONDS: Final = 65
"""How long an idle connection stays open."""
HTTP_HEAD_SECONDS: Final = 20
"""How long the headers of a request may take from their first byte on."""
HTTP_BODY_SECONDS: Final = 30
"""How long the body of a request may take, plus one second for each 4,096 bytes received."""
HTTP_STALLED_SECONDS: Final = 60
"""How long a client may read nothing of a response before the connection is closed."""
HTTP_LINGER_SECONDS: Final = 10
"""How long a closing connection may take to send the rest of a response."""
HTTP_HANDSHAKE_SECONDS: Final = 60
"""Limit of a TLS handshake. Set by asyncio, not by whohas."""
HTTP_MIN_IDLE_SECONDS: Final = 0.5
"""Minimum idle time before a connection may be closed to make room for others."""
HTTP_POLL_SECONDS: Final = 1.0
"""Interval at which connections, and the files of the certificate, are checked."""
HTTP_CONNECTIONS_LOG_SECONDS: Final = 10
"""Minimum interval between log lines about too many connections."""
HTTP_UNREAD_SECONDS: Final = 60
"""How long the rest of a request body is received and discarded before the connection is closed."""
HTTP_PROXY_IDLE_SECONDS: Final = 60
"""Idle timeout of common proxies and load balancers. Set by them, not by whohas."""
WATCH_POLL_SECONDS: Final = 0.25
"""Interval at which live updates (server-sent events) check for changes."""
WATCH_WAIT_SECONDS: Final = 1.0
"""Maximum wait of a stream before it checks whether its client is still connected, or the database is back."""
WATCH_LOOK_BACK_SECONDS: Final = 5.0
"""Each check includes runs that ended up to this long ago, because clocks of servers differ and commits may be late."""
WATCH_HEARTBEAT_SECONDS: Final = 15.0
"""Silence after which FastAPI sends a comment on a stream. Set by FastAPI, not by whohas."""
WATCH_TOKEN_CHECK_SECONDS: Final = 5.0
"""Interval at which the token of a stream is checked; a revoked permission takes effect within this time."""
WATCH_MAX_SECONDS: Final = 3600.0
"""Maximum duration of a stream; its client then reconnects."""
TRACES_SECONDS: Final = 5
"""How long the trace collector may take to accept a batch."""

# Tokens and keys

TOKEN_SECONDS: Final = 12 * 3600
"""How long an access token is valid (WHOHAS_TOKEN_LIFETIME)."""
CODE_SECONDS: Final = 60.0
"""How long the authorization code of a sign-in is valid."""
CONSOLE_SIGN_IN_SECONDS: Final = 600
"""How long a sign-in to the web console may take, from the first page to the return from the provider."""
CONSOLE_IDLE_SECONDS: Final = 3600
"""How long a session of the web console lasts without a request (WHOHAS_CONSOLE_IDLE_SECONDS)."""
CONSOLE_SESSION_SECONDS: Final = 12 * 3600
"""How long a session of the web console lasts at most (WHOHAS_CONSOLE_SESSION_SECONDS)."""
CONSOLE_NOTICE_SECONDS: Final = 60
"""How long a browser keeps the message for the page that follows a form."""
CONSOLE_SEEN_SECONDS: Final = 60
"""Minimum interval between two writes of when a session was last used."""
CONSOLE_LOOKUP_SECONDS: Final = 10.0
"""How long a page of the web console may read tables of the warehouse or of the search index."""
CONSOLE_LOOKUP_WAIT_SECONDS: Final = 5.0
"""How long a page waits while other pages read tables, before it answers that too many do."""
CONSOLE_INTERRUPT_SECONDS: Final = 0.1
"""Interval at which a page that reads for longer than that is interrupted until it stops."""
CONSOLE_PLAN_SECONDS: Final = 2.0
"""The processor time that the console's search page may take to plan a search (at most WHOHAS_SEARCH_PLAN_SECONDS)."""
CONSOLE_PREVIEW_WINDOW_SECONDS: Final = 60
"""The window in which a user gets a limited number of previews with hits, each of which is an audit event."""
KEYS_RELOAD_SECONDS: Final = 5.0
"""Interval at which the folder of signing keys is read again; a server learns of another's rotation within it."""
KEYS_UNKNOWN_RELOAD_SECONDS: Final = 0.2
"""The minimum interval when a token names an unknown key."""
ISSUER_KEYS_SECONDS: Final = 600
"""How long the keys of an external issuer (OpenID Connect) are cached."""
ISSUER_RETRY_SECONDS: Final = 5
"""Minimum interval between two requests for these keys."""
ISSUER_RESPONSE_SECONDS: Final = 5
"""How long the issuer may take to respond."""
ISSUER_LEEWAY_SECONDS: Final = 30
"""How far the issuer's clock may differ from ours."""
RATE_LIMIT_WINDOW_SECONDS: Final = 10
"""The window of the rate limit for a client's requests."""
LOGIN_THROTTLE_WINDOW_SECONDS: Final = 300
"""The window in which wrong secrets and passwords are counted."""

# The audit log

AUDIT_POLL_SECONDS: Final = 0.25
"""Interval at which the relay looks for new events in the outbox."""
AUDIT_LEADER_POLL_SECONDS: Final = 1.0
"""Interval at which other processes try to become the relay."""
AUDIT_KAFKA_RETRY_SECONDS: Final = 1.0
"""Pause after an error of Kafka."""
AUDIT_COLLECT_SECONDS: Final = 0.05
"""How long one step of the relay waits for acknowledgements from Kafka."""
AUDIT_FOLLOW_SECONDS: Final = 0.25
"""Interval at which `whohas audit list --follow` looks for new events."""
AUDIT_LOADS_SECONDS: Final = 10.0
"""Interval of the search for loads that ended before their audit event was written."""
KAFKA_SECONDS: Final = 10
"""How long Kafka may take for a batch before it is sent again."""
DENIALS_WINDOW_SECONDS: Final = 60.0
"""The window for denied requests of one caller or address: after the first few they are only counted."""
DENIALS_FLUSH_SECONDS: Final = 1.0
"""Interval at which the summaries of ended windows are written."""

# Webhooks, schedules, retention

HOOK_RESPONSE_SECONDS: Final = 20.0
"""How long a webhook may take in all, from the DNS lookup to the headers of its response."""
HOOK_CONNECT_SECONDS: Final = HOOK_RESPONSE_SECONDS / 2
"""How long one step of a delivery may take."""
HOOK_LEASE_SECONDS: Final = 120
"""Time after which a message that a worker claimed without recording a result is sent again."""
HOOK_RETRY_SECONDS: Final = 5.0
"""Time between the first and second attempt to deliver a message (WHOHAS_HOOK_RETRY_SECONDS)."""
TICK_SECONDS: Final = 1.0
"""Interval at which due schedules and webhook messages are looked for."""
SWEEP_SECONDS: Final = 3600
"""Interval of the sweeps that delete what retention no longer keeps (WHOHAS_SWEEP_SECONDS)."""
ORPHANED_FILE_SECONDS: Final = 3600.0
"""An orphaned file is removed only if it was not changed for this long: it may still be being written."""

PERMISSIONS_WAIT_SECONDS: Final = 1.0
"""How long a start waits for the check of all file permissions, which otherwise continues in the background. The home
folder itself is restricted before."""

# A clock that jumps

CLOCK_AHEAD_SECONDS: Final = 24 * 3600
"""A stored time further in the future than this was written by a wrong clock."""
CLOCK_DRIFT_SECONDS: Final = 1.0
"""Drift of the clock during a run that does not count as a jump."""
CLOCK_BACK_SECONDS: Final = 3600
"""If the clock is set back by up to this much, a schedule does not start again at times that it has started at
already; beyond, it does."""
CLOCK_CHECK_SECONDS: Final = 60.0
"""Interval of the search for schedules that would wait too long because the clock was set back."""
CLOCK_IDLE_GAP_SECONDS: Final = 30 * 24 * 3600
"""After this long without a run, a server that starts does not trust its clock at first."""

# The command line

CLI_POLL_SECONDS: Final = 0.1
"""Interval at which a command checks the run that it waits for."""
CLI_WATCH_SECONDS: Final = 0.25
"""Interval at which `whohas watch` reads the runs."""


RELATIONS: Final = (
    (
        "CLOCK_DRIFT_SECONDS < CLOCK_BACK_SECONDS < CLOCK_AHEAD_SECONDS < CLOCK_IDLE_GAP_SECONDS",
        "Setting a clock by the difference between two time zones does not count as a wrong clock.",
    ),
    (
        "TOKEN_SECONDS <= CLOCK_AHEAD_SECONDS",
        "After a clock was set back, tokens remain valid for at most a few times their lifetime.",
    ),
    (
        "LEASE_HEARTBEAT_SECONDS * 6 == LEASE_PATIENCE_SECONDS",
        "Heartbeats may fail while PostgreSQL restarts; after six failures in a row the worker gives up.",
    ),
    (
        "LEASE_PATIENCE_SECONDS < LEASE_EXPIRY_SECONDS",
        "A worker ends its children before another one takes its runs.",
    ),
    (
        "ATTEMPT_CANCEL_POLL_SECONDS < LEASE_MARGIN_SECONDS",
        "A worker checks its lease, and its children end at SIGTERM, within the time that other workers allow for it.",
    ),
    (
        "LEASE_HEARTBEAT_SECONDS < LEASE_TAKEOVER_DELAY_SECONDS",
        "After an outage, each worker has acquired its lock again before any worker is declared dead.",
    ),
    (
        "LEASE_EXPIRY_SECONDS < LEASE_CLI_TRUST_SECONDS",
        "The command line leaves its run to a worker that may still hold its lease, and does not start a second one.",
    ),
    (
        "LEASE_CLI_TRUST_SECONDS < LEASE_HUNG_SECONDS",
        "A worker without heartbeats gets no new runs some time before it loses those that it has.",
    ),
    (
        "RECOVERY_POLL_SECONDS <= LEASE_HEARTBEAT_SECONDS",
        "Workers look for dead workers at least as often as heartbeats are written.",
    ),
    (
        "CHILD_KEEPALIVE_SECONDS + max(ATTEMPT_CANCEL_POLL_SECONDS, RENDER_POLL_SECONDS) < CHILD_ORPHAN_SECONDS / 5",
        "On a busy machine, several messages from the worker may be late before its child process exits.",
    ),
    (
        "CHILD_EXIT_CODE_SECONDS + RENDER_POLL_SECONDS < CHILD_MEMORY_SECONDS",
        "When the exit code of a killed child is known, the kernel's count of kills from before is still available.",
    ),
    (
        "CHILD_ORPHAN_SECONDS < LEASE_HUNG_SECONDS",
        "The children of a worker that hangs have ended before another worker takes its runs.",
    ),
    (
        "DATABASE_RETRY_SECONDS + DATABASE_CONNECT_SECONDS < DATABASE_START_SECONDS / 10",
        "A server that starts tries PostgreSQL several times before it gives up.",
    ),
    (
        "DATABASE_PEER_GONE_SECONDS < CHILD_ORPHAN_SECONDS",
        "A worker that waits for a lost connection to the database does not count as hung.",
    ),
    (
        "DATABASE_PEER_GONE_SECONDS < LEASE_HUNG_SECONDS",
        "TCP detects that a machine has disappeared before its worker counts as hung.",
    ),
    (
        "CHILD_ORPHAN_SECONDS + LEASE_HUNG_SECONDS < RECOVERY_STRAY_SECONDS",
        "Files that a lost attempt writes late are still found.",
    ),
    (
        "RECOVERY_TIDY_SECONDS * 5 < RECOVERY_STRAY_SECONDS",
        "The folder of a run is searched several times.",
    ),
    (
        "LEASE_SQLITE_HEARTBEAT_SECONDS * 2 == LEASE_DEAD_SECONDS",
        "On SQLite, a worker may miss one heartbeat and still counts as alive.",
    ),
    (
        "LEASE_CLI_TRUST_SECONDS < LEASE_DEAD_SECONDS < LEASE_HUNG_SECONDS",
        "A worker without heartbeats is reported before it loses its runs.",
    ),
    (
        "ATTEMPT_CANCEL_POLL_SECONDS <= ENGINE_PROGRESS_SECONDS < ATTEMPT_PROGRESS_SECONDS",
        "Each progress that is written is a new value, and a cancel is noticed before it.",
    ),
    (
        "ATTEMPT_RETRY_SECONDS < ATTEMPT_STOPPING_SECONDS < ATTEMPT_WRITE_SECONDS",
        "Writing the result of an attempt is tried several times, but for less time while the worker shuts down.",
    ),
    (
        "ATTEMPT_CANCEL_POLL_SECONDS + CHILD_TERM_SECONDS + ATTEMPT_STOPPING_SECONDS + ATTEMPT_RETRY_SECONDS < "
        "QUEUE_STOP_SECONDS",
        "A worker that shuts down waits until its runs are back in the queue.",
    ),
    (
        "ENGINE_STOP_SECONDS < CHILD_TERM_SECONDS",
        "A child that is ended stops its engine before SIGKILL comes.",
    ),
    (
        "HTTP_GRACE_SECONDS + TASKS_STOP_SECONDS + DRAIN_SECONDS + QUEUE_STOP_SECONDS + AUDIT_DRAIN_SECONDS < 90",
        "A server stops by itself before systemd kills it (TimeoutStopSec). Kubernetes waits 30 seconds: "
        "raise terminationGracePeriodSeconds to 45.",
    ),
    (
        "QUEUE_COMMIT_POLL_SECONDS < QUEUE_IDLE_POLL_SECONDS < QUEUE_POLL_SECONDS",
        "Commits are noticed sooner than by the regular poll, which finds runs whose notification was lost.",
    ),
    (
        "STORE_CONNECT_SECONDS < STORE_RETRY_SECONDS < STORE_REQUEST_SECONDS",
        "An object store that does not answer is tried several times, but for less time than a slow request may take.",
    ),
    (
        "HTTP_PROXY_IDLE_SECONDS < HTTP_KEEP_ALIVE_SECONDS",
        "The proxy closes an idle connection before the server does; otherwise its next request would fail.",
    ),
    (
        "HTTP_POLL_SECONDS < HTTP_LINGER_SECONDS < HTTP_HEAD_SECONDS < HTTP_BODY_SECONDS",
        "Connections are checked several times before one of their limits ends.",
    ),
    (
        "WATCH_HEARTBEAT_SECONDS < HTTP_STALLED_SECONDS",
        "If a client disappears, comments that it does not read accumulate, and its stream is closed.",
    ),
    (
        "WATCH_HEARTBEAT_SECONDS * 2 < HTTP_PROXY_IDLE_SECONDS",
        "No proxy closes a stream that has no events.",
    ),
    (
        "WATCH_POLL_SECONDS < WATCH_WAIT_SECONDS < WATCH_HEARTBEAT_SECONDS",
        "A stream checks its client several times before it sends a comment.",
    ),
    (
        "WATCH_WAIT_SECONDS < WATCH_LOOK_BACK_SECONDS",
        "No end of a run is missed between two checks.",
    ),
    (
        "WATCH_WAIT_SECONDS < WATCH_TOKEN_CHECK_SECONDS < WATCH_MAX_SECONDS",
        "The token of a stream is checked every few seconds during the stream.",
    ),
    (
        "CODE_SECONDS < CONSOLE_SIGN_IN_SECONDS < CONSOLE_IDLE_SECONDS <= CONSOLE_SESSION_SECONDS",
        "A user has time to enter the password, and a session ends in any case.",
    ),
    (
        "CONSOLE_SEEN_SECONDS * 10 <= CONSOLE_IDLE_SECONDS",
        "The stored time of the last request is precise enough to show whether a session is idle.",
    ),
    (
        "CONSOLE_PLAN_SECONDS < CONSOLE_LOOKUP_WAIT_SECONDS <= CONSOLE_LOOKUP_SECONDS",
        "A page waits for others that plan a search, but not longer than it may read itself.",
    ),
    (
        "KEYS_UNKNOWN_RELOAD_SECONDS < KEYS_RELOAD_SECONDS",
        "A new key of another server is accepted at once, and a key that it removed is rejected soon.",
    ),
    (
        "ISSUER_RESPONSE_SECONDS <= ISSUER_RETRY_SECONDS < ISSUER_KEYS_SECONDS",
        "An issuer that does not answer gets no second request while the first is in progress.",
    ),
    (
        "AUDIT_COLLECT_SECONDS < AUDIT_POLL_SECONDS <= AUDIT_LEADER_POLL_SECONDS",
        "The relay looks for events at least as often as other processes try to become the relay.",
    ),
    (
        "AUDIT_DRAIN_SECONDS < KAFKA_SECONDS",
        "A relay that stops does not wait for an unreachable Kafka; the events stay in the outbox.",
    ),
    (
        "DENIALS_FLUSH_SECONDS < DENIALS_WINDOW_SECONDS",
        "The summary of a window is written soon after its end.",
    ),
    (
        "HOOK_CONNECT_SECONDS < HOOK_RESPONSE_SECONDS",
        "If one address of a webhook accepts no connection, there is time to try another address of the same name.",
    ),
    (
        "HOOK_RESPONSE_SECONDS * 2 < HOOK_LEASE_SECONDS",
        "No message is sent again while its first attempt is in progress.",
    ),
    (
        "TICK_SECONDS < HOOK_RETRY_SECONDS",
        "A message is sent again when it is due.",
    ),
    (
        "HTTP_GRACE_SECONDS < HTTP_UNREAD_SECONDS",
        "A server that stops does not wait for request bodies that it discards.",
    ),
    (
        "RECOVERY_TIDY_SECONDS < ORPHANED_FILE_SECONDS",
        "Recovery removes late files that it knows of first; the sweep removes the rest.",
    ),
)
"""The relations that must hold, each as a Python expression and the reason."""

"""The HTTP API as a FastAPI application: the published API, OAuth, schedules, live updates, health and metrics.

A request passes these middlewares and dependencies, from the outermost to the innermost::

    framing           closes the connection after a request with both Transfer-Encoding and Content-Length
    request_id        assigns the tracking id, sets security headers, logs one line for each request
    tracing           records a span, if tracing is configured
    metrics           counts the request by its route, for /metrics
    denied_requests   writes an audit event for each 401 and 403
    drain_body        reads the rest of a body that the application did not read, so that the client gets the response
    CORS              if `cors_origins` is set
    exceptions        maps exceptions to error responses
    normalize_path    normalizes paths: `//oauth/token` and `/oauth/token/` become `/oauth/token`
    console           passes requests below `/console` to the web console (`whohas.console`), if it is on
    authentication    authenticates the caller; without a token every path but the public ones is a 401
    rate_limit        the rate limit of the client, if `rate_limit` is not 0
    content_coding    refuses request bodies with a Content-Encoding
    body_size         refuses bodies longer than `max_body_bytes`
    result_fast_path  answers a plain `GET .../result` without the routing below
    authorize         authorizes the caller for the route
    routes            reports, tasks, schedules, live updates, statements, OAuth, health, metrics

Middlewares are in `whohas.api.middleware`, one a module; routes are in `whohas.api.routes`, one module a subject.
"""

"""The HTTP API as a FastAPI application: the published API, OAuth, schedules, live updates, health and metrics.

A request passes these middlewares and dependencies, from the outermost to the innermost::

    Framing      closes the connection after a request with both Transfer-Encoding and Content-Length
    Tracking     assigns the tracking id, sets security headers, logs one line for each request
    Traced       records a span, if tracing is configured
    Counted      counts the request by its route, for /metrics
    Denied       writes an audit event for each 401 and 403
    UnreadBody   reads the rest of a body that the application did not read, so that the client gets the response
    CORS         if `cors_origins` is set
    Refusals     maps exceptions to error responses
    Slashes      normalizes paths: `//oauth/token` and `/oauth/token/` become `/oauth/token`
    Guard        authenticates the caller; without a token every path but the public ones is a 401
    Limited      the rate limit of the client, if `rate_limit` is not 0
    Codings      refuses request bodies with a Content-Encoding
    BodyLimit    refuses bodies longer than `max_body_bytes`
    Polls        answers a plain `GET .../result` without the routing below
    allowed      authorizes the caller for the route
    routes       reports, tasks, schedules, live updates, statements, OAuth, health, metrics
"""

"""The HTTP door: the published API, signing in and health, as a FastAPI application.

A request passes, from the outside in::

    Tracking     gives it its tracking id, logs one line when it is answered
    Traced       makes a span of it where traces are wanted
    Counted      counts it by its route, for /metrics
    UnreadBody   takes the rest of a body that nobody read, so that the caller gets the answer
    CORS         where `cors_origins` is set
    Refusals     turns whatever is raised below into the contract's bodies
    Slashes      `//oauth/token` and `/oauth/token/` are `/oauth/token`
    Guard        no token, no answer: unknown paths too
    Limited      no more calls than `rate_limit`
    Codings      no body in a content coding
    BodyLimit    no more than `max_body_bytes`
    allowed      what the table of access says of the route and the caller
    routes       reports, token, signing in, about
"""

"""The routes of the HTTP API, one module a subject; each has an `APIRouter` named `router`."""

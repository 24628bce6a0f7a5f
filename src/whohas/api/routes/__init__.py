"""The routes of the HTTP API, one module a subject; each has a function that returns an `APIRouter`."""

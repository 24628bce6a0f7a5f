"""The ASGI middlewares that every request passes, one a module; `whohas.api` lists their order.

None buffers a body or a file.
"""

"""Names and texts as SQL takes them."""


def quote(name: str) -> str:
    """An identifier, quoted."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text, quoted, for the places that take no parameter: file names, keys of a map."""
    return "'" + text.replace("'", "''") + "'"


def listed(text: str) -> str:
    """The SQL of a text as a list of one, and of a null as a null."""
    return f"CASE WHEN {text} IS NOT NULL THEN [{text}] END"

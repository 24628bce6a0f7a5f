"""Text from outside, on a terminal."""


def plain(text: str) -> str:
    """A text without what a terminal would obey; its line breaks stay."""
    return "".join(c if c.isprintable() or c == "\n" else " " for c in text)

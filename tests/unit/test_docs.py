"""The reference pages say what the code does."""

from __future__ import annotations

import pytest
from docs.generate import REFERENCE, pages


@pytest.mark.parametrize("name", sorted(pages()))
def test_a_reference_page_is_what_the_code_says(name: str) -> None:
    assert (REFERENCE / name).read_text() == pages()[name], "run `make docs`"

"""The page on the life of a run shows the ways that the code has."""

from __future__ import annotations

from docs.generate import LIFECYCLE, STATES, lifecycle
from docs.interfaces import states


def test_the_life_of_a_run_is_drawn_from_the_code() -> None:
    assert LIFECYCLE.read_text() == lifecycle(), "run `make docs`"


def test_the_picture_of_the_states_is_drawn_from_the_code() -> None:
    assert STATES.read_text() == states(), "run `make docs`"

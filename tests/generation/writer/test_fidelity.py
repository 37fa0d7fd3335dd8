"""True words, false statement: what a line must not do to the exact parts of its plan line."""

from __future__ import annotations

import pytest

from generation.writer import fidelity

KNOWN = {"count": "8", "time": "7pm", "day": "9 May", "price": "£45"}
TASTING = "a tasting of {{count}} wines on {{day}} at {{time}}, in the cellar"


@pytest.mark.parametrize(
    ("spoken", "text", "misplaced"),
    [
        (TASTING, "On {{day}} at {{time}} we taste {{count}} wines in the cellar.", 0),
        (TASTING, "The tasting takes {{count}} wines on {{time}}.", 1),
        (TASTING, "The wines are {{count}} on {{day}}.", 1),  # eight what?
        (TASTING, "{{count}} good wines, {{day}}", 0),  # a title may leave "on" out
        ("service from {{price}}", "A service is {{price}}.", 1),
        ("service from {{price}}", "Service from {{price}}", 0),
        ("places by {{day}}", "Places before {{day}}", 0),
        ("a seat is {{price}}", "Seats from {{price}}", 1),
        ("reply by {{day}}", "Please reply by {{day}}.", 0),
        ("reply by {{day}}", "We reply by {{day}}.", 1),
        ("we ring with a price", "We ring with a price first.", 0),
        ("collection by insured courier", "Uninsured courier included", 1),
        ("a cup comes with the spring parcel", "The spring parcel comes with the spring parcel.", 1),
    ],
)
def test_values_keep_their_role(spoken: str, text: str, misplaced: int) -> None:
    assert fidelity.misplaced(spoken, text, KNOWN) == misplaced

"""Bodies that would break something further in are refused at the door with a sentence."""

from __future__ import annotations

import io
import json

import pytest
from django.core.exceptions import RequestDataTooBig
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.exceptions import ParseError

from personalize.core.parsing import MAX_DEPTH, StrictJSONParser


def parse(raw: bytes):
    return StrictJSONParser().parse(io.BytesIO(raw))


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "not JSON"),
        (b"{", "line 1"),
        (b"\xff", "UTF-8"),
        ('"\ufeff'.encode("utf-16"), "UTF-8"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b"[Infinity]", "Infinity"),
        (b"[1e999]", "too large"),
        (b"[" + b"9" * 5000 + b"]", "too long"),
        (b"[9223372036854775808]", "64 bits"),
        (b'{"a": 1, "a": 2}', "twice"),
        (b'["\\u0000"]', "U\\+0000"),
        (b'{"\\u0000": 1}', "U\\+0000"),
        (b'["\\ud800"]', "surrogate"),
        (b"[" * (MAX_DEPTH + 2) + b"]" * (MAX_DEPTH + 2), "nested deeper"),
        (b"[" * 200_000, "nested deeper"),
        (b'{"a":' * 200_000, "nested deeper"),
    ],
)
def test_unusable_bodies_are_refused(raw, words):
    with pytest.raises(ParseError, match=words):
        parse(raw)


def test_size_is_limited_without_reading_more(settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    stream = io.BytesIO(b'"' + b"x" * 10_000 + b'"')

    with pytest.raises(RequestDataTooBig):
        StrictJSONParser().parse(stream)
    assert stream.tell() == 101


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**63 - 1)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])),
                inner,
                max_size=4,
            )
        ),
        max_leaves=20,
    )
)
def test_ordinary_json_is_read_as_it_is(value):
    assert parse(json.dumps(value).encode()) == value
    assert parse(json.dumps(value, ensure_ascii=False).encode()) == value

"""What may be written down of an input."""

from active_learning.core.redaction import fields_among, redacted

KEY = b"k"
DATA = {"text": "Hello", "user": {"mail": "a@b.c", "age": 7}, "orders": [{"mail": "d@e.f", "n": 1}, [{"mail": "g"}], 3]}


def test_named_fields_are_not_kept_as_they_come_wherever_they_stand():
    kept = redacted(DATA, {"user.mail": "never", "orders.mail": "mask", "text": "hash"}, KEY)
    assert kept["text"].startswith("hash:") and kept["text"] != redacted(DATA, {"text": "hash"}, b"l")["text"]
    assert kept["user"] == {"age": 7}
    assert kept["orders"] == [{"mail": "masked:5", "n": 1}, [{"mail": "masked:1"}], 3]
    assert redacted(DATA, {}, KEY) == redacted(DATA, {"orders.nothing": "never"}, KEY) == DATA


def test_fields_of_which_something_is_learned():
    fields = {"user": "never", "user.mail": "mask", "orders.mail": "hash", "id": "hash"}
    assert set(fields_among(fields, {"user.age", "text"})) == {"user"}
    assert set(fields_among(fields, {"orders"})) == {"orders.mail"}
    assert fields_among(fields, {"userx", "text"}) == {}
    assert fields_among(fields, None) == fields, "nobody knows yet"

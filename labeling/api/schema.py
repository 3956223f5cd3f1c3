"""What the OpenAPI document says of every operation: beside its answers, how it refuses."""

from typing import Any, Literal

from drf_spectacular.openapi import AutoSchema
from rest_framework import serializers


class ErrorDetail(serializers.Serializer):
    code = serializers.CharField(help_text="for programs; it stays as it is")
    message = serializers.CharField(help_text="for people: what is wrong and what to do")
    fields = serializers.DictField(child=serializers.CharField(), help_text="words about single fields, by their path")


class ErrorOutput(serializers.Serializer):
    error = ErrorDetail()


_ANYWHERE = {
    "400": "cannot be read",
    "401": "no key, or one that is unknown, revoked or expired",
    "403": "the key lacks the scope, or its person the role",
    "429": "too many requests this minute; Retry-After says when to go on",
    "503": "the database or something else is away for the moment",
}
_OF_AN_OBJECT = {"404": "no such object, or not yours"}
_OF_A_BODY = {
    "409": "it contradicts what is there",
    "413": "too large",
    "415": "not a kind of body that is read here",
}
_OF_VALUES = {"422": "read, and not valid: `fields` says where"}


class RefusingSchema(AutoSchema):
    """Adds the refusals that an operation does not describe itself."""

    def _get_response_bodies(self, direction: Literal["request", "response"] = "response") -> dict[str, Any]:
        found: dict[str, Any] = super()._get_response_bodies(direction)
        refusals = _ANYWHERE | _OF_VALUES
        if "{" in self.path:
            refusals = refusals | _OF_AN_OBJECT
        if self.method != "GET":
            refusals = refusals | _OF_A_BODY
        for status, words in refusals.items():
            if status not in found:
                found[status] = self._get_response_for_code(ErrorOutput, status) | {"description": words}
        return dict(sorted(found.items()))

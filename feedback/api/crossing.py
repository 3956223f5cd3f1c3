"""Endpoints that pages of other origins call: with a publishable key, without any cookie's authority."""

import json
from typing import Any

from django.utils.cache import patch_vary_headers
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from feedback.core.errors import TooMany, UnknownKey
from feedback.core.origins import is_allowed
from feedback.models import WidgetKey
from feedback.services.claims import count_request
from feedback.services.keys import is_listed, key_for
from labeling.core.errors import Invalid, TooLarge

PREFLIGHT_SECONDS = 7_200


class SmallJSONParser(JSONParser):
    """JSON of at most `max_body` bytes, as the view says."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        most = parser_context["view"].max_body
        body = stream.read(most + 1)
        if len(body) > most:
            raise TooLarge(f"The body is larger than {most // 1_000} kB.")
        return _parsed(body)


class BeaconParser(SmallJSONParser):
    """The same, sent as text: a beacon that says JSON would be asked for its permission first."""

    media_type = "text/plain"


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body.decode())
    except (ValueError, RecursionError):
        raise ParseError("The body is not JSON in UTF-8.") from None


class CrossOriginView(APIView):
    """Knows who calls by `key` in the body. The answer may be read by pages that the key lists, and by no others."""

    authentication_classes: Any = []
    permission_classes: Any = []
    throttle_classes: Any = []
    parser_classes: Any = [SmallJSONParser]
    max_body = 8_000
    door = ""

    _key: WidgetKey | None = None

    def key_of(self, request: Request) -> WidgetKey:
        """The key of the request, counted. Raises UnknownKey, Forbidden or TooMany."""
        body = request.data
        if not isinstance(body, dict):
            raise Invalid("Send an object.", fields={"": "not an object"})
        # Remembered before its origins are checked: no page that is not listed may read why it was refused.
        self._key = key_for(text=body.get("key"))
        key = key_for(text=body.get("key"), origin=request.headers.get("Origin", ""))
        count_request(door=self.door, key=key, address=self.address(request))
        return key

    def address(self, request: Request) -> str:
        return str(BaseThrottle().get_ident(request))

    def options(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """A preflight carries no key: it is answered for pages that any key lists."""
        response = Response(status=204)
        if is_listed(origin=request.headers.get("Origin", "")):
            response["Access-Control-Allow-Methods"] = "POST"
            response["Access-Control-Allow-Headers"] = "Content-Type"
            response["Access-Control-Max-Age"] = str(PREFLIGHT_SECONDS)
        return response

    def handle_exception(self, exc: Exception) -> Response:
        response: Response = super().handle_exception(exc)
        if isinstance(exc, TooMany):
            response["Retry-After"] = str(int(exc.wait) + 1)
        if isinstance(exc, UnknownKey):
            response["WWW-Authenticate"] = UnknownKey.challenge
        return response

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        patch_vary_headers(response, ["Origin"])
        origin = request.headers.get("Origin", "")
        if origin and (is_allowed(origin, self._key.origins) if self._key else is_listed(origin=origin)):
            response["Access-Control-Allow-Origin"] = origin
            response["Access-Control-Expose-Headers"] = "Retry-After"
        return response

import io
import os
from collections.abc import Callable, Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application

from config.supervisor import die_with_parent

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

if os.environ.get("TOUCHSTONE_SUPERVISED"):
    die_with_parent()  # a web process outliving its killed parent would keep the port

WsgiApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class _Body(io.RawIOBase):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def with_whole_lines(application: WsgiApplication) -> WsgiApplication:
    """The application with request bodies that can be read by line to their end.

    granian 2.8.7 ends after the first line (`readline` and iteration; `read` is right), which would silently drop all
    other rows of a body in NDJSON. Other servers' bodies are left as they are.
    """

    def call(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = environ["wsgi.input"]
        if type(body).__name__ == "WSGIBody":
            environ["wsgi.input"] = io.BufferedReader(_Body(body), 65_536)
        return application(environ, start_response)

    return call


application = with_whole_lines(get_wsgi_application())

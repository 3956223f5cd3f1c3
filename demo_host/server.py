"""Inkwell, the product of somebody who uses Touchstone: a small writing aid on an origin of its own.

`manage.py serve` starts it where the demo project is. It knows Touchstone as any product does: it asks the HTTP API for
predictions with a key that stays on the server, vouches for its visitors, and puts the widget beside each suggestion.
It imports the standard library alone, and what its visitors wrote lives in its memory until it ends.
"""

import hashlib
import hmac
import http.client
import http.server
import json
import re
import secrets
import socket
import sys
import threading
import urllib.parse
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from html import escape
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from string import Template
from typing import Any

HERE = Path(__file__).resolve().parent
FILES = {"/page.css": "text/css", "/page.js": "text/javascript", "/inkwell.svg": "image/svg+xml"}
LOOPBACK = ("localhost", "127.0.0.1")
MAX_BODY = 8_000
MAX_LINE = 280
LINES_EACH = 6
VISITORS = 200
# Seconds: the first prediction after the start loads the model.
PATIENCE = 30
VISITOR, QUIET = "inkwell_visitor", "inkwell_quiet"
EXAMPLES = (
    "I love how much faster the new update is, thank you!",
    "Great. Another Monday.",
    "Not good, but my friends made me laugh.",
)
# So many passages are marked and told, for the answer and against it.
MARKED, AGAINST = 3, 2
DEPTHS = {"strongly": 3, "somewhat": 2}
# How sure the model is, on the scale that its bands are set on, and what such an answer begins with.
LEADS = (
    (0.9, "high", "This sounds {tone}."),
    (0.5, "middle", "I might be wrong, but this sounds {tone}."),
    (0.0, "low", "Hard to say. My best guess is {tone}, and it may not fit."),
)


class Refused(Exception):
    """What cannot be done, in words for the visitor."""

    def __init__(self, status: HTTPStatus, words: str) -> None:
        super().__init__(words)
        self.status = status


@dataclass(frozen=True)
class Touchstone:
    """Where Touchstone is, and the keys that it gave to this product.

    `scripts` are widget and signals: {name: {file, integrity}}.
    """

    address: str
    project: str
    project_name: str
    api_key: str
    widget_key: str
    widget_secret: str
    scripts: dict[str, dict[str, str]]

    def predict(self, text: str, visitor: str) -> dict[str, Any]:
        """What the model says of a line, for this visitor alone to rate. Raises Refused when it cannot be asked."""
        found: dict[str, Any] = self._ask("predict", {"items": [{"text": text}], "subject": visitor})["predictions"][0]
        return found

    def explain(self, text: str, model: int | None) -> dict[str, Any] | None:
        """What that model's answer to a line hangs on; None where nobody can tell: it then stands without reasons."""
        if model is None:
            return None
        try:
            told = self._ask("explain", {"items": [{"text": text}], "version": model, "more": True})
        except Refused:
            return None
        found: dict[str, Any] = told["explanations"][0]["more"]
        return found

    def _ask(self, what: str, body: dict[str, Any]) -> dict[str, Any]:
        where = urllib.parse.urlsplit(self.address)
        line = http.client.HTTPConnection(where.hostname or "", where.port, timeout=PATIENCE)
        try:
            line.request(
                "POST",
                f"/api/v1/projects/{self.project}/{what}/",
                body=json.dumps(body),
                headers={"Authorization": f"Bearer {self.api_key}", "Content-Type": "application/json"},
            )
            answer = line.getresponse()
            said: dict[str, Any] = json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError):
            raise Refused(HTTPStatus.BAD_GATEWAY, "Touchstone does not answer now. Try again in a moment.") from None
        finally:
            line.close()
        if answer.status != HTTPStatus.OK:
            raise Refused(HTTPStatus.BAD_GATEWAY, f"Touchstone says: {said['error']['message']}")
        return said

    def signature_of(self, visitor: str) -> str:
        """Vouches for a visitor: their verdicts then count as those of a known person."""
        return hmac.new(self.widget_secret.encode(), visitor.encode(), hashlib.sha256).hexdigest()

    def feedback_page(self, seen: str) -> str:
        return f"{seen}/projects/{self.project}/feedback/"

    def seen_from(self, host: str) -> str:
        """Its address for a browser that calls this machine `host`, so that it is logged in there as before."""
        where = urllib.parse.urlsplit(self.address)
        return f"{where.scheme}://{host}:{where.port}" if where.hostname in LOOPBACK else self.address


@dataclass(frozen=True)
class Line:
    """A line that a visitor wrote, with what the model said of it, and what that hangs on where somebody can tell."""

    text: str
    said: dict[str, Any]
    more: dict[str, Any] | None
    at: datetime

    @property
    def id(self) -> str:
        return str(self.said["id"])

    @property
    def tone(self) -> str:
        return str(self.said["value"])

    def passages(self, direction: str, most: int) -> list[dict[str, Any]]:
        """The heaviest that speak for the answer or against it, and surely mean something."""
        found = self.more["passages"] if self.more else []
        telling = [one for one in found if one["direction"] == direction and one["strength"] in DEPTHS]
        return sorted(telling, key=lambda one: -abs(one["log_odds"]))[:most]


@dataclass
class Lines:
    """The last lines of the last visitors."""

    _of: OrderedDict[str, list[Line]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, visitor: str, line: Line) -> None:
        with self._lock:
            self._of[visitor] = [line, *self._of.pop(visitor, [])][:LINES_EACH]
            while len(self._of) > VISITORS:
                self._of.popitem(last=False)

    def of(self, visitor: str) -> list[Line]:
        with self._lock:
            return list(self._of.get(visitor, ()))


class Handler(http.server.BaseHTTPRequestHandler):
    """One request of a visitor."""

    server: "Inkwell"
    server_version = "Inkwell"
    sys_version = ""
    timeout = 60

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        pass  # what somebody writes is nobody's business; failures are said on the page

    def _answer(self, act: Any) -> None:
        try:
            # Another name could be somebody's page that points here, to use the key of this server.
            if self._host not in LOOPBACK:
                raise Refused(HTTPStatus.BAD_REQUEST, "Open this page as localhost.")
            act()
        except Refused as refused:
            self._page(notice=str(refused), status=refused.status)
        except ConnectionError:
            pass  # the visitor has left

    @cached_property
    def _host(self) -> str:
        return self.headers.get("Host", "").rpartition(":")[0]

    @cached_property
    def _cookies(self) -> SimpleCookie:
        try:
            return SimpleCookie(self.headers.get("Cookie", ""))
        except CookieError:
            return SimpleCookie()

    @cached_property
    def _visitor(self) -> str:
        """The id by which this product knows its visitor; a new one for whoever comes first. Stands for a log-in."""
        known = self._cookies.get(VISITOR)
        if known is not None and re.fullmatch(r"visitor-[0-9a-f]{16}", known.value):
            return known.value
        return f"visitor-{secrets.token_hex(8)}"

    @property
    def _is_quiet(self) -> bool:
        return QUIET in self._cookies or self._asks_for_quiet

    @property
    def _asks_for_quiet(self) -> bool:
        """Whether the browser asks not to be watched, on whatever page: by Global Privacy Control or Do Not Track."""
        return "1" in (self.headers.get("Sec-GPC"), self.headers.get("DNT"))

    def _get(self) -> None:
        where = urllib.parse.urlsplit(self.path)
        if where.path in FILES:
            self._send(FILES[where.path], (HERE / where.path[1:]).read_bytes())
        elif where.path == "/healthz":
            self._send("text/plain", b"ok")
        elif where.path != "/":
            raise Refused(HTTPStatus.NOT_FOUND, "There is no such page. Write a line instead.")
        else:
            self._page(asked=urllib.parse.parse_qs(where.query).get("line", [""])[0])

    def _post(self) -> None:
        fields = self._fields()
        path = urllib.parse.urlsplit(self.path).path
        if path == "/signals":
            self._go(self._back(fields), quiet=fields.get("quiet") == "yes")
        elif path == "/":
            self._ask(fields.get("example") or fields.get("text", ""))
        else:
            raise Refused(HTTPStatus.NOT_FOUND, "There is no such page. Write a line instead.")

    def _ask(self, text: str) -> None:
        text = " ".join(text.split())
        try:
            if not text:
                raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, "Write a line first.")
            if len(text) > MAX_LINE:
                words = f"A line has at most {MAX_LINE} characters; this one has {len(text)}."
                raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, words)
            said = self.server.touchstone.predict(text, self._visitor)
            line = Line(text, said, self.server.touchstone.explain(text, said["model"]), datetime.now(UTC))
        except Refused as refused:
            self._page(notice=str(refused), status=refused.status, text=text)
            return
        self.server.lines.add(self._visitor, line)
        self._go(f"/?line={line.id}")

    def _fields(self) -> dict[str, str]:
        """What the form says. Raises Refused for one of another page, and for what is no form."""
        origin = self.headers.get("Origin", "")
        length = self.headers.get("Content-Length", "")
        if origin and origin != f"http://{self.headers.get('Host')}":
            raise Refused(HTTPStatus.FORBIDDEN, "This form came from another page.")
        if not length.isdecimal() or int(length) > MAX_BODY:
            self.close_connection = True
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "That is more than a line.")
        body = self.rfile.read(int(length)).decode(errors="replace")
        return {name: values[0] for name, values in urllib.parse.parse_qs(body).items()}

    def _back(self, fields: dict[str, str]) -> str:
        asked = fields.get("line", "")
        return f"/?line={asked}" if re.fullmatch(r"[0-9a-f-]{36}", asked) else "/"

    def _page(self, *, notice: str = "", status: HTTPStatus = HTTPStatus.OK, asked: str = "", text: str = "") -> None:
        lines = self.server.lines.of(self._visitor)
        line = next((one for one in lines if one.id == asked), None)
        if asked and line is None and not notice:
            notice, status = "This line is not kept any more: Inkwell forgets when it stops.", HTTPStatus.NOT_FOUND
        touchstone = self.server.touchstone
        seen = touchstone.seen_from(self._host) if self._host in LOOPBACK else touchstone.address
        page = drawn(
            touchstone,
            seen=seen,
            visitor=self._visitor,
            lines=lines,
            line=line,
            text=text,
            notice=notice,
            is_quiet=self._is_quiet,
            switch=switch(line, is_quiet=self._is_quiet, is_asked_for=self._asks_for_quiet) if line else "",
        )
        policy = (
            f"default-src 'none'; script-src 'self' {seen}; connect-src {seen}; style-src 'self'; img-src 'self'; "
            f"form-action 'self' {seen}; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
        )
        self._send("text/html", page.encode(), status, {"Content-Security-Policy": policy})

    def _go(self, address: str, *, quiet: bool | None = None) -> None:
        more = {} if quiet is None else {"Set-Cookie": f"{QUIET}=yes; Path=/; SameSite=Lax; Max-Age={10**7 * quiet}"}
        self._send("text/plain", b"", HTTPStatus.SEE_OTHER, {"Location": address} | more)

    def _send(
        self, kind: str, body: bytes, status: HTTPStatus = HTTPStatus.OK, more: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        # The origin is what Touchstone knows this page by; the rest of its address is nobody's business.
        self.send_header("Referrer-Policy", "strict-origin-when-cross-origin")
        if self._host in LOOPBACK and VISITOR not in self._cookies:
            self.send_header("Set-Cookie", f"{VISITOR}={self._visitor}; Path=/; HttpOnly; SameSite=Lax")
        for name, value in (more or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class Inkwell(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int, touchstone: Touchstone) -> None:
        self.touchstone = touchstone
        self.lines = Lines()
        super().__init__(("127.0.0.1", port), Handler)

    def handle_error(self, request: socket.socket | Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


# The page


def drawn(
    touchstone: Touchstone,
    *,
    seen: str,
    visitor: str,
    lines: list[Line],
    line: Line | None,
    text: str,
    notice: str,
    is_quiet: bool,
    switch: str,
) -> str:
    """The whole page: what was said of `line`, where there is one, and a field for the next."""
    scripts = ["widget"] if line is None or is_quiet else ["widget", "signals"]
    return Template((HERE / "page.html").read_text()).substitute(
        scripts="\n".join(script_tag(seen, **touchstone.scripts[name]) for name in scripts),
        notice=f'<p class="notice" role="alert">{escape(notice)}</p>' if notice else "",
        ask="Write another line" if line else "Write a line, as you would post it",
        text=escape(text),
        most=MAX_LINE,
        examples="".join(f'<button name="example" value="{escape(one)}">{escape(one)}</button>' for one in EXAMPLES),
        suggestion=suggestion(touchstone, line, seen=seen, visitor=visitor, switch=switch) if line else "",
        earlier=earlier(lines, line),
        visitor=escape(visitor),
        project=escape(touchstone.project_name),
        seen=escape(seen),
        feedback=escape(touchstone.feedback_page(seen)),
    )


def script_tag(seen: str, file: str, integrity: str) -> str:
    return (
        f'<script async src="{escape(seen)}/embed/v1/{file}" integrity="{integrity}" crossorigin="anonymous"></script>'
    )


def suggestion(touchstone: Touchstone, line: Line, *, seen: str, visitor: str, switch: str) -> str:
    certainty = (line.said["certainty"] or {}).get("banded", 0.0)
    level, lead = next((name, words) for least, name, words in LEADS if certainty >= least)
    tones = line.said["probabilities"] or {line.tone: 1.0}
    before, _, after = escape(lead).partition("{tone}")
    return Template((HERE / "suggestion.html").read_text()).substitute(
        id=line.id,
        text=marked(line),
        level=level,
        lead=f'{before}<strong class="tone">{escape(line.tone)}</strong>{after}',
        wording=escape(line.said["wording"]),
        why=why(line),
        tone=escape(line.tone),
        tones="".join(
            f'<label><input type="radio" name="tone" value="{escape(one)}"{" checked" if one == line.tone else ""}> '
            f"<span>{escape(one)}</span></label>"
            for one in tones
        ),
        token=escape(line.said["token"]),
        key=escape(touchstone.widget_key),
        visitor=escape(visitor),
        signature=touchstone.signature_of(visitor),
        seen=escape(seen),
        feedback=escape(touchstone.feedback_page(seen)),
        switch=switch,
    )


def switch(line: Line, *, is_quiet: bool, is_asked_for: bool) -> str:
    """What is told of the visitor's acts, and the button that changes it; a browser's own wish is not argued with."""
    if is_asked_for:
        return '<p class="quiet">Your browser asks not to be watched: only what you say of an answer is told.</p>'
    words, other, button = (
        ("Nothing is told of what you do with suggestions.", "", "Tell it")
        if is_quiet
        else ("Touchstone also hears whether a suggestion was seen, kept, changed or copied.", "yes", "Do not tell")
    )
    return Template((HERE / "switch.html").read_text()).substitute(id=line.id, words=words, quiet=other, button=button)


def why(line: Line) -> str:
    """What the answer hangs on, in sentences; first that the marked passages are among it, where some are."""
    told = [
        f"“{one['text']}” speaks {one['strength']} {one['direction']} {line.tone}."
        for one in line.passages("for", MARKED) + line.passages("against", AGAINST)
    ]
    # A reason of the words alone says only a part of what leaving them out does.
    told += [reason["text"] for reason in line.said["reasons"] if not (line.more and reason["kind"] == "word")]
    told += [
        f"Without {' and '.join(f'“{word}”' for word in change['without'])} it would say {change['label']}."
        for change in (line.more or {}).get("changes", ())
        if "without" in change
    ]
    if not told:
        return ""
    summary = "Why? What is marked speaks for it." if line.passages("for", MARKED) else "Why?"
    return (
        f"<details><summary>{summary}</summary><ul>{''.join(f'<li>{escape(one)}</li>' for one in told)}</ul></details>"
    )


def marked(line: Line) -> str:
    """The line with the passages that speak for the answer, the stronger the darker."""
    found, at = "", 0
    for one in sorted(line.passages("for", MARKED), key=lambda one: int(one["start"])):
        start, end = one["start"], one["end"]
        found += escape(line.text[at:start])
        found += f'<mark class="d{DEPTHS[one["strength"]]}">{escape(line.text[start:end])}</mark>'
        at = end
    return found + escape(line.text[at:])


def earlier(lines: list[Line], shown: Line | None) -> str:
    rows = "".join(
        f'<li><a href="/?line={one.id}"{" aria-current=page" if one is shown else ""}>{escape(one.text)}</a> '
        f'<span class="quiet">{escape(one.tone)}</span></li>'
        for one in lines
    )
    return (
        f'<nav aria-labelledby="lines-title"><h2 id="lines-title">Your lines</h2><ol>{rows}</ol></nav>' if rows else ""
    )


def main(plan: dict[str, Any]) -> None:
    """Serves until it is ended. The keys are read from a file: whoever lists processes sees arguments."""
    keys = json.loads(Path(plan["keys"]).read_text())
    touchstone = Touchstone(address=plan["touchstone"], scripts=plan["scripts"], **keys)
    Inkwell(plan["port"], touchstone).serve_forever()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))

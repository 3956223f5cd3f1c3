"""What fragments have in common."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse

Fragment = Callable[..., HttpResponse]


def logged_in_fragment(view: Fragment) -> Fragment:
    """Answers 401 to a session that has ended. A redirect would put the log-in page into the middle of another page."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.user.is_authenticated:
            return HttpResponse("Log in again to go on.", status=401, content_type="text/plain")
        return view(request, *args, **kwargs)

    return guarded

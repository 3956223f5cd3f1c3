"""The log-in page, which does not let anybody try passwords as fast as they like."""

import hashlib
from typing import Any

from django.contrib.auth import views as auth_views
from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse

from labeling.api.throttles import ScopeThrottle, count_hit

# Attempts a minute: at one name from one address, and from one address at all (an office shares one).
TRIES_AT_A_NAME = 10
TRIES_FROM_AN_ADDRESS = 100


class RefusingForm(AuthenticationForm):
    """The log-in form as it comes back after too many attempts. The password is not looked at."""

    def clean(self) -> dict[str, Any]:
        raise ValidationError("Too many attempts in a minute. Wait a minute, then try again.", code="too_many")


class LoginView(auth_views.LoginView):
    """Django's, with a limit on attempts."""

    redirect_authenticated_user = True

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        address = ScopeThrottle().get_ident(request)
        # A digest: what people type here is not always a name, and a cache key may not hold every character.
        name = hashlib.sha256(request.POST.get("username", "").lower().encode()).hexdigest()[:16]
        waits = [
            count_hit("login", f"{address}:{name}", TRIES_AT_A_NAME),
            count_hit("login", address, TRIES_FROM_AN_ADDRESS),
        ]
        if waits == [None, None]:
            return super().post(request, *args, **kwargs)
        form = RefusingForm(request, data=request.POST)
        return self.render_to_response(self.get_context_data(form=form), status=429)

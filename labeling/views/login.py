"""The log-in page, which does not let anybody try passwords as fast as they like."""

import hashlib
from typing import Any

from django.conf import settings
from django.contrib.auth import views as auth_views
from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse

from labeling.services.limits import count_hit
from labeling.views.addresses import client_address

# Attempts from one address at all, as a multiple of those at one name: an office shares an address.
NAMES_AT_AN_ADDRESS = 5


class RefusingForm(AuthenticationForm):
    """The log-in form as it comes back after too many attempts. The password is not looked at."""

    def clean(self) -> dict[str, Any]:
        raise ValidationError("Too many attempts in a minute. Wait a minute, then try again.", code="too_many")


class LoginView(auth_views.LoginView):
    """Django's, with a limit on attempts (settings.THROTTLE_PER_MINUTE["login"], at one name from one address)."""

    redirect_authenticated_user = True

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        address = client_address(request)
        # A digest: what people type here is not always a name, and a cache key may not hold every character.
        name = hashlib.sha256(request.POST.get("username", "").lower().encode()).hexdigest()[:16]
        limit = settings.THROTTLE_PER_MINUTE["login"]
        waits = [
            count_hit("login", f"{address}:{name}", limit),
            count_hit("login", address, limit * NAMES_AT_AN_ADDRESS),
        ]
        if waits == [None, None]:
            return super().post(request, *args, **kwargs)
        form = RefusingForm(request, data=request.POST)
        return self.render_to_response(self.get_context_data(form=form), status=429)

"""One's own account: the password, and the way out on a phone."""

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from labeling.forms.members import PasswordForm
from labeling.services import accounts
from labeling.services.limits import count_hit

# Whoever finds a page left open must not be able to try passwords.
TRIES_PER_MINUTE = 10


@sensitive_post_parameters()
@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def account(request: HttpRequest) -> HttpResponse:
    form = PasswordForm(request.user, request.POST or None)
    status = 200
    if request.method == "POST":
        status = 422
        if count_hit("password", str(request.user.pk), TRIES_PER_MINUTE) is not None:
            form = PasswordForm(request.user)
            messages.error(request, "Too many tries in a minute. Wait a minute, then try again.")
            status = 429
        elif form.is_valid():
            user = accounts.change_password(user=request.user, password=form.cleaned_data["new_password1"])
            update_session_auth_hash(request, user)
            messages.success(request, "Your password is changed. Other browsers are logged out.")
            return redirect("labeling:account")
    return render(request, "labeling/account.html", {"form": form}, status=status)

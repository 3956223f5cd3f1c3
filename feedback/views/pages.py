"""What an owner sees of feedback, and the keys of the pages that send it."""

from collections import Counter
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from active_learning.selectors import loop
from feedback import access, selectors
from feedback.core.statements import REASONS
from feedback.forms import KeyForm, SubjectForm, part_of
from feedback.services import guard, privacy
from feedback.services import keys as services
from feedback.services.scripts import newest
from labeling import access as labeling_access
from labeling.access import logged_in_fragment
from labeling.core.wording import LabelWord, value_words
from labeling.models import LabelSchema, Membership, Project
from labeling.services.demo import SLUG

Role = Membership.Role
# Of what is kept of a user so much is listed; the file has all of it.
MOST_SHOWN = 100


@login_required
@never_cache
@require_safe
def feedback(request: HttpRequest, slug: str) -> HttpResponse:
    """What users say; `model` (a number, or rules) and `segment` of the query choose what is told over time."""
    membership = labeling_access.membership_for(request.user, slug, Role.REVIEWER)
    part = part_of(request.GET)
    report = selectors.feedback_report(project=membership.project, part=part)
    context = {
        "project": membership.project,
        "membership": membership,
        "part": part,
        "report": report,
        "grievances": _in_words(membership.project, report.grievances),
        "has_keys": bool(selectors.keys_of(project=membership.project)),
        "reasons": REASONS,
        "loop": loop(project=membership.project, now=timezone.now()),
        "arrivals": selectors.latest(project=membership.project),
        "product": _product_of_the_demo(request, membership.project),
    }
    return render(request, "feedback/feedback.html", context)


def _in_words(project: Project, grievances: list[selectors.Grievance]) -> list[dict[str, Any]]:
    """Each with its values as they are shown."""
    schema = LabelSchema.objects.current(project.pk)

    def words(value: Any) -> list[LabelWord]:
        return value_words(schema.kind, schema.config, value)

    return [
        {
            "its": one,
            "said": words(one.said),
            "corrections": [(words(value), n) for value, n in one.corrections],
            "value": words(one.value) if one.is_settled else [],
        }
        for one in grievances
    ]


@logged_in_fragment
@never_cache
@require_safe
def latest(request: HttpRequest, slug: str) -> HttpResponse:
    """What came in the last day; the page asks for it again and again."""
    membership = labeling_access.membership_for(request.user, slug, Role.REVIEWER)
    context = {"project": membership.project, "arrivals": selectors.latest(project=membership.project)}
    return render(request, "feedback/_latest.html", context)


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def quarantine(request: HttpRequest, slug: str) -> HttpResponse:
    """What was set aside and why; posted, the ticked ones count again, or (`all`) all that the page listed."""
    membership = labeling_access.membership_for(request.user, slug, Role.OWNER)
    if request.method == "POST":
        asked = request.POST.getlist("listed" if "all" in request.POST else "verdicts")
        ids = [int(pk) for pk in asked if pk.isascii() and pk.isdigit() and len(pk) < 19]
        n = guard.release(project=membership.project, verdict_ids=ids, actor=request.user)
        messages.success(request, f"{n} count{'s' if n == 1 else ''} again.")
        return redirect("feedback:quarantine", slug)
    context = {
        "project": membership.project,
        "membership": membership,
        "verdicts": selectors.quarantined(project=membership.project),
        "n_aside": selectors.n_quarantined(project=membership.project),
    }
    return render(request, "feedback/quarantine.html", context)


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def subject(request: HttpRequest, slug: str) -> HttpResponse:
    """What is kept of one user of the product. Their id is posted, so that no address holds it; `act` hands it out as a
    file, or forgets it."""
    membership = labeling_access.membership_for(request.user, slug, Role.OWNER)
    project = membership.project
    form = SubjectForm(request.POST if request.method == "POST" else None)
    context: dict[str, Any] = {"project": project, "membership": membership, "form": form}
    if request.method == "POST" and form.is_valid():
        name, act = form.cleaned_data["subject"], request.POST.get("act")
        if act == "forget":
            context["forgotten"] = privacy.forget(project=project, subject=name, actor=request.user)
        kept = privacy.kept_of(project=project, subject=name)
        if act == "export":
            response = JsonResponse(kept, json_dumps_params={"ensure_ascii": False, "indent": 2})
            response["Content-Disposition"] = 'attachment; filename="kept.json"'
            return response
        context |= {"kept": kept, "name": name, "shown": kept["feedback"][:MOST_SHOWN], "most_shown": MOST_SHOWN}
        context["done"] = Counter(event["name"] for event in kept["events"]).most_common()
    return render(request, "feedback/subject.html", context, status=422 if form.is_bound and form.errors else 200)


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def keys(request: HttpRequest, slug: str) -> HttpResponse:
    """The keys with what to paste; posted, a new one."""
    membership = labeling_access.membership_for(request.user, slug, Role.OWNER)
    form = KeyForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        services.create_widget_key(project=membership.project, actor=request.user, **form.cleaned_data)
        messages.success(request, "The key is ready. Paste the two lines below into your page.")
        return redirect("feedback:keys", slug)
    return _keys_page(request, membership, form)


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def change_key(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    membership = labeling_access.membership_for(request.user, slug, Role.OWNER)
    key = access.widget_key_for(membership, pk)
    form = KeyForm(request.POST) if request.method == "POST" else KeyForm.of(key)
    if request.method == "POST" and form.is_valid():
        services.change_widget_key(key=key, actor=request.user, **form.cleaned_data)
        messages.success(request, "Saved. It holds from the next request on.")
        return redirect("feedback:keys", slug)
    return _keys_page(request, membership, form, key)


@login_required
@require_POST
def rotate_key(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    membership = labeling_access.membership_for(request.user, slug, Role.OWNER)
    services.rotate_widget_key(key=access.widget_key_for(membership, pk), actor=request.user)
    messages.success(request, f"A new key is ready. The old one works for {services.GRACE.days} days more.")
    return redirect("feedback:keys", slug)


@login_required
@require_POST
def revoke_key(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    membership = labeling_access.membership_for(request.user, slug, Role.OWNER)
    services.revoke_widget_key(key=access.widget_key_for(membership, pk), actor=request.user)
    messages.success(request, "Revoked. Pages that carry it are refused from now on.")
    return redirect("feedback:keys", slug)


def _product_of_the_demo(request: HttpRequest, project: Project) -> str:
    """The address of the product that uses the demo project; empty where there is none, or it is on another machine."""
    host = request.get_host().partition(":")[0]
    is_there = settings.DEMO_HOST_PORT and project.slug == SLUG and host in ("localhost", "127.0.0.1")
    return f"http://{host}:{settings.DEMO_HOST_PORT}/" if is_there else ""


def _keys_page(request: HttpRequest, membership: Membership, form: KeyForm, key: Any = None) -> HttpResponse:
    address = f"{request.scheme}://{request.get_host()}"
    scripts = {
        name: f'<script async src="{address}/embed/v1/{file}" integrity="{its.integrity}" crossorigin="anonymous">'
        "</script>"
        for name, (file, its) in ((name, newest(name)) for name in ("widget", "signals"))
    }
    shown = [
        {
            "key": one,
            "element": f'<touchstone-feedback token="TOKEN OF THE PREDICTION" key="{one.key}"></touchstone-feedback>',
        }
        for one in selectors.keys_of(project=membership.project)
    ]
    context = {
        "project": membership.project,
        "membership": membership,
        "form": form,
        "changed": key,
        "rows": shown,
        "scripts": scripts,
        "integrity": newest("widget")[1].integrity,
        "address": address,
        "grace_days": services.GRACE.days,
    }
    return render(request, "feedback/keys.html", context, status=422 if form.is_bound and form.errors else 200)

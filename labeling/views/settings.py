"""What an owner sets: the knobs, the labels and guidelines with their history, and one's own keys for programs."""

from copy import copy
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.safestring import mark_safe
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from labeling import access, selectors
from labeling.core.errors import DomainError, NotFound
from labeling.core.guidelines import render_guidelines
from labeling.core.schema import rules_of
from labeling.core.wording import value_words
from labeling.forms.errors import add_domain_error
from labeling.forms.projects import KeyForm, SchemaForm, SettingsForm, field_of_error
from labeling.models import LabelSchema, Membership
from labeling.services import projects as services
from labeling.services.gold import n_gold_in_use
from labeling.services.guidelines import drop_section, kept_section


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def settings(request: HttpRequest, slug: str) -> HttpResponse:
    membership = _membership(request, slug)
    project = membership.project
    # A copy: the form writes what was typed on its instance, and the page's head shows the project as it is.
    form = SettingsForm(request.POST or None, instance=copy(project))
    if form.is_valid():
        try:
            services.change_project(project=project, actor=request.user, **form.cleaned_data)
        except DomainError as error:
            add_domain_error(form, error)
        else:
            messages.success(request, "Saved.")
            return redirect("labeling:settings", slug)
    return _page(request, membership, "labeling/settings.html", form, n_known=n_gold_in_use(project=project))


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def schema(request: HttpRequest, slug: str) -> HttpResponse:
    membership = _membership(request, slug)
    versions = selectors.schema_versions(project=membership.project)
    current = versions[0]
    prepared = kept_section(session=request.session, project=membership.project) if "prepared" in request.GET else ""
    initial = {"guidelines": f"{current.guidelines.rstrip()}\n\n{prepared}".lstrip()} if prepared else {}
    form = SchemaForm(request.POST or None, schema=current, initial=initial)
    if prepared:  # it stands at the end: the field should show it
        form.fields["guidelines"].widget.attrs["rows"] = 28
    preview = None
    if "preview" in request.POST:  # without JavaScript the preview button sends the whole form
        preview = mark_safe(render_guidelines(request.POST.get("guidelines", "")))
    elif form.is_valid():
        if request.POST.get("based_on") != str(current.version):
            form.add_error(
                None,
                f"Version {current.version} was saved while you were editing, so yours was not stored. Look at that "
                "version below, carry over what you need, and save again.",
            )
        elif _save_schema(request, membership, current, form):
            drop_section(session=request.session)
            return redirect("labeling:schema", slug)
    shown = {"versions": versions, "current": current, "preview": preview, "is_prepared": bool(prepared)}
    return _page(request, membership, "labeling/settings_schema.html", form, **shown)


def _save_schema(request: HttpRequest, membership: Membership, current: LabelSchema, form: SchemaForm) -> bool:
    try:
        saved = services.change_schema(
            project=membership.project,
            actor=request.user,
            config=form.config_of(current.kind),
            guidelines=form.cleaned_data["guidelines"],
        )
    except DomainError as error:
        add_domain_error(form, error, field_of_error(current.kind))
        return False
    changed = saved.version != current.version
    messages.success(request, f"Saved as version {saved.version}." if changed else "Nothing was changed.")
    return True


@login_required
@require_safe
def schema_version(request: HttpRequest, slug: str, version: int) -> HttpResponse:
    membership = access.membership_for(request.user, slug, Membership.Role.REVIEWER)
    versions = {one.version: one for one in selectors.schema_versions(project=membership.project)}
    shown = versions.get(version)
    if shown is None:
        raise NotFound("There is no such version.")
    labels = rules_of(shown.kind, shown.config).labels
    context = {
        "project": membership.project,
        "membership": membership,
        "version": shown,
        "is_current": shown.version == max(versions),
        "values": [word for label in labels for word in value_words(shown.kind, shown.config, label)],
        "guidelines": mark_safe(render_guidelines(shown.guidelines)),
    }
    return render(request, "labeling/settings_version.html", context)


def _membership(request: HttpRequest, slug: str) -> Membership:
    """Reviewers may look, owners may change."""
    needed = Membership.Role.OWNER if request.method == "POST" else Membership.Role.REVIEWER
    return access.membership_for(request.user, slug, needed)


def _page(request: HttpRequest, membership: Membership, template: str, form: Any, **shown: Any) -> HttpResponse:
    may_change = membership.role == Membership.Role.OWNER
    for field in form.fields.values():
        field.disabled = not may_change
    context = {"project": membership.project, "membership": membership, "may_change": may_change, "form": form}
    status = 422 if form.is_bound and form.errors and not shown.get("preview") else 200
    return render(request, template, context | shown, status=status)


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def keys(request: HttpRequest, slug: str) -> HttpResponse:
    """One's own keys. A new one is on the page this once: only its digest is stored."""
    membership = access.membership_for(request.user, slug)
    form = KeyForm(request.POST or None)
    secret = ""
    if form.is_valid():
        try:
            _, secret = services.create_api_key(
                user=request.user,
                project=membership.project,
                scopes=[form.cleaned_data["scope"]],
                name=form.cleaned_data["name"],
            )
        except DomainError as error:
            add_domain_error(form, error, {"scopes": "scope"})
        else:
            form = KeyForm()
    context = {
        "project": membership.project,
        "membership": membership,
        "sees_settings": membership.role != Membership.Role.ANNOTATOR,
        "form": form,
        "secret": secret,
        "keys": selectors.keys_of(user=request.user, project=membership.project),
        "base_url": request.build_absolute_uri("/").rstrip("/"),
    }
    return render(request, "labeling/settings_keys.html", context, status=422 if form.is_bound and form.errors else 200)


@login_required
@require_POST
def revoke_key(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    membership = access.membership_for(request.user, slug)
    key = access.own_key_for(membership, pk)
    services.revoke_api_key(key=key, actor=request.user)
    messages.success(request, f"The key {key.prefix}… opens nothing any more.")
    return redirect("labeling:keys", slug)

"""What the administration pages of all apps share: rows to look at, and acts on many that are asked about first."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.paginator import Paginator
from django.db.models import Count, Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.functional import cached_property

# Acts go row by row, each in its own transaction: so many fit into a request.
MOST_AT_ONCE = 500


class CappedPaginator(Paginator):
    """Pages of the first 10,000 rows: a table may have a million, and counting them all would cost each look."""

    MOST = 10_000

    @cached_property
    def count(self) -> int:
        return int(self.object_list[: self.MOST].count())  # type: ignore[attr-defined]


class LookingAdmin(admin.ModelAdmin):
    """Rows to look at, neither to add nor to change."""

    list_select_related: ClassVar[tuple[str, ...]] = ("project",)
    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    # How a row leads to its project.
    project_path = "project"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def asked_first(
        self,
        request: HttpRequest,
        chosen: QuerySet[Any],
        *,
        act: str,
        effect: str,
        typed: Mapping[str, str] | None = None,
    ) -> HttpResponse | None:
        """A page that says what an action would do to how many rows of which projects; None once it was agreed to.

        `act`: what the button says. `typed`: what was typed beside the action, and goes along. More than MOST_AT_ONCE
        rows are refused, and so are none.
        """
        slug = f"{self.project_path}__slug"
        per_project = list(chosen.order_by().values_list(slug).annotate(n=Count("pk")).order_by("-n", slug))
        n = sum(count for _, count in per_project)
        if not 0 < n <= MOST_AT_ONCE:
            words = f"{n:,} rows are too many: choose at most {MOST_AT_ONCE} at a time." if n else "That suits no row."
            self.message_user(request, words, messages.ERROR if n else messages.WARNING)
            return redirect(request.get_full_path())
        if request.POST.get("agreed"):
            return None
        context = {
            **self.admin_site.each_context(request),
            "title": "Are you sure?",
            "opts": self.opts,
            "act": act,
            "effect": effect,
            "n": n,
            "per_project": per_project,
            "action": request.POST["action"],
            "checkbox": ACTION_CHECKBOX_NAME,
            "rows": list(chosen.values_list("pk", flat=True)),
            "typed": dict(typed or {}),
        }
        return TemplateResponse(request, "labeling/admin_sure.html", context)

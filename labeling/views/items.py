"""The items of a project: the list, which reads the same few rows of ten items as of a million, and one item."""

from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from labeling import access, selectors
from labeling.core.wording import LabelWord, first_words, item_parts, marked_passages, reason_words, value_words
from labeling.forms.projects import ItemFilterForm
from labeling.models import Annotation, Item, LabelSchema, Membership

ITEMS_A_PAGE = 50


@login_required
@require_safe
def items(request: HttpRequest, slug: str) -> HttpResponse:
    membership = access.membership_for(request.user, slug)
    project = membership.project
    words = request.GET.get("find", "").strip()[:200]
    if words:
        found = selectors.find_item(project=project, words=words)
        if found is not None:
            return redirect("labeling:item", project.slug, found.pk)
    form = ItemFilterForm(request.GET)
    form.is_valid()  # what is not valid is not in cleaned_data, and then does not filter
    chosen = form.cleaned_data
    if membership.role == Membership.Role.ANNOTATOR:
        # Whether others have settled an item tells a hidden check from an item that is open.
        chosen.pop("state", None)
    page = selectors.item_page(
        project=project,
        state=chosen.get("state", ""),
        split=chosen.get("split", ""),
        is_flagged=chosen.get("flagged", False),
        after=chosen.get("after"),
        before=chosen.get("before"),
        n=ITEMS_A_PAGE,
    )
    filters = {name: chosen[name] for name in ("state", "split") if chosen.get(name)}
    filters |= {"flagged": "on"} if chosen.get("flagged") else {}
    context = {
        "project": project,
        "membership": membership,
        "form": form,
        "not_found": words,
        "page": page,
        "rows": _rows(membership, request.user, page.items),
        "is_filtered": bool(filters),
        "earlier": "?" + urlencode(filters | {"before": page.items[0].pk}) if page.items else "?",
        "later": "?" + urlencode(filters | {"after": page.items[-1].pk}) if page.items else "?",
    }
    return render(request, "labeling/items.html", context)


def _rows(membership: Membership, user: Any, found: list[Item]) -> list[dict[str, Any]]:
    """What stands in the list. An annotator sees their own answer and nothing of the others'."""
    schema = LabelSchema.objects.current(membership.project_id)
    if membership.role == Membership.Role.ANNOTATOR:
        answers = selectors.own_answers(items=found, user=user)
        return [_row(schema, item, answers.get(item.pk)) for item in found]
    facts = selectors.item_facts(items=found)
    rows = []
    for item in found:
        resolution = facts[item.pk].resolution
        row = _row(schema, item, None if resolution is None else resolution.value)
        rows.append(row | {"n_answers": facts[item.pk].n_answers, "n_flags": facts[item.pk].n_flags})
    return rows


def _row(schema: LabelSchema, item: Item, value: Any) -> dict[str, Any]:
    return {"item": item, "words": first_words(item.data, 110), "value": _words(schema, value)}


def _words(schema: LabelSchema, value: Any) -> list[LabelWord]:
    return [] if value is None else value_words(schema.kind, schema.config, value)


@login_required
@require_safe
def item(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    membership = access.membership_for(request.user, slug)
    shown = access.item_for(membership, pk)
    schema = LabelSchema.objects.current(membership.project_id)
    sees_all = membership.role != Membership.Role.ANNOTATOR
    answers = selectors.answers_to(item=shown, user=None if sees_all else request.user)
    comments = selectors.remarks_on(item=shown, user=None if sees_all else request.user)
    asked = selectors.why_asked(item=shown, user=None if sees_all else request.user)
    context = {
        "project": membership.project,
        "membership": membership,
        "item": shown,
        "sees_all": sees_all,
        "title": first_words(shown.data, 60),
        "parts": item_parts(shown.data),
        "meta": [(name, part.text) for name in shown.meta for part in item_parts({name: shown.meta[name]})],
        "answers": [_answer(schema, answer) for answer in answers],
        "comments": comments,
        "asked": [{"words": reason_words(code, detail), "when": when} for code, detail, when in asked],
    }
    if sees_all:
        context |= _settled(schema, shown) | _suggested(schema, shown)
    return render(request, "labeling/items_detail.html", context)


def _answer(schema: LabelSchema, answer: Annotation) -> dict[str, Any]:
    said_under = answer.schema
    return {
        "answer": answer,
        "value": _words(said_under, answer.value),
        "who": answer.user.get_username() if answer.user else answer.rater or "anonymous",
        "is_older_schema": said_under.version != schema.version,
    }


def _settled(schema: LabelSchema, shown: Item) -> dict[str, Any]:
    resolutions = selectors.resolutions_of(item=shown)
    return {
        "resolutions": [
            {
                "resolution": one,
                "value": _words(schema, one.value),
                "model_voted": _words(schema, one.model_vote),
            }
            for one in resolutions
        ],
        "gold": _words(schema, shown.gold),
    }


def _suggested(schema: LabelSchema, shown: Item) -> dict[str, Any]:
    suggestion = selectors.suggestion_for(item=shown)
    if suggestion is None:
        return {"suggestion": None}
    text = shown.data.get("text") if isinstance(shown.data, dict) else None
    probabilities = sorted(suggestion.probabilities.items(), key=lambda pair: -pair[1])
    return {
        "suggestion": suggestion,
        "suggested": _words(schema, suggestion.value),
        "probabilities": [{"label": _words(schema, label), "p": p} for label, p in probabilities],
        "passages": marked_passages(text, suggestion.words) if isinstance(text, str) and suggestion.words else [],
    }

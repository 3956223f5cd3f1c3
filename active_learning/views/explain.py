"""Why: the reasons behind what a model says of one item, and what drives a version in general.

Models are asked inside these requests; the numeric libraries are loaded at the first one, not when the process starts.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from active_learning import selectors
from active_learning.core.wording import HARDLY, SOMEWHAT, label_list, percent_words, strength
from active_learning.models import ModelVersion
from labeling import access
from labeling.core.errors import DomainError
from labeling.core.wording import first_words, item_parts
from labeling.models import Item, Membership, Project

if TYPE_CHECKING:
    from active_learning.core.counterfactual import ColumnChange, WordsChange
    from active_learning.services.explain import Answer, Names, Neighbour

# Words that are marked in the text: more would hide the heavy ones.
MARKED = 24
LABELS_AT_ONCE = 6
FOR_SHOWN, AGAINST_SHOWN = 3, 2


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text: `way` is for, against or nothing, `size` 1 to 3 as slightly, somewhat, strongly."""

    text: str
    way: str = ""
    size: int = 0


@dataclass(frozen=True, slots=True)
class MarkedText:
    """A text field of the item in pieces; `side` is A or B in a pair."""

    side: str
    field: str
    pieces: tuple[Piece, ...]


@login_required
@never_cache
@require_safe
def why(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Why the model says what it says of an item. Audit items that are still judged blind have no reasons yet."""
    membership = access.membership_for(request.user, slug, Membership.Role.REVIEWER)
    item = access.item_for(membership, pk)
    context = _item_page(membership, item)
    from active_learning.services import explain

    if explain.is_blind(item):
        return render(request, "active_learning/why.html", context | {"is_blind": True, "parts": item_parts(item.data)})
    try:
        context |= _answered(request, membership.project, item)
    except DomainError as error:
        context |= {"refused": error.message, "parts": item_parts(item.data)}
        return render(request, "active_learning/why.html", context, status=error.status)
    return render(request, "active_learning/why.html", context)


@never_cache
@require_safe
@access.logged_in_fragment
def why_more(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """The reasons that cost more: passages by occlusion, and what would change the answer."""
    membership = access.membership_for(request.user, slug, Membership.Role.REVIEWER)
    item = access.item_for(membership, pk)
    from active_learning.services import explain

    context: dict[str, Any] = {"project": membership.project, "item": item}
    if explain.is_blind(item):
        return render(request, "active_learning/_why_more.html", context | {"refused": "It is still judged blind."})
    try:
        context |= _more(*_asked(request, membership.project, item))
    except DomainError as error:
        context |= {"refused": error.message}
    return render(request, "active_learning/_why_more.html", context)


def _item_page(membership: Membership, item: Item) -> dict[str, Any]:
    return {
        "project": membership.project,
        "membership": membership,
        "item": item,
        "title": first_words(item.data, 60),
        "versions": selectors.versions_of(project=membership.project, n=50),
    }


def _number(request: HttpRequest) -> int | None:
    """The version that was asked for; whatever is no number means the usual one."""
    given = request.GET.get("version", "")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 10 else None


def _asked(request: HttpRequest, project: Project, item: Item) -> tuple[ModelVersion, Any, "Names", Any, "Answer"]:
    from active_learning.services import explain

    version = explain.version_to_ask(project=project, number=_number(request))
    explainer, names = explain.explainer_of(version=version), explain.names_of(version=version)
    seen = explain.see_item(project=project, explainer=explainer, item=item)
    told = explain.answer(explainer=explainer, names=names, seen=seen, label=request.GET.get("label") or None)
    return version, explainer, names, seen, told


def _answered(request: HttpRequest, project: Project, item: Item) -> dict[str, Any]:
    from active_learning.services import explain

    version, explainer, names, seen, told = _asked(request, project, item)
    labels = explainer.model.labels
    contrast = told.contrast
    near = explain.nearest_learned(project=project, version=version, explainer=explainer, seen=seen, leave_out=item.pk)
    spans = [span for reason in told.explanation.reasons if reason.kind == "word" for span in reason.spans]
    spans = sorted((s for s in spans if abs(s.weight) >= HARDLY), key=lambda s: -abs(s.weight))[:MARKED]
    fields = [
        reason
        for reason in told.explanation.reasons
        if reason.kind in ("number", "category") and abs(reason.weight) >= HARDLY
    ]
    return {
        "version": version,
        "told": told,
        "label": labels[contrast.first],
        "label_name": names.short(labels[contrast.first]),
        "other_name": "" if contrast.second is None else names.short(labels[contrast.second]),
        "is_multilabel": contrast.second is None,
        "leaning": _leaning(told.explanation.bias, names.short(labels[contrast.first])),
        "chances": [
            {"name": names.full(label), "label": label, "p": p, "words": percent_words(p)}
            for label, p in told.probabilities.items()
        ],
        "texts": _marked_texts(explainer.spec.text_fields, seen.rows, spans),
        "parts": [] if explainer.spec.text_fields else item_parts(item.data),
        "columns": [
            {
                "name": reason.name,
                "value": reason.value,
                "way": _way(reason.weight),
                "strength": strength(reason.weight),
            }
            for reason in fields
        ],
        "near": [{"one": one, "said": _said(names, one.value)} for one in near],
        "near_words": _near_words(names, near, told.value),
    }


def _leaning(bias: float, label: str) -> str:
    """What the answer owes to nothing in the item, where that is much."""
    if abs(bias) < SOMEWHAT:
        return ""
    return f"Before it reads anything it leans {strength(bias)} {'to' if bias > 0 else 'away from'} {label}."


def _said(names: "Names", value: Any) -> str:
    return label_list([names.full(str(one)) for one in (value if isinstance(value, list) else [value])]) or "none"


def _near_words(names: "Names", near: Sequence["Neighbour"], value: Any) -> str:
    """What the nearest items have to say about the answer, in a sentence."""
    if not near:
        return ""
    same = sum(one.value == value for one in near)
    said = _said(names, value)
    if same == len(near):
        which = "this one" if same == 1 else f"these {same}"
        return f"Of what it learned from, it is most like {which}, which people called {said}."
    if same:
        return f"Of the {len(near)} most like it that it learned from, people called {same} {said} as well."
    return f"Of the {len(near)} most like it that it learned from, people called none {said}: look twice."


def _way(weight: float) -> str:
    return "for" if weight > 0 else "against"


def _size(weight: float) -> int:
    return {"strongly": 3, "somewhat": 2}.get(strength(weight), 1)


def _marked_texts(fields: Iterable[str], rows: Sequence[Mapping[str, Any]], spans: Sequence[Any]) -> list[MarkedText]:
    """The item's texts, each cut where a span weighs; overlapping ones cannot be."""
    texts = []
    for number, row in enumerate(rows):
        side = "ab"[number] if len(rows) > 1 else ""
        for field in fields:
            text = row.get(field)
            if not isinstance(text, str) or not text.strip():
                continue
            pieces, at = [], 0
            for span in sorted((s for s in spans if (s.side, s.field) == (side, field)), key=lambda s: s.start):
                if at < span.start:
                    pieces.append(Piece(text[at : span.start]))
                pieces.append(Piece(text[span.start : span.end], _way(span.weight), _size(span.weight)))
                at = span.end
            if at < len(text):
                pieces.append(Piece(text[at:]))
            texts.append(MarkedText(side.upper(), "" if field == "text" else field, tuple(pieces)))
    return texts


def more_of_input(version: ModelVersion, data: Mapping[str, Any]) -> dict[str, Any]:
    """Context of `_why_more.html` for an input that is not stored. Raises Unavailable without its embedding."""
    from active_learning.services import explain

    explainer, names = explain.explainer_of(version=version), explain.names_of(version=version)
    (seen,) = explain.see_data(explainer=explainer, items=[data])
    return _more(version, explainer, names, seen, explain.answer(explainer=explainer, names=names, seen=seen))


def _more(version: ModelVersion, explainer: Any, names: "Names", seen: Any, told: "Answer") -> dict[str, Any]:
    from active_learning.services import explain

    found = explain.more_reasons(version=version, explainer=explainer, seen=seen, told=told)
    label = names.short(explainer.model.labels[told.contrast.first])
    told_passages = [one for one in found.passages if abs(one.effect) >= HARDLY]
    heaviest = sorted(told_passages, key=lambda one: -abs(one.effect))
    telling = [one for one in heaviest if one.effect > 0][:FOR_SHOWN]
    telling += [one for one in heaviest if one.effect < 0][:AGAINST_SHOWN]
    return {
        "version": version,
        "label_name": label,
        "texts": _marked_texts(explainer.spec.text_fields, seen.rows, [one.span for one in told_passages]),
        "passages": [{"text": one.text, "way": _way(one.effect), "strength": strength(one.effect)} for one in telling],
        "every_passage": heaviest,
        "has_text": bool(found.passages),
        "changes": [
            sentence
            for sentence in (
                _words_change(found.words_change, names, explainer.model.labels, told),
                _column_change(found.column_change, names, explainer.model.labels, told),
            )
            if sentence
        ],
    }


def _then(label: int, p: float, names: "Names", labels: Sequence[str], told: "Answer") -> str:
    if told.contrast.second is None:
        return f"it would not say {names.full(labels[label])} any more ({percent_words(p)} sure)"
    return f"it would say {names.full(labels[label])} ({percent_words(p)} sure)"


def _words_change(found: "WordsChange | None", names: "Names", labels: Sequence[str], told: "Answer") -> str:
    if found is None:
        return ""
    words = label_list([f"“{word.name}”" + (f" in {word.side.upper()}" if word.side else "") for word in found.words])
    return f"Without {words} {_then(found.label, found.p, names, labels, told)}."


def _column_change(found: "ColumnChange | None", names: "Names", labels: Sequence[str], told: "Answer") -> str:
    if found is None:
        return ""
    side = f" of {'AB'[found.side]}" if names.rules.kind == "pair" else ""
    then = _then(found.label, found.p, names, labels, told)
    return f"If {found.field}{side} were {found.after} instead of {found.before}, {then}."


# A version


@login_required
@never_cache
@require_safe
def version_why(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """What speaks for and against each label, in general."""
    membership = access.membership_for(request.user, slug)
    project = membership.project
    version = selectors.version_numbered(project=project, number=number)
    context: dict[str, Any] = {"project": project, "membership": membership, "version": version}
    from active_learning.services import explain

    try:
        names = explain.names_of(version=version)
        found = explain.overview(project=project, version=version)
    except DomainError as error:
        context |= {"refused": error.message}
        return render(request, "active_learning/version_why.html", context, status=error.status)
    labels = list(found["labels"])
    chosen = request.GET.get("label", "")
    shown = [chosen] if chosen in labels else labels[:LABELS_AT_ONCE]
    told_of = {(one["kind"], one["name"], one["column_value"]): one for one in (found["proxies"] or [])}
    context |= {
        "found": found,
        "choices": [(label, names.full(label)) for label in labels] if len(labels) > LABELS_AT_ONCE else [],
        "chosen": chosen,
        "labels": [
            {
                "label": label,
                "name": names.full(label),
                "ways": [
                    (way, _bars(found["labels"][label][way], told_of, _heaviest(found, label)))
                    for way in ("for", "against")
                ],
            }
            for label in shown
        ],
        "meaning": None if found["meaning_share"] is None else percent_words(found["meaning_share"]),
    }
    return render(request, "active_learning/version_why.html", context)


def _heaviest(found: Mapping[str, Any], label: str) -> float:
    """The longest bar of a label: both its charts have one scale."""
    return max((abs(one["log_odds"]) for way in found["labels"][label].values() for one in way), default=1.0) or 1.0


def _bars(rows: Sequence[Mapping[str, Any]], told_of: Mapping[Any, Any], longest: float) -> list[dict[str, Any]]:
    return [
        {
            "words": row["name"] if row["kind"] == "word" else f"{row['name']}: {row['value']}",
            "width": round(100 * abs(row["log_odds"]) / longest, 1),
            "strength": row["strength"],
            "log_odds": row["log_odds"],
            "n": row["n"],
            "proxy": told_of.get((row["kind"], row["name"], row["value"])),
        }
        for row in rows
    ]

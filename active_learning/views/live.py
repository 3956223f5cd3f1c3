"""The live model, tried by hand: what it answers, why, and what would become of it."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from active_learning import selectors
from active_learning.core.band_scale import draw_scale
from active_learning.core.wording import percent_words
from active_learning.forms import LiveForm
from active_learning.services.prediction import Answered, input_schema, try_out
from active_learning.services.serving_policy import routing_rules
from active_learning.views.explain import more_of_input
from labeling import access
from labeling.core.errors import DomainError, Invalid
from labeling.core.wording import value_words
from labeling.models import LabelSchema, Membership, Project

MAX_CHANCES = 8


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def live(request: HttpRequest, slug: str) -> HttpResponse:
    """One input, typed or pasted, and the answer to it. Nothing is kept of either."""
    membership = access.membership_for(request.user, slug, Membership.Role.REVIEWER)
    project = membership.project
    form = LiveForm(request.POST or None, schema=input_schema(project=project))
    context: dict[str, Any] = {"project": project, "membership": membership, "form": form}
    status = 200
    if request.method == "POST":
        if form.is_valid():
            try:
                data = form.data_of_input()
                context |= _shown(project, try_out(project=project, data=data), data)
            except Invalid as error:
                form.add_errors(error)
        if form.errors:
            status = 422
    return render(request, "active_learning/live.html", context, status=status)


def _shown(project: Project, answered: Answered, data: dict[str, Any]) -> dict[str, Any]:
    one = answered.predictions[0]
    schema = LabelSchema.objects.current(project.pk)
    version, policy = selectors.serving_state(project=project)
    labels = [str(label) for label in (one.said.value if isinstance(one.said.value, list) else [one.said.value])]
    bands = routing_rules(policy, version).bands_for(labels, one.row.segment)
    likeliest = sorted(one.said.probabilities.items(), key=lambda pair: -pair[1])[:MAX_CHANCES]
    more = _more(project, answered, data)
    return {
        "answer": one,
        "more": more,
        "notice": answered.why,
        "value": value_words(schema.kind, schema.config, one.said.value),
        "rows": [{"value": value_words(schema.kind, schema.config, label), "p": p} for label, p in likeliest],
        # Passages say of a word what it does to the whole answer; a reason of the words alone says a part of that.
        "reasons": [
            reason["text"]
            for reason in one.said.reasons or ()
            if reason["kind"] != "word" or more is None or not more.get("has_text")
        ],
        "scale": None if one.row.certainty is None else draw_scale(bands, one.row.certainty),
        "certainty": "" if one.row.certainty is None else percent_words(one.row.certainty),
        "bands": bands,
        "exploration": policy.exploration_share,
        "unusual": [(name.replace("_", " "), ", ".join(fields)) for name, fields in one.row.unusual.items()],
    }


def _more(project: Project, answered: Answered, data: dict[str, Any]) -> dict[str, Any] | None:
    """What the answer hangs on, where a model gave it that reads nothing but the fields."""
    number = answered.predictions[0].model
    if number is None or selectors.VECTOR_FIELD in data:
        return None
    try:
        return more_of_input(selectors.version_numbered(project=project, number=number), data)
    except DomainError as error:
        return {"refused": error.message}

"""The live model answers. Light at import: what needs the numeric libraries is loaded at the first prediction."""

import hashlib
import hmac
import importlib
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import structlog
from django.conf import settings
from django.utils import timezone

from active_learning import selectors
from active_learning.core.ids import time_ordered_id
from active_learning.core.libraries import load_scikit_learn_without_pandas
from active_learning.core.phrasing import phrase
from active_learning.core.redaction import fields_among, redacted
from active_learning.core.routing import Confidence, Route, RoutingRules, confidence_of, route
from active_learning.core.rules import parse_rules, rule_predictions
from active_learning.core.wording import SOMEWHAT
from active_learning.models import Prediction, ServingPolicy
from active_learning.selectors import VECTOR_FIELD, LiveVersion
from active_learning.services import prediction_log
from active_learning.services.prediction_log import Logged
from active_learning.services.serving_policy import EdgeRule, edge_rules_of, routing_rules, segment_of
from active_learning.services.tokens import feedback_token
from labeling.core.drafts import MAX_DATA_SIZE, BadValueError, canonical, pack_features
from labeling.core.errors import Invalid, TooLarge
from labeling.core.formats.rows import size_text
from labeling.core.schema import SchemaRules, Value
from labeling.models import Project
from labeling.services.routed import Routed

if TYPE_CHECKING:
    from active_learning.core.inputs import InputSchema

log = structlog.get_logger(__name__)

# One request; more are a batch file.
MAX_ROWS = 1_000
# So many wrong fields are named; the first is enough to act, all of them would be an answer of megabytes.
MAX_ERRORS = 20
# Of many labels so many probabilities are shown to a reviewer.
MAX_SHOWN = 20
# So many marked words: one may stand in a long text a thousand times.
MAX_WORDS = 20
UNUSUAL = ("missing", "out_of_range", "unseen")


@dataclass(frozen=True, slots=True)
class Input:
    """One checked input: its fields, its digest and length as JSON, the owner's vector, and what is unusual."""

    data: dict[str, Any]
    digest: bytes
    n_bytes: int
    vector: Any = None
    unusual: Mapping[str, Sequence[str]] | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """What was found for an input, by a model or by the rules (then without probabilities).

    `doubt`: the chance that it is wrong, as far as anything says so. `reasons` are None where they cost more than the
    answer and were not looked for.
    """

    value: Value
    probabilities: dict[str, float]
    confidence: Confidence | None
    doubt: float
    reasons: Sequence[dict[str, Any]] | None = ()


@dataclass(frozen=True, slots=True)
class Predicted:
    """An answer to the owner's product."""

    row: Prediction
    said: Said
    route: Route
    wording: str
    token: str
    model: int | None
    score: float | None

    @property
    def source(self) -> str:
        return "rules" if self.model is None else "model"


@dataclass(frozen=True, slots=True)
class Answered:
    """Answers in the order asked. `why` says why no model gave them; empty when one did."""

    predictions: list[Predicted]
    policy: ServingPolicy
    why: str


def predict(*, project: Project, inputs: Sequence[object], is_batch: bool = True, subject: str = "") -> Answered:
    """Answers inputs from the live version, routes each answer, and logs them.

    Without a live version, or when it cannot answer, the project's rules answer, else its commonest label. `subject`:
    the user for whom is asked, by the product's id; the tokens are then theirs alone. Raises
    TooLarge for more than MAX_ROWS, and Invalid naming row and field of what no version could read; then nothing has
    been answered.
    """
    began = time.perf_counter()
    if len(inputs) > MAX_ROWS:
        raise TooLarge(
            f"{len(inputs):,} inputs in one request; the limit is {MAX_ROWS:,}. "
            "Send them in several requests, or as a file."
        )
    if not inputs:
        raise Invalid("There is nothing to predict.", fields={"items": "is empty"})
    answered, found = _answered(project, inputs, is_batch, began, subject)
    prediction_log.record(
        project=project,
        entries=[
            Logged(
                answer.row,
                _for_person(answered.policy, one, answer) if _is_for_person(answer) else None,
                one.n_bytes if answered.policy.keeps_input else 0,
            )
            for one, answer in zip(found, answered.predictions, strict=True)
        ],
    )
    return answered


def try_out(*, project: Project, data: object) -> Answered:
    """What `predict` would answer to one input. Nothing is logged, and nobody is asked. Raises Invalid likewise."""
    return _answered(project, [data], False, time.perf_counter())[0]


def answer_unlogged(*, project: Project, inputs: Sequence[object]) -> Answered:
    """What `predict` would answer. Nothing is logged, and nobody is asked. Raises Invalid likewise."""
    return _answered(project, inputs, True, time.perf_counter())[0]


def problems_of(*, project: Project, inputs: Sequence[object]) -> dict[int, str]:
    """By place, what is wrong with those inputs that could not be read: field and words."""
    live, _ = selectors.serving_state(project=project)
    model = None
    if live is not None:
        try:
            model = _serving().served_model(live=live)
        except Exception:  # then no model answers, and what it would not read does not matter
            log.warning("batch_without_model", version=live.number, exc_info=True)
    found: dict[int, str] = {}
    for place, data in enumerate(inputs):
        try:
            one = _readable(data, "The row")
        except Invalid as error:
            found[place] = error.message
            continue
        if model is None:
            continue
        problem = _vector(one.data, model.inputs.vector_dimension)[1]
        errors = [(VECTOR_FIELD, problem)] if problem else list(model.check(one.data).errors)
        if errors:
            found[place] = " ".join(filter(None, errors[0])) + "."
    return found


def input_schema(*, project: Project) -> "InputSchema | None":
    """What inputs the live version was taught to see; None where none is live or it cannot answer."""
    live, _ = selectors.serving_state(project=project)
    if live is None:
        return None
    serving = _serving()
    try:
        return serving.served_model(live=live).inputs
    except serving.CannotServe:
        return None


def _answered(
    project: Project, inputs: Sequence[object], is_batch: bool, began: float, subject: str = ""
) -> tuple[Answered, list[Input]]:
    live, policy = selectors.serving_state(project=project)
    found = [_readable(data, _place(place, is_batch)) for place, data in enumerate(inputs)]
    why = "no model is live"
    said: list[Said] | None = None
    rules: SchemaRules | None = None
    if live is not None:
        found, said, rules, why = _by_model(live, found, is_batch)
    if said is None or rules is None:
        _, rules = selectors.current_rules(project)
        said = _by_rules(project, rules, found)
    routing, edges = routing_rules(policy, live), edge_rules_of(policy)
    hidden = fields_among(policy.log_fields, selectors.learned_fields(project=project)) if policy.log_fields else {}
    answers = [
        _answer(project, policy, routing, edges, rules, None if why else live, one, its, hidden, subject)
        for one, its in zip(found, said, strict=True)
    ]
    latency = round(1_000 * (time.perf_counter() - began), 3)
    for answer in answers:
        answer.row.latency_ms = latency
    return Answered(answers, policy, why), found


def _place(place: int, is_batch: bool) -> str:
    return f"items[{place}]" if is_batch else ""


def _readable(data: object, place: str) -> Input:
    """An input that can be stored and hashed. Raises Invalid for what is none."""
    if not isinstance(data, dict):
        raise Invalid(f"{place or 'The body'} is not an object with fields.", fields={place: "not an object"})
    try:
        encoded = canonical(data, place or "The body")
        if len(encoded) > MAX_DATA_SIZE:
            raise BadValueError(place, f"{place or 'The body'} is larger than {size_text(MAX_DATA_SIZE)}.")
    except BadValueError as error:
        raise Invalid(error.message, fields={place: error.message}) from None
    return Input(data, hashlib.sha256(encoded).digest(), len(encoded))


def _by_model(
    live: LiveVersion, found: list[Input], is_batch: bool
) -> tuple[list[Input], list[Said] | None, SchemaRules | None, str]:
    """The inputs as the version reads them, what it says, by which schema; why it does not say anything."""
    serving = _serving()

    try:
        model = serving.served_model(live=live)
        found = _checked(found, model, is_batch)
        answers = model.answer([(one.digest, one.data, one.vector) for one in found])
    except serving.CannotServe as error:
        return found, None, None, f"model {live.number} cannot answer: {error}"
    except Invalid:
        raise
    except Exception:
        # A version that fails must not take the product down with it; the trace is in the log.
        log.exception("model_failed", version=live.number, sha256=live.sha256)
        return found, None, None, f"model {live.number} failed"
    labels, several = model.rules.labels, model.rules.kind == "choices"
    said = []
    for answer in answers:
        confidence = confidence_of(answer.probabilities, is_multilabel=several)
        probabilities = {label: round(p, 4) for label, p in zip(labels, answer.probabilities, strict=True)}
        said.append(Said(answer.value, probabilities, confidence, 1.0 - confidence.banded, answer.reasons))
    return found, said, model.rules, ""


def _serving() -> Any:
    """The module that answers. Not loaded at the top: 100 MB and seconds, which a process that never predicts saves."""
    load_scikit_learn_without_pandas()
    return importlib.import_module("active_learning.services.serving")


def _checked(found: list[Input], model: Any, is_batch: bool) -> list[Input]:
    """The inputs against what the version was taught to see. Raises Invalid naming row and field."""
    errors: dict[str, str] = {}
    inputs = []
    for place, one in enumerate(found):
        prefix = _place(place, is_batch)
        vector, problem = _vector(one.data, model.inputs.vector_dimension)
        if problem:
            errors[_name(prefix, VECTOR_FIELD)] = problem
        result = model.check(one.data)
        errors |= {_name(prefix, name): words for name, words in result.errors}
        if len(errors) >= MAX_ERRORS:
            break
        unusual = {name: list(fields) for name in UNUSUAL if (fields := getattr(result, name))}
        inputs.append(Input(one.data, one.digest, one.n_bytes, vector, unusual))
    if errors:
        name, words = next(iter(errors.items()))
        raise Invalid(f"{name} {words}.", fields=dict(list(errors.items())[:MAX_ERRORS]))
    return inputs


def _vector(data: Mapping[str, Any], dimension: int) -> tuple[Any, str]:
    if not dimension:
        return None, ""
    try:
        packed = pack_features(data.get(VECTOR_FIELD))
    except BadValueError as error:
        return None, error.message.removeprefix(f"{VECTOR_FIELD} ").rstrip(".")
    if len(packed) != 4 * dimension:
        return None, f"has {len(packed) // 4} numbers; the model wants {dimension}"
    import numpy as np

    return np.frombuffer(packed, dtype="<f4"), ""


def _name(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix and name else prefix or name


def _by_rules(project: Project, rules: SchemaRules, found: Sequence[Input]) -> list[Said]:
    """The first rule of the owner's that applies to each input's texts, else the commonest label."""
    stored = parse_rules(selectors.policy_of(project).rules)
    otherwise, doubt = selectors.commonest_value(project=project, rules=rules)
    texts = ["\n".join(_texts(one.data)) for one in found]
    values = rule_predictions(stored, texts, otherwise)
    return [Said(_allowed(value, rules, otherwise), {}, None, doubt) for value in values]


def _allowed(value: Any, rules: SchemaRules, otherwise: Value) -> Value:
    """A rule's value may be of an older schema."""
    try:
        return rules.check(value)
    except Invalid:
        return otherwise


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        value = list(value.values())
    return [text for one in value for text in _texts(one)] if isinstance(value, list) else []


def _answer(
    project: Project,
    policy: ServingPolicy,
    routing: RoutingRules,
    edges: Sequence[EdgeRule],
    rules: SchemaRules,
    live: LiveVersion | None,
    one: Input,
    said: Said,
    hidden: Mapping[str, str],
    subject: str,
) -> Predicted:
    """`hidden`: the fields that models learn from and that are not kept as they come."""
    labels = [str(label) for label in (said.value if isinstance(said.value, list) else [said.value])]
    segment = segment_of(policy, one.data)
    edge = next((rule.why for rule in edges if rule.when.applies(one.data)), "")
    way = route(said.confidence, labels, routing, draw=random.random(), segment=segment, edge=edge)
    kept = redacted(one.data, policy.log_fields, _log_key())
    row = Prediction(
        id=time_ordered_id(),
        project=project,
        version_id=live.version_id if live else None,
        value=said.value,
        probabilities=said.probabilities,
        confidence=round(said.confidence.probability, 4) if said.confidence else None,
        certainty=round(said.confidence.banded, 4) if said.confidence else None,
        decision=way.decision,
        reason=way.reason,
        segment=segment_of(policy, kept),
        is_explored=way.is_explored,
        propensity=way.propensity,
        content_hash=hmac.new(_log_key(), one.digest, hashlib.sha256).hexdigest()[:32],
        input=kept if policy.keeps_input else None,
        words=_shown_words(one, said, kept) if policy.keeps_input else [],
        is_whole=not hidden or redacted(one.data, hidden, _log_key()) == one.data,
        unusual=one.unusual or {},
        created_at=timezone.now(),
    )
    return Predicted(
        row=row,
        said=said,
        route=way,
        wording=phrase(said.value, said.probabilities),
        token=feedback_token(prediction_id=row.id, project_id=project.pk, subject=subject),
        model=live.number if live else None,
        score=_score(said, rules, policy),
    )


def _is_for_person(answer: Predicted) -> bool:
    # Of what reviewers cannot see they can say nothing, and inputs that only look alike would become one item.
    return answer.route.needs_person and answer.row.is_whole


def _for_person(policy: ServingPolicy, one: Input, answer: Predicted) -> Routed:
    """What a reviewer is shown: what may be kept of the input and, unless it is judged blind, what was answered."""
    row = answer.row
    data = redacted(one.data, policy.log_fields, _log_key())
    features = data.pop(VECTOR_FIELD, None) if one.vector is not None else None
    return Routed(
        data=data,
        reason=prediction_log.reason_for(row),
        evidence={
            "prediction": str(row.id),
            "value": row.value,
            "probabilities": dict(sorted(row.probabilities.items(), key=lambda pair: -pair[1])[:MAX_SHOWN]),
            "words": _shown_words(one, answer.said, data),
            "source": f"model {answer.model}" if answer.model else "rules",
            "certainty": row.certainty,
            "why": row.reason,
            "detail": answer.route.detail,
        },
        # The less sure, the sooner; what a rule wants first of all. Without a model all of the traffic comes here: it
        # must not stand before what is more likely wrong.
        priority=1.0 if row.reason in ("edge", "person") else answer.said.doubt,
        meta={policy.segment_field: row.segment} if row.segment else {},
        features=features,
        is_blind=row.is_explored,
    )


def _shown_words(one: Input, said: Said, shown: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The words that spoke somewhat or strongly for the answer, of the fields that are shown as they came; MAX_WORDS at
    most."""
    spans = [(span, reason["log_odds"]) for reason in said.reasons or () for span in reason["spans"]]
    return [
        {"field": span["field"], "start": span["start"], "end": span["end"], "weight": weight}
        for span, weight in spans
        if weight >= SOMEWHAT and not span["side"] and shown.get(span["field"]) == one.data.get(span["field"])
    ][:MAX_WORDS]


def _score(said: Said, rules: SchemaRules, policy: ServingPolicy) -> float | None:
    """One number from 0 to 1: how far up its scale a rating is expected, else the probability of one label."""
    if not said.probabilities:
        return None
    if rules.kind == "rating" and not policy.score_label:
        low, high = rules.min or 0, rules.max or 0
        total = sum(said.probabilities.values()) or 1.0
        expected = sum(int(label) * p for label, p in said.probabilities.items()) / total
        return round((expected - low) / max(high - low, 1), 4)
    return said.probabilities.get(policy.score_label or rules.labels[-1])


@lru_cache(maxsize=4)
def _derived(secret: str) -> bytes:
    return hashlib.sha256(b"touchstone.predictions\0" + secret.encode()).digest()


def _log_key() -> bytes:
    return _derived(str(settings.SECRET_KEY))

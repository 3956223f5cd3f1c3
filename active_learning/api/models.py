"""Training and model versions for programs."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from active_learning import selectors
from active_learning.core.checklist import BY_PERSON
from active_learning.models import ModelVersion, TrainingRun
from active_learning.services import error_work, promotion
from active_learning.services.triggers import request_training
from labeling import access
from labeling.inputs import KnownFieldsOnly
from labeling.models import Membership, Project
from labeling.services.ask_next import MOST_AT_ONCE

MAX_LISTED = 500
RUNS_LISTED = 50
MAX_EXPLAINED = 20


class PromoteInput(serializers.Serializer):
    reason = serializers.CharField(max_length=200)
    ticked = serializers.ListField(
        child=serializers.ChoiceField(choices=sorted(BY_PERSON)),
        default=list,
        help_text="What of the checklist you vouch for.",
    )
    note = serializers.CharField(max_length=1_000, default="", allow_blank=True)


class ReasonInput(serializers.Serializer):
    reason = serializers.CharField(max_length=200, help_text="Kept with the version.")


class ShadowInput(serializers.Serializer):
    reason = serializers.CharField(max_length=200)
    to = serializers.IntegerField(min_value=1, allow_null=True, help_text="The version's number; null for none.")


class RollbackInput(KnownFieldsOnly):
    # A number under another name would go unheard, and another version than the one meant become live.
    reason = serializers.CharField(max_length=200)
    to = serializers.IntegerField(
        min_value=1, required=False, help_text="A version that was live; without it the one that was live before."
    )


class TrainInput(serializers.Serializer):
    reason = serializers.CharField(max_length=200, required=False)
    trigger = serializers.ChoiceField(
        choices=[TrainingRun.Trigger.PERSON.value, TrainingRun.Trigger.EVENT.value],
        default=TrainingRun.Trigger.PERSON.value,
        help_text="`event`: something has happened in the business, and `reason` says what.",
    )


class JobStarted(serializers.Serializer):
    id = serializers.UUIDField()
    state = serializers.CharField()
    reason = serializers.CharField()


class TrainOutput(serializers.Serializer):
    job = JobStarted()


class RunOutput(serializers.Serializer):
    job = serializers.UUIDField()
    state = serializers.CharField()
    trigger = serializers.ChoiceField(choices=TrainingRun.Trigger.choices)
    reason = serializers.CharField()
    outcome = serializers.CharField()
    version = serializers.IntegerField(allow_null=True)
    findings = serializers.ListField(child=serializers.JSONField(), help_text="{code, severity, words, fields}")
    created_at = serializers.DateTimeField()


class RunsOutput(serializers.Serializer):
    runs = RunOutput(many=True)


class VersionOutput(serializers.Serializer):
    number = serializers.IntegerField()
    state = serializers.ChoiceField(choices=ModelVersion.State.choices)
    state_reason = serializers.CharField()
    gate = serializers.JSONField(help_text="Its checks, each with figure, interval and n, and beside which version.")
    archived_at = serializers.DateTimeField(allow_null=True)
    metrics = serializers.JSONField(help_text="On the audit split alone: accuracy with interval and n, baselines.")
    n_labels = serializers.IntegerField()
    sha256 = serializers.CharField()
    dataset = serializers.JSONField()
    parent = serializers.IntegerField(allow_null=True)
    parameters = serializers.JSONField()
    environment = serializers.JSONField()
    code_version = serializers.CharField()
    created_at = serializers.DateTimeField()
    erasures = serializers.ListField(
        child=serializers.JSONField(), help_text="{at, n_items}: people it learned from who were forgotten since."
    )


class AliasesOutput(serializers.Serializer):
    live = serializers.IntegerField(allow_null=True)
    candidate = serializers.IntegerField(allow_null=True, help_text="The newest that may be approved now.")
    shadow = serializers.IntegerField(allow_null=True, help_text="Tried beside the live one, unseen.")


class ModelsOutput(serializers.Serializer):
    models = VersionOutput(many=True)
    aliases = AliasesOutput()


class ModelOutput(serializers.Serializer):
    model = VersionOutput()


class ShadowOutput(serializers.Serializer):
    model = VersionOutput(allow_null=True)


def version_body(version: ModelVersion) -> dict[str, Any]:
    return {
        "number": version.number,
        "state": version.state,
        "state_reason": version.state_reason,
        "gate": version.gate,
        "archived_at": version.archived_at.isoformat() if version.archived_at else None,
        "metrics": version.metrics,
        "n_labels": version.dataset.n_items,
        "sha256": version.sha256,
        "dataset": {
            "number": version.dataset.number,
            "sha256": version.dataset.sha256,
            "schema_version": version.dataset.schema_version,
            "class_counts": version.dataset.class_counts,
        },
        "parent": version.parent.number if version.parent else None,
        "parameters": version.parameters,
        "environment": version.environment,
        "code_version": version.code_version,
        "created_at": version.created_at.isoformat(),
        "erasures": [{"at": one.at.isoformat(), "n_items": one.n_items} for one in version.erasures.all()],
    }


def aliases_body(project: Project) -> dict[str, int | None]:
    live = selectors.live_version(project=project)
    standing = {
        "live": live,
        "candidate": selectors.candidate_version(project=project, live=live),
        "shadow": selectors.shadow_version(project=project),
    }
    return {alias: version.number if version else None for alias, version in standing.items()}


def run_body(run: TrainingRun) -> dict[str, Any]:
    return {
        "job": str(run.job_id),
        "state": run.job.state,
        "trigger": run.trigger,
        "reason": run.reason,
        "outcome": run.outcome or run.job.error,
        "version": run.version.number if run.version else None,
        "findings": run.findings,
        "created_at": run.created_at.isoformat(),
    }


class TrainView(APIView):
    """Asks for a training (one that waits already is answered instead of a second one); what came of the last 50."""

    scope = "manage"

    @extend_schema(responses={200: RunsOutput}, operation_id="list_trainings")
    def get(self, request: Request, slug: str) -> Response:
        project = access.project_for(request.user, slug, Membership.Role.REVIEWER, request.auth)
        runs = selectors.training_runs(project=project, n=RUNS_LISTED)
        return Response({"runs": [run_body(run) for run in runs]})

    @extend_schema(request=TrainInput, responses={202: TrainOutput}, operation_id="train")
    def post(self, request: Request, slug: str) -> Response:
        project = access.project_for(request.user, slug, Membership.Role.REVIEWER, request.auth)
        body = TrainInput(data=request.data)
        body.is_valid(raise_exception=True)
        trigger = body.validated_data["trigger"]
        otherwise = "" if trigger == TrainingRun.Trigger.EVENT else "asked for through the API"
        reason = body.validated_data.get("reason", otherwise)
        job = request_training(project=project, reason=reason, trigger=trigger, actor=request.user)
        return Response({"job": {"id": str(job.pk), "state": job.state, "reason": job.reason}}, status=202)


class ModelsView(APIView):
    """The versions, newest first, at most 500, and at which number each alias stands."""

    scope = "annotate"

    @extend_schema(responses={200: ModelsOutput}, operation_id="list_models")
    def get(self, request: Request, slug: str) -> Response:
        project = access.project_for(request.user, slug, key=request.auth)
        versions = selectors.versions_of(project=project, n=MAX_LISTED)
        models = [version_body(version) for version in versions]
        return Response({"models": models, "aliases": aliases_body(project)})


class PromoteView(APIView):
    """Approves a candidate: it is live from the next request on. Who asked for its training leaves that to another
    owner, where there is one. Promoting the live version changes nothing."""

    scope = "manage"

    @extend_schema(request=PromoteInput, responses={200: ModelOutput}, operation_id="promote_model")
    def post(self, request: Request, slug: str, number: int) -> Response:
        project = access.project_for(request.user, slug, Membership.Role.OWNER, request.auth)
        body = PromoteInput(data=request.data)
        body.is_valid(raise_exception=True)
        version = promotion.promote(project=project, number=number, actor=request.user, **body.validated_data)
        return Response({"model": version_body(version)})


class RejectView(APIView):
    """Turns a candidate down. The reason stays with it, and it never becomes live."""

    scope = "manage"

    @extend_schema(request=ReasonInput, responses={200: ModelOutput}, operation_id="reject_model")
    def post(self, request: Request, slug: str, number: int) -> Response:
        project = access.project_for(request.user, slug, Membership.Role.OWNER, request.auth)
        body = ReasonInput(data=request.data)
        body.is_valid(raise_exception=True)
        version = promotion.reject(project=project, number=number, actor=request.user, **body.validated_data)
        return Response({"model": version_body(version)})


class RetireView(APIView):
    """Puts the files of a version that is neither live nor the newest into one archive; again changes nothing."""

    scope = "manage"

    @extend_schema(request=ReasonInput, responses={200: ModelOutput}, operation_id="retire_model")
    def post(self, request: Request, slug: str, number: int) -> Response:
        project = access.project_for(request.user, slug, Membership.Role.OWNER, request.auth)
        body = ReasonInput(data=request.data)
        body.is_valid(raise_exception=True)
        version = promotion.retire(project=project, number=number, actor=request.user, **body.validated_data)
        return Response({"model": version_body(version)})


class ShadowView(APIView):
    """Moves the alias `shadow` to a version, or takes it away with `to` null."""

    scope = "manage"

    @extend_schema(request=ShadowInput, responses={200: ShadowOutput}, operation_id="set_shadow")
    def post(self, request: Request, slug: str) -> Response:
        project = access.project_for(request.user, slug, Membership.Role.OWNER, request.auth)
        body = ShadowInput(data=request.data)
        body.is_valid(raise_exception=True)
        version = promotion.set_shadow(project=project, actor=request.user, **body.validated_data)
        return Response({"model": version_body(version) if version else None})


class RollbackView(APIView):
    """Puts the version back that was live before, or the one named by `to`. One move, live from the next request on."""

    scope = "manage"

    @extend_schema(request=RollbackInput, responses={200: ModelOutput}, operation_id="roll_back_model")
    def post(self, request: Request, slug: str) -> Response:
        project = access.project_for(request.user, slug, Membership.Role.OWNER, request.auth)
        body = RollbackInput(data=request.data)
        body.is_valid(raise_exception=True)
        version = promotion.roll_back(project=project, actor=request.user, **body.validated_data)
        return Response({"model": version_body(version)})


class ErrorsInput(serializers.Serializer):
    version = serializers.IntegerField(
        min_value=1, max_value=2**31 - 1, required=False, help_text="Without it the live version, else the newest."
    )


class ErrorsOutput(serializers.Serializer):
    errors = serializers.JSONField(allow_null=True, help_text="docs/errors.md names its parts; null before the first.")
    job = JobStarted(allow_null=True, help_text="The newest analysis, in whatever state.")


class SliceInput(serializers.Serializer):
    n = serializers.IntegerField(min_value=1, max_value=MOST_AT_ONCE, default=error_work.DEFAULT_SLICE)


class SliceTakenOutOutput(serializers.Serializer):
    taken_out = serializers.IntegerField()


class CheckInput(serializers.Serializer):
    n = serializers.IntegerField(
        min_value=1, max_value=1_000, required=False, help_text="At most so many, the most probable first."
    )


class CheckOutput(serializers.Serializer):
    opened = serializers.ListField(child=serializers.JSONField(), help_text="{id, item}")
    left = serializers.ListField(child=serializers.JSONField(), help_text="{item, why}")


class WithdrawnOutput(serializers.Serializer):
    withdrawn = serializers.IntegerField()


class SectionOutput(serializers.Serializer):
    section = serializers.CharField(help_text="Markdown, to be edited and saved with the guidelines.")


def _job_started(job: Any) -> dict[str, Any]:
    return {"id": str(job.pk), "state": job.state, "reason": job.reason}


class ErrorsView(APIView):
    """Where a version errs: its mistakes in groups, as last looked at, for reviewers; and looking again."""

    scope = "manage"

    @extend_schema(responses={200: ErrorsOutput}, operation_id="read_errors")
    def get(self, request: Request, slug: str) -> Response:
        project = access.project_for(request.user, slug, Membership.Role.REVIEWER, request.auth)
        done = selectors.analysed_errors(project=project)
        job = selectors.latest_error_analysis(project=project)
        return Response({"errors": done.result if done else None, "job": _job_started(job) if job else None})

    @extend_schema(request=ErrorsInput, responses={202: TrainOutput}, operation_id="look_at_errors")
    def post(self, request: Request, slug: str) -> Response:
        project = access.project_for(request.user, slug, Membership.Role.REVIEWER, request.auth)
        body = ErrorsInput(data=request.data)
        body.is_valid(raise_exception=True)
        job = error_work.request_error_analysis(project=project, user=request.user, **body.validated_data)
        return Response({"job": _job_started(job)}, status=202)


class ErrorLabelView(APIView):
    """Open items of the pool like a group of errors, asked about next; and taken out of the front again."""

    scope = "manage"

    @extend_schema(request=SliceInput, responses={202: TrainOutput}, operation_id="label_like_errors")
    def post(self, request: Request, slug: str, group: str) -> Response:
        project = access.project_for(request.user, slug, Membership.Role.REVIEWER, request.auth)
        body = SliceInput(data=request.data)
        body.is_valid(raise_exception=True)
        job = error_work.request_slice(project=project, key=group, user=request.user, **body.validated_data)
        return Response({"job": _job_started(job)}, status=202)

    @extend_schema(responses={200: SliceTakenOutOutput}, operation_id="take_out_like_errors")
    def delete(self, request: Request, slug: str, group: str) -> Response:
        project = access.project_for(request.user, slug, Membership.Role.REVIEWER, request.auth)
        return Response({"taken_out": error_work.take_slice_out(project=project, key=group, user=request.user)})


class ErrorCheckView(APIView):
    """Labels of a group that are probably wrong (of all groups: `all`), put before a reviewer; and taken back."""

    scope = "manage"

    @extend_schema(request=CheckInput, responses={200: CheckOutput}, operation_id="check_labels")
    def post(self, request: Request, slug: str, group: str) -> Response:
        project = access.project_for(request.user, slug, Membership.Role.REVIEWER, request.auth)
        body = CheckInput(data=request.data)
        body.is_valid(raise_exception=True)
        sent = error_work.check_labels(project=project, key=group, user=request.user, **body.validated_data)
        return Response(
            {
                "opened": [{"id": review.pk, "item": review.item_id} for review in sent.opened],
                "left": [{"item": item, "why": why} for item, why in sent.left.items()],
            }
        )

    @extend_schema(responses={200: WithdrawnOutput}, operation_id="take_label_check_back")
    def delete(self, request: Request, slug: str, group: str) -> Response:
        project = access.project_for(request.user, slug, Membership.Role.REVIEWER, request.auth)
        return Response({"withdrawn": error_work.take_check_back(project=project, key=group, user=request.user)})


class ErrorGuidelineView(APIView):
    """A section about a group of errors for the guidelines. Nothing is saved by reading it."""

    scope = "manage"

    @extend_schema(responses={200: SectionOutput}, operation_id="prepare_guideline")
    def get(self, request: Request, slug: str, group: str) -> Response:
        project = access.project_for(request.user, slug, Membership.Role.REVIEWER, request.auth)
        return Response({"section": error_work.prepare_guideline(project=project, key=group)})


class ExplainInput(serializers.Serializer):
    items = serializers.ListField(
        child=serializers.DictField(), required=False, default=list, max_length=MAX_EXPLAINED, help_text="Items' data."
    )
    ids = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**62),
        required=False,
        default=list,
        max_length=MAX_EXPLAINED,
        help_text="Numbers of stored items.",
    )
    version = serializers.IntegerField(
        min_value=1, max_value=2**31 - 1, required=False, help_text="Without it the live version answers."
    )
    label = serializers.CharField(
        max_length=200, required=False, help_text="Reasons for this label instead of the answer."
    )
    more = serializers.BooleanField(
        default=False, help_text="Also passages, what would change the answer, and the nearest learned items."
    )

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        if not 1 <= len(given["items"]) + len(given["ids"]) <= MAX_EXPLAINED:
            raise serializers.ValidationError({"items": f"1 to {MAX_EXPLAINED} items at once, by data or by number."})
        return given


class SpanOutput(serializers.Serializer):
    side = serializers.CharField(help_text='"a" or "b" in a pair, else empty')
    field = serializers.CharField(help_text="nested ones with dots")
    start = serializers.IntegerField()
    end = serializers.IntegerField()


class SpokenReasonOutput(serializers.Serializer):
    text = serializers.CharField()
    kind = serializers.ChoiceField(choices=["word", "number", "category", "meaning", "vector"])
    name = serializers.CharField()
    value = serializers.CharField()
    direction = serializers.ChoiceField(choices=["for", "against"])
    strength = serializers.ChoiceField(choices=["strongly", "somewhat", "slightly", "hardly"])
    log_odds = serializers.FloatField()
    spans = SpanOutput(many=True)


class ExplanationOutput(serializers.Serializer):
    item = serializers.IntegerField(allow_null=True)
    value = serializers.JSONField()
    probabilities = serializers.DictField(child=serializers.FloatField())
    confidence = serializers.JSONField(help_text="{p, confidence, level: high|middle|low}: both scales")
    wording = serializers.CharField()
    reasons = SpokenReasonOutput(many=True)
    more = serializers.JSONField(allow_null=True, help_text="{passages, changes, nearest}, where asked for")


class ExplanationsOutput(serializers.Serializer):
    model = serializers.IntegerField()
    explanations = ExplanationOutput(many=True)


class ExplainView(APIView):
    """Why the model says what it says: the top three reasons of each item, and on request those that cost more.

    For reviewers. Audit items that are still judged blind are refused (409 `blind`).
    """

    scope = "predict"

    @extend_schema(request=ExplainInput, responses={200: ExplanationsOutput}, operation_id="explain")
    def post(self, request: Request, slug: str) -> Response:
        membership = access.membership_for(request.user, slug, Membership.Role.REVIEWER, request.auth)
        body = ExplainInput(data=request.data)
        body.is_valid(raise_exception=True)
        given = body.validated_data
        items = [access.item_for(membership, pk) for pk in given["ids"]]
        # Models are asked here: the numeric libraries are loaded now, and not when the process starts.
        from active_learning.services import explain

        return Response(
            explain.explanations(
                project=membership.project,
                number=given.get("version"),
                items=items,
                data=given["items"],
                label=given.get("label"),
                more=given["more"],
            )
        )

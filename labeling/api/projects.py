"""Projects by API: create, read, change."""

from typing import Any

from django.contrib.auth import get_user_model
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling import access
from labeling.core.errors import Forbidden
from labeling.inputs import KnownFieldsOnly
from labeling.models import LabelSchema, Membership, Project
from labeling.services import projects


class SchemaInput(serializers.Serializer):
    kind = serializers.CharField()
    labels = serializers.JSONField(
        required=False, help_text="Texts or {value, name, color}; of a rating {point: name}."
    )
    min = serializers.IntegerField(required=False)
    max = serializers.IntegerField(required=False)
    tie = serializers.BooleanField(required=False)


class ProjectSettings(KnownFieldsOnly):
    TOLD = frozenset({"slug", "role", "audit_share", "created_at"})
    NO_SUCH = "There is no such setting."

    name = serializers.CharField(max_length=120, required=False)
    description = serializers.CharField(required=False, allow_blank=True)
    overlap_policy = serializers.CharField(required=False, help_text="fixed or adaptive")
    overlap = serializers.IntegerField(required=False)
    max_overlap = serializers.IntegerField(required=False)
    target_posterior = serializers.FloatField(required=False)
    full_overlap_share = serializers.FloatField(required=False)
    has_single_truth = serializers.BooleanField(required=False)
    lease_seconds = serializers.IntegerField(required=False)
    submit_on_choice = serializers.BooleanField(required=False)
    suggestion_policy = serializers.CharField(required=False)
    suggestion_hidden_share = serializers.FloatField(required=False)
    person_limit = serializers.IntegerField(required=False, allow_null=True)
    gold_share = serializers.FloatField(required=False)
    gold_bar = serializers.FloatField(required=False)
    onboarding = serializers.IntegerField(required=False)
    gold_feedback = serializers.CharField(required=False, help_text="never, practice or always")
    reviews_a_day = serializers.IntegerField(required=False, allow_null=True, help_text="of all reviewers together")


class ProjectInput(ProjectSettings):
    slug = serializers.CharField(max_length=60)
    schema = SchemaInput()
    guidelines = serializers.CharField(required=False, allow_blank=True, default="")
    audit_share = serializers.FloatField(required=False)


class ProjectChange(ProjectSettings):
    schema = SchemaInput(required=False)
    guidelines = serializers.CharField(required=False, allow_blank=True)


class ProjectOutput(serializers.Serializer):
    slug = serializers.CharField()
    name = serializers.CharField()
    role = serializers.CharField()


def project_body(project: Project, role: str) -> dict[str, Any]:
    schema = LabelSchema.objects.current(project.pk)
    return {
        "slug": project.slug,
        "role": role,
        "audit_share": project.audit_share,
        "created_at": project.created_at.isoformat(),
        "schema": {"kind": schema.kind, "version": schema.version} | schema.config,
        "guidelines": schema.guidelines,
    } | {name: getattr(project, name) for name in projects.SETTINGS}


def _config(schema: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in schema.items() if name != "kind"}


class ProjectsView(APIView):
    """The caller's projects; a new one."""

    scope = "manage"

    @extend_schema(responses={200: ProjectOutput(many=True)}, operation_id="list_projects")
    def get(self, request: Request) -> Response:
        memberships = Membership.objects.select_related("project").filter(user=request.user)
        if request.auth is not None and request.auth.project_id is not None:
            memberships = memberships.filter(project_id=request.auth.project_id)
        listed = [
            {"slug": m.project.slug, "name": m.project.name, "role": m.role}
            for m in memberships.order_by("project__name")
        ]
        return Response({"projects": listed})

    @extend_schema(request=ProjectInput, responses={201: dict}, operation_id="create_project")
    def post(self, request: Request) -> Response:
        if request.auth is not None and request.auth.project_id is not None:
            raise Forbidden("This key belongs to one project; it cannot create others.")
        if not get_user_model().objects.filter(pk=request.user.pk, is_active=True).exists():
            raise Forbidden("This account is closed.")
        body = ProjectInput(data=request.data)
        body.is_valid(raise_exception=True)
        given = dict(body.validated_data)
        schema = given.pop("schema")
        project = projects.create_project(
            owner=request.user,
            name=given.pop("name", given["slug"]),
            kind=schema["kind"],
            config=_config(schema),
            **given,
        )
        return Response(project_body(project, Membership.Role.OWNER), status=201)


class ProjectView(APIView):
    """One project: read it, or change its settings, labels or guidelines. Those two make a new schema version."""

    scope = "manage"

    @extend_schema(responses={200: dict}, operation_id="read_project")
    def get(self, request: Request, slug: str) -> Response:
        membership = access.membership_for(request.user, slug, key=request.auth)
        return Response(project_body(membership.project, membership.role))

    @extend_schema(request=ProjectChange, responses={200: dict}, operation_id="change_project")
    def patch(self, request: Request, slug: str) -> Response:
        membership = access.membership_for(request.user, slug, Membership.Role.OWNER, request.auth)
        body = ProjectChange(data=request.data)
        body.is_valid(raise_exception=True)
        given = dict(body.validated_data)
        schema, guidelines = given.pop("schema", None), given.pop("guidelines", None)
        project = projects.change_project(project=membership.project, actor=request.user, **given)
        if schema is not None or guidelines is not None:
            projects.change_schema(
                project=project,
                actor=request.user,
                config=None if schema is None else _config(schema),
                guidelines=guidelines,
            )
        return Response(project_body(project, membership.role))

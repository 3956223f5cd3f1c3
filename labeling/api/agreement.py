"""How far people agree, for programs: as it was last measured, and measuring it again."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling import access, selectors
from labeling.api.jobs import job_body
from labeling.models import Membership
from labeling.services.agreement import request_agreement
from labeling.services.doubts import MOST_DOUBTFUL, send_doubts


class AgreementView(APIView):
    """The last measurement: coefficients with intervals and n, overall, by label, by people and over time."""

    scope = "annotate"

    @extend_schema(responses={200: dict}, operation_id="read_agreement")
    def get(self, request: Request, slug: str) -> Response:
        project = access.project_for(request.user, slug, Membership.Role.REVIEWER, request.auth)
        report = selectors.agreement_of(project=project)
        n_new = selectors.n_answers_since(project=project, report=report)
        if report is None:
            why = "Agreement has not been measured here yet. POST here to have it measured."
            return Response({"agreement": None, "why": why, "computed_at": None, "n_new": n_new})
        return Response(
            {
                "agreement": report.result,
                "why": report.result["why"],
                "computed_at": report.computed_at.isoformat(),
                "n_new": n_new,
            }
        )

    @extend_schema(request=None, responses={202: dict}, operation_id="measure_agreement")
    def post(self, request: Request, slug: str) -> Response:
        """Has agreement measured again; the job that does it."""
        project = access.project_for(request.user, slug, Membership.Role.OWNER, request.auth)
        reason = f"{request.user.get_username()} asked for it by API"
        job = request_agreement(project=project, reason=reason, user=request.user)
        return Response({"job": job_body(job)}, status=202)


class DoubtfulInput(serializers.Serializer):
    items = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**62),
        required=False,
        max_length=MOST_DOUBTFUL,
        help_text="Numbers of items in `agreement.doubtful`; without it all of them.",
    )


class DoubtfulView(APIView):
    """Puts settled items that were measured to be doubtful before a reviewer. Doing it twice does no harm."""

    scope = "annotate"

    @extend_schema(request=DoubtfulInput, responses={200: dict}, operation_id="review_doubtful_items")
    def post(self, request: Request, slug: str) -> Response:
        project = access.project_for(request.user, slug, Membership.Role.REVIEWER, request.auth)
        body = DoubtfulInput(data=request.data)
        body.is_valid(raise_exception=True)
        sent = send_doubts(project=project, user=request.user, item_ids=body.validated_data.get("items"))
        return Response(
            {
                "opened": [{"id": review.pk, "item": review.item_id} for review in sent.opened],
                "left": [{"item": pk, "why": why} for pk, why in sent.left.items()],
            }
        )

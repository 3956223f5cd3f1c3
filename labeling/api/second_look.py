"""Second looks for programs: queueing old labels to be judged again, and what came of it."""

from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling import access, selectors
from labeling.models import AgreementReport, Membership, SecondLook
from labeling.selectors import LookResult
from labeling.services.influence import share_body
from labeling.services.second_look import MOST, close_second_look, queue_second_look


class SecondLookInput(serializers.Serializer):
    n = serializers.IntegerField(min_value=1, max_value=MOST, help_text="How many items, drawn at random.")
    version = serializers.IntegerField(
        min_value=1, max_value=2**31 - 1, required=False, allow_null=True, default=None,
        help_text="Labels given under this older version; without it, under any older one.",
    )  # fmt: skip


def look_body(look: SecondLook, report: AgreementReport | None) -> dict[str, Any]:
    progress = selectors.look_progress(look=look)
    return {
        "id": look.pk,
        "version": look.schema.version,
        "old_versions": progress.versions,
        "n": progress.n,
        "n_of": look.n_of,
        "n_answered": progress.n_answered,
        "n_waiting": progress.n_waiting,
        "n_dropped": progress.n_dropped,
        "created_at": look.created_at.isoformat(),
        "closed_at": look.closed_at.isoformat() if look.closed_at else None,
        "results": [_result_body(one) for one in selectors.look_results(look=look, report=report)],
    }


def _result_body(found: LookResult) -> dict[str, Any]:
    one = found.comparison
    return {
        "old_version": one.old_version,
        "new_version": one.new_version,
        "equal": {
            "all": share_body(one.equal),
            "author": share_body(one.by_author),
            "others": share_body(one.by_others),
        },
        "alpha": {who: found.alphas.get(who) for who in ("all", "author", "others")},
        "equal_within": None
        if found.differing is None
        else {"version": found.differing_under, **asdict(found.differing.rest)},
        "n_gone": one.n_gone,
        "changes": [
            {"old": change.old, "new": change.new, "n": change.n, "of_old": share_body(change.share)}
            for change in one.changes
        ],
        "verdict": found.verdict,
    }


class SecondLooksView(APIView):
    """The project's second looks at old labels, the newest first, with what came of them."""

    scope = "manage"

    @extend_schema(responses={200: dict}, operation_id="read_second_looks")
    def get(self, request: Request, slug: str) -> Response:
        project = access.project_for(request.user, slug, Membership.Role.REVIEWER, request.auth)
        report = selectors.agreement_of(project=project)
        looks = selectors.second_looks(project=project)
        return Response({"second_looks": [look_body(look, report) for look in looks]})

    @extend_schema(request=SecondLookInput, responses={201: dict}, operation_id="queue_second_look")
    def post(self, request: Request, slug: str) -> Response:
        """Queues a random sample of labels from older versions to be judged again. One is open at a time."""
        project = access.project_for(request.user, slug, Membership.Role.OWNER, request.auth)
        body = SecondLookInput(data=request.data)
        body.is_valid(raise_exception=True)
        look = queue_second_look(project=project, actor=request.user, **body.validated_data)
        return Response(look_body(look, selectors.agreement_of(project=project)), status=201)


class CloseSecondLookView(APIView):
    """Ends a second look; what was answered is kept. Doing it twice does no harm."""

    scope = "manage"

    @extend_schema(request=None, responses={200: dict}, operation_id="close_second_look")
    def post(self, request: Request, slug: str, pk: int) -> Response:
        membership = access.membership_for(request.user, slug, Membership.Role.OWNER, request.auth)
        look = close_second_look(look=access.second_look_for(membership, pk), actor=request.user)
        return Response(look_body(look, selectors.agreement_of(project=membership.project)))


class SecondLookPairsView(APIView):
    """Every old label of a second look that was judged again, with the answer beside it."""

    scope = "manage"

    @extend_schema(responses={200: dict}, operation_id="read_second_look_pairs")
    def get(self, request: Request, slug: str, pk: int) -> Response:
        membership = access.membership_for(request.user, slug, Membership.Role.REVIEWER, request.auth)
        look = access.second_look_for(membership, pk)
        return Response({"pairs": selectors.look_rows(look=look)})

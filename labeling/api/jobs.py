"""Background jobs, as their rows tell."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling import access
from labeling.models import Job


def job_body(job: Job) -> dict[str, Any]:
    return {
        "id": str(job.pk),
        "kind": job.kind,
        "state": job.state,
        "progress": job.progress,
        "message": job.message,
        "reason": job.reason,
        "result": job.result,
        "error": job.error or None,
        "attempt": job.attempt,
        "created_at": job.created_at.isoformat(),
        "started_at": job.started_at.isoformat() if job.started_at else None,
        "finished_at": job.finished_at.isoformat() if job.finished_at else None,
    }


class JobView(APIView):
    """State, progress, result and error of a job."""

    scope = "annotate"

    @extend_schema(responses={200: dict}, operation_id="read_job")
    def get(self, request: Request, pk: Any) -> Response:
        return Response(job_body(access.job_for(request.user, pk, request.auth)))

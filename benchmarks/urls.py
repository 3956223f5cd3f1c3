from django.urls import include, path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView


class EmptyView(APIView):
    """Authenticates, checks the scope and the throttle, reads the body, does nothing."""

    scope = "annotate"

    def post(self, request: Request) -> Response:
        return Response({"n": len(request.data)})


urlpatterns = [path("empty/", EmptyView.as_view()), path("", include("config.urls"))]

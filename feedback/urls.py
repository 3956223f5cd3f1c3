"""The addresses of feedback."""

from django.urls import path

from feedback.api import said, signals
from feedback.views import embed

app_name = "feedback"

urlpatterns = [
    path("api/v1/feedback/", said.FeedbackView.as_view(), name="api-feedback"),
    path("api/v1/events/", signals.EventsView.as_view(), name="api-events"),
    path("embed/v1/<str:file>", embed.embedded, name="embedded"),
    path("feedback/form/", embed.said, name="said"),
]

"""The addresses of feedback."""

from django.urls import path

from feedback.api import said

app_name = "feedback"

urlpatterns = [
    path("api/v1/feedback/", said.FeedbackView.as_view(), name="api-feedback"),
]

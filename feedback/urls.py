"""The addresses of feedback."""

from django.urls import path

from feedback.api import report, said, signals, subject
from feedback.views import embed, pages

app_name = "feedback"

urlpatterns = [
    path("api/v1/feedback/", said.FeedbackView.as_view(), name="api-feedback"),
    path("api/v1/feedback/standing/", said.StandingView.as_view(), name="api-standing"),
    path("api/v1/events/", signals.EventsView.as_view(), name="api-events"),
    path("api/v1/projects/<slug:slug>/feedback/", report.ReportView.as_view(), name="api-report"),
    path("api/v1/projects/<slug:slug>/feedback/subject/", subject.SubjectView.as_view(), name="api-subject"),
    path("embed/v1/<str:file>", embed.embedded, name="embedded"),
    path("feedback/form/", embed.said, name="said"),
    path("projects/<slug:slug>/feedback/", pages.feedback, name="feedback"),
    path("projects/<slug:slug>/feedback/latest/", pages.latest, name="latest"),
    path("projects/<slug:slug>/feedback/quarantine/", pages.quarantine, name="quarantine"),
    path("projects/<slug:slug>/feedback/subject/", pages.subject, name="subject"),
    path("projects/<slug:slug>/feedback/keys/", pages.keys, name="keys"),
    path("projects/<slug:slug>/feedback/keys/<int:pk>/", pages.change_key, name="change-key"),
    path("projects/<slug:slug>/feedback/keys/<int:pk>/rotate/", pages.rotate_key, name="rotate-key"),
    path("projects/<slug:slug>/feedback/keys/<int:pk>/revoke/", pages.revoke_key, name="revoke-key"),
]

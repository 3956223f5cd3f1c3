"""The addresses of learning."""

from django.urls import path

from active_learning.api import decisions, predict
from active_learning.api import models as api
from active_learning.views import errors, explain, learning, live, replay, review_figures, similar, versions, webhooks

app_name = "active_learning"

urlpatterns = [
    path("api/v1/projects/<slug:slug>/train/", api.TrainView.as_view(), name="api-train"),
    path("api/v1/projects/<slug:slug>/models/", api.ModelsView.as_view(), name="api-models"),
    path("api/v1/projects/<slug:slug>/models/<int:number>/promote/", api.PromoteView.as_view(), name="api-promote"),
    path("api/v1/projects/<slug:slug>/models/<int:number>/reject/", api.RejectView.as_view(), name="api-reject"),
    path("api/v1/projects/<slug:slug>/models/<int:number>/retire/", api.RetireView.as_view(), name="api-retire"),
    path("api/v1/projects/<slug:slug>/models/shadow/", api.ShadowView.as_view(), name="api-shadow"),
    path("api/v1/projects/<slug:slug>/models/rollback/", api.RollbackView.as_view(), name="api-rollback"),
    path("api/v1/projects/<slug:slug>/predict/", predict.PredictView.as_view(), name="api-predict"),
    path(
        "api/v1/projects/<slug:slug>/predictions/<uuid:pk>/",
        decisions.PredictionView.as_view(),
        name="api-prediction",
    ),
    path(
        "api/v1/projects/<slug:slug>/review/figures/",
        decisions.ReviewFiguresView.as_view(),
        name="api-review-figures",
    ),
    path("api/v1/projects/<slug:slug>/decisions/", decisions.DecisionsView.as_view(), name="api-decisions"),
    path("api/v1/projects/<slug:slug>/serving/", predict.ServingView.as_view(), name="api-serving"),
    path(
        "api/v1/projects/<slug:slug>/serving/preview/",
        predict.ServingPreviewView.as_view(),
        name="api-serving-preview",
    ),
    path("projects/<slug:slug>/live/", live.live, name="live"),
    path("review/<slug:slug>/figures/", review_figures.review_figures, name="review-figures"),
    path("projects/<slug:slug>/settings/webhooks/", webhooks.webhooks, name="webhooks"),
    path("projects/<slug:slug>/settings/webhooks/<int:pk>/", webhooks.webhook, name="webhook"),
    path("projects/<slug:slug>/settings/webhooks/<int:pk>/test/", webhooks.test, name="webhook-test"),
    path("projects/<slug:slug>/settings/webhooks/<int:pk>/secret/", webhooks.secret, name="webhook-secret"),
    path("projects/<slug:slug>/settings/webhooks/<int:pk>/switch/", webhooks.switch, name="webhook-switch"),
    path("projects/<slug:slug>/settings/webhooks/<int:pk>/delete/", webhooks.delete, name="webhook-delete"),
    path(
        "projects/<slug:slug>/settings/webhooks/<int:pk>/again/<uuid:delivery>/", webhooks.again, name="webhook-again"
    ),
    path("api/v1/projects/<slug:slug>/errors/", api.ErrorsView.as_view(), name="api-errors"),
    path("api/v1/projects/<slug:slug>/errors/<str:group>/label/", api.ErrorLabelView.as_view(), name="api-error-label"),
    path("api/v1/projects/<slug:slug>/errors/<str:group>/check/", api.ErrorCheckView.as_view(), name="api-error-check"),
    path(
        "api/v1/projects/<slug:slug>/errors/<str:group>/guideline/",
        api.ErrorGuidelineView.as_view(),
        name="api-error-guideline",
    ),
    path("api/v1/projects/<slug:slug>/explain/", api.ExplainView.as_view(), name="api-explain"),
    path("projects/<slug:slug>/model/", learning.learning, name="learning"),
    path("projects/<slug:slug>/model/now/", learning.learning_now, name="learning-now"),
    path("projects/<slug:slug>/model/quality/<int:number>/", learning.quality, name="quality"),
    path("projects/<slug:slug>/model/fresh-audit/", learning.fresh_audit, name="fresh-audit"),
    path("projects/<slug:slug>/model/replay/", replay.replay, name="replay"),
    path("projects/<slug:slug>/model/replay/now/", replay.replay_now, name="replay-now"),
    path("projects/<slug:slug>/model/errors/", errors.errors, name="errors"),
    path("projects/<slug:slug>/model/errors/now/", errors.errors_now, name="errors-now"),
    path("projects/<slug:slug>/model/errors/<str:group>/label/", errors.label, name="error-label"),
    path("projects/<slug:slug>/model/errors/<str:group>/label/back/", errors.label_back, name="error-label-back"),
    path("projects/<slug:slug>/model/errors/<str:group>/check/", errors.check, name="error-check"),
    path("projects/<slug:slug>/model/errors/<str:group>/check/back/", errors.check_back, name="error-check-back"),
    path("projects/<slug:slug>/model/errors/<str:group>/guideline/", errors.guideline, name="error-guideline"),
    path("projects/<slug:slug>/model/train/", learning.train, name="train"),
    path("projects/<slug:slug>/model/settings/", learning.settings, name="learning-settings"),
    path("projects/<slug:slug>/model/rollback/", versions.roll_back, name="roll-back"),
    path("projects/<slug:slug>/model/shadow/", versions.set_shadow, name="set-shadow"),
    path("projects/<slug:slug>/model/compare/", versions.compare, name="compare"),
    path("projects/<slug:slug>/model/<int:number>/", versions.version, name="version"),
    path("projects/<slug:slug>/model/<int:number>/card.md", versions.card, name="card"),
    path("projects/<slug:slug>/model/<int:number>/why/", explain.version_why, name="version-why"),
    path("projects/<slug:slug>/model/<int:number>/promote/", versions.promote, name="promote"),
    path("projects/<slug:slug>/model/<int:number>/reject/", versions.reject, name="reject"),
    path("projects/<slug:slug>/model/<int:number>/retire/", versions.retire, name="retire"),
    path("projects/<slug:slug>/items/<int:pk>/similar/", similar.similar, name="similar"),
    path("projects/<slug:slug>/items/<int:pk>/similar/now/", similar.similar_now, name="similar-now"),
    path("projects/<slug:slug>/items/<int:pk>/why/", explain.why, name="why"),
    path("projects/<slug:slug>/items/<int:pk>/why/more/", explain.why_more, name="why-more"),
]

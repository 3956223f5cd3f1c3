"""The addresses of learning."""

from django.urls import path

from active_learning import api, views

app_name = "active_learning"

urlpatterns = [
    path("api/v1/projects/<slug:slug>/train/", api.TrainView.as_view(), name="api-train"),
    path("api/v1/projects/<slug:slug>/models/", api.ModelsView.as_view(), name="api-models"),
    path("projects/<slug:slug>/model/", views.learning, name="learning"),
    path("projects/<slug:slug>/model/now/", views.learning_now, name="learning-now"),
    path("projects/<slug:slug>/model/train/", views.train, name="train"),
    path("projects/<slug:slug>/model/replay/", views.replay, name="replay"),
    path("projects/<slug:slug>/model/replay/now/", views.replay_now, name="replay-now"),
    path("projects/<slug:slug>/items/<int:pk>/similar/", views.similar, name="similar"),
    path("projects/<slug:slug>/items/<int:pk>/similar/now/", views.similar_now, name="similar-now"),
    path("projects/<slug:slug>/model/settings/", views.settings, name="learning-settings"),
]

"""The addresses of learning."""

from django.urls import path

from active_learning import api, views

app_name = "active_learning"

urlpatterns = [
    path("api/v1/projects/<slug:slug>/train/", api.TrainView.as_view(), name="api-train"),
    path("api/v1/projects/<slug:slug>/models/", api.ModelsView.as_view(), name="api-models"),
    path("api/v1/projects/<slug:slug>/models/<int:number>/promote/", api.PromoteView.as_view(), name="api-promote"),
    path("api/v1/projects/<slug:slug>/models/rollback/", api.RollbackView.as_view(), name="api-rollback"),
    path("projects/<slug:slug>/model/", views.learning, name="learning"),
    path("projects/<slug:slug>/model/now/", views.learning_now, name="learning-now"),
    path("projects/<slug:slug>/model/train/", views.train, name="train"),
    path("projects/<slug:slug>/model/settings/", views.settings, name="learning-settings"),
]

"""The addresses of the labeling app, in the order in which a user meets them."""

from django.urls import path

from labeling.api import items as items_api
from labeling.api import jobs as jobs_api
from labeling.api import labels as labels_api
from labeling.api import projects as projects_api
from labeling.api import work as work_api
from labeling.views import exports as exports_views
from labeling.views import imports as imports_views

app_name = "labeling"

_api = [
    path("api/v1/projects/", projects_api.ProjectsView.as_view(), name="api-projects"),
    path("api/v1/projects/<slug:slug>/", projects_api.ProjectView.as_view(), name="api-project"),
    path("api/v1/projects/<slug:slug>/items/", items_api.ItemsView.as_view(), name="api-items"),
    path("api/v1/projects/<slug:slug>/next/", work_api.NextView.as_view(), name="api-next"),
    path("api/v1/projects/<slug:slug>/history/", work_api.HistoryView.as_view(), name="api-history"),
    path("api/v1/projects/<slug:slug>/progress/", work_api.ProgressView.as_view(), name="api-progress"),
    path("api/v1/projects/<slug:slug>/labels/", labels_api.LabelsView.as_view(), name="api-labels"),
    path("api/v1/assignments/<int:pk>/submit/", work_api.SubmitView.as_view(), name="api-submit"),
    path("api/v1/assignments/<int:pk>/skip/", work_api.SkipView.as_view(), name="api-skip"),
    path("api/v1/assignments/<int:pk>/unskip/", work_api.UnskipView.as_view(), name="api-unskip"),
    path("api/v1/assignments/<int:pk>/release/", work_api.ReleaseView.as_view(), name="api-release"),
    path("api/v1/assignments/<int:pk>/renew/", work_api.RenewView.as_view(), name="api-renew"),
    path("api/v1/assignments/<int:pk>/comment/", work_api.CommentView.as_view(), name="api-comment"),
    path("api/v1/annotations/<int:pk>/undo/", work_api.UndoView.as_view(), name="api-undo"),
    path("api/v1/jobs/<uuid:pk>/", jobs_api.JobView.as_view(), name="api-job"),
]

_files = [
    path("projects/<slug:slug>/import/", imports_views.import_page, name="import"),
    path("projects/<slug:slug>/import/<str:upload_id>/", imports_views.preview, name="import-preview"),
    path("projects/<slug:slug>/import/<str:upload_id>/plan/", imports_views.plan, name="import-plan"),
    path("projects/<slug:slug>/imports/<uuid:job_id>/", imports_views.import_job, name="import-job"),
    path("projects/<slug:slug>/imports/<uuid:job_id>/progress/", imports_views.progress, name="import-progress"),
    path("projects/<slug:slug>/imports/<uuid:job_id>/errors.csv", imports_views.import_errors, name="import-errors"),
    path("projects/<slug:slug>/imports/<uuid:job_id>/again/", imports_views.import_again, name="import-again"),
    path("projects/<slug:slug>/export/", exports_views.export_page, name="export"),
    path("projects/<slug:slug>/export/list/", exports_views.export_list, name="export-list"),
    path("projects/<slug:slug>/exports/<uuid:job_id>/file/", exports_views.export_download, name="export-download"),
    path("projects/<slug:slug>/exports/<uuid:job_id>/manifest/", exports_views.export_manifest, name="export-manifest"),
]

urlpatterns = _api + _files

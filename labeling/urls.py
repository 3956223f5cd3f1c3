"""The addresses of the labeling app, in the order in which a user meets them."""

from django.urls import path

from labeling.api import agreement as agreement_api
from labeling.api import items as items_api
from labeling.api import jobs as jobs_api
from labeling.api import labels as labels_api
from labeling.api import projects as projects_api
from labeling.api import queue as queue_api
from labeling.api import review as review_api
from labeling.api import second_look as second_look_api
from labeling.api import work as work_api
from labeling.views import account as account_views
from labeling.views import agreement as agreement_views
from labeling.views import annotate as annotate_views
from labeling.views import exports as exports_views
from labeling.views import imports as imports_views
from labeling.views import items as items_views
from labeling.views import jobs as jobs_views
from labeling.views import members as members_views
from labeling.views import mine as mine_views
from labeling.views import projects as projects_views
from labeling.views import review as review_views
from labeling.views import second_look as second_look_views
from labeling.views import settings as settings_views
from labeling.views.login import LoginView

app_name = "labeling"

_api = [
    path("api/v1/projects/", projects_api.ProjectsView.as_view(), name="api-projects"),
    path("api/v1/projects/<slug:slug>/", projects_api.ProjectView.as_view(), name="api-project"),
    path("api/v1/projects/<slug:slug>/items/", items_api.ItemsView.as_view(), name="api-items"),
    path("api/v1/projects/<slug:slug>/queue/", queue_api.QueueView.as_view(), name="api-queue"),
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
    path("api/v1/projects/<slug:slug>/agreement/", agreement_api.AgreementView.as_view(), name="api-agreement"),
    path(
        "api/v1/projects/<slug:slug>/agreement/doubtful/", agreement_api.DoubtfulView.as_view(), name="api-send-doubts"
    ),
    path(
        "api/v1/projects/<slug:slug>/second-looks/", second_look_api.SecondLooksView.as_view(), name="api-second-looks"
    ),
    path(
        "api/v1/projects/<slug:slug>/second-looks/<int:pk>/close/",
        second_look_api.CloseSecondLookView.as_view(),
        name="api-second-look-close",
    ),
    path(
        "api/v1/projects/<slug:slug>/second-looks/<int:pk>/pairs/",
        second_look_api.SecondLookPairsView.as_view(),
        name="api-second-look-pairs",
    ),
    path("api/v1/projects/<slug:slug>/review/", review_api.ReviewsView.as_view(), name="api-reviews"),
    path("api/v1/review/<int:pk>/resolve/", review_api.ResolveView.as_view(), name="api-review-resolve"),
    path("api/v1/review/<int:pk>/requeue/", review_api.RequeueView.as_view(), name="api-review-requeue"),
    path("api/v1/review/<int:pk>/cannot-tell/", review_api.CannotTellView.as_view(), name="api-review-cannot-tell"),
    path("api/v1/review/<int:pk>/undo/", review_api.UndoReviewView.as_view(), name="api-review-undo"),
    path("api/v1/jobs/<uuid:pk>/", jobs_api.JobView.as_view(), name="api-job"),
]

_files = [
    path("projects/<slug:slug>/import/", imports_views.import_page, name="import"),
    path("projects/<slug:slug>/import/<str:upload_id>/", imports_views.preview, name="import-preview"),
    path("projects/<slug:slug>/import/<str:upload_id>/plan/", imports_views.plan, name="import-plan"),
    path("projects/<slug:slug>/import/jobs/<uuid:job_id>/", imports_views.import_job, name="import-job"),
    path("projects/<slug:slug>/import/jobs/<uuid:job_id>/progress/", imports_views.progress, name="import-progress"),
    path(
        "projects/<slug:slug>/import/jobs/<uuid:job_id>/errors.csv", imports_views.import_errors, name="import-errors"
    ),
    path("projects/<slug:slug>/import/jobs/<uuid:job_id>/again/", imports_views.import_again, name="import-again"),
    path("projects/<slug:slug>/export/", exports_views.export_page, name="export"),
    path("projects/<slug:slug>/export/list/", exports_views.export_list, name="export-list"),
    path("projects/<slug:slug>/export/<uuid:job_id>/file/", exports_views.export_download, name="export-download"),
    path("projects/<slug:slug>/export/<uuid:job_id>/manifest/", exports_views.export_manifest, name="export-manifest"),
]

_pages = [
    # /login/, /account/ and /invite/<token>/
    path("login/", LoginView.as_view(), name="login"),
    path("account/", account_views.account, name="account"),
    path("invite/<str:token>/", members_views.invitation, name="invitation"),
    path("invite/<str:token>/account/", members_views.invitation_account, name="invitation-account"),
    # /projects/
    path("projects/", projects_views.projects, name="projects"),
    path("projects/new/", projects_views.new_project, name="new-project"),
    path("guidelines/preview/", projects_views.preview_guidelines, name="preview-guidelines"),
    path("label/<slug:slug>/", annotate_views.annotate, name="annotate"),
    # /review/<slug>/
    path("review/<slug:slug>/", review_views.review, name="review"),
    path("review/<slug:slug>/majority/", review_views.majority, name="review-majority"),
    path("review/<slug:slug>/<int:pk>/decide/", review_views.decide, name="review-decide"),
    path("review/<slug:slug>/<int:pk>/requeue/", review_views.requeue, name="review-requeue"),
    path("review/<slug:slug>/<int:pk>/cannot-tell/", review_views.cannot_tell, name="review-cannot-tell"),
    path("review/<slug:slug>/<int:pk>/undo/", review_views.undo, name="review-undo"),
    path("health/dot/", jobs_views.health_dot, name="health-dot"),
    # /projects/<slug>/
    path("projects/<slug:slug>/", projects_views.project, name="project"),
    path("projects/<slug:slug>/mine/", mine_views.mine, name="mine"),
    # /projects/<slug>/agreement/
    path("projects/<slug:slug>/agreement/", agreement_views.agreement, name="agreement"),
    path("projects/<slug:slug>/agreement/now/", agreement_views.agreement_now, name="agreement-now"),
    path("projects/<slug:slug>/agreement/pairs/", agreement_views.agreement_pairs, name="agreement-pairs"),
    path("projects/<slug:slug>/agreement/person/", agreement_views.agreement_person, name="agreement-person"),
    path("projects/<slug:slug>/agreement/doubtful/", agreement_views.send_doubts, name="send-doubts"),
    path("projects/<slug:slug>/agreement/measure/", agreement_views.measure_agreement, name="measure-agreement"),
    path(
        "projects/<slug:slug>/agreement/agreement.<str:file_format>",
        agreement_views.agreement_file,
        name="agreement-file",
    ),
    # /projects/<slug>/items/
    path("projects/<slug:slug>/items/", items_views.items, name="items"),
    path("projects/<slug:slug>/items/<int:pk>/", items_views.item, name="item"),
    path("projects/<slug:slug>/items/ask-next/", items_views.ask_next, name="ask-next"),
    path("projects/<slug:slug>/items/take-out/", items_views.take_out, name="take-out"),
    path("projects/<slug:slug>/jobs/", jobs_views.jobs, name="jobs"),
    path("projects/<slug:slug>/jobs/list/", jobs_views.jobs_list, name="jobs-list"),
    path("projects/<slug:slug>/jobs/<uuid:pk>/retry/", jobs_views.retry, name="retry-job"),
    # /projects/<slug>/members/
    path("projects/<slug:slug>/members/", members_views.members, name="members"),
    path("projects/<slug:slug>/members/<int:pk>/role/", members_views.change_role, name="change-role"),
    path("projects/<slug:slug>/members/<int:pk>/remove/", members_views.remove_member, name="remove-member"),
    path("projects/<slug:slug>/members/<int:pk>/resume/", members_views.lift_pause, name="lift-pause"),
    path("projects/<slug:slug>/invitations/", members_views.invite, name="invite"),
    path(
        "projects/<slug:slug>/invitations/<int:pk>/revoke/",
        members_views.revoke_invitation,
        name="revoke-invitation",
    ),
    # /projects/<slug>/settings/
    path("projects/<slug:slug>/settings/", settings_views.settings, name="settings"),
    path("projects/<slug:slug>/settings/schema/", settings_views.schema, name="schema"),
    path("projects/<slug:slug>/settings/schema/<int:version>/", settings_views.schema_version, name="schema-version"),
    path("projects/<slug:slug>/settings/schema/second-look/", second_look_views.second_look, name="second-look"),
    path(
        "projects/<slug:slug>/settings/schema/second-look/<int:pk>/close/",
        second_look_views.close,
        name="close-second-look",
    ),
    path(
        "projects/<slug:slug>/settings/schema/second-look/<int:pk>/pairs.<str:file_format>",
        second_look_views.pairs_file,
        name="second-look-file",
    ),
    path("projects/<slug:slug>/settings/keys/", settings_views.keys, name="keys"),
    path("projects/<slug:slug>/settings/keys/<int:pk>/revoke/", settings_views.revoke_key, name="revoke-key"),
]

urlpatterns = _api + _files + _pages

from typing import Any

from django.core.management.base import CommandParser

from feedback.core.origins import LOCAL
from feedback.services.keys import create_widget_key
from labeling.core.errors import Invalid
from labeling.management.commands.create_key import Command as CreateApiKey
from labeling.models import ApiKey, Project


class Command(CreateApiKey):
    """The command of labeling, with the keys of this app."""

    scopes = (*ApiKey.SCOPES, "widget")

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--origin",
            action="append",
            help="with --scope widget: a page that may use the key, such as https://example.com; repeat for several"
            f" (default: this machine, {' and '.join(LOCAL)})",
        )

    def make_key(self, user: Any, project: Project | None, scopes: list[str], options: dict[str, Any]) -> str:
        if "widget" not in scopes:
            return super().make_key(user, project, scopes, options)
        if scopes != ["widget"]:
            raise Invalid("A widget key is public: it has no other scope.")
        if project is None:
            raise Invalid("A widget key is of one project: name it with --project.")
        origins = options["origin"] or LOCAL
        return create_widget_key(project=project, origins=origins, actor=user, name="create_key").key

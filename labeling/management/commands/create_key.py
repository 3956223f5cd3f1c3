import re
import secrets
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from labeling.core.errors import DomainError
from labeling.models import ApiKey, Membership, Project
from labeling.services.projects import create_api_key


class Command(BaseCommand):
    help = "Prints a new API key alone on standard output. Creates the user and the membership if need be."
    scopes: tuple[str, ...] = ApiKey.SCOPES

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--user", required=True, help="whose key it is; created without a password if unknown")
        parser.add_argument("--project", help="limit the key to this project (its slug)")
        parser.add_argument(
            "--scope",
            action="append",
            choices=self.scopes,
            help="what the key may do; repeat for several (default: manage, which includes annotate and predict)",
        )
        parser.add_argument(
            "--role",
            choices=Membership.Role.values,
            help="role of a new membership (default: owner for manage, else annotator)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not re.fullmatch(r"[\w.@+-]{1,150}", options["user"]):
            raise CommandError("A user name has 1 to 150 letters, digits and @ . + - _")
        scopes = options["scope"] or ["manage"]
        project = None
        if options["project"]:
            project = Project.objects.filter(slug=options["project"]).first()
            if project is None:
                raise CommandError(f"There is no project {options['project']}.")
        try:
            with transaction.atomic():
                users = get_user_model().objects
                user = users.filter(username=options["user"]).first()
                if user is None:
                    user = users.create_user(options["user"], password=secrets.token_urlsafe(24))
                    user.set_unusable_password()
                    user.save(update_fields=["password"])
                if project is not None:
                    manages = "manage" in scopes
                    role = options["role"] or (Membership.Role.OWNER if manages else Membership.Role.ANNOTATOR)
                    Membership.objects.get_or_create(project=project, user=user, defaults={"role": role})
                secret = self.make_key(user, project, scopes, options)
        except DomainError as error:
            raise CommandError(error.message) from None
        self.stdout.write(secret)

    def make_key(self, user: Any, project: Project | None, scopes: list[str], options: dict[str, Any]) -> str:
        """The key itself, as it is printed."""
        return create_api_key(user=user, project=project, scopes=scopes, name="create_key")[1]

"""Who belongs to a project, and accounts of those who are invited."""

from typing import Any

from django import forms
from django.contrib.auth.forms import PasswordChangeForm, UserCreationForm
from django.contrib.auth.password_validation import password_validators_help_texts

from labeling.models import Membership

ROLE_WORDS = {
    Membership.Role.ANNOTATOR: "Annotator: labels items",
    Membership.Role.REVIEWER: "Reviewer: also sees all answers and jobs, and exports labels",
    Membership.Role.OWNER: "Owner: also imports, changes settings and labels, and invites people",
}


class InviteForm(forms.Form):
    """An invitation to make."""

    role = forms.ChoiceField(
        choices=[(role.value, words) for role, words in ROLE_WORDS.items()],
        initial=Membership.Role.ANNOTATOR,
        widget=forms.RadioSelect,
        label="As what?",
    )


class AccountForm(UserCreationForm):
    """A new account; the password has to pass the validators of the settings."""

    class Meta(UserCreationForm.Meta):
        fields = ("username",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["password1"].help_text = _password_rules()


class PasswordForm(PasswordChangeForm):
    """A new password for one's own account; the old one is asked for."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["new_password1"].help_text = _password_rules()


def _password_rules() -> str:
    # As sentences: a list does not fit into the line below a field.
    return " ".join(password_validators_help_texts())

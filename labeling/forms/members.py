"""Who belongs to a project, and accounts of those who are invited."""

from django import forms
from django.contrib.auth.forms import UserCreationForm

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

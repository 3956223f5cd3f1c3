"""Refusals of the domain, shown beside the field that they are about."""

from collections.abc import Mapping

from django import forms

from labeling.core.errors import DomainError


def add_domain_error(form: forms.BaseForm, error: DomainError, names: Mapping[str, str] | None = None) -> None:
    """Puts the error's words on the form. `names` says which form field stands for which field of the domain."""
    fields = [(names or {}).get(name, name) for name in error.fields]
    on_page = [name for name in fields if name in form.fields]
    form.add_error(on_page[0] if on_page else None, error.message)

from django.apps import AppConfig


class ConfigConfig(AppConfig):
    """Installed for its management commands; it has no models."""

    name = "config"

"""Reviews that are open as a random check and for another reason wait as a random check, as new ones do."""

from typing import Any

from django.db import migrations

# As services.inbox had it.
PRIORITY_OF_BLIND = 0.5


def make_blind(apps: Any, schema_editor: Any) -> None:
    open_ones = apps.get_model("labeling", "ReviewItem").objects.using(schema_editor.connection.alias)
    open_ones.filter(state="open", evidence__has_key="explore").update(reason="explore", priority=PRIORITY_OF_BLIND)


class Migration(migrations.Migration):
    dependencies = [("labeling", "0014_inbox")]

    operations = [migrations.RunPython(make_blind, migrations.RunPython.noop)]

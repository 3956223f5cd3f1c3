"""The audit log refuses updates in the database itself, whatever code asks for them."""

from django.db import migrations

_SQLITE = """
CREATE TRIGGER audit_entries_are_never_changed BEFORE UPDATE ON labeling_auditentry
BEGIN SELECT RAISE(ABORT, 'The audit log is append-only.'); END
"""
_POSTGRESQL = """
CREATE FUNCTION audit_entries_are_never_changed() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'The audit log is append-only.'; END $$;
CREATE TRIGGER audit_entries_are_never_changed BEFORE UPDATE ON labeling_auditentry
FOR EACH ROW EXECUTE FUNCTION audit_entries_are_never_changed()
"""


def add_trigger(apps, schema_editor) -> None:
    schema_editor.execute(_POSTGRESQL if schema_editor.connection.vendor == "postgresql" else _SQLITE)


def drop_trigger(apps, schema_editor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP FUNCTION audit_entries_are_never_changed() CASCADE")
    else:
        schema_editor.execute("DROP TRIGGER audit_entries_are_never_changed")


class Migration(migrations.Migration):
    dependencies = [("labeling", "0001_first_tables")]
    operations = [migrations.RunPython(add_trigger, drop_trigger)]

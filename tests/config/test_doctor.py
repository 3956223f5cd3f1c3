import io

import pytest
from django.core.management import CommandError, call_command

from config.management.commands import doctor


@pytest.mark.django_db
def test_the_doctor_looks_at_every_part(broker):
    out = io.StringIO()
    call_command("doctor", stdout=out)
    lines = out.getvalue().splitlines()
    for name in doctor.CHECKS:
        assert any(line.split()[1:2] == [name] for line in lines), out.getvalue()
    assert lines[-1] == "Nothing is broken."


@pytest.mark.django_db
def test_a_broken_part_ends_with_1_and_hides_no_other(broker, monkeypatch):
    def explode():
        raise RuntimeError("torn out")
        yield

    monkeypatch.setitem(doctor.CHECKS, "storage", explode)
    out = io.StringIO()
    with pytest.raises(CommandError) as caught:
        call_command("doctor", stdout=out)
    assert caught.value.returncode == 1
    assert "FAIL  storage      RuntimeError: torn out" in out.getvalue()
    assert "embedding" in out.getvalue()


def test_a_full_disk_is_a_failure(monkeypatch):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 50_000_000})())
    ((state, found, advice),) = doctor._disk()
    assert (state, advice) == ("FAIL", "Free some space: answers can no longer be stored.")
    assert "0.1 GB free" in found


def test_other_versions_than_pinned_are_named(monkeypatch):
    monkeypatch.setattr(doctor.importlib.metadata, "version", lambda name: "0.0")
    ((state, found, advice),) = doctor._packages()
    assert state == "FAIL"
    assert "django is 0.0, wanted" in found
    assert advice == "Type: make install"

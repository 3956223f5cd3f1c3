"""Answers that people gave elsewhere come in: checked, de-duplicated, stored, and their items settled."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from django.db import connection
from django.utils import timezone

from labeling.core.answer_columns import AnswerColumns, answer_from_api, guess_answer_columns, holds_answers
from labeling.core.answers import AnswerDraft
from labeling.core.formats import RowError
from labeling.core.mapping import ColumnGuess
from labeling.core.schema import Value
from labeling.models import Annotation, Item, Project
from labeling.services.audit import record_audit
from labeling.services.batches import Intake, IntakeReport, SortedOut, in_parts, insert_rows
from labeling.services.resolve import settle_items

# Both lists must fit into the parameters of one query.
_RATERS_A_QUERY = 400
_NUMBER = re.compile(r"#?([1-9][0-9]{0,17})")


def add_answers(
    *, project: Project, drafts: Iterable[AnswerDraft | RowError], source: str, user: Any = None
) -> IntakeReport:
    """Stores new answers in batches, settling their items: how many were created, were there already, or are wrong.

    `source` says in the audit log where they came from.
    """
    record_audit(action="labels.import", actor=user, project=project, target=source)
    return AnswerIntake(project).add(drafts)


def add_answer_rows(*, project: Project, rows: Iterable[tuple[int, object]], user: Any) -> IntakeReport:
    """The same for numbered rows in the API's form. An exception in place of a row says why it could not be read."""
    record_audit(action="labels.import", actor=user, project=project, target="rows sent by API")
    return AnswerIntake(project).add_rows(rows)


class AnswerIntake(Intake[AnswerDraft]):
    """Answers already given, by people who are kept apart from the project's members even when names are alike."""

    contents = "labels"

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self.now = timezone.now()

    def seems_to_be(self, rows: Sequence[dict[str, Any]]) -> bool:
        """Whether the first rows of a file look like answers rather than items."""
        return holds_answers(rows, self.rules)

    def guess(self, rows: Sequence[dict[str, Any]]) -> list[ColumnGuess]:
        return guess_answer_columns(rows, self.rules)

    def columns(self, roles: Iterable[Sequence[str]]) -> AnswerColumns:
        return AnswerColumns(tuple((column, role) for column, role in roles), self.now)

    def draft_from_api(self, row: int, values: object) -> AnswerDraft | RowError:
        return answer_from_api(row, values, self.rules, self.now)

    def sort_out(self, drafts: list[AnswerDraft]) -> SortedOut[AnswerDraft]:
        item_ids, misnamed = _items_named(self.project, {draft.item for draft in drafts})
        said = _said(sorted(item_ids.values()), sorted({draft.rater for draft in drafts}))
        fresh: list[AnswerDraft] = []
        errors: list[RowError] = []
        n_known = 0
        for draft in drafts:
            item_id = item_ids.get(draft.item)
            if item_id is None:
                errors.append(RowError(draft.row, misnamed[draft.item], "item", draft.line))
                continue
            earlier = said.get((item_id, draft.rater))
            if earlier is None:
                said[item_id, draft.rater] = draft.value
                fresh.append(replace(draft, item_id=item_id))
            elif earlier == draft.value:
                n_known += 1
            else:
                message = (
                    f"“{draft.rater}” has already said {_in_words(earlier)} about this item; an imported answer never "
                    "changes."
                )
                errors.append(RowError(draft.row, message, "value", draft.line))
        return SortedOut(fresh, n_known, errors)

    def store(self, drafts: list[AnswerDraft]) -> None:
        adapted = connection.ops.adapt_datetimefield_value
        rows = [
            (
                self.project.pk,
                draft.item_id,
                draft.rater,
                Annotation.Source.IMPORT.value,
                self.schema.pk,
                json.dumps(draft.value),
                draft.seconds,
                "",
                False,
                adapted(draft.answered_at or self.now),
            )
            for draft in drafts
        ]
        insert_rows("labeling_annotation", _COLUMNS, rows)
        settle_items(project=self.project, item_ids={draft.item_id for draft in drafts if draft.item_id is not None})


_COLUMNS = "project_id, item_id, rater, source, schema_id, value, seconds, body_digest, is_late, created_at"


def _items_named(project: Project, names: set[str]) -> tuple[dict[str, int], dict[str, str]]:
    """The items by the names that rows use for them, and what is wrong with each name that has none.

    The owner's id comes first, then the item's number.
    """
    items = Item.objects.filter(project=project)
    found: dict[str, int] = {}
    for part in in_parts(sorted(names)):
        found.update(
            (own_id or "", pk) for own_id, pk in items.filter(external_id__in=part).values_list("external_id", "pk")
        )
    missing = {name: _NUMBER.fullmatch(name) for name in names - found.keys()}
    numbers = sorted({int(match[1]) for match in missing.values() if match})
    own_ids: dict[int, str | None] = {}
    for some_numbers in in_parts(numbers):
        own_ids.update(items.filter(pk__in=some_numbers).values_list("pk", "external_id"))
    misnamed: dict[str, str] = {}
    for name, match in missing.items():
        number = int(match[1]) if match else 0
        if number not in own_ids:
            misnamed[name] = (
                f"There is no item “{name}” in this project. Import the items first; an item goes by your id or by its "
                "number."
            )
        elif own_ids[number] is not None and not name.startswith("#"):
            # Files number their rows too. A row that was never imported must not fall to another item by chance.
            misnamed[name] = (
                f"No item has the id “{name}”. Item #{number} has an id of its own, “{own_ids[number]}”: use that, or "
                f"write #{number}."
            )
        else:
            found[name] = number
    return found, misnamed


def _said(item_ids: list[int], raters: list[str]) -> dict[tuple[int, str], Value]:
    """What these people are known to have said about these items."""
    said: dict[tuple[int, str], Value] = {}
    for some_items in in_parts(item_ids, n_other=_RATERS_A_QUERY):
        for start in range(0, len(raters), _RATERS_A_QUERY):
            some_raters = raters[start : start + _RATERS_A_QUERY]
            answers = Annotation.objects.live().filter(item_id__in=some_items, rater__in=some_raters)
            said.update(
                ((item_id, rater), value) for item_id, rater, value in answers.values_list("item_id", "rater", "value")
            )
    return said


def _in_words(value: Value) -> str:
    return f"“{', '.join(value) if isinstance(value, list) else value}”"

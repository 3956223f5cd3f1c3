"""Items come in: checked, de-duplicated, split and stored. Sending them again is harmless."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection
from django.utils import timezone

from labeling.core.drafts import ItemDraft, is_in_audit_split
from labeling.core.formats import RowError
from labeling.core.mapping import ColumnGuess, Mapping, draft_from_api, guess_mapping
from labeling.core.schema import SchemaRules, rules_of
from labeling.models import Item, LabelSchema, Project
from labeling.services.batches import Intake, IntakeReport, SortedOut, in_parts, insert_rows
from labeling.services.passing import ORIGIN, come_back


def add_items(*, project: Project, drafts: Iterable[ItemDraft | RowError], origin: str = "import") -> IntakeReport:
    """Stores new items in batches: how many were created, were there already, or are wrong and why.

    Takes drafts and errors mixed, so that a report keeps the order of the rows.
    """
    return ItemIntake(project, origin).add(drafts)


def add_rows(*, project: Project, rows: Iterable[tuple[int, object]], origin: str = "api") -> IntakeReport:
    """The same for numbered rows in the API's form. An exception in place of a row says why it could not be read."""
    return ItemIntake(project, origin).add_rows(rows)


def rules_for(project: Project) -> SchemaRules:
    """What values the project's current schema allows. One query."""
    schema = LabelSchema.objects.current(project.pk)
    return rules_of(schema.kind, schema.config)


class ItemIntake(Intake[ItemDraft]):
    """Items to judge."""

    contents = "items"

    def __init__(self, project: Project, origin: str = "import") -> None:
        super().__init__(project)
        self.origin = origin

    def guess(self, rows: Sequence[dict[str, Any]]) -> list[ColumnGuess]:
        return guess_mapping(rows, self.rules)

    def columns(self, roles: Iterable[Sequence[str]]) -> Mapping:
        return Mapping(tuple((column, role) for column, role in roles))

    def draft_from_api(self, row: int, values: object) -> ItemDraft | RowError:
        return draft_from_api(row, values, self.rules)

    def sort_out(self, drafts: list[ItemDraft]) -> SortedOut[ItemDraft]:
        return _sort_out(self.project, drafts)

    def store(self, drafts: list[ItemDraft]) -> None:
        _insert(self.project, drafts, self.origin)

    def recognize(self, drafts: list[ItemDraft]) -> None:
        for part in in_parts([draft.content_hash for draft in drafts], n_other=2):
            known = Item.objects.filter(project=self.project, content_hash__in=part, origin=ORIGIN)
            held = known.select_for_update(no_key=True).only("pk", "state", "origin").order_by("pk")
            come_back(items=held, origin=self.origin)


def _sort_out(project: Project, drafts: list[ItemDraft]) -> SortedOut[ItemDraft]:
    items = Item.objects.filter(project=project)
    hashes: set[str] = set()
    hash_of_id: dict[str, str] = {}
    for part in in_parts([draft.content_hash for draft in drafts]):
        hashes.update(items.filter(content_hash__in=part).values_list("content_hash", flat=True))
    for part in in_parts([draft.external_id for draft in drafts if draft.external_id is not None]):
        stored = items.filter(external_id__in=part).values_list("external_id", "content_hash")
        hash_of_id.update((external_id or "", its_hash) for external_id, its_hash in stored)
    length = _vector_length(project)
    fresh: list[ItemDraft] = []
    conflicts: list[RowError] = []
    n_known = 0
    for draft in drafts:
        own_length = len(draft.features) // 4 if draft.features else 0
        if length is not None and own_length != length:
            conflicts.append(RowError(draft.row, _wrong_length(own_length, length), "features", draft.line))
            continue
        known_as = hash_of_id.get(draft.external_id) if draft.external_id else None
        if known_as is not None and known_as != draft.content_hash:
            message = (
                f"The id “{draft.external_id}” is taken by an item with other content. "
                "The content of an item never changes: give this one a new id."
            )
            conflicts.append(RowError(draft.row, message, "id", draft.line))
        elif known_as is not None or draft.content_hash in hashes:
            n_known += 1
        else:
            length = own_length
            hashes.add(draft.content_hash)
            if draft.external_id:
                hash_of_id[draft.external_id] = draft.content_hash
            fresh.append(draft)
    return SortedOut(fresh, n_known, conflicts)


def _vector_length(project: Project) -> int | None:
    """How many numbers every item of the project brings: 0 for none, None while there are no items."""
    # Any item will do, because all of them are alike in this.
    any_item = Item.objects.filter(project=project).values_list("features", flat=True)[:1]
    for features in any_item:
        return len(features) // 4 if features else 0
    return None


def _wrong_length(given: int, wanted: int) -> str:
    if not wanted:
        return "The items of this project have no features, so this one cannot have any."
    if not given:
        return f"features is missing: every item of this project has {wanted} numbers."
    return f"features has {given} numbers; every item of this project has {wanted}."


_COLUMNS = "project_id, external_id, content_hash, data, features, meta, split, state, gold, origin, created_at"


def _insert(project: Project, drafts: list[ItemDraft], origin: str) -> None:
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    rows = [
        (
            project.pk,
            draft.external_id,
            draft.content_hash,
            json.dumps(draft.data),
            draft.features,
            json.dumps(draft.meta),
            _split(draft.content_hash, project.audit_share),
            Item.State.OPEN.value,
            None if draft.gold is None else json.dumps(draft.gold),
            origin,
            now,
        )
        for draft in drafts
    ]
    insert_rows("labeling_item", _COLUMNS, rows)


def _split(content_hash: str, audit_share: float) -> str:
    return (Item.Split.AUDIT if is_in_audit_split(content_hash, audit_share) else Item.Split.POOL).value

"""Everybody's live answers to a project as arrays, read once as a stream. For workers: it loads numpy."""

import json
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.db.models import TextField
from django.db.models.functions import Cast

from labeling.core.schema import SchemaRules
from labeling.models import Annotation, Item, Project
from labeling.services.resolve import person_name

if TYPE_CHECKING:
    from labeling.core.agreement.answers import Answers, Floats, Ints


@dataclass(frozen=True)
class Crowd:
    """Answers in the order of their ids, an entry each in every array.

    `items` are the ids behind the item numbers, `people` the names behind the first person numbers; each anonymous
    answer is a person of its own, numbered after them. Where several labels may be chosen an answer's label is a
    place in `sets`, the different sets that people chose. `n_left_out` answers are not here because the schema does
    not have their label any more. `last` is the newest answer's id, 0 without any.
    """

    items: "Ints"
    people: list[str]
    answers: "Answers"
    sets: list[frozenset[int]] | None
    annotation: "Ints"
    schema: "Ints"
    # Epoch seconds; how long it took, NaN where that is not known.
    when: "Floats"
    seconds: "Floats"
    n_left_out: int
    last: int
    _places: dict[Any, int]

    def code_of(self, value: Any) -> int | None:
        """A value's label number; None when nobody could have given or nobody gave it."""
        if self.sets is None:
            return self._places.get(str(value))
        return self._places.get(frozenset(value)) if isinstance(value, list) else None


def load_crowd(*, project: Project, rules: SchemaRules) -> Crowd:
    """The answers that count, to items that are not excluded, under the labels of `rules`. One query."""
    import numpy as np

    from labeling.core.agreement.answers import Answers

    is_set = rules.kind == "choices"
    number = {label: place for place, label in enumerate(rules.labels)}
    places: dict[Any, int] = {} if is_set else dict(number)
    code_of_text: dict[str, int] = {}
    item_of: dict[int, int] = {}
    person_of: dict[str, int] = {}
    number_of: dict[tuple[int | None, str], int] = {}
    whole = {name: array("q") for name in ("item", "person", "label", "annotation", "schema")}
    when, seconds = array("d"), array("d")
    n_left_out = last = 0
    live = Annotation.objects.live().filter(project=project).exclude(item__state=Item.State.EXCLUDED).order_by("id")
    # The value as text: each different one is read but once.
    rows = live.annotate(said=Cast("value", TextField())).values_list(
        "id", "item_id", "user_id", "rater", "said", "seconds", "created_at", "schema_id"
    )
    for pk, item_id, user_id, rater, said, took, created_at, schema_id in rows.iterator(chunk_size=10_000):
        last = pk
        label = code_of_text.get(said)
        if label is None:
            label = code_of_text[said] = _code(json.loads(said), number, places, is_set)
        if label < 0:
            n_left_out += 1
            continue
        person = number_of.get((user_id, rater))
        if person is None:
            name = person_name(user_id, rater)
            person = -1 if name is None else person_of.setdefault(name, len(person_of))
            number_of[user_id, rater] = person
        whole["item"].append(item_of.setdefault(item_id, len(item_of)))
        whole["person"].append(person)
        whole["label"].append(label)
        whole["annotation"].append(pk)
        whole["schema"].append(schema_id)
        when.append(created_at.timestamp())
        seconds.append(float("nan") if took is None else took)
    arrays = {name: np.array(numbers, dtype=np.int64) for name, numbers in whole.items()}
    anonymous = np.flatnonzero(arrays["person"] < 0)
    arrays["person"][anonymous] = len(person_of) + np.arange(len(anonymous))
    names = tuple(rules.labels)
    sets: list[frozenset[int]] | None = None
    if is_set:
        sets = [frozenset(number[label] for label in chosen) for chosen in places]
        names = tuple(" + ".join(sorted(chosen)) or "none" for chosen in places)
    scale = np.array([float(label) for label in names]) if rules.kind == "rating" else np.zeros(0)
    return Crowd(
        items=np.fromiter(item_of, dtype=np.int64, count=len(item_of)),
        people=list(person_of),
        answers=Answers(arrays["item"], arrays["person"], arrays["label"], names, scale),
        sets=sets,
        annotation=arrays["annotation"],
        schema=arrays["schema"],
        when=np.array(when),
        seconds=np.array(seconds),
        n_left_out=n_left_out,
        last=last,
        _places=places,
    )


def _code(value: Any, number: dict[str, int], places: dict[Any, int], is_set: bool) -> int:
    """The number of a value; -1 when the schema does not have it. A new set of labels gets the next one."""
    if not is_set:
        return number.get(str(value), -1)
    if not isinstance(value, list) or any(label not in number for label in value):
        return -1
    return places.setdefault(frozenset(value), len(places))


def known_answers(*, project: Project, crowd: Crowd) -> "Ints":
    """Each item's known answer as a label number; -1 where there is none, -2 where nobody has given it."""
    import numpy as np

    gold = np.full(len(crowd.items), -1, dtype=np.int64)
    place = {pk: number for number, pk in enumerate(crowd.items.tolist())}
    known = Item.objects.filter(project=project, gold__isnull=False).values_list("pk", "gold")
    for pk, value in known.iterator(chunk_size=10_000):
        if pk in place:
            code = crowd.code_of(value)
            gold[place[pk]] = -2 if code is None else code
    return gold


def names_on_screen(people: list[str]) -> list[str]:
    """What people are called on screen."""
    ids = [int(name.removeprefix("user:")) for name in people if name.startswith("user:")]
    called: dict[int, str] = {}
    users = get_user_model()._default_manager
    for start in range(0, len(ids), 500):
        called |= {user.pk: user.get_username() for user in users.filter(pk__in=ids[start : start + 500])}
    return [
        called.get(int(name.removeprefix("user:")), "someone who left")
        if name.startswith("user:")
        else name.removeprefix("rater:")
        for name in people
    ]

"""Models that answer: each version loaded once a process, and checked. The one module that makes a web process
load the numeric libraries, at its first prediction."""

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from active_learning.core.blocks import FeatureBlock
from active_learning.core.embedding import EmbeddingUnavailable
from active_learning.core.explain import Explainer
from active_learning.core.featurize import Featurizer, RawItem
from active_learning.core.inputs import Checked, InputSchema, check_input
from active_learning.core.learners import Model
from active_learning.core.manifest import ArtifactRefused
from active_learning.core.values import likeliest_value
from active_learning.selectors import LiveVersion
from active_learning.services import loaded
from active_learning.services.explain import Names, dear_reasons, reasons_for
from labeling.core.schema import SchemaRules, Value, rules_of
from labeling.models import LabelSchema

log = structlog.get_logger(__name__)

# Answers that are remembered, of all versions together: about 2 kB each.
MAX_REMEMBERED = 10_000
# A version that could not be loaded is tried again after this long: its files may have come back.
RETRY_SECONDS = 5.0


class CannotServe(Exception):
    """There is a live version, but it cannot answer; the message says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a version says of one input, and its heaviest reasons (active_learning.services.explain).

    None for reasons that were not looked for, because they cost more than the answer.
    """

    value: Value
    probabilities: tuple[float, ...]
    reasons: tuple[dict[str, Any], ...] | None


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A version that is ready to answer."""

    live: LiveVersion
    names: Names
    explainer: Explainer
    featurizer: Featurizer
    inputs: InputSchema

    @property
    def model(self) -> Model:
        return self.explainer.model

    @property
    def rules(self) -> SchemaRules:
        return self.names.rules

    def check(self, data: object) -> Checked:
        return check_input(data, self.inputs)

    def answer(self, inputs: Sequence[tuple[bytes, Mapping[str, Any], NDArray[np.float32] | None]]) -> list[Answer]:
        """Answers to checked inputs, each given as its digest, its fields and the owner's vector. What was answered
        before by this version is remembered.

        Whoever asks about one input hears its reasons, whatever the model; of many only those that cost little."""
        is_alone = len(inputs) == 1
        keys = [(self.live.sha256, digest) for digest, _, _ in inputs]
        known = _remembered.get_many(keys)
        todo = [place for place, answer in enumerate(known) if answer is None or (is_alone and answer.reasons is None)]
        if todo:
            fresh = self._answer([RawItem(inputs[place][1], inputs[place][2]) for place in todo], is_alone)
            for place, answer in zip(todo, fresh, strict=True):
                known[place] = answer
                _remembered.put(keys[place], answer)
        return [answer for answer in known if answer is not None]

    def _answer(self, items: Sequence[RawItem], is_alone: bool) -> list[Answer]:
        block = self.featurizer.transform(items)
        probabilities = self.model.predict_proba(block)
        if not np.isfinite(probabilities).all():
            raise CannotServe("it answered something that is no probability")
        answers = []
        for row, (item, p) in enumerate(zip(items, probabilities, strict=True)):
            reasons = self.reasons(item, block.dense[row], p)
            if reasons is None and is_alone:
                reasons = self.dear_reasons(item, block, p)
            answers.append(Answer(likeliest_value(p, self.rules), tuple(p.tolist()), reasons))
        return answers

    def reasons(self, item: RawItem, dense: NDArray[Any], p: NDArray[np.float32]) -> tuple[dict[str, Any], ...] | None:
        """What mostly made it say so, where that costs little beside the answer; `dense` are its dense features."""
        explainer, name = self.explainer, self.names.short
        found = reasons_for(explainer=explainer, data=item.data, dense=dense, probabilities=p, name=name)
        return None if found is None else tuple(found)

    def dear_reasons(self, item: RawItem, block: FeatureBlock, p: NDArray[np.float32]) -> tuple[dict[str, Any], ...]:
        """The same at whatever cost: some milliseconds. `block` is the item's row of features."""
        explainer, name = self.explainer, self.names.short
        return tuple(dear_reasons(explainer=explainer, item=item, block=block, probabilities=p, name=name))


class _Remembered:
    """The newest answers by version and content, so that none outlives its version's turn."""

    def __init__(self, most: int) -> None:
        self._answers: OrderedDict[tuple[str, bytes], Answer] = OrderedDict()
        self._lock = threading.Lock()
        self._most = most

    def get_many(self, keys: Sequence[tuple[str, bytes]]) -> list[Answer | None]:
        with self._lock:
            found = [self._answers.get(key) for key in keys]
            for key, answer in zip(keys, found, strict=True):
                if answer is not None:
                    self._answers.move_to_end(key)
        return found

    def put(self, key: tuple[str, bytes], answer: Answer) -> None:
        with self._lock:
            self._answers[key] = answer
            if len(self._answers) > self._most:
                self._answers.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._answers.clear()


_remembered = _Remembered(MAX_REMEMBERED)
# Versions that could not be loaded: when, and why.
_refused: dict[str, tuple[float, str]] = {}
_making = threading.Lock()


def served_model(*, live: LiveVersion) -> ServedModel:
    """The version ready to answer: from memory, or loaded and checked by hash and known inputs.

    Raises CannotServe when its files are missing or altered, when it answers its known inputs otherwise than when it
    was made, or when the embedding of its features is not installed.
    """
    at, why = _refused.get(live.sha256, (0.0, ""))
    if why and time.monotonic() - at < RETRY_SECONDS:
        raise CannotServe(why)
    began = time.perf_counter()
    try:
        found = loaded.loaded_version(path=live.path, sha256=live.sha256)
        if found.served is None:
            with _making:
                if found.served is None:
                    found.served = _made(live, found)
                    seconds = round(time.perf_counter() - began, 3)
                    about = {"version": live.number, "sha256": live.sha256, "bytes": found.n_bytes}
                    log.info("model_loaded", **about, seconds=seconds)
    except (ArtifactRefused, EmbeddingUnavailable) as error:
        log.error("model_refused", version=live.number, sha256=live.sha256, error=str(error))
        _refused[live.sha256] = (time.monotonic(), str(error))
        raise CannotServe(str(error)) from error
    _refused.pop(live.sha256, None)
    served: ServedModel = found.served
    return served


def forget_models() -> None:
    """Empties the memory of this process: the next prediction loads anew, and remembers no answer."""
    loaded.forget_models()
    _refused.clear()
    _remembered.clear()


def _made(live: LiveVersion, found: loaded.Loaded) -> ServedModel:
    schema = LabelSchema.objects.get(project_id=live.project_id, version=live.schema_version)
    return ServedModel(
        live=live,
        names=Names(rules_of(schema.kind, schema.config), schema.config),
        explainer=found.explainer,
        featurizer=Featurizer(found.explainer.spec),
        inputs=found.inputs,
    )

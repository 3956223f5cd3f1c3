"""Models in memory: each version loaded once a process, checked, and answering. The one module that makes a web process
load the numeric libraries, at its first prediction."""

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import structlog
from django.conf import settings
from numpy.typing import NDArray

from active_learning.core.artifacts import read_artifact
from active_learning.core.blocks import FeatureBlock
from active_learning.core.embedding import EmbeddingUnavailable
from active_learning.core.explain import Explainer, typical_of
from active_learning.core.featurize import Featurizer, FeaturizerSpec, RawItem
from active_learning.core.inputs import Checked, InputSchema, check_input, unchecked_inputs
from active_learning.core.learners import Model
from active_learning.core.manifest import ArtifactRefused
from active_learning.core.values import likeliest_value
from active_learning.selectors import LiveVersion
from active_learning.services import files, registry
from active_learning.services.explain import Names, reasons_for
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
    """What a version says of one input, and its heaviest reasons (active_learning.services.explain)."""

    value: Value
    probabilities: tuple[float, ...]
    reasons: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A version that is ready to answer."""

    live: LiveVersion
    model: Model
    names: Names
    explainer: Explainer
    featurizer: Featurizer
    inputs: InputSchema
    n_bytes: int

    @property
    def rules(self) -> SchemaRules:
        return self.names.rules

    def check(self, data: object) -> Checked:
        return check_input(data, self.inputs)

    def answer(self, inputs: Sequence[tuple[bytes, Mapping[str, Any], NDArray[np.float32] | None]]) -> list[Answer]:
        """Answers to checked inputs, each given as its digest, its fields and the owner's vector. What was answered
        before by this version is remembered."""
        keys = [(self.live.sha256, digest) for digest, _, _ in inputs]
        known = _remembered.get_many(keys)
        todo = [place for place, answer in enumerate(known) if answer is None]
        if todo:
            fresh = self._answer([RawItem(inputs[place][1], inputs[place][2]) for place in todo])
            for place, answer in zip(todo, fresh, strict=True):
                known[place] = answer
                _remembered.put(keys[place], answer)
        return [answer for answer in known if answer is not None]

    def _answer(self, items: Sequence[RawItem]) -> list[Answer]:
        block = self.featurizer.transform(items)
        probabilities = self.model.predict_proba(block)
        if not np.isfinite(probabilities).all():
            raise CannotServe("it answered something that is no probability")
        answers = []
        for row, (item, p) in enumerate(zip(items, probabilities, strict=True)):
            reasons = self.reasons(item, block if len(items) == 1 else block.take(np.array([row])), p)
            answers.append(Answer(likeliest_value(p, self.rules), tuple(p.tolist()), reasons))
        return answers

    def reasons(self, item: RawItem, row: FeatureBlock, p: NDArray[np.float32]) -> tuple[dict[str, Any], ...]:
        """What mostly made it say so, where that costs little beside the answer; `row` holds the item's features."""
        told = reasons_for(explainer=self.explainer, data=item.data, block=row, probabilities=p, name=self.names.short)
        return tuple(told)


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


@dataclass(slots=True)
class _Loaded:
    """The models of this process, those used longest ago first; together below the setting's bytes."""

    models: OrderedDict[str, ServedModel] = field(default_factory=OrderedDict)
    refused: dict[str, tuple[float, str]] = field(default_factory=dict)
    n_bytes: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    # One load at a time: loading is rare, and two at once would need the memory of both.
    loading: threading.Lock = field(default_factory=threading.Lock)

    def get(self, sha256: str) -> ServedModel | None:
        with self.lock:
            model = self.models.get(sha256)
            if model is not None:
                self.models.move_to_end(sha256)
            return model

    def put(self, model: ServedModel) -> None:
        with self.lock:
            self.models[model.live.sha256] = model
            self.n_bytes += model.n_bytes
            while self.n_bytes > settings.SERVING_MEMORY_BYTES and len(self.models) > 1:
                self.n_bytes -= self.models.popitem(last=False)[1].n_bytes


_remembered = _Remembered(MAX_REMEMBERED)
_loaded = _Loaded()
_featurizers: dict[str, Featurizer] = {}


def served_model(*, live: LiveVersion) -> ServedModel:
    """The version ready to answer: from memory, or loaded and checked by hash and known inputs.

    Raises CannotServe when its files are missing or altered, when it answers its known inputs otherwise than when it
    was made, or when the embedding of its features is not installed.
    """
    model = _loaded.get(live.sha256)
    if model is None:
        with _loaded.loading:
            model = _loaded.get(live.sha256) or _load(live)
    return model


def loaded_models() -> dict[str, int]:
    """The versions in the memory of this process: bytes by digest."""
    with _loaded.lock:
        return {sha256: model.n_bytes for sha256, model in _loaded.models.items()}


def forget_models() -> None:
    """Empties the memory of this process: the next prediction loads anew."""
    with _loaded.lock:
        _loaded.models.clear()
        _loaded.refused.clear()
        _loaded.n_bytes = 0
    _remembered.clear()


def _load(live: LiveVersion) -> ServedModel:
    at, why = _loaded.refused.get(live.sha256, (0.0, ""))
    if why and time.monotonic() - at < RETRY_SECONDS:
        raise CannotServe(why)
    began = time.perf_counter()
    try:
        artifact = read_artifact(files.absolute(live.path), sha256=live.sha256, keys=files.signing_keys())
        spec = FeaturizerSpec.from_json(artifact.documents["featurizer"])
        schema = LabelSchema.objects.get(project_id=live.project_id, version=live.schema_version)
        restored = registry.model_of(artifact)
        model = ServedModel(
            live=live,
            model=restored,
            names=Names(rules_of(schema.kind, schema.config), schema.config),
            explainer=Explainer(restored, spec, typical_of(spec, registry.stored_scaling(artifact).center)),
            featurizer=_featurizer(spec),
            inputs=(
                InputSchema.from_json(artifact.documents[registry.INPUTS])
                if registry.INPUTS in artifact.documents
                else unchecked_inputs(spec)
            ),
            n_bytes=sum(array.nbytes for name, array in artifact.arrays.items() if not name.startswith("known_")),
        )
    except (ArtifactRefused, EmbeddingUnavailable) as error:
        log.error("model_refused", version=live.number, sha256=live.sha256, error=str(error))
        _loaded.refused[live.sha256] = (time.monotonic(), str(error))
        raise CannotServe(str(error)) from error
    _loaded.refused.pop(live.sha256, None)
    _loaded.put(model)
    seconds = round(time.perf_counter() - began, 3)
    log.info("model_loaded", version=live.number, sha256=live.sha256, bytes=model.n_bytes, seconds=seconds)
    return model


def _featurizer(spec: FeaturizerSpec) -> Featurizer:
    """Versions of one spec share its featurizer."""
    if spec.fingerprint not in _featurizers:
        _featurizers[spec.fingerprint] = Featurizer(spec)
    return _featurizers[spec.fingerprint]

"""The models in the memory of this process: one room for serving, training and explanations, bounded in bytes."""

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings

from active_learning.core.artifacts import Artifact, read_artifact
from active_learning.core.explain import Explainer, typical_of
from active_learning.core.featurize import FeaturizerSpec
from active_learning.core.inputs import InputSchema, unchecked_inputs
from active_learning.core.known import check_known
from active_learning.core.learners import Model, restore
from active_learning.core.scaling import DenseScaling
from active_learning.services import files

# The document of an artifact that says what inputs a version was taught to see.
INPUTS = "inputs"


@dataclass(slots=True)
class Loaded:
    """A version's model, which has answered its known inputs, with what is needed to explain and to check inputs.

    `served` is what serving makes of it at its first answer; it goes with the model.
    """

    sha256: str
    explainer: Explainer
    inputs: InputSchema
    n_bytes: int
    served: Any = None

    @property
    def model(self) -> Model:
        return self.explainer.model


@dataclass(slots=True)
class _Room:
    """Models, those used longest ago first; together below the setting's bytes, but for the last one."""

    models: OrderedDict[str, Loaded] = field(default_factory=OrderedDict)
    n_bytes: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    # One load at a time: loading is rare, and two at once would need the memory of both.
    loading: threading.Lock = field(default_factory=threading.Lock)

    def get(self, sha256: str) -> Loaded | None:
        with self.lock:
            found = self.models.get(sha256)
            if found is not None:
                self.models.move_to_end(sha256)
            return found

    def put(self, loaded: Loaded) -> None:
        with self.lock:
            self.models[loaded.sha256] = loaded
            self.n_bytes += loaded.n_bytes
            while self.n_bytes > settings.SERVING_MEMORY_BYTES and len(self.models) > 1:
                self.n_bytes -= self.models.popitem(last=False)[1].n_bytes


_room = _Room()


def loaded_version(*, path: str, sha256: str) -> Loaded:
    """The version whose files are at the stored path: from memory, or read and checked by hash and known inputs.

    Raises ArtifactRefused when they are missing, altered or not ours, and when the model answers its known inputs
    otherwise than when it was made.
    """
    found = _room.get(sha256)
    if found is None:
        with _room.loading:
            found = _room.get(sha256)
            if found is None:
                found = _read(path, sha256)
                _room.put(found)
    return found


def loaded_models() -> dict[str, int]:
    """The versions in the memory of this process: bytes by digest."""
    with _room.lock:
        return {sha256: loaded.n_bytes for sha256, loaded in _room.models.items()}


def forget_models() -> None:
    """Empties the memory of this process: whoever needs a model next loads it anew."""
    with _room.lock:
        _room.models.clear()
        _room.n_bytes = 0


def stored_scaling(artifact: Artifact) -> DenseScaling:
    return DenseScaling(artifact.arrays["scaling_center"], artifact.arrays["scaling_scale"])


def _read(path: str, sha256: str) -> Loaded:
    artifact = read_artifact(files.absolute(path), sha256=sha256, keys=files.signing_keys())
    model = restore(artifact.arrays, artifact.documents["model"])
    check_known(model.predict_proba, artifact.arrays)
    spec = FeaturizerSpec.from_json(artifact.documents["featurizer"])
    stored = artifact.documents.get(INPUTS)
    return Loaded(
        sha256=sha256,
        explainer=Explainer(model, spec, typical_of(spec, stored_scaling(artifact).center)),
        inputs=unchecked_inputs(spec) if stored is None else InputSchema.from_json(stored),
        n_bytes=sum(array.nbytes for name, array in artifact.arrays.items() if not name.startswith("known_")),
    )

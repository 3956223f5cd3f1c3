"""What versions are made of: features, targets and weights of the labeled items, and the recipe; and the making."""

import hashlib
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from active_learning import selectors
from active_learning.core import learners
from active_learning.core.artifacts import Artifact, read_artifact
from active_learning.core.blocks import FeatureBlock, stack_blocks
from active_learning.core.featurize import FeaturizerSpec
from active_learning.core.inputs import InputSchema, learn_inputs
from active_learning.core.learners import Model, learner_of
from active_learning.core.material import Material
from active_learning.core.targets import Targets, encode_targets
from active_learning.core.weak import WeakRows
from active_learning.models import ModelVersion
from active_learning.services import archive, files, frozen, registry
from active_learning.services.features import FoundFeatures
from active_learning.services.loaded import stored_scaling
from active_learning.services.registry import Recipe
from labeling.core.errors import Conflict
from labeling.models import Project


def inputs_of(*, spec: FeaturizerSpec, ids: list[int]) -> InputSchema:
    """What inputs a model that learned from these items was taught to see. Their content never changes."""
    parts = (selectors.item_data(ids=ids[start : start + 1_000]) for start in range(0, len(ids), 1_000))
    return learn_inputs((data for part in parts for data in part.values()), spec)


def fit(*, recipe: Recipe, material: Material) -> Model:
    """The model that this recipe makes of this material, with a temperature of 1: the same to the bit each time."""
    return learner_of(recipe.parameters).fit(material)


def calibrate(*, recipe: Recipe, model: Model, material: Material, pool_leads: Sequence[float]) -> Model:
    """This model with its temperature: the same to the bit each time. `pool_leads` may be empty."""
    rng = np.random.default_rng(recipe.seed)
    return learners.calibrate(learner_of(recipe.parameters), model, material, rng, pool_leads)


class LeakedAudit(RuntimeError):
    """An audit item got into the training set. This must never happen; the training is given up."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What a version was made of: the items that people judged, in the order of the material's rows, and how.

    `pool_leads`: how far the first label led in the pool, as far as that was known. `weak` are the rows that come of
    what users say; `whole` is the material with these at its end.
    """

    ids: list[int]
    material: Material
    recipe: Recipe
    pool_leads: tuple[float, ...]
    weak: WeakRows
    whole: Material


def what_was_learned(*, version: ModelVersion) -> Learned:
    """The version's recipe and material, from its manifest, its data set and the features that it learned from.

    Raises ArtifactRefused when the version's own files are missing or altered, Conflict when its data set is or when
    items that it learned from are gone.
    """
    return learned_from(version=version, artifact=artifact_of(version=version))


def learned_from(*, version: ModelVersion, artifact: Artifact) -> Learned:
    """The same from files that are at hand already."""
    stored = _stored_dataset(version)
    ids, values, weights = (list(column) for column in zip(*stored["rows"], strict=True))
    spec = FeaturizerSpec.from_json(artifact.documents["featurizer"])
    material = Material(
        _features_again(version, spec, ids),
        encode_targets(values, stored["labels"], is_multilabel=stored["kind"] == "choices"),
        np.array(weights, dtype=np.float64),
        stored_scaling(artifact),
    )
    recipe = Recipe(artifact.about["dataset"], spec, artifact.about["parameters"], artifact.about["seed"])
    weak = WeakRows(*(tuple(column) for column in zip(*stored.get("weak", []), strict=True)))
    whole = with_weak_rows(
        project=version.project, spec=spec, labels=stored["labels"], material=material, weak=weak, keep=False
    )
    return Learned(ids, material, recipe, registry.stored_pool_leads(artifact), weak, whole)


def artifact_of(*, version: ModelVersion) -> Artifact:
    """The version's files, also when they were put into an archive. Raises ArtifactRefused."""
    if version.archived_at is None:
        return registry.load_artifact(version=version)
    with tempfile.TemporaryDirectory() as folder:
        archive.restore(version=version, folder=Path(folder) / version.sha256)
        return read_artifact(Path(folder) / version.sha256, sha256=version.sha256, keys=files.signing_keys())


def with_weak_rows(
    *,
    project: Project,
    spec: FeaturizerSpec,
    labels: Sequence[str],
    material: Material,
    weak: WeakRows,
    keep: bool = True,
) -> Material:
    """The material with these rows at its end. `keep` is frozen.learned_features'. Raises Conflict when items are gone,
    LeakedAudit for one of the audit split."""
    if not len(weak):
        return material
    ids, place = np.unique(np.array(weak.ids, dtype=np.int64), return_inverse=True)
    found = frozen.learned_features(project=project, spec=spec, ids=ids.tolist(), keep=keep)
    refuse_audit(ids.tolist(), found)
    n = len(ids) - len(found.places)
    if found.block is None or n:
        raise Conflict(f"{n} of the {len(ids)} items that users spoke about are gone.", code="gone")
    targets = encode_targets(weak.values, labels, is_multilabel=material.targets.is_multilabel)
    return Material(
        stack_blocks([material.block, found.block.take(place)]),
        Targets(material.targets.labels, np.concatenate([material.targets.y, targets.y])),
        np.concatenate([material.weights, np.array(weak.weights, dtype=np.float64)]),
        material.scaling,
        n_weak=len(weak),
    )


def refuse_audit(ids: Sequence[int], found: FoundFeatures) -> None:
    """Raises LeakedAudit when any of these items, whose features were found, is of the audit split."""
    if found.audit_places:
        leaked = [ids[place] for place in sorted(found.audit_places)[:3]]
        raise LeakedAudit(f"Audit items {leaked} were about to be trained on.")


def _features_again(version: ModelVersion, spec: FeaturizerSpec, ids: list[int]) -> FeatureBlock:
    """The features of all these items, kept or computed anew, however many."""
    found = frozen.learned_features(project=version.project, spec=spec, ids=ids, keep=False)
    n = len(ids) - len(found.places)
    if found.block is None or n:
        raise Conflict(f"{n} of the {len(ids)} items that model {version.number} learned from are gone.", code="gone")
    return found.block


def _stored_dataset(version: ModelVersion) -> dict[str, Any]:
    dataset = version.dataset
    try:
        content = files.absolute(dataset.path).read_bytes()
    except OSError as error:
        raise Conflict(f"The file of data set {dataset.number} is missing: {error}", code="dataset_missing") from error
    if hashlib.sha256(content).hexdigest() != dataset.sha256:
        raise Conflict(f"The file of data set {dataset.number} was altered.", code="dataset_altered")
    stored: dict[str, Any] = json.loads(content)
    return stored

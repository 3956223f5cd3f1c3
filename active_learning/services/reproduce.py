"""A version made again from its manifest, its data set and the items: does the same come out, and if not, why?"""

import hashlib
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from active_learning.core.artifacts import Artifact, read_artifact
from active_learning.core.blocks import FeatureBlock
from active_learning.core.featurize import FeaturizerSpec
from active_learning.core.targets import encode_targets
from active_learning.models import ModelVersion
from active_learning.services import archive, files, frozen, registry
from active_learning.services.registry import Recipe
from active_learning.services.training import Material, fit
from labeling.core.errors import Conflict


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is not as it was: a file's digest, the code's, or a library's version."""

    what: str
    then: str
    now: str


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What came out. `files` and `circumstances` say what differs; `is_same` that the whole digest does not."""

    expected: str
    sha256: str
    files: tuple[Difference, ...]
    circumstances: tuple[Difference, ...]

    @property
    def is_same(self) -> bool:
        return self.sha256 == self.expected


def rebuild_version(*, version: ModelVersion) -> Rebuilt:
    """Makes a version again, in a folder of its own that is thrown away. Nothing stored is changed.

    Raises ArtifactRefused when the version's own files are missing or altered, Conflict when its data set is or when
    items that it learned from are gone.
    """
    artifact = _artifact_of(version)
    learned = _learned(version, artifact)
    recipe, material = learned.recipe, learned.material
    model = fit(recipe=recipe, material=material)
    with tempfile.TemporaryDirectory() as folder:
        sha256, made = registry.store_model(
            recipe=recipe, model=model, scaling=material.scaling, learned=material.block, root=Path(folder)
        )
        again = read_artifact(made, sha256=sha256, keys=files.signing_keys())
    return Rebuilt(version.sha256, sha256, _differing_files(artifact, again), _differing_circumstances(artifact, again))


@dataclass(frozen=True, slots=True)
class Learned:
    """What a version was made of: the items that it learned from, in the order of the material's rows, and how."""

    ids: list[int]
    material: Material
    recipe: Recipe


def what_was_learned(*, version: ModelVersion) -> Learned:
    """The version's recipe and material, from its manifest, its data set and the features that it learned from.

    Raises ArtifactRefused and Conflict as `rebuild_version` does.
    """
    return _learned(version, _artifact_of(version))


def _learned(version: ModelVersion, artifact: Artifact) -> Learned:
    stored = _stored_dataset(version)
    ids, values, weights = (list(column) for column in zip(*stored["rows"], strict=True))
    spec = FeaturizerSpec.from_json(artifact.documents["featurizer"])
    material = Material(
        _features_again(version, spec, ids),
        encode_targets(values, stored["labels"], is_multilabel=stored["kind"] == "choices"),
        np.array(weights, dtype=np.float64),
        registry.stored_scaling(artifact),
    )
    recipe = Recipe(artifact.about["dataset"], spec, artifact.about["parameters"], artifact.about["seed"])
    return Learned(ids, material, recipe)


def _artifact_of(version: ModelVersion) -> Artifact:
    if version.archived_at is None:
        return registry.load_artifact(version=version)
    with tempfile.TemporaryDirectory() as folder:
        archive.restore(version=version, folder=Path(folder) / version.sha256)
        return read_artifact(Path(folder) / version.sha256, sha256=version.sha256, keys=files.signing_keys())


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


def _differing_files(then: Artifact, now: Artifact) -> tuple[Difference, ...]:
    return _differing(then.sha256_of, now.sha256_of)


def _differing_circumstances(then: Artifact, now: Artifact) -> tuple[Difference, ...]:
    code = _differing({"code": then.about["code_version"]}, {"code": now.about["code_version"]})
    return code + _differing(then.about["environment"], now.about["environment"])


def _differing(then: dict[str, str], now: dict[str, str]) -> tuple[Difference, ...]:
    names = sorted({*then, *now})
    return tuple(
        Difference(name, then.get(name, "not there"), now.get(name, "not there"))
        for name in names
        if then.get(name) != now.get(name)
    )

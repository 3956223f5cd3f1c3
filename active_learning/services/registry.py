"""Model versions: stored and loaded. What becomes of them is decided in active_learning.services.promotion."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings
from django.db import transaction
from django.db.models import Max

from active_learning import selectors
from active_learning.core.artifacts import Artifact, read_artifact, write_artifact
from active_learning.core.featurize import FeaturizerSpec
from active_learning.core.inputs import InputSchema
from active_learning.core.known import check_known, known_rows, pack_known
from active_learning.core.learners import Model
from active_learning.core.material import Material
from active_learning.core.sources import OF_A_FIT, digest_of
from active_learning.models import Dataset, ModelVersion
from active_learning.services import files
from active_learning.services.loaded import INPUTS, loaded_version
from labeling.models import Project

LIBRARIES = ("numpy", "scipy", "scikit-learn")


@lru_cache(maxsize=1)
def code_version() -> str:
    """A digest of the code that decides what a model becomes: the same on every machine with the same code."""
    return f"fit-{digest_of(settings.BASE_DIR, OF_A_FIT)[:16]}"


def environment(spec: FeaturizerSpec) -> dict[str, str]:
    """What else a model depends on."""
    found = {name: metadata.version(name) for name in LIBRARIES}
    found["python"] = platform.python_version()
    if spec.embedding:
        found["embedding"] = f"{spec.embedding} {spec.embedding_version}"
    return found


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that a model is made from, beside the features: enough to make it again."""

    dataset_sha256: str
    spec: FeaturizerSpec
    parameters: Mapping[str, Any]
    seed: int


def store_model(
    *,
    recipe: Recipe,
    model: Model,
    material: Material,
    pool_leads: Sequence[float],
    inputs: InputSchema | None,
    root: Path | None = None,
) -> tuple[str, Path]:
    """Writes the model's files, some rows of what it learned from as known inputs among them: digest and folder.

    `inputs` says what inputs it was taught to see; versions of before that was kept have None.
    """
    arrays, about = model.to_arrays()
    return write_artifact(
        root or files.models_folder(),
        about={
            "dataset": recipe.dataset_sha256,
            "seed": recipe.seed,
            "parameters": dict(recipe.parameters),
            "code_version": code_version(),
            "environment": environment(recipe.spec),
        },
        arrays=arrays
        | {"scaling_center": material.scaling.center, "scaling_scale": material.scaling.scale}
        | {"pool_leads": np.array(pool_leads, dtype=np.float64)}
        | pack_known(model.predict_proba, known_rows(material.block)),
        documents={"model": about, "featurizer": recipe.spec.to_json()}
        | ({} if inputs is None else {INPUTS: inputs.to_json()}),
        key=files.signing_keys()[0],
    )


def register_version(
    *,
    project: Project,
    dataset: Dataset,
    sha256: str,
    path: str,
    recipe: Recipe,
    metrics: dict[str, Any],
    report_path: str = "",
) -> ModelVersion:
    """The version of this artifact: a new candidate, or the one that the same data gave before.

    A candidate that is still one, or that the gate rejected, was measured again just now; what it is does not change.
    """
    with transaction.atomic():
        # One at a time: numbers follow each other without gaps.
        Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        same = ModelVersion.objects.filter(project=project, sha256=sha256).first()
        if same is not None:
            if same.may_be_judged:
                same.metrics, same.report_path = metrics, report_path
                same.save(update_fields=["metrics", "report_path"])
            return same
        last = ModelVersion.objects.filter(project=project).aggregate(last=Max("number"))["last"] or 0
        return ModelVersion.objects.create(
            project=project,
            number=last + 1,
            sha256=sha256,
            path=path,
            dataset=dataset,
            parent=ModelVersion.objects.filter(project=project, state=ModelVersion.State.LIVE).first(),
            parameters=dict(recipe.parameters) | {"fingerprint": recipe.spec.fingerprint, "seed": recipe.seed},
            environment=environment(recipe.spec),
            code_version=code_version(),
            metrics=metrics,
            report_path=report_path,
        )


def load_artifact(*, version: ModelVersion) -> Artifact:
    """The version's files. Raises ArtifactRefused when they are missing, altered or not ours."""
    return read_artifact(files.absolute(version.path), sha256=version.sha256, keys=files.signing_keys())


def load_model(*, version: ModelVersion) -> Model:
    """The version's model, which has answered its known inputs, from the memory of this process where it is there.

    Raises ArtifactRefused like load_artifact, and when it answers its known inputs otherwise than when it was made.
    """
    return loaded_version(path=version.path, sha256=version.sha256).model


def try_loading(*, version: ModelVersion) -> dict[str, int]:
    """What came of loading the stored files: known inputs that were answered as before, and bytes.

    Raises ArtifactRefused like load_model.
    """
    model, artifact = load_model(version=version), load_artifact(version=version)
    size = sum(path.stat().st_size for path in files.absolute(version.path).iterdir())
    return {"known_inputs": check_known(model.predict_proba, artifact.arrays), "bytes": size}


def live_model(*, project: Project) -> tuple[ModelVersion, Model] | None:
    """The live version and its model, None without one. One query each time, so a move of the alias counts at once.

    Raises ArtifactRefused like load_model.
    """
    version = selectors.live_version(project=project)
    return None if version is None else (version, load_model(version=version))


def stored_pool_leads(artifact: Artifact) -> tuple[float, ...]:
    """Of a version made before they were kept: none."""
    return tuple(artifact.arrays.get("pool_leads", np.zeros(0)).tolist())

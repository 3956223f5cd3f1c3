"""Model versions: stored, loaded, judged, made live. Every move of the live alias leaves an event."""

import hashlib
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from django.db import transaction
from django.db.models import Max
from numpy.typing import NDArray

import active_learning.core
from active_learning.core.artifacts import Artifact, read_artifact, write_artifact
from active_learning.core.audit import MIN_AUDITED
from active_learning.core.blocks import FeatureBlock
from active_learning.core.featurize import FeaturizerSpec
from active_learning.core.known import check_known, known_rows, pack_known
from active_learning.core.learners import DenseScaling, LinearModel
from active_learning.models import AliasEvent, Dataset, ModelVersion
from active_learning.services import files
from labeling.models import Project

LIBRARIES = ("numpy", "scipy", "scikit-learn")


@lru_cache(maxsize=1)
def code_version() -> str:
    """A digest of the code that decides what a model becomes: the same on every machine with the same code."""
    digest = hashlib.sha256()
    for path in sorted(Path(active_learning.core.__path__[0]).glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return f"core-{digest.hexdigest()[:16]}"


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
    *, recipe: Recipe, model: LinearModel, scaling: DenseScaling, learned: FeatureBlock, root: Path | None = None
) -> tuple[str, Path]:
    """Writes the model's files, some rows of what it learned from as known inputs among them: digest and folder."""
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
        | {"scaling_center": scaling.center, "scaling_scale": scaling.scale}
        | pack_known(model, known_rows(learned)),
        documents={"model": about, "featurizer": recipe.spec.to_json()},
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
) -> ModelVersion:
    """The version of this artifact: a new candidate, or the one that the same data gave before."""
    with transaction.atomic():
        # One at a time: numbers follow each other without gaps.
        Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        same = ModelVersion.objects.filter(project=project, sha256=sha256).first()
        if same is not None:
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
        )


def judge_version(*, version: ModelVersion, actor: Any = None) -> ModelVersion:
    """Makes a candidate live when it beats every baseline on the audit split, rejects it when it does not.

    With too few audited items it stays a candidate: nothing is known about it yet.
    """
    with transaction.atomic():
        Project.objects.select_for_update(no_key=True).get(pk=version.project_id)
        version.refresh_from_db()
        if version.state != ModelVersion.State.CANDIDATE:
            return version
        n_audited = version.metrics.get("n_audited", 0)
        if n_audited < MIN_AUDITED:
            reason = f"insufficient data: {n_audited} of {MIN_AUDITED} audit items answered"
            ModelVersion.objects.filter(pk=version.pk).update(state_reason=reason)
            version.state_reason = reason
            return version
        worse = [
            f"{name} (p = {entry['comparison']['p_value']:.2f})"
            for name, entry in version.metrics["baselines"].items()
            if not entry["comparison"]["is_better"]
        ]
        if worse:
            version.state = ModelVersion.State.REJECTED
            version.state_reason = f"not better than the baseline: {', '.join(worse)}"[:300]
            version.save(update_fields=["state", "state_reason"])
            return version
        _make_live(version, actor, f"beats every baseline on {n_audited} audit items")
    return version


def _make_live(version: ModelVersion, actor: Any, reason: str) -> None:
    live = ModelVersion.objects.filter(project_id=version.project_id, state=ModelVersion.State.LIVE)
    before = live.first()
    live.update(state=ModelVersion.State.RETIRED, state_reason=f"replaced by model {version.number}")
    version.state = ModelVersion.State.LIVE
    version.state_reason = reason
    version.save(update_fields=["state", "state_reason"])
    AliasEvent.objects.create(
        project_id=version.project_id,
        from_number=before.number if before else None,
        to_number=version.number,
        to_sha256=version.sha256,
        actor=actor,
        reason=reason,
        evidence={"audit": version.metrics.get("audit"), "baselines": version.metrics.get("baselines")},
    )


def load_artifact(*, version: ModelVersion) -> Artifact:
    """The version's files. Raises ArtifactRefused when they are missing, altered or not ours."""
    return read_artifact(files.absolute(version.path), sha256=version.sha256, keys=files.signing_keys())


def load_model(*, version: ModelVersion) -> LinearModel:
    """The version's model, which has answered its known inputs; the last few stay in memory.

    Raises ArtifactRefused like load_artifact, and when it answers its known inputs otherwise than when it was made.
    """
    return _load(str(files.absolute(version.path)), version.sha256)


@lru_cache(maxsize=4)
def _load(folder: str, sha256: str) -> LinearModel:
    artifact = read_artifact(Path(folder), sha256=sha256, keys=files.signing_keys())
    model = LinearModel.from_arrays(artifact.arrays, artifact.documents["model"])
    check_known(model, artifact.arrays)
    return model


def stored_scaling(artifact: Artifact) -> DenseScaling:
    center: NDArray[np.float64] = artifact.arrays["scaling_center"]
    return DenseScaling(center, artifact.arrays["scaling_scale"])

"""A version made again from its manifest, its data set and the items: does the same come out, and if not, why?"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from active_learning.core.artifacts import Artifact, read_artifact
from active_learning.core.known import off_by
from active_learning.models import ModelVersion
from active_learning.services import files, registry
from active_learning.services.loaded import INPUTS
from active_learning.services.material import artifact_of, calibrate, fit, inputs_of, learned_from


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is not as it was: a file's digest, the code's, or a library's version."""

    what: str
    then: str
    now: str


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What came out. `files` and `circumstances` say what differs; `is_same` that the whole digest does not.

    `off_by` is the most by which it answers one of the version's known inputs otherwise, as a probability; None for a
    version that was stored without any.
    """

    expected: str
    sha256: str
    files: tuple[Difference, ...]
    circumstances: tuple[Difference, ...]
    off_by: float | None

    @property
    def is_same(self) -> bool:
        return self.sha256 == self.expected


def rebuild_version(*, version: ModelVersion) -> Rebuilt:
    """Makes a version again, in a folder of its own that is thrown away. Nothing stored is changed.

    Raises ArtifactRefused when the version's own files are missing or altered, Conflict when its data set is or when
    items that it learned from are gone.
    """
    artifact = artifact_of(version=version)
    learned = learned_from(version=version, artifact=artifact)
    recipe, material = learned.recipe, learned.whole
    model = fit(recipe=recipe, material=material)
    model = calibrate(recipe=recipe, model=model, material=material, pool_leads=learned.pool_leads)
    with tempfile.TemporaryDirectory() as folder:
        sha256, made = registry.store_model(
            recipe=recipe,
            model=model,
            material=material,
            pool_leads=learned.pool_leads,
            inputs=inputs_of(spec=recipe.spec, ids=learned.ids) if INPUTS in artifact.documents else None,
            root=Path(folder),
        )
        again = read_artifact(made, sha256=sha256, keys=files.signing_keys())
    return Rebuilt(
        version.sha256,
        sha256,
        _differing_files(artifact, again),
        _differing_circumstances(artifact, again),
        off_by(model.predict_proba, artifact.arrays) if "known_probabilities" in artifact.arrays else None,
    )


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

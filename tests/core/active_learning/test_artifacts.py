import json

import numpy as np
import pytest

from active_learning.core.artifacts import pack_arrays, read_artifact, write_artifact
from active_learning.core.manifest import ArtifactRefused

KEY, OTHER = b"k" * 32, b"o" * 32
ABOUT = {"learner": {"C": 10.0}, "labels": ["ja", "nein"], "name": "größe"}
ARRAYS = {"weights": np.arange(6, dtype=np.float32).reshape(2, 3), "columns": np.array([4, 9])}


def store(root, key=KEY, about=ABOUT):
    return write_artifact(root, about=about, arrays=ARRAYS, documents={"spec": {"bits": 20}}, key=key)


def test_what_was_stored_is_read(tmp_path):
    sha256, folder = store(tmp_path)
    found = read_artifact(folder, sha256=sha256, keys=[OTHER, KEY])
    assert found.about == ABOUT
    assert found.documents == {"spec": {"bits": 20}}
    assert (found.arrays["weights"] == ARRAYS["weights"]).all()


def test_the_same_model_has_the_same_name_and_bytes(tmp_path):
    first, second = store(tmp_path / "a"), store(tmp_path / "b")
    assert first[0] == second[0] == store(tmp_path / "a")[0]
    assert (first[1] / "arrays.npz").read_bytes() == (second[1] / "arrays.npz").read_bytes()
    assert store(tmp_path / "a", about=ABOUT | {"seed": 1})[0] != first[0]
    assert len(list((tmp_path / "a").glob("*/*"))) == 2


@pytest.mark.parametrize("target", ["arrays.npz", "spec.json", "manifest.json"])
def test_an_altered_file_is_refused(tmp_path, target):
    sha256, folder = store(tmp_path)
    content = bytearray((folder / target).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / target).write_bytes(content)
    with pytest.raises(ArtifactRefused):
        read_artifact(folder, sha256=sha256, keys=[KEY])


def test_a_consistent_forgery_is_refused(tmp_path):
    sha256, folder = store(tmp_path)
    forged_sha, forged = store(tmp_path / "forged", key=OTHER, about=ABOUT | {"labels": ["nein", "ja"]})
    with pytest.raises(ArtifactRefused, match="not signed"):
        read_artifact(forged, sha256=forged_sha, keys=[KEY])
    # A genuine model in the place of another one is refused too.
    genuine_sha, genuine = store(tmp_path, about=ABOUT | {"seed": 2})
    assert genuine_sha != sha256
    with pytest.raises(ArtifactRefused, match="another model"):
        read_artifact(genuine, sha256=sha256, keys=[KEY])


@pytest.mark.parametrize("manifest", [b"", b"[]", b"{}", b"not json"])
def test_a_broken_manifest_is_refused(tmp_path, manifest):
    sha256, folder = store(tmp_path)
    (folder / "manifest.json").write_bytes(manifest)
    with pytest.raises(ArtifactRefused):
        read_artifact(folder, sha256=sha256, keys=[KEY])


def test_a_manifest_cannot_reach_outside_its_folder(tmp_path):
    sha256, folder = store(tmp_path)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["../../secret"] = {"sha256": "0" * 64, "bytes": 1}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ArtifactRefused):
        read_artifact(folder, sha256=sha256, keys=[KEY])


def test_storing_again_mends_a_damaged_copy(tmp_path):
    sha256, folder = store(tmp_path)
    (folder / "arrays.npz").write_bytes(b"damaged")
    store(tmp_path)
    assert read_artifact(folder, sha256=sha256, keys=[KEY]).about == ABOUT


def test_objects_are_never_stored():
    with pytest.raises(ValueError, match="[Oo]bject"):
        pack_arrays({"x": np.array([{"a": 1}], dtype=object)})

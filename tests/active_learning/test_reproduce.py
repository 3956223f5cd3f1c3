"""A version is made again to the same digest, and what is not the model that was measured is not loaded."""

import json

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from active_learning.core.artifacts import write_artifact
from active_learning.core.manifest import ArtifactRefused
from active_learning.models import FeatureShard, ModelVersion
from active_learning.services import files, registry
from labeling.models import Item
from tests.active_learning.pools import answer, make_pool, pool_items, run_features, run_training

pytestmark = pytest.mark.django_db


@pytest.fixture
def version(owner):
    project = make_pool(owner, 60, audit_every=0)
    run_features(project)
    answer(pool_items(project, 30))
    run_training(project)
    registry._load.cache_clear()
    return ModelVersion.objects.get(project=project)


def reproduce(version):
    call_command("reproduce", version.project.slug, str(version.number))


def stored_again(version, **changes):
    """The version with some of its arrays changed and signed anew, as another library would read or write them."""
    artifact = registry.load_artifact(version=version)
    version.sha256, folder = write_artifact(
        files.models_folder(), about=artifact.about, arrays=artifact.arrays | changes, documents=artifact.documents,
        key=files.signing_keys()[0],
    )  # fmt: skip
    version.path = files.relative(folder)
    version.save(update_fields=["sha256", "path"])
    return version


def test_the_same_digest_comes_out(version, capsys):
    reproduce(version)
    assert version.sha256 in capsys.readouterr().out


def test_another_code_version_is_named_and_the_files_are_said_to_be_the_same(version, monkeypatch, capsys):
    monkeypatch.setattr(registry, "code_version", lambda: "core-0123456789abcdef")
    with pytest.raises(CommandError, match="Each file is the same to the bit"):
        reproduce(version)
    said = capsys.readouterr().out
    assert f"since then: code {version.code_version[:16]} -> core-0123456789a" in said
    assert "file:" not in said


def test_a_changed_item_gives_another_model_and_the_file_is_named(version, capsys):
    FeatureShard.objects.all().delete()
    first = json.loads(files.absolute(version.dataset.path).read_bytes())["rows"][0][0]
    Item.objects.filter(pk=first).update(data={"text": "nothing of what it said before"})
    with pytest.raises(CommandError, match="an item's content has changed"):
        reproduce(version)
    assert "file: arrays.npz" in capsys.readouterr().out


def test_what_cannot_be_made_again_is_said(version):
    slug = version.project.slug
    with pytest.raises(CommandError, match="There is no project nobody"):
        call_command("reproduce", "nobody", "1")
    with pytest.raises(CommandError, match=r"no model 7. Its versions are 1 to 1"):
        call_command("reproduce", slug, "7")
    path = files.absolute(version.dataset.path)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"food", b"sport", 1))
    with pytest.raises(CommandError, match="data set 1 was altered"):
        reproduce(version)
    path.unlink()
    with pytest.raises(CommandError, match="data set 1 is missing"):
        reproduce(version)
    path.write_bytes(content)
    FeatureShard.objects.all().delete()
    first = json.loads(content)["rows"][0][0]
    Item.objects.filter(pk=first).update(project=make_pool(version.project.created_by, 1))
    Item.objects.get(pk=first).annotations.all()._raw_delete("default")
    Item.objects.filter(pk=first).delete()
    with pytest.raises(CommandError, match="1 of the 30 items"):
        reproduce(version)


def test_a_tampered_artifact_is_refused(version):
    manifest = files.absolute(version.path) / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b'"seed":', b'"seed":1'))
    with pytest.raises(CommandError, match="Model 1 is refused: The model's manifest is not signed"):
        reproduce(version)
    with pytest.raises(ArtifactRefused):
        registry.load_model(version=version)


def test_a_loaded_model_answers_its_known_inputs(version):
    artifact = registry.load_artifact(version=version)
    assert artifact.arrays["known_probabilities"].shape == (8, 3)
    assert registry.load_model(version=version).labels == ("food", "money", "sport")


@pytest.mark.parametrize("name", ["sparse_weights", "bias"])
def test_a_model_that_answers_otherwise_is_refused_though_its_files_are_in_order(version, name):
    wrong = registry.load_artifact(version=version).arrays[name].copy()
    wrong[..., 0] += 1
    with pytest.raises(ArtifactRefused, match="answers 8 known inputs otherwise"):
        registry.load_model(version=stored_again(version, **{name: wrong}))


def test_a_model_that_answers_nonsense_is_refused(version):
    bias = registry.load_artifact(version=version).arrays["bias"]
    with pytest.raises(ArtifactRefused, match="known inputs"):
        registry.load_model(version=stored_again(version, bias=np.full_like(bias, np.nan)))

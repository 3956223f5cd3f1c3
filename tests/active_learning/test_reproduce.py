"""A version is made again to the same digest, and what is not the model that was measured is not loaded."""

import json
import re
import shutil

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from active_learning.core import learners
from active_learning.core.artifacts import write_artifact
from active_learning.core.manifest import ArtifactRefused
from active_learning.core.shards import join_shards, open_shard, sha256_of_shard
from active_learning.models import FeatureShard, ModelVersion
from active_learning.services import features, files, frozen, loaded, registry
from labeling.models import Item, Resolution
from tests.active_learning.pools import answer, make_pool, pool_items, run_features, run_training

pytestmark = pytest.mark.django_db


@pytest.fixture
def version(owner):
    project = make_pool(owner, 60, audit_every=0)
    run_features(project)
    answer(pool_items(project, 30))
    run_training(project)
    loaded.forget_models()
    return ModelVersion.objects.get(project=project)


def reproduce(version):
    call_command("reproduce", version.project.slug, str(version.number))


def forget_features(version):
    """As if nothing but items, data set and model had been kept."""
    FeatureShard.objects.all().delete()
    shutil.rmtree(files.learned_folder(version.project_id, version.parameters["fingerprint"]))


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
    # The calibration looked at the pool as it was then: that is kept with the version.
    assert len(registry.load_artifact(version=version).arrays["pool_leads"]) == 3
    reproduce(version)
    assert version.sha256 in capsys.readouterr().out


def test_also_in_a_fresh_data_folder_where_features_are_computed_anew(version, settings, tmp_path, capsys):
    """Only the version's files and its data are brought along: the feature shards are a cache."""
    fresh = tmp_path / "fresh"
    for part in (version.path, f"datasets/{version.project_id}"):
        shutil.copytree(files.absolute(part), fresh / part)
    FeatureShard.objects.all().delete()
    settings.STORAGE_ROOT = fresh
    loaded.forget_models()
    reproduce(version)
    assert f"The same: {version.sha256}" in capsys.readouterr().out
    assert not (fresh / "features").exists()


def test_what_was_learned_from_is_kept_once_in_few_files_and_a_damaged_one_is_left_out(owner):
    project = make_pool(owner, 60, audit_every=0)
    run_features(project)
    spec = features.ensure_spec(project=project)
    ids = [item.pk for item in pool_items(project, 60)]
    folder = files.learned_folder(project.pk, spec.fingerprint)
    expected = features.gather(project=project, spec=spec, ids=ids).block
    for n in range(4, 44, 4):
        frozen.learned_features(project=project, spec=spec, ids=ids[:n])
    kept = sorted(folder.glob("shard-*.bin"))
    assert len(kept) == 3  # eight became one, two came later
    joined = join_shards([open_shard(path, sha256_of_shard(path)) for path in kept])
    assert joined[0].tolist() == ids[:40]
    FeatureShard.objects.all().delete()
    backwards = frozen.learned_features(project=project, spec=spec, ids=ids[39::-1], keep=False)
    assert np.array_equal(backwards.block.dense[::-1], expected.dense[:40])
    assert np.array_equal(backwards.block.sparse.toarray()[::-1], expected.sparse[:40].toarray())
    kept[0].write_bytes(b"not a shard")
    again = frozen.learned_features(project=project, spec=spec, ids=ids)
    assert again.places.tolist() == list(range(60))
    assert np.allclose(again.block.dense, expected.dense, atol=0.01)


def test_another_code_version_is_named_and_the_files_are_said_to_be_the_same(version, monkeypatch, capsys):
    monkeypatch.setattr(registry, "code_version", lambda: "core-0123456789abcdef")
    with pytest.raises(
        CommandError, match=r"Each file is the same to the bit.* another version of the code that learns"
    ):
        reproduce(version)
    said = capsys.readouterr().out
    assert f"since then: code {version.code_version[:20]} -> core-0123456789abcde" in said
    assert "file:" not in said


def test_a_version_of_older_code_differs_as_is_to_be_expected_and_it_is_said_how_far(version, monkeypatch, capsys):
    monkeypatch.setattr(registry, "code_version", lambda: "fit-0123456789abcdef")
    monkeypatch.setattr(learners, "out_of_fold_temperature", lambda *_, **__: 1.5)
    with pytest.raises(CommandError) as told:
        reproduce(version)
    assert "as is to be expected: since model 1 was made there is another version of the code that" in str(told.value)
    off = float(re.search(r"off by at most (0\.\d{4})\.$", str(told.value))[1])
    assert 0.0001 < off < 1
    assert "file: model" in capsys.readouterr().out


def test_a_changed_item_gives_another_model_and_the_file_is_named(version, capsys):
    forget_features(version)
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
    forget_features(version)
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


def test_a_version_that_was_trained_before_any_feature_was_stored(owner, capsys):
    project = make_pool(owner, 60, audit_every=0)
    answer(pool_items(project, 30))
    run_training(project)
    run_features(project)  # in other batches than the training's
    reproduce(ModelVersion.objects.get(project=project))
    assert "The same" in capsys.readouterr().out


def test_a_version_that_learned_from_a_consensus_that_was_not_quite_sure(owner, capsys):
    project = make_pool(owner, 60, audit_every=0)
    items = pool_items(project, 30)
    answer(items)
    facts = {"project": project, "method": "consensus", "n_annotations": 3, "created_at": timezone.now()}
    Resolution.objects.filter(project=project).delete()
    for number, item in enumerate(items):
        Resolution.objects.create(item=item, value=item.meta["topic"], posterior=1 - 1 / (7 + number), **facts)
    run_training(project)
    reproduce(ModelVersion.objects.get(project=project))
    assert "The same" in capsys.readouterr().out

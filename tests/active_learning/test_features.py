import numpy as np
import pytest

from active_learning import selectors
from active_learning.core import embedding
from active_learning.models import FeatureShard
from active_learning.services import features, files
from labeling.models import Item, Job
from tests.active_learning.pools import add_texts, answer, make_pool, pool_items, run_features, run_training
from tests.factories import make_item, make_project

pytestmark = pytest.mark.django_db


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr(features, "SHARD_SIZE", 16)
    monkeypatch.setattr(features, "STEP", 5)


def shards_of(project):
    return FeatureShard.objects.filter(project=project).order_by("number")


def featurized_ids(project):
    fingerprint = selectors.policy_of(project).featurizer["fingerprint"]
    opened = features.open_shards(project=project, fingerprint=fingerprint)
    return sorted(pk for shard in opened for pk in shard.ids.tolist())


def all_ids(project):
    return sorted(project.items.values_list("pk", flat=True))


def test_every_item_gets_features_in_shards(owner, small_shards):
    project = make_pool(owner, 40)
    job = run_features(project)
    assert job.result == {"items": 40, "left": 0}
    assert [shard.n for shard in shards_of(project)] == [16, 16, 8]
    assert featurized_ids(project) == all_ids(project)
    spec = features.stored_spec(selectors.policy_of(project))
    found = features.gather(project=project, spec=spec, ids=[shard.first_id for shard in shards_of(project)])
    assert found.places.tolist() == [0, 1, 2]
    assert found.block.dense.shape == (3, 512)


def test_doing_it_again_computes_nothing(owner, small_shards):
    project = make_pool(owner, 20)
    run_features(project)
    before = list(shards_of(project).values_list("sha256", flat=True))
    assert run_features(project).result == {"items": 0, "left": 0}
    assert list(shards_of(project).values_list("sha256", flat=True)) == before


def test_new_items_and_late_ones_are_added(owner, small_shards):
    project = make_pool(owner, 32)
    late = project.items.order_by("pk")[7]
    kept = Item.objects.get(pk=late.pk)
    late.delete()
    run_features(project)
    kept.save(force_insert=True)  # its transaction ended after those of later ids
    add_texts(project, 3, seed=9)
    assert run_features(project).result["items"] == 4
    assert featurized_ids(project) == all_ids(project)


def test_items_that_trickle_in_do_not_leave_a_heap_of_files(owner, small_shards):
    project = make_pool(owner, 16)
    run_features(project)
    for n in range(12):
        make_item(project, f"a new text number {n}")
        run_features(project)
    assert shards_of(project).count() <= 4
    assert featurized_ids(project) == all_ids(project)
    folder = files.absolute(shards_of(project).first().path).parent
    assert len(list(folder.glob("*.bin"))) == shards_of(project).count()


@pytest.mark.parametrize("damage", ["flip", "remove"])
def test_a_damaged_shard_is_left_out_and_made_again(owner, small_shards, damage):
    project = make_pool(owner, 40)
    run_features(project)

    def harm(place):
        path = files.absolute(shards_of(project)[place].path)
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.unlink()
        if damage == "flip":
            path.write_bytes(content)

    harm(1)
    assert len(featurized_ids(project)) == 24
    [job] = Job.objects.filter(project=project, kind="features", state="queued")
    assert job.reason == "a damaged file of features: those of 16 items are lost"
    assert run_features(project).result == {"items": 16, "left": 0}
    assert featurized_ids(project) == all_ids(project)
    # Found by the job itself, it is said on the page.
    harm(0)
    said = run_features(project).result["outcome"]
    assert said == "1 damaged file was thrown away; features of 16 items computed"
    assert featurized_ids(project) == all_ids(project)


def test_a_job_that_runs_out_of_time_is_continued_by_the_next(owner, small_shards, monkeypatch):
    project = make_pool(owner, 40)
    monkeypatch.setattr(features, "MAX_SECONDS", -1.0)
    assert run_features(project).result == {"items": 0, "left": 40}
    monkeypatch.setattr(features, "MAX_SECONDS", 100.0)
    assert run_features(project).result == {"items": 40, "left": 0}


def test_a_handful_of_items_does_not_fix_the_spec_for_ever(owner):
    project = make_project(owner)
    make_item(project, data={"text": "only a text here"})
    run_features(project)
    for n in range(30):
        make_item(project, data={"text": f"a text with a price {n}", "price": n * 1.5})
    run_features(project)
    spec = features.stored_spec(selectors.policy_of(project))
    assert [field.name for field in spec.numeric_fields] == ["price"]
    assert {shard.fingerprint for shard in shards_of(project)} == {spec.fingerprint}
    assert featurized_ids(project) == all_ids(project)


def test_more_of_the_same_keeps_the_spec(owner):
    project = make_pool(owner, 5)
    run_features(project)
    before = selectors.policy_of(project).featurizer["fingerprint"]
    add_texts(project, 60, seed=3)
    run_features(project)
    assert selectors.policy_of(project).featurizer["fingerprint"] == before


def test_without_the_encoder_words_alone_are_the_features(owner, monkeypatch):
    project = make_pool(owner, 60)
    run_features(project)
    embedding.default_embedder.cache_clear()
    monkeypatch.setattr(embedding.UniversalSentenceEncoder, "distribution", "not-installed-here")
    try:
        answer(pool_items(project, 20))
        run_features(project)
        spec = features.stored_spec(selectors.policy_of(project))
        assert (spec.embedding, spec.dense_dimension) == ("", 0)
        run_training(project)
        assert project.model_versions.get().environment.keys() >= {"numpy", "python"}
        assert "embedding" not in project.model_versions.get().environment
    finally:
        embedding.default_embedder.cache_clear()


def test_a_project_without_items_says_so(owner):
    from active_learning.services.triggers import request_features

    job = request_features(project=make_project(owner), reason="test")
    features.compute_features(job_id=str(job.pk))
    job.refresh_from_db()
    assert (job.state, job.error) == ("failed", "This project has no items to learn from.")


def test_a_pool_without_stored_features_scales_by_what_it_has(owner):
    project = make_pool(owner, 30)
    spec = features.ensure_spec(project=project)
    found = features.gather(project=project, spec=spec, ids=all_ids(project))
    scaling = features.pool_scaling(project=project, spec=spec, fallback=found.block)
    run_features(project)
    stored = features.pool_scaling(project=project, spec=spec, fallback=found.block)
    assert np.allclose(scaling.center, stored.center, atol=1e-3)
    assert np.allclose(scaling.scale, stored.scale, rtol=1e-2)

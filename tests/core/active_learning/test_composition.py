import numpy as np
import pytest

from active_learning.core.composition import QueuePlace, compose_queue, count_reasons, draw

SHARES = {"model": 0.75, "random": 0.1, "audit": 0.15}


def places(reason, ids, propensity=None):
    return [QueuePlace(i, reason, {}, propensity) for i in ids]


def test_every_stretch_of_the_line_has_the_shares():
    streams = {"model": places("acquisition", range(1_000)), "random": places("random", range(2_000, 2_500), 0.1),
               "audit": places("audit", range(3_000, 3_500), 0.2)}  # fmt: skip
    line = compose_queue(streams, SHARES, 400)
    for start in (0, 100, 300):
        counts = count_reasons(line[start : start + 100])
        assert counts == pytest.approx({"acquisition": 75, "random": 10, "audit": 15}, abs=2)
    assert [p.item_id for p in line if p.reason == "acquisition"] == list(range(300))


def test_an_ended_stream_leaves_its_places_to_the_others():
    streams = {"model": places("acquisition", range(5)), "random": places("random", range(50, 90), 0.5), "audit": []}
    line = compose_queue(streams, SHARES, 30)
    assert len(line) == 30
    assert count_reasons(line) == {"acquisition": 5, "random": 25}
    assert len(compose_queue(streams, SHARES, 500)) == 45


def test_a_drawn_item_keeps_its_draw():
    streams = {"model": places("acquisition", [1, 2, 3]), "random": places("random", [2], 0.1), "audit": []}
    line = compose_queue(streams, SHARES, 10)
    assert sorted((p.item_id, p.reason) for p in line) == [(1, "acquisition"), (2, "random"), (3, "acquisition")]


def test_draws_are_uniform_and_say_so():
    rng = np.random.default_rng(0)
    ids = np.arange(20)
    counts = np.zeros(20)
    for _ in range(2_000):
        drawn = draw(ids, 5, rng, "random")
        assert {p.propensity for p in drawn} == {0.25}
        counts[[p.item_id for p in drawn]] += 1
    assert counts / 2_000 == pytest.approx(0.25, abs=0.05)
    assert draw(ids, 50, rng, "audit")[0].propensity == 1.0
    assert draw(ids[:0], 5, rng, "audit") == []


def test_no_share_no_place():
    streams = {"model": places("acquisition", [1]), "random": places("random", [2], 1.0), "audit": []}
    assert count_reasons(compose_queue(streams, SHARES | {"random": 0.0}, 10)) == {"acquisition": 1}


def test_nobody_stands_in_line_twice():
    streams = {"model": places("random", [1, 2], 0.5), "random": places("random", [2, 1], 0.5), "audit": []}
    assert sorted(p.item_id for p in compose_queue(streams, SHARES, 10)) == [1, 2]

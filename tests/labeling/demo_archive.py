"""A small made-up archive of the structure that the demo reads."""

import random

from tests.core.labeling.test_demo_vader import distribution

_WORDS = {
    1: ["lovely", "great", "happy", "thanks", "best", "kind", "warm", "wonderful"],
    -1: ["awful", "sad", "broken", "late", "worst", "angry", "cold", "terrible"],
    0: ["meeting", "nine", "train", "table", "report", "street", "window", "paper"],
}
_FILLERS = ["the", "day", "was", "we", "had", "a", "with", "them", "today", "here"]


def make_archive(n: int = 320) -> bytes:
    rng = random.Random(5)
    texts = []
    for number in range(n):
        tone = rng.choice([-1, 0, 1])
        words = rng.choices(_WORDS[tone], k=3) + rng.choices(_FILLERS, k=5)
        rng.shuffle(words)
        ratings = [tone * rng.randint(1, 4) if rng.random() < 0.9 else 0 for _ in range(20)]
        texts.append((str(number), f"{' '.join(words)} &amp; {number}", ratings))
    return distribution(tweets=texts)

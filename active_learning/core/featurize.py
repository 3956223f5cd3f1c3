"""Items as numbers, by one code path for training and for serving.

Words are hashed, so no vocabulary is fitted and a row depends on nothing but its item and the spec. A row of words is
(1 + log count) per word and word pair, scaled to length 1. There is no IDF factor: beside the embedding it was
measured to cost accuracy (docs/learning.md), and without it a row never has to be computed again as the pool grows.
"""

import hashlib
import json
import math
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.utils import murmurhash3_32

from active_learning.core.blocks import FeatureBlock
from active_learning.core.embedding import Embedder, default_embedder, embedder_for

# Raised whenever the same spec and item would give other numbers: old shards are then computed again.
FORMAT = 1
HASH_BITS = 20
MAX_HASHED_CHARACTERS = 100_000
MAX_FIELDS = 200
# Languages written without spaces: one character is one word.
_UNSPACED = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+(?:['\u2019][^\W{_UNSPACED}]+)?|[^\w\s]")
_URL = re.compile(r"^(https?|data|s3|gs)://|^data:", re.IGNORECASE)
# Keeps the names of columns apart from words.
_FIELD_MARK = "\x1f"


@dataclass(frozen=True, slots=True)
class RawItem:
    """What an item is made of: its fields and, where the owner brought one, its vector."""

    data: Mapping[str, Any]
    vector: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True)
class NumericField:
    """A column of numbers and how it is brought to order one. `edges` cut it into about ten equal parts."""

    name: str
    center: float
    scale: float
    edges: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class FeaturizerSpec:
    """Everything that decides an item's features. Two specs with one fingerprint give the same numbers."""

    text_fields: tuple[str, ...] = ()
    numeric_fields: tuple[NumericField, ...] = ()
    categorical_fields: tuple[str, ...] = ()
    is_pair: bool = False
    vector_dimension: int = 0
    vector_scale: float = 1.0
    embedding: str = ""
    embedding_version: str = ""
    embedding_dimension: int = 0
    hash_bits: int = HASH_BITS
    ngram_max: int = 2
    format: int = FORMAT

    @property
    def n_columns(self) -> int:
        return 1 << self.hash_bits

    @property
    def dense_parts(self) -> tuple[tuple[str, int], ...]:
        """Names and widths of the dense columns, in order."""
        parts = (
            ("embedding", self.embedding_dimension),
            ("vector", self.vector_dimension),
            ("numeric", len(self.numeric_fields)),
        )
        return tuple((name, width) for name, width in parts if width)

    @property
    def dense_dimension(self) -> int:
        return sum(width for _, width in self.dense_parts)

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "FeaturizerSpec":
        fields = dict(stored)
        fields["text_fields"] = tuple(fields.get("text_fields", ()))
        fields["categorical_fields"] = tuple(fields.get("categorical_fields", ()))
        fields["numeric_fields"] = tuple(
            NumericField(f["name"], f["center"], f["scale"], tuple(f["edges"]))
            for f in fields.get("numeric_fields", ())
        )
        return cls(**fields)


@dataclass(frozen=True, slots=True)
class WordWeight:
    """How much the characters start..end of a text speak for (or, below 0, against) a label."""

    start: int
    end: int
    weight: float


def flatten(data: Mapping[str, Any]) -> dict[str, Any]:
    """Nested fields under dotted names; at most MAX_FIELDS of them."""
    flat: dict[str, Any] = {}

    def walk(prefix: str, value: Any) -> None:
        if len(flat) >= MAX_FIELDS:
            return
        if isinstance(value, Mapping):
            for key, child in value.items():
                walk(f"{prefix}.{key}" if prefix else str(key), child)
        else:
            flat[prefix] = value

    walk("", data)
    return flat


def n_fields(data: Mapping[str, Any]) -> int:
    """How many fields flatten would give if it had no bound."""
    return sum(n_fields(value) if isinstance(value, Mapping) else 1 for value in data.values())


def number_of(value: Any) -> float | None:
    """`value` as a finite number, also from text such as "45"; None when it is none."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float | str):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            return None
        return number if math.isfinite(number) else None
    return None


def is_blank(value: Any) -> bool:
    return value is None or value == "" or value == []


def infer_spec(
    sample: Sequence[RawItem],
    *,
    is_pair: bool = False,
    left_out: Collection[str] = (),
    embedder: Embedder | None = None,
) -> FeaturizerSpec:
    """What the fields of `sample` look like: texts, numbers, categories or a vector.

    Fields `left_out` are not looked at; `embedder` defaults to the installed one. Pairs are judged by both sides
    together.
    """
    embedder = embedder or default_embedder()
    rows = [flatten(side) for item in sample for side in sides(item.data, is_pair)]
    columns: dict[str, list[Any]] = {}
    for row in rows:
        for name, value in row.items():
            if not is_blank(value) and name not in left_out:
                columns.setdefault(name, []).append(value)
    texts, categories, numbers = [], [], []
    for name in sorted(columns):
        kind = _kind_of(name, columns[name])
        if kind == "text":
            texts.append(name)
        elif kind == "category":
            categories.append(name)
        elif kind == "number":
            numbers.append(_numeric_field(name, columns[name]))
    vectors = [item.vector for item in sample if item.vector is not None]
    scale = 1.0
    if vectors:
        rms = float(np.sqrt(np.mean([np.mean(np.square(v, dtype=np.float64)) for v in vectors])))
        scale = rms if rms > 0 and math.isfinite(rms) else 1.0
    embeds = bool(texts) and embedder is not None
    return FeaturizerSpec(
        # The main text comes first: the places of its words are then places in the joined text.
        text_fields=tuple(sorted(texts, key=lambda name: (name != "text", name))),
        numeric_fields=tuple(numbers),
        categorical_fields=tuple(categories),
        is_pair=is_pair,
        vector_dimension=len(vectors[0]) if vectors else 0,
        vector_scale=scale,
        embedding=embedder.name if embeds and embedder else "",
        embedding_version=embedder.version if embeds and embedder else "",
        embedding_dimension=embedder.dimension if embeds and embedder else 0,
    )


def sides(data: Mapping[str, Any], is_pair: bool) -> list[Mapping[str, Any]]:
    """The item itself, or the two things of a pair as fields each."""
    if not is_pair:
        return [data]
    return [side if isinstance(side, Mapping) else {"text": side} for side in (data.get("a"), data.get("b"))]


def text_of(row: Mapping[str, Any], spec: FeaturizerSpec) -> str:
    """The texts of a flattened item, the main one first."""
    return "\n".join(_text(row.get(name)) for name in spec.text_fields)


def places_of_texts(row: Mapping[str, Any], spec: FeaturizerSpec) -> list[tuple[str, int, int]]:
    """Where each text field stands in what text_of joins: (name, start, end)."""
    places, at = [], 0
    for name in spec.text_fields:
        end = at + len(_text(row.get(name)))
        places.append((name, at, end))
        at = end + 1
    return places


def columns_of(data: Sequence[Mapping[str, Any]], spec: FeaturizerSpec) -> dict[str, list[float | str | None]]:
    """The numbers and categories of items by field, a cell for each item; None where an item has none.

    Of a pair: the number of a less that of b, and both categories as one.
    """
    rows = [[flatten(side) for side in sides(one, spec.is_pair)] for one in data]
    found: dict[str, list[float | str | None]] = {}
    for field in spec.numeric_fields:
        found[field.name] = [_difference([number_of(side.get(field.name)) for side in row]) for row in rows]
    for name in spec.categorical_fields:
        values = [[side.get(name) for side in row] for row in rows]
        found[name] = [None if all(map(is_blank, row)) else " / ".join(map(_text, row)) for row in values]
    return found


def _difference(numbers: Sequence[float | None]) -> float | None:
    """The first number less the others; None where one is missing."""
    known = [number for number in numbers if number is not None]
    return known[0] - sum(known[1:]) if len(known) == len(numbers) else None


def content_key(item: RawItem, spec: FeaturizerSpec) -> bytes | None:
    """The same for items that show the model the same but for case, spacing and the form of letters.

    None for an item that shows it nothing.
    """
    shown: list[str] = []
    for side in sides(item.data, spec.is_pair):
        row = flatten(side)
        text = unicodedata.normalize("NFKC", text_of(row, spec)[:MAX_HASHED_CHARACTERS]).casefold()
        shown.append(" ".join(text.split()))
        shown += [_text(row.get(name)) for name in spec.categorical_fields]
        numbers = (number_of(row.get(field.name)) for field in spec.numeric_fields)
        shown += ["" if number is None else repr(number) for number in numbers]
    vector = item.vector if spec.vector_dimension else None
    if (vector is None or not vector.any()) and not any(shown):
        return None
    digest = hashlib.blake2b("\0".join(shown).encode(errors="surrogatepass"), digest_size=16)
    if vector is not None:
        digest.update(vector.tobytes())
    return digest.digest()


def _kind_of(name: str, values: Sequence[Any]) -> str:
    scalars = [v for v in values if not isinstance(v, list)]
    if not scalars:
        return "category" if all(len(str(x)) <= 100 for v in values for x in v) else "text"
    if all(number_of(v) is not None for v in scalars):
        return "number"
    if all(isinstance(v, bool) for v in scalars):
        return "category"
    words = [str(v) for v in scalars]
    if name == "text" or name.endswith(".text"):
        return "text"
    if sum(bool(_URL.match(w)) for w in words) * 2 > len(words):
        return "ignored"
    mean_words = sum(len(w.split()) for w in words) / len(words)
    distinct = len(set(words))
    if len(words) >= 20 and distinct <= max(20, len(words) // 10) and mean_words <= 8:
        return "category"
    return "text" if mean_words > 3 or distinct > len(words) // 2 else "category"


def _numeric_field(name: str, values: Sequence[Any]) -> NumericField:
    numbers = np.array([n for v in values if (n := number_of(v)) is not None], dtype=np.float64)
    low, center, high = np.quantile(numbers, [0.25, 0.5, 0.75])
    scale = (high - low) / 1.349 or float(numbers.std()) or 1.0
    edges = np.unique(np.quantile(numbers, np.linspace(0.1, 0.9, 9)))
    return NumericField(name, float(center), float(scale), tuple(float(e) for e in edges))


class Featurizer:
    """Turns items into features as `spec` says.

    Raises EmbeddingUnavailable at once when the spec's embedding is not installed here.
    """

    def __init__(self, spec: FeaturizerSpec, embedder: Embedder | None = None) -> None:
        self.spec = spec
        self._embedder = None
        if spec.embedding:
            self._embedder = embedder or embedder_for(spec.embedding, spec.embedding_version)

    def transform(self, items: Sequence[RawItem]) -> FeatureBlock:
        """Features of `items`, one row each. Of a pair: those of a minus those of b."""
        if not self.spec.is_pair:
            return self._rows([flatten(item.data) for item in items], [item.vector for item in items])
        both = [[flatten(side) for side in sides(item.data, True)] for item in items]
        # In one go: two sides that say the same differ by nothing, not by a last digit.
        block = self._rows([pair[0] for pair in both] + [pair[1] for pair in both], [None] * (2 * len(items)))
        n = len(items)
        difference = sp.csr_matrix(block.sparse[:n] - block.sparse[n:])
        difference.eliminate_zeros()
        dense = block.dense[:n].astype(np.float32) - block.dense[n:].astype(np.float32)
        if self.spec.vector_dimension:  # a pair's vector already speaks of both
            self._put_vectors(dense, [item.vector for item in items])
        return FeatureBlock(_tidy(difference), dense.astype(np.float16))

    def _rows(self, rows: Sequence[Mapping[str, Any]], vectors: Sequence[NDArray[np.float32] | None]) -> FeatureBlock:
        spec = self.spec
        texts = [text_of(row, spec) for row in rows]
        sparse = _unit_rows(_dampen(self._hash(tokens(text, spec.ngram_max) for text in texts)))
        if spec.categorical_fields or spec.numeric_fields:
            named = self._hash((token for _, token in named_values(row, spec)) for row in rows)
            sparse = sp.csr_matrix(sparse + named)
        dense = np.zeros((len(rows), spec.dense_dimension), dtype=np.float32)
        if self._embedder is not None:
            dense[:, : spec.embedding_dimension] = self._embedder.encode(texts)
        self._put_vectors(dense, vectors)
        for column, field in enumerate(spec.numeric_fields, start=spec.dense_dimension - len(spec.numeric_fields)):
            for i, row in enumerate(rows):
                number = number_of(row.get(field.name))
                if number is not None:
                    dense[i, column] = min(max((number - field.center) / field.scale, -30.0), 30.0)
        return FeatureBlock(_tidy(sparse), dense.astype(np.float16))

    def _put_vectors(self, dense: NDArray[np.float32], vectors: Sequence[NDArray[np.float32] | None]) -> None:
        start = self.spec.embedding_dimension
        end = start + self.spec.vector_dimension
        if start == end:
            return
        for i, vector in enumerate(vectors):
            if vector is not None and len(vector) == end - start:
                # float16 ends at 65,504; the pool's typical value is near 1 after scaling.
                dense[i, start:end] = np.clip(vector / self.spec.vector_scale, -60_000, 60_000)

    def _hash(self, words: Iterable[Iterable[str]]) -> sp.csr_matrix:
        """How often each column occurs among the words of each row."""
        rows = [hashed_columns(of_row, self.spec.n_columns) for of_row in words]
        ends = np.cumsum([len(columns) for columns in rows])
        columns = np.concatenate(rows).astype(np.int32)
        ones, starts = np.ones(len(columns), dtype=np.float32), np.concatenate([[0], ends]).astype(np.int32)
        counts = sp.csr_matrix((ones, columns, starts), shape=(len(rows), self.spec.n_columns), copy=False)
        counts.sum_duplicates()
        return counts


def named_values(row: Mapping[str, Any], spec: FeaturizerSpec) -> Iterator[tuple[str, str]]:
    """Field and token of each category and each number's range of a flattened item; a missing one has its own token."""
    for name in spec.categorical_fields:
        value = row.get(name)
        for one in value if isinstance(value, list) else [value]:
            yield name, f"{_FIELD_MARK}{name}={'' if one is None else str(one)[:200]}"
    for field in spec.numeric_fields:
        yield field.name, f"{_FIELD_MARK}{field.name}#{_range_of(number_of(row.get(field.name)), field)}"


def _range_of(number: float | None, field: NumericField) -> str:
    return "none" if number is None else str(int(np.searchsorted(field.edges, number, side="right")))


def words_of(text: str) -> Iterator[re.Match[str]]:
    """The words and signs of `text` with their places."""
    return _WORD.finditer(text[:MAX_HASHED_CHARACTERS])


def tokens(text: str, ngram_max: int = 2) -> list[str]:
    """The lower-case words of `text` and the runs of up to `ngram_max` of them."""
    return _runs([match.group().lower() for match in words_of(text)], ngram_max)


def _runs(words: list[str], ngram_max: int) -> list[str]:
    found = list(words)
    for n in range(2, ngram_max + 1):
        found += map(" ".join, zip(*(words[i:] for i in range(n)), strict=False))
    return found


def hashed_columns(tokens: Iterable[str], n_columns: int) -> NDArray[np.int64]:
    """The hashed column of each token: the same one that the vectorized hasher uses. `n_columns` is a power of two."""
    signed = [murmurhash3_32(token, seed=0) for token in tokens]
    return np.abs(np.array(signed, dtype=np.int64)) % n_columns


def column_of(token: str, n_columns: int) -> int:
    return abs(int(murmurhash3_32(token, seed=0))) % n_columns


@dataclass(frozen=True, slots=True)
class TextPlaces:
    """The lower-case words of a text, where they stand, and, place by place, what the hashed row holds of it.

    Places are the words, then the runs of two of them, and so on. Each stands in one of `columns` and adds its `units`
    to it: a column's value is shared between the places where it occurs.
    """

    words: list[str]
    matches: list[re.Match[str]]
    columns: NDArray[np.int64]
    units: NDArray[np.float64]


def text_places(text: str, spec: FeaturizerSpec) -> TextPlaces:
    """Where each column of a text's hashed row comes from."""
    matches = list(words_of(text))
    words = [match.group().lower() for match in matches]
    columns = hashed_columns(_runs(words, spec.ngram_max), spec.n_columns)
    _, own, counts = np.unique(columns, return_inverse=True, return_counts=True)
    values = 1 + np.log(counts)
    units = values / counts / (np.sqrt(values @ values) or 1.0)
    return TextPlaces(words, matches, columns, units[own])


def word_shares(parts: NDArray[np.float64], n_words: int, ngram_max: int) -> NDArray[np.float64]:
    """What is told of the places of a text by word: a run of words is shared among them."""
    shares = np.zeros(n_words)
    start = 0
    for length in range(1, min(ngram_max, n_words) + 1):
        n_runs = n_words - length + 1
        own = parts[start : start + n_runs] / length
        for step in range(length):
            shares[step : step + n_runs] += own
        start += n_runs
    return shares


def explain_words(text: str, weights: Mapping[int, float], spec: FeaturizerSpec, *, top: int = 8) -> list[WordWeight]:
    """The words of one text that weigh most, in reading order.

    `weights` maps hashed columns to what one unit of them adds to the score. Exact for the hashed part: the
    contributions of all words sum to the row's product with `weights`. A word pair's share is halved between its two
    words, a column's between the places where it occurs.
    """
    found = text_places(text, spec)
    parts = found.units * [weights.get(column, 0.0) for column in found.columns.tolist()]
    shares = word_shares(parts, len(found.words), spec.ngram_max).tolist()
    heaviest = sorted((i for i, share in enumerate(shares) if share), key=lambda i: -abs(shares[i]))[:top]
    return [WordWeight(found.matches[i].start(), found.matches[i].end(), shares[i]) for i in sorted(heaviest)]


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return " ".join(str(one) for one in value)
    return str(value)


def _dampen(counts: sp.csr_matrix) -> sp.csr_matrix:
    """1 + log of the counts: the tenth mention of a word says less than the first."""
    counts.data = (1.0 + np.log(counts.data)).astype(np.float32)
    return counts


def _unit_rows(rows: sp.csr_matrix) -> sp.csr_matrix:
    """Every row scaled to length 1; empty rows stay empty."""
    owners = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
    norms = np.sqrt(np.bincount(owners, weights=rows.data.astype(np.float64) ** 2, minlength=rows.shape[0]))
    norms[norms == 0] = 1.0
    rows.data = (rows.data / norms[owners]).astype(np.float32)
    return rows


def _tidy(rows: sp.csr_matrix) -> sp.csr_matrix:
    """Sorted columns and 32-bit indices: one layout for hashing, disk and products."""
    rows.sort_indices()
    rows.indices = rows.indices.astype(np.int32, copy=False)
    rows.indptr = rows.indptr.astype(np.int32, copy=False)
    return rows

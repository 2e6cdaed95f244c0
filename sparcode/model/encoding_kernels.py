"""Compiled loops of encoding a query: pooled history, network, tokens, their nearest codes, and the codes of a whole query.

All are in this one file because numba's on-disk cache notices changes to a function's own file only. They release the GIL and start no
threads.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

# Sums may be taken in any order, which lets them use the processor's wide registers; the order is fixed when this is compiled.
_ANY_ORDER = {"reassoc", "contract"}
# So many distances are compared at a time, and so many candidates at most are ranked by comparing all pairs of them.
_LANES, _FEW, _ROOM = 16, 64, 16
_SIGN, _LAST = np.uint32(0x8000_0000), np.uint32(0xFFFF_FFFF)
_LOW, _LAST_KEY = np.uint64(0xFFFF_FFFF), np.uint64(0xFFFF_FFFF_FFFF_FFFF)
# So many tokens meet a codebook at a time, while it is in the nearest cache.
_TOGETHER = 8
# Beyond it tanh is 1 in float32.
_TANH_END = np.float32(7.90531110763549805)


class Network(NamedTuple):
    """Weights of a `mean` encoder and its heads, float32, a row per output as PyTorch keeps them.

    Attributes
    ----------
    embedding
        (I, H).
    hidden, hidden_bias
        (H, H) and (H,).
    heads, heads_bias
        (T * D, H) and (T * D,).
    features
        (H, F), of the user's side features; F may be 0.
    """

    embedding: np.ndarray
    hidden: np.ndarray
    hidden_bias: np.ndarray
    heads: np.ndarray
    heads_bias: np.ndarray
    features: np.ndarray

    @classmethod
    def of(cls, embedding: np.ndarray, *layers: np.ndarray) -> Network:
        """Arrays in the order of the fields; those of side features may be left out."""
        missing = () if len(layers) == 5 else (np.empty((embedding.shape[1], 0), dtype=np.float32),)
        return cls(embedding, *layers, *missing)


class Gates(NamedTuple):
    """Weights of history tokens, float32: (I, D) tokens, (I, G) keys, (I,) biases and (G, H) query of the gates."""

    tokens: np.ndarray
    keys: np.ndarray
    biases: np.ndarray
    query: np.ndarray


class Codebooks(NamedTuple):
    """Codebooks ready for distances; d is D for a residual quantizer and D / M for a product quantizer.

    Attributes
    ----------
    codewords, doubled, squares
        float32: (M, K, d); (M, d, K), minus two times the codewords; (M, K), their squared lengths.
    factor
        Minus one over the temperature.
    residual
        Whether every codebook quantizes what those before it left over, instead of a part of the token.
    """

    codewords: np.ndarray
    doubled: np.ndarray
    squares: np.ndarray
    factor: np.float32
    residual: bool


class Scratch(NamedTuple):
    """What choosing the codes of one token needs.

    Attributes
    ----------
    distances
        (_TOGETHER, M, K) float32, of some tokens.
    sums, partial
        (P,) float32 and int64, the best sums so far and their codes.
    nearest, indices
        float32 and int64, the best of one codebook.
    totals, pairs
        float32 and int64, sums of one of the former and one of the latter, and their codes.
    keys, ordered
        uint64 and uint32, see `_smallest`.
    """

    distances: np.ndarray
    sums: np.ndarray
    partial: np.ndarray
    nearest: np.ndarray
    indices: np.ndarray
    totals: np.ndarray
    pairs: np.ndarray
    keys: np.ndarray
    ordered: np.ndarray


@njit(cache=True, nogil=True, fastmath=_ANY_ORDER)
def _pool(embedding, items, pooled):
    """Sum of the items' embeddings over the square root of their number; 0 without items."""
    whole = len(items) & ~7
    pooled[:] = 0
    # Eight rows at a time: they come from memory side by side.
    for at in range(0, whole, 8):
        one, two = embedding[np.uint32(items[at])], embedding[np.uint32(items[at + 1])]
        three, four = embedding[np.uint32(items[at + 2])], embedding[np.uint32(items[at + 3])]
        five, six = embedding[np.uint32(items[at + 4])], embedding[np.uint32(items[at + 5])]
        seven, eight = embedding[np.uint32(items[at + 6])], embedding[np.uint32(items[at + 7])]
        for axis in range(len(pooled)):
            first, second = (one[axis] + two[axis]) + (three[axis] + four[axis]), (five[axis] + six[axis]) + (seven[axis] + eight[axis])
            pooled[axis] += first + second
    for at in range(whole, len(items)):
        one = embedding[np.uint32(items[at])]
        for axis in range(len(pooled)):
            pooled[axis] += one[axis]
    scale = np.float32(1 / np.sqrt(max(1, len(items))))
    for axis in range(len(pooled)):
        pooled[axis] *= scale


@njit(cache=True, nogil=True, fastmath=_ANY_ORDER)
def _add_products(rows, vector, out):
    """Add the inner products of (R, n) rows with an (n,) vector to (R,) `out`."""
    whole = len(rows) & ~3
    # Four at a time, so that the vector is read once for all of them.
    for row in range(0, whole, 4):
        one, two, three, four = rows[row], rows[row + 1], rows[row + 2], rows[row + 3]
        first, second, third, fourth = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
        for axis in range(len(vector)):
            value = vector[axis]
            first += one[axis] * value
            second += two[axis] * value
            third += three[axis] * value
            fourth += four[axis] * value
        out[row] += first
        out[row + 1] += second
        out[row + 2] += third
        out[row + 3] += fourth
    for row in range(whole, len(rows)):
        one, first = rows[row], np.float32(0)
        for axis in range(len(vector)):
            first += one[axis] * vector[axis]
        out[row] += first


@njit(cache=True, nogil=True, fastmath=_ANY_ORDER)
def normalise(vectors: np.ndarray, width: int) -> None:
    """Scale the first `width` entries of every row of (B, W) float32 to length 1, in place; zeros stay zeros."""
    for row in range(len(vectors)):
        vector, square = vectors[row, :width], np.float32(0)
        for axis in range(len(vector)):
            square += vector[axis] * vector[axis]
        factor = np.float32(1) / max(np.sqrt(square), np.float32(1e-12))
        for axis in range(len(vector)):
            vector[axis] *= factor


# A test for division by zero would keep the loop from the wide registers.
@njit(cache=True, nogil=True, fastmath=_ANY_ORDER, error_model="numpy")
def _tanh(values):
    """Hyperbolic tangent in place, as a quotient of polynomials (Eigen's for float32); NaN stays NaN."""
    for at in range(len(values)):
        x = values[at]
        x = _TANH_END if x > _TANH_END else x
        x = -_TANH_END if x < -_TANH_END else x
        square = x * x
        top = np.float32(-2.76076847742355e-16)
        top = top * square + np.float32(2.00018790482477e-13)
        top = top * square + np.float32(-8.60467152213735e-11)
        top = top * square + np.float32(5.12229709037114e-08)
        top = top * square + np.float32(1.48572235717979e-05)
        top = top * square + np.float32(6.37261928875436e-04)
        top = top * square + np.float32(4.89352455891786e-03)
        low = np.float32(1.19825839466702e-06)
        low = low * square + np.float32(1.18534705686654e-04)
        low = low * square + np.float32(2.26843463243900e-03)
        low = low * square + np.float32(4.89352518554385e-03)
        values[at] = x * top / low


@njit(cache=True, nogil=True, fastmath=_ANY_ORDER)
def encode_tokens(
    items: np.ndarray, indptr: np.ndarray, features: np.ndarray, network: tuple, hidden: np.ndarray, tokens: np.ndarray
) -> None:
    """Write the encoder's output of every query, (B, H), and the heads' tokens, the first T * D of each row of (B, W) `tokens`.

    Query b is ``items[indptr[b]:indptr[b + 1]]``, int32 and int64, with (B, F) float32 side features, which are not read if the network has
    none. `network` is a `Network` as a plain tuple, since numba takes half a microsecond to recognize a named one. Where nobody asks for
    `hidden`, (1, H) is room enough.
    """
    network = Network(*network)
    pooled = np.empty(network.embedding.shape[1], np.float32)
    width = len(network.heads_bias)
    for row in range(len(indptr) - 1):
        _pool(network.embedding, items[indptr[row] : indptr[row + 1]], pooled)
        if network.features.shape[1] > 0:
            _add_products(network.features, features[row], pooled)
        _tanh(pooled)
        state, heads = hidden[row % len(hidden)], tokens[row, :width]
        state[:] = network.hidden_bias
        _add_products(network.hidden, pooled, state)
        _tanh(state)
        heads[:] = network.heads_bias
        _add_products(network.heads, state, heads)


@njit(cache=True, nogil=True, fastmath=_ANY_ORDER)
def history_tokens(
    items: np.ndarray,
    indptr: np.ndarray,
    starts: np.ndarray,
    hidden: np.ndarray,
    gates: Gates,
    largest: np.float32,
    tokens: np.ndarray,
    weights: np.ndarray,
) -> None:
    """Write the tokens of the latest items and the weights that their gates give them.

    Parameters
    ----------
    items, indptr, hidden
        As for `encode_tokens`.
    starts
        (B + 1,) int64: query b has the rows from ``starts[b]`` to ``starts[b + 1]`` of the result, as many as items of it count.
    largest
        Gates are cut off at plus and minus this.
    tokens, weights
        (n, D) and (n,) float32, written.
    """
    asked = np.empty(len(gates.query), np.float32)
    for row in range(len(indptr) - 1):
        asked[:] = 0
        _add_products(gates.query, hidden[row], asked)
        first = indptr[row + 1] - (starts[row + 1] - starts[row])
        for at in range(starts[row], starts[row + 1]):
            item = np.uint32(items[first + at - starts[row]])
            tokens[at] = gates.tokens[item]
            key, gate = gates.keys[item], gates.biases[item]
            for axis in range(len(asked)):
                gate += key[axis] * asked[axis]
            weights[at] = np.exp(min(max(gate, -largest), largest))


@njit(cache=True, nogil=True, fastmath=_ANY_ORDER)
def _distances(part, doubled, squares, out):
    """Squared distances of a (d,) part of a token to (K,) codewords, less its own squared length."""
    whole = len(part) & ~3
    out[:] = squares
    for axis in range(0, whole, 4):
        one, two, three, four = part[axis], part[axis + 1], part[axis + 2], part[axis + 3]
        first, second, third, fourth = doubled[axis], doubled[axis + 1], doubled[axis + 2], doubled[axis + 3]
        for word in range(len(out)):
            out[word] += (one * first[word] + two * second[word]) + (three * third[word] + four * fourth[word])
    for axis in range(whole, len(part)):
        one, first = part[axis], doubled[axis]
        for word in range(len(out)):
            out[word] += one * first[word]


@njit(cache=True, nogil=True, fastmath=False)
def _ordered(bits):
    """The bits of a float32 as a whole number of the same order."""
    return np.uint32(~bits) if bits & _SIGN else np.uint32(bits | _SIGN)


@njit(cache=True, nogil=True, fastmath=False)
def _write_ranked(keys, n_keys, ordered, values, nearest, indices):
    """Write those of the places in `keys` with the smallest `ordered` numbers, ascending, and their values; a rank counts smaller ones."""
    for at in range(n_keys):
        keys[at] |= np.uint64(ordered[keys[at]]) << np.uint64(32)
    # Filled up to what is compared at a time.
    whole = (n_keys + 7) & ~7
    keys[n_keys:whole] = _LAST_KEY
    for at in range(n_keys):
        key, rank = keys[at], 0
        for other in range(whole):
            rank += keys[other] < key
        if rank < len(nearest):
            place = np.int64(key & _LOW)
            nearest[rank], indices[rank] = values[place], place


@njit(cache=True, nogil=True, fastmath=False)
def _smallest(distances, nearest, indices, keys, ordered):
    """The smallest of (n,) distances, ascending, and where they stand; the lower index first where two are equal.

    `keys` and `ordered` are room for n and `_ROOM` numbers. A few are found without branches, which nothing could predict: at least P
    distances do not exceed the P-th smallest of 16 lanes' minima, and hardly more do not either.
    """
    n_nearest = len(nearest)
    if n_nearest > _LANES:
        _insert_smallest(distances, nearest, indices)
        return
    bits = distances.view(np.uint32)
    lanes, ordered = ordered[:_LANES], ordered[_LANES : _LANES + len(bits)]
    for at in range(len(bits)):
        ordered[at] = _ordered(bits[at])
    if len(bits) <= 2 * _LANES:
        for at in range(len(bits)):
            keys[at] = at
        _write_ranked(keys, len(bits), ordered, distances, nearest, indices)
        return
    lanes[:] = _LAST
    whole = len(bits) & ~(_LANES - 1)
    for start in range(0, whole, _LANES):
        row = ordered[start : start + _LANES]
        for lane in range(_LANES):
            lanes[lane] = min(lanes[lane], row[lane])
    for at in range(whole, len(bits)):
        lanes[at - whole] = min(lanes[at - whole], ordered[at])
    bound = _LAST
    for lane in lanes:
        n_below = 0
        for other in range(_LANES):
            n_below += lanes[other] <= lane
        bound = min(bound, lane) if n_below >= n_nearest else bound
    n_keys = 0
    for at in range(len(bits)):
        keys[n_keys] = at
        n_keys += ordered[at] <= bound
    if n_keys > _FEW:
        # Equal distances, most likely.
        _insert_smallest(distances, nearest, indices)
    else:
        _write_ranked(keys, n_keys, ordered, distances, nearest, indices)


@njit(cache=True, nogil=True, fastmath=False)
def _insert_smallest(distances, nearest, indices):
    filled, last = 0, len(nearest) - 1
    limit = np.float32(np.inf)
    for index in range(len(distances)):
        distance = distances[index]
        if filled > last and not distance < limit:
            continue
        place = min(filled, last)
        while place > 0 and nearest[place - 1] > distance:
            nearest[place], indices[place] = nearest[place - 1], indices[place - 1]
            place -= 1
        nearest[place], indices[place] = distance, index
        filled = min(filled + 1, last + 1)
        limit = nearest[last]


@njit(cache=True, nogil=True, fastmath=False)
def _merge(width, step, scratch):
    """Replace the `width` best partial sums by the best, ascending, of one of them and one codeword of the next codebook; return how many.

    The sum of the i-th and the j-th exceeds none of at least i * j, so only pairs with i * j up to P can be among the P best.
    """
    sums, codes, nearest, indices = scratch.sums, scratch.partial, scratch.nearest, scratch.indices
    totals, pairs, n_pairs = scratch.totals, scratch.pairs, 0
    for row in range(width):
        for column in range(min(len(nearest), len(sums) // (row + 1))):
            totals[n_pairs], pairs[n_pairs] = sums[row] + nearest[column], codes[row] + indices[column] * step
            n_pairs += 1
    kept = min(len(sums), width * len(nearest))
    _smallest(totals[:n_pairs], sums[:kept], codes[:kept], scratch.keys, scratch.ordered)
    for place in range(kept):
        codes[place] = pairs[codes[place]]
    return kept


@njit(cache=True, nogil=True, fastmath=False)
def _new_scratch(n_books, size, n_nearest):
    width, n_pairs = min(n_nearest, size), 0
    for row in range(n_nearest):
        n_pairs += min(width, n_nearest // (row + 1))
    return Scratch(
        np.empty((_TOGETHER, n_books, size), np.float32),
        np.empty(n_nearest, np.float32),
        np.empty(n_nearest, np.int64),
        np.empty(width, np.float32),
        np.empty(width, np.int64),
        np.empty(n_pairs, np.float32),
        np.empty(n_pairs, np.int64),
        np.empty(max(size, n_pairs) + _ROOM, np.uint64),
        np.empty(max(size, n_pairs) + _ROOM, np.uint32),
    )


@njit(cache=True, nogil=True, fastmath=False)
def _choose(distances, scratch, codes):
    """The P composite codes with the smallest sums of (M, K) distances, nearest first.

    Exact without listing K**M codes: the P best sums of per-codebook distances only use the P best partial sums, so codebooks are merged
    one by one.
    """
    sums, partial, keys, ordered = scratch.sums, scratch.partial, scratch.keys, scratch.ordered
    n_books, size = distances.shape
    width, step = len(scratch.nearest), 1
    _smallest(distances[0], sums[:width], partial[:width], keys, ordered)
    for book in range(1, n_books):
        step *= size
        _smallest(distances[book], scratch.nearest, scratch.indices, keys, ordered)
        width = _merge(width, step, scratch)
    codes[:] = partial


@njit(cache=True, nogil=True, fastmath=_ANY_ORDER)
def _weigh(token, codewords, codes, factor, weights):
    """Softmax over the codes of their squared distances times the negative `factor`."""
    n_books, size, dim = codewords.shape
    for place in range(len(codes)):
        code, distance = codes[place], np.float32(0)
        for book in range(n_books):
            part, codeword = token[book * dim : (book + 1) * dim], codewords[book, code % size]
            code //= size
            for axis in range(dim):
                difference = part[axis] - codeword[axis]
                distance += difference * difference
        weights[place] = distance
    _softmax(weights, factor)


@njit(cache=True, nogil=True, fastmath=_ANY_ORDER)
def _softmax(weights, factor):
    """Softmax of (P,) distances times the negative `factor`, in place."""
    highest = np.float32(-np.inf)
    for place in range(len(weights)):
        weights[place] *= factor
        highest = max(highest, weights[place])
    total = np.float32(0)
    for place in range(len(weights)):
        weights[place] = np.exp(weights[place] - highest)
        total += weights[place]
    for place in range(len(weights)):
        weights[place] /= total


@njit(cache=True, nogil=True, fastmath=False)
def choose_codes(
    tokens: np.ndarray,
    distances: np.ndarray,
    codewords: np.ndarray,
    factor: np.float32,
    codes: np.ndarray,
    weights: np.ndarray,
    start: int,
    stop: int,
) -> None:
    """Write the P nearest composite codes of tokens `start` to `stop` by a product quantizer, nearest first, and their weights.

    Parameters
    ----------
    tokens, codewords
        (N, D) and (M, K, D / M) float32.
    distances
        (M, N, K) float32 squared distances, up to a constant per token and codebook.
    factor
        Minus one over the temperature.
    codes, weights
        (N, P) int64 and float32, written; P at most K**M.
    """
    n_books, _, size = distances.shape
    n_nearest = codes.shape[1]
    scratch = _new_scratch(n_books, size, n_nearest)
    for token in range(start, stop):
        for book in range(n_books):
            scratch.distances[0, book, :] = distances[book, token]
        _choose(scratch.distances[0], scratch, codes[token])
        if n_nearest == 1:
            weights[token, 0] = 1
        else:
            _weigh(tokens[token], codewords, codes[token], factor, weights[token])


@njit(cache=True, nogil=True, fastmath=_ANY_ORDER)
def _squared_length(vector):
    total = np.float32(0)
    for axis in range(len(vector)):
        total += vector[axis] * vector[axis]
    return total


@njit(cache=True, nogil=True, fastmath=False)
def _search_beam(token, books, codes, weights):
    """Codes and weights of one token by a residual quantizer: after every level the P nearest sums are kept."""
    n_books, size, dim = books.codewords.shape
    n_nearest = len(codes)
    rests, longer_rests = np.empty((n_nearest, dim), np.float32), np.empty((n_nearest, dim), np.float32)
    longer, nearest, order = np.empty(n_nearest, np.int64), np.empty(n_nearest, np.float32), np.empty(n_nearest, np.int64)
    distances = np.empty(n_nearest * size, np.float32)
    keys, ordered = np.empty(n_nearest * size + _ROOM, np.uint64), np.empty(n_nearest * size + _ROOM, np.uint32)
    rests[0], codes[0] = token, 0
    width, step = 1, 1
    for level in range(n_books):
        for row in range(width):
            own = distances[row * size : (row + 1) * size]
            _distances(rests[row], books.doubled[level], books.squares[level], own)
            own += _squared_length(rests[row])
        kept = min(n_nearest, width * size)
        _smallest(distances[: width * size], nearest[:kept], order[:kept], keys, ordered)
        for place in range(kept):
            parent, index = order[place] // size, order[place] % size
            longer[place] = codes[parent] + index * step
            whole, codeword, rest = rests[parent], books.codewords[level, index], longer_rests[place]
            for axis in range(dim):
                rest[axis] = whole[axis] - codeword[axis]
        codes[:kept] = longer[:kept]
        rests, longer_rests = longer_rests, rests
        width, step = kept, step * size
    for place in range(n_nearest):
        weights[place] = _squared_length(rests[place])
    _softmax(weights, books.factor)


@njit(cache=True, nogil=True, fastmath=False)
def nearest_codes(tokens: np.ndarray, books: tuple, codes: np.ndarray, weights: np.ndarray, start: int, stop: int) -> None:
    """Write the P nearest composite codes of (N, D) float32 tokens `start` to `stop`, nearest first, and their weights.

    `codes` and `weights` are (N, P) int64 and float32, P at most K**M; `books` is a `Codebooks` as a plain tuple.
    """
    books = Codebooks(*books)
    n_books, size, dim = books.codewords.shape
    n_nearest = codes.shape[1]
    if books.residual:
        for token in range(start, stop):
            _search_beam(tokens[token], books, codes[token], weights[token])
        return
    scratch = _new_scratch(n_books, size, n_nearest)
    for block in range((stop - start + _TOGETHER - 1) // _TOGETHER):
        first = start + block * _TOGETHER
        last = min(stop, first + _TOGETHER)
        for book in range(n_books):
            for token in range(first, last):
                part = tokens[token, book * dim : (book + 1) * dim]
                _distances(part, books.doubled[book], books.squares[book], scratch.distances[token - first, book])
        for token in range(first, last):
            _choose(scratch.distances[token - first], scratch, codes[token])
            if n_nearest == 1:
                weights[token, 0] = 1
            else:
                _weigh(tokens[token], books.codewords, codes[token], books.factor, weights[token])


@njit(cache=True, nogil=True, fastmath=False)
def encode_codes(
    items: np.ndarray,
    indptr: np.ndarray,
    features: np.ndarray,
    network: tuple,
    books: tuple,
    n_tokens: int,
    codes: np.ndarray,
    weights: np.ndarray,
) -> None:
    """`encode_tokens` and `nearest_codes` in one: write the codes and weights of the heads' tokens, (B, T * P) int64 and float32."""
    hidden_bias, heads_bias = network[2], network[4]
    hidden, tokens = np.empty((1, len(hidden_bias)), np.float32), np.empty((1, len(heads_bias)), np.float32)
    apart, width = tokens.reshape(n_tokens, len(heads_bias) // n_tokens), codes.shape[1] // n_tokens
    for row in range(len(codes)):
        encode_tokens(items, indptr[row : row + 2], features[row : row + 1], network, hidden, tokens)
        # A literal 0 would be compiled for itself.
        first = np.int64(0)
        nearest_codes(apart, books, codes[row].reshape(n_tokens, width), weights[row].reshape(n_tokens, width), first, n_tokens)


@njit(cache=True, nogil=True, fastmath=False)
def merge_codes(
    codes: np.ndarray, weights: np.ndarray, gates: np.ndarray, starts: np.ndarray, out_codes: np.ndarray, out_weights: np.ndarray
) -> int:
    """Write every query's codes, ascending and each once, with the sums of their weights; returns how many the longest row has.

    Parameters
    ----------
    codes, weights
        (B * T + n, P) int64 and float32: those of the heads' tokens, query by query, then of n history tokens.
    gates, starts
        (n,) float32 weights of the history tokens, of which query b has those from ``starts[b]`` to ``starts[b + 1]``.
    out_codes, out_weights
        (B, W) int64 and float32, written; what is left of a row is filled with its first code at weight 0.
    """
    n_rows, n_nearest = len(out_codes), codes.shape[1]
    n_heads = (len(codes) - len(gates)) // max(1, n_rows)
    longest = 0
    for row in range(n_rows):
        n_history = starts[row + 1] - starts[row]
        numbers, shares = np.empty((n_heads + n_history) * n_nearest, np.int64), np.empty((n_heads + n_history) * n_nearest, np.float32)
        for token in range(n_heads + n_history):
            at, gate = row * n_heads + token, np.float32(1)
            if token >= n_heads:
                of_history = starts[row] + token - n_heads
                at, gate = n_rows * n_heads + of_history, gates[of_history]
            for place in range(n_nearest):
                numbers[token * n_nearest + place] = codes[at, place]
                shares[token * n_nearest + place] = gate * weights[at, place]
        size = 0
        # A stable sort adds up weights of one code in the order of the tokens.
        for at in np.argsort(numbers, kind="mergesort"):
            if size > 0 and out_codes[row, size - 1] == numbers[at]:
                out_weights[row, size - 1] += shares[at]
            else:
                out_codes[row, size], out_weights[row, size] = numbers[at], shares[at]
                size += 1
        out_codes[row, size:], out_weights[row, size:] = out_codes[row, 0], 0
        longest = max(longest, size)
    return longest


def warm_up() -> None:
    """Compile the functions or load them from the cache."""
    one, row, place = np.ones((1, 1), np.float32), np.ones(1, np.float32), np.zeros((1, 1), np.int64)
    items, indptr = np.zeros(1, np.int32), np.array([0, 1], np.int64)
    network, factor = (one, one, row, one, row, one), np.float32(-1)
    codes, weights = place.copy(), one.copy()
    choose_codes(one, one[None], one[None], factor, codes, weights, 0, 1)
    for residual in (False, True):
        books = (one[None], one[None], one, factor, residual)
        nearest_codes(one, books, codes, weights, 0, 1)
        encode_codes(items, indptr, one, network, books, 1, codes, weights)
    encode_tokens(items, indptr, one, network, one.copy(), one.copy())
    normalise(one.copy(), 1)
    history_tokens(items, indptr, indptr, one, Gates(one, one, row, one), np.float32(1), one.copy(), row.copy())
    merge_codes(np.concatenate([place, place]), np.concatenate([one, one]), row, indptr, codes, weights)

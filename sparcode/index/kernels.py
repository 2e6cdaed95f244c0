"""Compiled loops of the index: search in lists, search in blocks, dense top-k, look-up of codes, prefix ends.

All are in this one file because numba's on-disk cache notices changes to a function's own file only. They release the GIL, start no
threads (numba's own parallel loops do not survive concurrent callers under every threading layer) and allocate nothing per query.
Loops over part of an array go over a slice, and item ids are made unsigned: an index that might be negative costs a test and a jump.
Named tuples come as plain ones, because numba takes half a microsecond to recognize a named one.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from sparcode.index.search_arrays import Blocks, Postings, SearchRows, Workspace, new_workspace

# So many candidates beyond k are gathered before the k-th best is looked for again.
_FRESH = 24
# Up to here a result is ordered by counting, for each entry, those above it: no branches to mispredict.
_COUNTED = 192

_SIGN = np.uint32(0x8000_0000)
_LOW = np.uint64(0xFFFF_FFFF)
_INFINITY, _MINUS_INFINITY = np.uint32(0x7F80_0000), np.uint32(0xFF80_0000)
# Bounds are put in order as if they lay in this range: outside, the factor that does it would be no number.
_LEAST_BOUND, _MOST_BOUND = np.float32(1e-30), np.float32(1e38)
# Blocks whose bound is below this part of the highest are put in order only if others do not settle the search; most are.
_PROMISING = np.float32(0.125)
_MOST_WEIGHT = np.finfo(np.float32).max
_CACHE_LINE = 64
# Lists that are fetched ahead of the one that is added up, and how many of their postings.
_AHEAD, _FETCHED = 4, 64


@intrinsic
def _fetch(context, array, position):
    """Have the processor fetch the cache line of an entry, which may lie beyond the array, and not wait for it."""

    def generate(context, builder, signature, arguments):
        start = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        pointer, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        fetch = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
        address = builder.bitcast(builder.gep(start, [arguments[1]]), pointer)
        function = cgutils.get_or_insert_function(builder.module, fetch, "llvm.prefetch.p0i8")
        # To read it, to keep it in all caches, and it is data.
        builder.call(function, [address, number(0), number(3), number(1)])
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


@njit(cache=True, nogil=True, fastmath=False)
def _key(bits, item):
    """One number that orders candidates: higher score first, then lower item; `bits` are those of a float32."""
    # Negative zero is zero.
    ordered = np.uint32(bits | _SIGN) if bits <= _SIGN else np.uint32(~bits)
    return (np.uint64(ordered) << np.uint64(32)) | np.uint64(_LOW - np.uint64(item))


@njit(cache=True, nogil=True, fastmath=False)
def _item_of(key):
    return np.int64(_LOW - (key & _LOW))


@njit(cache=True, nogil=True, fastmath=False)
def _bits_of(key):
    ordered = np.uint32(key >> np.uint64(32))
    return np.uint32(ordered ^ _SIGN) if ordered & _SIGN else np.uint32(~ordered)


@njit(cache=True, nogil=True, fastmath=False)
def _score_of(key, scratch):
    """The score above 0 in a key; 0 for the key 0."""
    scratch.view(np.uint32)[0] = _bits_of(key) if key > 0 else np.uint32(0)
    return scratch[0]


@njit(cache=True, nogil=True, fastmath=False)
def _select(keys, size, k):
    """Move the k highest of the first `size` keys to the front and return the lowest of them (Hoare's quickselect)."""
    low, high, target = 0, size - 1, k - 1
    while low < high:
        one, two, three = keys[low], keys[(low + high) // 2], keys[high]
        pivot = max(min(one, two), min(max(one, two), three))
        left, right = low, high
        while left <= right:
            while keys[left] > pivot:
                left += 1
            while keys[right] < pivot:
                right -= 1
            if left <= right:
                keys[left], keys[right] = keys[right], keys[left]
                left += 1
                right -= 1
        if target <= right:
            high = right
        elif target >= left:
            low = left
        else:
            break
    return keys[target]


@njit(cache=True, nogil=True, fastmath=False)
def _lowest_bits(limit):
    """The lowest score bits that a key above `limit` can have; only scores above 0 count."""
    return max(_bits_of(limit), np.uint32(1)) if limit > 0 else np.uint32(1)


@njit(cache=True, nogil=True, fastmath=False)
def _kept(best, size, k, limit):
    """Cut a full buffer of candidates down to the k highest: new size, and the key that others must exceed."""
    if size < len(best):
        return size, limit
    return k, _select(best, size, k)


@njit(cache=True, nogil=True, fastmath=False)
def _sift_down(heap, root, size):
    key = heap[root]
    while True:
        child = 2 * root + 1
        if child >= size:
            break
        if child + 1 < size:
            child += heap[child + 1] < heap[child]
        if heap[child] >= key:
            break
        heap[root] = heap[child]
        root = child
    heap[root] = key


@njit(cache=True, nogil=True, fastmath=False)
def _write_best_first(best, size, items, score_bits):
    """Write the highest of the first `size` keys, best first, and pad what is left."""
    k = min(size, len(items))
    if k < size:
        _select(best, size, k)
    for at in range(k, len(items)):
        items[at] = -1
        score_bits[at] = _MINUS_INFINITY
    if k <= _COUNTED:
        # The upper halves of the keys, which are the scores, will do unless two are the same.
        for at in range(k):
            score_bits[at] = np.uint32(best[at] >> np.uint64(32))
        n_above = 0
        for at in range(k):
            score, above = score_bits[at], np.int32(0)
            for other in range(k):
                above += score_bits[other] > score
            best[k + above] = best[at]
            n_above += above
        if 2 * n_above < k * (k - 1):
            for at in range(k):
                key, above = best[at], 0
                for other in range(k):
                    above += best[other] > key
                best[k + above] = key
        for place in range(k):
            items[place] = _item_of(best[k + place])
            score_bits[place] = _bits_of(best[k + place])
        return
    for root in range(k // 2 - 1, -1, -1):
        _sift_down(best, root, k)
    for last in range(k - 1, -1, -1):
        items[last] = _item_of(best[0])
        score_bits[last] = _bits_of(best[0])
        best[0] = best[last]
        _sift_down(best, 0, last)


@njit(cache=True, nogil=True, fastmath=False)
def dense_top_k(
    scores: np.ndarray,
    seen_indptr: np.ndarray,
    seen_items: np.ndarray,
    denied: np.ndarray,
    is_seen: np.ndarray,
    best: np.ndarray,
    out_items: np.ndarray,
    out_scores: np.ndarray,
) -> int:
    """Write the best unseen items of every row of `scores` (B, I) float32; returns a row that holds NaN, or -1.

    `out_items` and `out_scores` are (B, k) int32 and float32; the other arrays as in `SearchRows` and `Workspace`.
    """
    n_rows, n_items = scores.shape
    k = out_items.shape[1]
    bits = scores.view(np.uint32)
    out_bits = out_scores.view(np.uint32)
    some_denied = len(denied) > 0
    bad_row = -1
    for row in range(n_rows):
        for at in range(seen_indptr[row], seen_indptr[row + 1]):
            is_seen[seen_items[at]] = True
        size, limit = 0, np.uint64(0)
        worst = np.float32(-np.inf)
        for item in range(n_items):
            score = scores[row, item]
            # Items come in ascending order, so a tie with the worst of the k never gets in.
            if score > worst:
                if not (is_seen[item] or (some_denied and denied[item])):
                    best[size] = _key(bits[row, item], item)
                    size, limit = _kept(best, size + 1, k, limit)
                    if limit > 0:
                        worst = scores[row, _item_of(limit)]
            elif score != score:
                bad_row = row
        _write_best_first(best, size, out_items[row], out_bits[row])
        for at in range(seen_indptr[row], seen_indptr[row + 1]):
            is_seen[seen_items[at]] = False
    return bad_row


@njit(cache=True, nogil=True, fastmath=False)
def best_unseen(
    found: np.ndarray,
    scores: np.ndarray,
    seen_indptr: np.ndarray,
    seen_items: np.ndarray,
    rows: np.ndarray,
    item_ids_out: np.ndarray,
    scores_out: np.ndarray,
) -> None:
    """Write the best k unseen items of every row, ordered by score, then lower item id; short rows are padded with -1 and -inf.

    Parameters
    ----------
    found, scores
        (n, W) int64 and float32, best first up to rounding; a negative item is none.
    seen_indptr, seen_items
        (B + 1,) int64 and (m,) int32, the items that each query must not return.
    rows
        (n,) int64, which query each row of `found` belongs to; only these rows are written.
    item_ids_out, scores_out
        (B, k) int32 and float32.
    """
    k = item_ids_out.shape[1]
    kept_items, kept_scores = np.empty(found.shape[1], np.int32), np.empty(found.shape[1], np.float32)
    for number in range(len(rows)):
        row = rows[number]
        seen = np.sort(seen_items[seen_indptr[row] : seen_indptr[row + 1]])
        size = 0
        for place in range(found.shape[1]):
            item = found[number, place]
            if item < 0:
                continue
            at = np.searchsorted(seen, item)
            if at < len(seen) and seen[at] == item:
                continue
            score = scores[number, place]
            # Nearly in order already, so insertion moves little.
            slot = size
            while slot > 0 and (kept_scores[slot - 1] < score or (kept_scores[slot - 1] == score and kept_items[slot - 1] > item)):
                kept_items[slot], kept_scores[slot] = kept_items[slot - 1], kept_scores[slot - 1]
                slot -= 1
            kept_items[slot], kept_scores[slot] = item, score
            size += 1
        for place in range(k):
            item_ids_out[row, place] = kept_items[place] if place < size else -1
            scores_out[row, place] = kept_scores[place] if place < size else -np.inf


@njit(cache=True, nogil=True, fastmath=False)
def find_rows(stored: np.ndarray, codes: np.ndarray, rows: np.ndarray) -> int:
    """Write into `rows` (m,) int64 where each code stands in `stored` (ascending, distinct, not negative), -1 where it does not.

    Returns how many do not.
    """
    missing = 0
    # A code stands at its own number, less the numbers below it that are not stored: little is left to search where nearly all are.
    n_left_out = stored[-1] - (len(stored) - 1) if len(stored) else 0
    for place in range(len(codes)):
        code = codes[place]
        low, high = max(0, min(code - n_left_out, len(stored))), code + 1 if code < len(stored) else len(stored)
        while low < high:
            middle = (low + high) // 2
            if stored[middle] < code:
                low = middle + 1
            else:
                high = middle
        if low < len(stored) and stored[low] == code:
            rows[place] = low
        else:
            rows[place] = -1
            missing += 1
    return missing


@njit(cache=True, nogil=True, fastmath=False)
def first_bad(codes: np.ndarray, weights: np.ndarray) -> int:
    """Place of the first code that is negative or weight that is negative or not finite; -1 if all are good."""
    for place in range(len(codes)):
        # Written so that a NaN, which compares as false, is bad.
        if codes[place] < 0 or not (weights[place] >= 0 and weights[place] < np.inf):
            return place
    return -1


@njit(cache=True, nogil=True, fastmath=False)
def merge_codes(codes: np.ndarray, weights: np.ndarray, merged_codes: np.ndarray, merged_weights: np.ndarray) -> None:
    """Write the codes of every row (B, S) that have a weight above 0, each once in order, with the sum of its weights (float32, finite).

    What is left of a row is filled up by its first code at weight 0.
    """
    for row in range(len(codes)):
        size, highest = 0, np.int64(-1)
        for slot in range(codes.shape[1]):
            code, weight = codes[row, slot], weights[row, slot]
            if not weight > 0:
                continue
            # Ascending codes need not be compared.
            place = size if code > highest else 0
            highest = max(highest, code)
            while place < size and merged_codes[row, place] != code:
                place += 1
            if place == size:
                size += 1
                merged_codes[row, place], merged_weights[row, place] = code, np.float32(0)
            # Infinity times a bound of 0 would be no number.
            merged_weights[row, place] = min(merged_weights[row, place] + weight, _MOST_WEIGHT)
        for slot in range(size, codes.shape[1]):
            merged_codes[row, slot], merged_weights[row, slot] = codes[row, 0] if size == 0 else merged_codes[row, 0], np.float32(0)


@njit(cache=True, nogil=True, fastmath=False)
def list_ends(indptr: np.ndarray, scores: np.ndarray, threshold: np.float32, ends: np.ndarray) -> None:
    """Write into `ends` (n_lists,) int64 the end of each list's prefix with ``score > threshold``; scores descend within a list."""
    for row in range(len(ends)):
        ends[row] = _first_not_above(scores, indptr[row], indptr[row + 1], threshold)


@njit(cache=True, nogil=True, fastmath=False)
def _first_not_above(scores, low, high, value):
    while low < high:
        middle = (low + high) // 2
        if scores[middle] > value:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, nogil=True, fastmath=False)
def _take_best(item_ids, start, end, bits, denied, best, state, k):
    """Take the sums of some postings' items out of the accumulator, and keep the best; an item that comes again has none left."""
    size, limit = state
    lowest = _lowest_bits(limit)
    some_denied = len(denied) > 0
    for signed in item_ids[start:end]:
        item = np.uint32(signed)
        score = bits[item]
        bits[item] = 0
        # Seen items stand at -inf (no number, had infinity been added), whose bits are beyond those of any sum.
        if lowest <= score <= _INFINITY and not (some_denied and denied[item]):
            key = _key(score, item)
            if key > limit:
                best[size] = key
                size += 1
                if size == len(best):
                    size, limit = k, _select(best, size, k)
                    lowest = _lowest_bits(limit)
    return size, limit


@njit(cache=True, nogil=True, fastmath=False)
def _scan(bits, first_place, item_ids, denied, is_seen, best, state, k):
    """The same for every item of the accumulator."""
    size, limit = state
    lowest = _lowest_bits(limit)
    some_denied, some_seen, reordered = len(denied) > 0, len(is_seen) > 0, len(item_ids) > 0
    for at in range(len(bits)):
        score = bits[at]
        if lowest <= score <= _INFINITY:
            place = first_place + at
            item = item_ids[place] if reordered else place
            key = _key(score, item)
            if key > limit and not (some_denied and denied[item]) and not (some_seen and is_seen[item]):
                best[size] = key
                size += 1
                if size == len(best):
                    size, limit = k, _select(best, size, k)
                    lowest = _lowest_bits(limit)
    bits[:] = 0
    return size, limit


@njit(cache=True, nogil=True, fastmath=False)
def _equal_share(target, tops):
    """The share x with ``sum of min(x, top) <= target``, from below: no list whose top is lower uses up its part."""
    share = np.float32(0)
    left, n_left = target, len(tops)
    for _ in range(4):
        if n_left == 0:
            break
        share = left / n_left
        left, n_left = target, 0
        for slot in range(len(tops)):
            if tops[slot] > share:
                n_left += 1
            else:
                left -= tops[slot]
    return share


@njit(cache=True, nogil=True, fastmath=False)
def _first_limit(item_ids, start, end, bits, k):
    """A key that k sums meet or exceed: that of the lowest sum of one list's first k items, which are no item twice."""
    if end - start < k:
        return np.uint64(0)
    lowest = _INFINITY
    for item in item_ids[start : start + k]:
        score = bits[np.uint32(item)]
        lowest = min(lowest, score if score <= _INFINITY else np.uint32(0))
    return np.uint64(lowest | _SIGN) << np.uint64(32) if lowest > 0 else np.uint64(0)


@njit(cache=True, nogil=True, fastmath=False)
def _clear(item_ids, start, end, bits):
    for item in item_ids[start:end]:
        bits[np.uint32(item)] = 0


@njit(cache=True, nogil=True, fastmath=False)
def _n_lists_of(weights):
    """Lists of a row: those before the first weight of 0."""
    size = 0
    while size < len(weights) and weights[size] > 0:
        size += 1
    return size


@njit(cache=True, nogil=True, fastmath=False)
def _add_list(item_ids, scores, start, end, weight, threshold, accumulator):
    item_ids, scores = item_ids[start:end], scores[start:end]
    for at in range(len(item_ids)):
        accumulator[np.uint32(item_ids[at])] += weight * (scores[at] - threshold)


@njit(cache=True, nogil=True, fastmath=False)
def _take_heads(weights, item_ids, scores, threshold, accumulator, denied, best, positions, tops, scratch, state, k):
    """Pop the lists' highest postings until no other item can be among the k best; clear the rest.

    An item not met yet has at most the sum of the next postings of all lists, added in the same order.
    """
    n_slots = len(weights)
    bits = accumulator.view(np.uint32)
    depth = k
    while True:
        size, limit = state
        if size >= k and limit == 0:
            size, limit = k, _select(best, size, k)
            state = (size, limit)
        known = _score_of(limit, scratch)
        bound = np.float32(0)
        for slot in range(n_slots):
            at = positions[0, slot]
            tops[slot] = weights[slot] * (scores[at] - threshold) if at < positions[1, slot] else np.float32(0)
            bound += tops[slot]
        if bound < known or bound == 0:
            break
        share = _equal_share(known, tops[:n_slots]) * np.float32(0.999)
        for slot in range(n_slots):
            at, end = positions[0, slot], positions[1, slot]
            if at == end:
                continue
            stop = min(at + depth, end)
            if known > 0:
                stop = max(_first_not_above(scores, at, end, threshold + share / weights[slot]), at + 1)
            state = _take_best(item_ids, at, stop, bits, denied, best, state, k)
            positions[0, slot] = stop
        depth *= 2
    for slot in range(n_slots):
        _clear(item_ids, positions[0, slot], positions[1, slot], bits)
    return state[0]


@njit(cache=True, nogil=True, fastmath=False)
def _fetch_list(indptr, ends, item_ids, scores, number):
    """Have the beginning of a list fetched; the processor itself goes on from there."""
    start = indptr[number]
    for at in range(start, min(ends[number], start + _FETCHED), _CACHE_LINE // item_ids.itemsize):
        _fetch(item_ids, at)
        _fetch(scores, at)


@njit(cache=True, nogil=True, fastmath=False)
def search_lists(
    rows: SearchRows, postings: Postings, threshold: np.float32, workspace: Workspace, out_items: np.ndarray, out_scores: np.ndarray
) -> int:
    """Retrieve for every row: add up its lists, leave out what it has seen, keep the best.

    ``y(item) = sum over lists of weight * (score - threshold)``, added in float32 in the order of the row's lists. Only sums above 0 count;
    ties go to the lower item id. Writes (B, k) int32 items and float32 scores, padded with -1 and -inf; returns the postings of all lists.
    """
    lists, weights, seen_indptr, seen_items, denied = rows
    indptr, ends, item_ids, scores = postings
    # Single arrays from here on: handing tuples of them around inside the loops would count references.
    accumulator, is_seen, best, positions, tops, _, _, scratch = workspace
    k = out_items.shape[1]
    # Sums are never negative, and the bits of such floats order as whole numbers do.
    bits = accumulator.view(np.uint32)
    out_bits = out_scores.view(np.uint32)
    nobody, in_order = is_seen[:0], item_ids[:0]
    n_read = 0
    for row in range(len(lists)):
        for at in range(seen_indptr[row], seen_indptr[row + 1]):
            accumulator[seen_items[at]] = -np.inf
        touched, longest, n_slots = 0, 0, _n_lists_of(weights[row])
        for slot in range(min(n_slots, _AHEAD)):
            _fetch_list(indptr, ends, item_ids, scores, lists[row, slot])
        for slot in range(n_slots):
            number, weight = lists[row, slot], weights[row, slot]
            start, end = indptr[number], ends[number]
            if slot + _AHEAD < n_slots:
                _fetch_list(indptr, ends, item_ids, scores, lists[row, slot + _AHEAD])
            positions[0, slot], positions[1, slot] = start, end
            touched += end - start
            if end - start > positions[1, longest] - positions[0, longest]:
                longest = slot
            _add_list(item_ids, scores, start, end, weight, threshold, accumulator)
        size = 0
        # A scan reads memory in order, so it wins once the lists hold more postings than there are items.
        if touched > len(accumulator):
            size, _ = _scan(bits, 0, in_order, denied, nobody, best, (0, np.uint64(0)), k)
        elif touched > 0:
            limit = np.uint64(0)
            if len(denied) == 0:
                limit = _first_limit(item_ids, positions[0, longest], positions[1, longest], bits, k)
            size = _take_heads(
                weights[row, :n_slots], item_ids, scores, threshold, accumulator, denied, best, positions, tops, scratch, (0, limit), k
            )
        for at in range(seen_indptr[row], seen_indptr[row + 1]):
            accumulator[seen_items[at]] = 0
        _write_best_first(best, size, out_items[row], out_bits[row])
        n_read += touched
    return n_read


@njit(cache=True, nogil=True, fastmath=False)
def _add_bounds(tops, low, step, weight, threshold, bounds):
    for at in range(len(bounds)):
        bounds[at] += weight * max(low + step * np.float32(tops[at]) - threshold, np.float32(0))


@njit(cache=True, nogil=True, fastmath=False)
def _highest(bounds):
    # None is negative, so their bits order as they do; whole numbers are compared several at a time.
    highest = np.uint32(0)
    for one in bounds.view(np.uint32):
        highest = max(highest, one)
    return highest


@njit(cache=True, nogil=True, fastmath=False)
def _order_by_bound(bounds, least, highest, chosen, order, buckets):
    """Order blocks with a bound above 0 and of at least `least`, highest first, as far as equal steps, one per bucket, tell.

    No bound is above `highest`. Returns how many blocks they are.
    """
    size = 0
    for block in range(len(bounds)):
        # Written always, and overwritten by the next where it does not count: a branch would be guessed wrong too often.
        chosen[size] = block
        size += (bounds[block] >= least) & (bounds[block] > 0)
    scale = np.float32(len(buckets) - 1) / min(max(highest, _LEAST_BOUND), _MOST_BOUND)
    buckets[:] = 0
    for block in chosen[:size]:
        buckets[len(buckets) - 1 - np.int64(min(bounds[block], _MOST_BOUND) * scale)] += 1
    place = 0
    for bucket in range(len(buckets)):
        n_here = buckets[bucket]
        buckets[bucket] = place
        place += n_here
    for block in chosen[:size]:
        bucket = len(buckets) - 1 - np.int64(min(bounds[block], _MOST_BOUND) * scale)
        order[buckets[bucket]] = block
        buckets[bucket] += 1
    return size


@njit(cache=True, nogil=True, fastmath=False)
def _add_segment(offsets, scores, start, end, low, step, weight, threshold, accumulator):
    """Add up one list's part of a block, down to the threshold; returns where that is."""
    offsets, scores = offsets[start:end], scores[start:end]
    for at in range(len(offsets)):
        above = low + step * np.float32(scores[at]) - threshold
        if not above > 0:
            return start + at
        accumulator[offsets[at]] += weight * above
    return end


@njit(cache=True, nogil=True, fastmath=False)
def _take_segment(offsets, start, end, first_place, item_ids, bits, is_seen, denied, best, state, k):
    """As `_take_best`, for one list's part of a block."""
    size, limit = state
    lowest = _lowest_bits(limit)
    some_denied, reordered = len(denied) > 0, len(item_ids) > 0
    for offset in offsets[start:end]:
        score = bits[offset]
        bits[offset] = 0
        if score >= lowest:
            place = first_place + offset
            item = item_ids[place] if reordered else place
            key = _key(score, item)
            if key > limit and not is_seen[item] and not (some_denied and denied[item]):
                best[size] = key
                size += 1
                if size == len(best):
                    size, limit = k, _select(best, size, k)
                    lowest = _lowest_bits(limit)
    return size, limit


@njit(cache=True, nogil=True, fastmath=False)
def _fetch_segments(segments, lists, block):
    for number in lists:
        _fetch(segments[number], block)


@njit(cache=True, nogil=True, fastmath=False)
def _fetch_postings(indptr, segments, offsets, scores, lists, block):
    for number in lists:
        start, end = indptr[number] + segments[number, block], indptr[number] + segments[number, block + 1]
        for at in range(start, end, _CACHE_LINE // offsets.itemsize):
            _fetch(offsets, at)
        for at in range(start, end, _CACHE_LINE // scores.itemsize):
            _fetch(scores, at)


@njit(cache=True, nogil=True, fastmath=False)
def search_blocks(
    rows: SearchRows, blocks: Blocks, shift: int, threshold: np.float32, workspace: Workspace, out_items: np.ndarray, out_scores: np.ndarray
) -> int:
    """`search_lists` by blocks of ``2**shift`` items, the most promising first; blocks that cannot hold any of the k best are not read.

    The bound of a block is the sum of what the highest score of each list in it would add, in the same order and precision, so the
    result is exact, ties included (block-max pruning, Mallia, Suel and Tonellotto, SIGIR 2024, arXiv 2405.01117).
    """
    lists, weights, seen_indptr, seen_items, denied = rows
    indptr, segments, tops, offsets, scores, low, step, item_ids = blocks
    accumulator, is_seen, best, positions, bounds, places, buckets, scratch = workspace
    chosen, order = places[0], places[1]
    k, n_blocks = out_items.shape[1], tops.shape[1]
    bits = accumulator.view(np.uint32)
    out_bits = out_scores.view(np.uint32)
    bounds = bounds[:n_blocks]
    n_read = 0
    for row in range(len(lists)):
        for at in range(seen_indptr[row], seen_indptr[row + 1]):
            is_seen[seen_items[at]] = True
        n_slots = _n_lists_of(weights[row])
        own = lists[row, :n_slots]
        bounds[:] = 0
        for slot in range(n_slots):
            number = own[slot]
            _add_bounds(tops[number], low[number], step[number], weights[row, slot], threshold, bounds)
        scratch.view(np.uint32)[0] = _highest(bounds)
        highest = scratch[0]
        least = highest * _PROMISING
        size, limit = 0, np.uint64(0)
        known = np.float32(0)
        while True:
            n_open = _order_by_bound(bounds, least, highest, chosen, order, buckets)
            for place in range(n_open):
                block = order[place]
                if bounds[block] < known:
                    continue
                # Not to be opened again.
                bounds[block] = 0
                # What comes next is on its way while this block is added up.
                if place + 2 < n_open and bounds[order[place + 2]] >= known:
                    _fetch_segments(segments, own, order[place + 2])
                if place + 1 < n_open and bounds[order[place + 1]] >= known:
                    _fetch_postings(indptr, segments, offsets, scores, own, order[place + 1])
                touched = 0
                for slot in range(n_slots):
                    number, weight = own[slot], weights[row, slot]
                    start, end = indptr[number] + segments[number, block], indptr[number] + segments[number, block + 1]
                    end = _add_segment(offsets, scores, start, end, low[number], step[number], weight, threshold, accumulator)
                    positions[0, slot], positions[1, slot] = start, end
                    touched += end - start
                n_read += touched
                if touched > len(accumulator):
                    size, limit = _scan(bits, block << shift, item_ids, denied, is_seen, best, (size, limit), k)
                else:
                    for slot in range(n_slots):
                        start, end = positions[0, slot], positions[1, slot]
                        size, limit = _take_segment(
                            offsets, start, end, block << shift, item_ids, bits, is_seen, denied, best, (size, limit), k
                        )
                if size >= k and (limit == 0 or size >= k + _FRESH):
                    size, limit = k, _select(best, size, k)
                if limit > 0:
                    known = _score_of(limit, scratch)
            if known >= least:
                break
            least, highest = np.float32(0), least
        for at in range(seen_indptr[row], seen_indptr[row + 1]):
            is_seen[seen_items[at]] = False
        _write_best_first(best, size, out_items[row], out_bits[row])
    return n_read


@njit(cache=True, nogil=True, fastmath=False)
def block_list(
    item_ids: np.ndarray,
    stored: np.ndarray,
    shift: int,
    lowest: np.generic,
    segments: np.ndarray,
    tops: np.ndarray,
    offsets: np.ndarray,
    scores: np.ndarray,
) -> None:
    """Cut one list into segments; the order of postings within a segment is kept.

    Parameters
    ----------
    item_ids, stored
        (n,) int32 and float32 or uint16: a list by descending score, and its scores as they are to be stored.
    lowest
        Top of an empty segment, of the scores' type.
    segments, tops, offsets, scores
        The list's parts of `Blocks`, written.
    """
    n_blocks = len(tops)
    segments[:] = 0
    tops[:] = lowest
    for at in range(len(item_ids)):
        segments[(item_ids[at] >> shift) + 1] += np.uint32(1)
    for block in range(n_blocks):
        segments[block + 1] += segments[block]
    for at in range(len(item_ids) - 1, -1, -1):
        # Filled from the end, so that the starts become those of the segments again.
        block = item_ids[at] >> shift
        segments[block + 1] -= np.uint32(1)
        place = segments[block + 1]
        offsets[place] = item_ids[at] & ((1 << shift) - 1)
        scores[place] = stored[at]
        tops[block] = stored[at]
    for block in range(n_blocks):
        segments[block] = segments[block + 1]
    segments[n_blocks] = len(item_ids)


def warm_up() -> None:
    """Compile every kernel, or load it from the cache."""
    one = np.zeros(2, dtype=np.int64)
    code, weight = np.zeros((1, 1), dtype=np.int64), np.ones((1, 1), dtype=np.float32)
    ids, floats, nobody = np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.float32), np.zeros(0, dtype=np.bool_)
    ends = np.zeros(1, dtype=np.int64)
    out = np.empty((1, 1), dtype=np.int32), np.empty((1, 1), dtype=np.float32)
    threshold = np.float32(0)
    list_ends(one, floats, threshold, ends)
    find_rows(one[:0], one, one.copy())
    first_bad(one[:0], floats)
    merge_codes(code, weight, code.copy(), weight.copy())
    rows = (code, weight, one, ids, nobody)
    search_lists(rows, (one, ends, ids, floats), threshold, tuple(new_workspace(1, 1, 1, 1)), *out)
    for dtype in (np.float32, np.uint16):
        segments, tops = np.zeros((1, 2), dtype=np.uint32), np.zeros((1, 1), dtype=dtype)
        offsets, stored = np.zeros(0, dtype=np.uint16), np.zeros(0, dtype=dtype)
        block_list(ids, stored, 1, tops.dtype.type(0), segments[0], tops[0], offsets, stored)
        blocks = Blocks(one, segments, tops, offsets, stored, np.zeros(1, dtype=np.float32), np.ones(1, dtype=np.float32), ids)
        search_blocks(rows, tuple(blocks), 1, threshold, tuple(new_workspace(2, 1, 1, 1, 1)), *out)
    is_seen, best = np.zeros(1, dtype=np.bool_), np.empty(2, dtype=np.uint64)
    dense_top_k(np.zeros((1, 1), dtype=np.float32), one, ids, nobody, is_seen, best, *out)
    best_unseen(np.zeros((1, 1), dtype=np.int64), np.zeros((1, 1), dtype=np.float32), one, ids, np.zeros(1, dtype=np.int64), *out)

"""The loops themselves. Imported only where numba is installed.

Where the order of float operations matters they are in numpy's order; noise is exact in any (``noise.py``). A loop that is to
run on vector units reads whole rows that were sliced before it: numba looks for negative indices everywhere else.
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = [
    "above_level",
    "deposit",
    "difference",
    "draw_segment",
    "field",
    "interpolated",
    "mapped",
    "picked",
    "positions",
    "turned",
    "words",
]

_inlined = njit(nogil=True, inline="always")


def _kept(function):
    """Compiled when it is first called with arguments of a type; kept on disk for the next process, where there is room."""
    try:
        return njit(cache=True, nogil=True)(function)
    except RuntimeError:  # neither the package's folder nor the user's can be written to
        return njit(nogil=True)(function)


_LOW32 = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)
_FACTOR_0, _FACTOR_1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_STEP_0, _STEP_1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_TO_COLUMN_STEP = np.float32(1.5 * 2.0**12)
_ONE = np.uint32(1 << 16)
_HALF = np.uint32(1 << 15)


@_inlined
def _philox(c0, c1, c2, c3, k0, k1):
    """``rng.philox`` of 64-bit integers that hold 32 bits each."""
    for _ in range(10):
        low, high = c0 * _FACTOR_0, c2 * _FACTOR_1
        c0, c1 = (high >> _SHIFT) ^ c1 ^ k0, high & _LOW32
        c2, c3 = (low >> _SHIFT) ^ c3 ^ k1, low & _LOW32
        k0, k1 = (k0 + _STEP_0) & _LOW32, (k1 + _STEP_1) & _LOW32
    return c0, c1, c2, c3


@_kept
def philox_block(counters, key_0, key_1):
    """``rng.philox_block``."""
    found = np.empty(counters.shape, np.uint32)
    k0, k1 = np.uint64(key_0), np.uint64(key_1)
    for place in range(counters.shape[1]):
        c0, c1 = np.uint64(counters[0, place]), np.uint64(counters[1, place])
        c2, c3 = np.uint64(counters[2, place]), np.uint64(counters[3, place])
        found[0, place], found[1, place], found[2, place], found[3, place] = _philox(c0, c1, c2, c3, k0, k1)
    return found


@_kept
def words(key_0, key_1, rows, columns, tag):
    """``rng.words``."""
    blocks = (columns + 3) // 4
    found = np.empty((rows, blocks, 4), np.uint32)
    k0, k1 = np.uint64(key_0), np.uint64(key_1)
    for row in range(rows):
        for block in range(blocks):
            four = _philox(np.uint64(row), np.uint64(block), np.uint64(tag), np.uint64(0), k0, k1)
            out = found[row, block]
            out[0], out[1], out[2], out[3] = four
    return found.reshape(rows, 4 * blocks)[:, :columns]


# --- noise ----------------------------------------------------------------------------------------------------------------


@_inlined
def _along(y_top, y_bottom, x_top, x_bottom, above, below, offsets, weights):
    """What the lattice rows above and below a row of pixels make of it; see ``noise._along``."""
    for point in range(offsets.size):
        offsets[point] = (x_top[point] * above[1] + x_bottom[point] * below[1] + _TO_COLUMN_STEP) - _TO_COLUMN_STEP
        weights[point] = (y_top[point] * above[0] + y_bottom[point] * below[0] + _TO_COLUMN_STEP) - _TO_COLUMN_STEP


@_inlined
def _spread(starts, offsets, weights, ends):
    """``ends (4, W)``: for every column, what the two lattice points of its cell contribute."""
    left, right, low, high = ends[0], ends[1], ends[2], ends[3]
    for cell in range(starts.size - 1):
        a, b, c, d = offsets[cell], offsets[cell + 1], weights[cell], weights[cell + 1]
        for column in range(starts[cell], starts[cell + 1]):
            left[column], right[column], low[column], high[column] = a, b, c, d


@_inlined
def _sums(ends, four, scale, line):
    """A row of noise."""
    e0, e1, e2, e3 = ends[0], ends[1], ends[2], ends[3]
    f0, f1, f2, f3 = four[0], four[1], four[2], four[3]
    for x in range(line.size):
        line[x] = (e0[x] * f0[x] + e1[x] * f1[x] + e2[x] * f2[x] + e3[x] * f3[x]) * scale


@_inlined
def _row(gradients, top, above, below, starts, four, scale, points, ends, line):
    """A row of noise, of the lattice row ``top`` and the next."""
    along_y, along_x = gradients[0], gradients[1]
    _along(along_y[top], along_y[top + 1], along_x[top], along_x[top + 1], above, below, points[0], points[1])
    _spread(starts, points[0], points[1], ends)
    _sums(ends, four, scale, line)


@_kept
def field(gradients, tops, above, below, starts, four, scale):
    """Perlin noise times ``scale``, ``(H, W)`` float32: what ``noise.perlin_from_gradients`` makes, times that.

    Args:
        gradients: ``(2, lattice rows, lattice columns)``.
        tops, above, below: of each row of pixels, ``(H,)`` and ``(H, 2)``: see ``noise._Rows``.
        starts: ``(cells + 1,)`` uint32: each cell's first column.
        four: ``(4, W)``: of each column, offsets and weights of its cell's two ends.
    """
    found = np.empty((tops.size, four.shape[1]), np.float32)
    points, ends = np.empty((2, gradients.shape[2]), np.float32), np.empty((4, four.shape[1]), np.float32)
    for row in range(tops.size):
        _row(gradients, tops[row], above[row], below[row], starts, four, scale, points, ends, found[row])
    return found


@_kept
def above_level(gradients, tops, above, below, starts, four, scale, level):
    """``field(...) > level``, ``(H, W)`` uint8, 0 or 255."""
    found = np.empty((tops.size, four.shape[1]), np.uint8)
    points, ends = np.empty((2, gradients.shape[2]), np.float32), np.empty((4, four.shape[1]), np.float32)
    line = np.empty(four.shape[1], np.float32)
    for row in range(tops.size):
        _row(gradients, tops[row], above[row], below[row], starts, four, scale, points, ends, line)
        out = found[row]
        for x in range(line.size):
            out[x] = np.uint8(255) * np.uint8(line[x] > level)
    return found


# --- masks ----------------------------------------------------------------------------------------------------------------


@_kept
def turned(values, rows, columns, sine, cosine, nudge, outside):
    """``turning.rotate``: the nearest pixel of ``values``, whose place is the sum of a number for each row and column."""
    height, width = np.int32(values.shape[0]), np.int32(values.shape[1])
    found = np.empty((rows, columns), values.dtype)
    places = np.empty(columns, np.int32)
    columns_of_column, rows_of_column = np.empty(columns, np.float32), np.empty(columns, np.float32)
    for x in range(columns):
        from_middle = x - (columns - 1) / 2
        columns_of_column[x], rows_of_column[x] = np.float32(cosine * from_middle), np.float32(sine * from_middle)
    flat = values.reshape(-1)
    for row in range(rows):
        from_middle = row - (rows - 1) / 2
        to_column = np.float32(-sine * from_middle + ((values.shape[1] - 1) / 2 + nudge))
        to_row = np.float32(cosine * from_middle + ((values.shape[0] - 1) / 2 + nudge))
        for x in range(places.size):
            column, line = np.int32(np.rint(to_column + columns_of_column[x])), np.int32(np.rint(to_row + rows_of_column[x]))
            inside = (line >= 0) & (line < height) & (column >= 0) & (column < width)
            places[x] = line * width + column if inside else np.int32(-1)
        out = found[row]
        for x in range(places.size):
            place = places[x]
            out[x] = flat[place] if place >= 0 else outside
    return found


@_kept
def positions(eights, rest, start):
    """Where bytes are set, counted from ``start``: ``eights`` are read as 64 bits each, ``rest`` are those after them."""
    count = 0
    for number in range(eights.size):
        count += np.int64(eights[number] != 0)
    found = np.empty(8 * count + rest.size, np.int64)
    size = 0
    for number in range(eights.size):
        word = eights[number]
        if word != 0:
            for byte in range(8):
                found[size] = start + 8 * number + byte
                size += np.int64((word >> np.uint64(8 * byte)) & np.uint64(0xFF) != 0)
    for byte in range(rest.size):
        found[size] = start + 8 * eights.size + byte
        size += np.int64(rest[byte] != 0)
    return found[:size]


@_kept
def draw_segment(window, top, left, start, end, band):
    """``lines.draw_line`` between two points ``(x, y, half width)``, in the part of the field at ``top``, ``left``."""
    x0, y0, r0 = start
    x1, y1, r1 = end
    dx, dy = x1 - x0, y1 - y0
    square = max(dx * dx + dy * dy, 1e-12)
    zero, one, limit = np.float32(0.0), np.float32(1.0), np.float32(-band)
    along_x, along_y, across = np.float32(dx / square), np.float32(dy / square), np.float32(r1 - r0)
    x_of_end, y_of_end, width = np.float32(dx), np.float32(dy), np.float32(r0)
    for row in range(window.shape[0]):
        y = np.float32(top + row) - np.float32(y0)
        line = window[row]
        for column in range(line.size):
            x = np.float32(left + column) - np.float32(x0)
            way = min(max(x * along_x + y * along_y, zero), one)
            off_x, off_y = x - way * x_of_end, y - way * y_of_end
            value = width + way * across - np.sqrt(off_x * off_x + off_y * off_y)
            if value > limit and value > line[column]:
                line[column] = value


# --- pixels ---------------------------------------------------------------------------------------------------------------


@_kept
def picked(pixels, positions):
    """``pixels.take(positions, axis=0)`` of three channels."""
    found = np.empty((positions.size, 3), pixels.dtype)
    for number in range(positions.size):
        position = positions[number]
        found[number, 0], found[number, 1], found[number, 2] = pixels[position, 0], pixels[position, 1], pixels[position, 2]
    return found


@_kept
def mapped(positions, width, across, down):
    """``(2, n)`` float32: x and y, each by its row of a matrix, of pixels that are counted row by row."""
    found = np.empty((2, positions.size), np.float32)
    row, start = 0, 0
    for number in range(positions.size):
        column = positions[number] - start
        if column < 0 or column >= width:  # most pixels lie in the row of the one before
            row = positions[number] // width
            start = row * width
            column = positions[number] - start
        found[0, number] = np.float32(across[0] * column + across[1] * row + across[2])
        found[1, number] = np.float32(down[0] * column + down[1] * row + down[2])
    return found


@_kept
def interpolated(image, patch, weights):
    """``mixing.interpolate`` of ``(n, C)`` uint8 and ``(n, 1)`` or ``(1, 1)`` weights."""
    found = np.empty(image.shape, image.dtype)
    if weights.size == 1:
        weight = weights[0, 0]
        rest = _ONE - weight
        before, after, out = image.reshape(-1), patch.reshape(-1), found.reshape(-1)
        for number in range(out.size):
            out[number] = (np.uint32(before[number]) * rest + np.uint32(after[number]) * weight + _HALF) >> np.uint32(16)
        return found
    for number in range(image.shape[0]):
        weight = weights[number, 0]
        for channel in range(image.shape[1]):
            total = np.uint32(image[number, channel]) * (_ONE - weight) + np.uint32(patch[number, channel]) * weight
            found[number, channel] = (total + _HALF) >> np.uint32(16)
    return found


@_kept
def deposit(pixels, degrees, kinds, positions, values, degree, number, first):
    """One more defect of a picture; how many of its pixels have degree 0, and are painted only.

    Args:
        pixels, degrees, kinds: ``(m, C)``, ``(m,)`` and ``(m,)``: written to.
        positions, values, degree: ``(n,)``, ``(n, C)`` and ``(n,)``: what is painted, and how strongly.
        number: what ``kinds`` becomes.
        first: whether the picture has no defect yet.
    """
    one, lost = np.float32(1.0), 0
    if pixels.shape[1] == 3:
        for place in range(positions.size):
            position = positions[place]
            pixels[position, 0], pixels[position, 1], pixels[position, 2] = values[place, 0], values[place, 1], values[place, 2]
    else:
        for place in range(positions.size):
            for channel in range(values.shape[1]):
                pixels[positions[place], channel] = values[place, channel]
    for place in range(positions.size):
        position = positions[place]
        own = degree[place]
        if own > 0:
            degrees[position] = own if first else one - (one - degrees[position]) * (one - own)
            kinds[position] = number
        else:
            lost += 1
    return lost


@_kept
def difference(before, after, positions, enough):
    """The sum over the pixels at ``positions`` of the largest change of any channel, of integers, until it is ``enough``."""
    total = 0
    for place in range(positions.size):
        position = positions[place]
        largest = 0
        for channel in range(before.shape[1]):
            largest = max(largest, abs(np.int64(before[position, channel]) - np.int64(after[position, channel])))
        total += largest
        if total >= enough:
            break
    return total

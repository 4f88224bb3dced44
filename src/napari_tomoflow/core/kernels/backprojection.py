"""Back-projection of lines and its exact transpose, vectorised along the tilt axis.

All lines of 64 neighbouring y share their interpolation, so index and weight are found once per
voxel column and tilt, and the innermost loop is 64 contiguous numbers. The layout for it is the
*block*: ``float32[n_blocks, n_tilts, n_u, ROWS]``, where line ``y = block * ROWS + row``.
"""

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import prange, types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from napari_tomoflow.core.kernels._jit import inner, kernel

ROWS = 64
"""Lines of a block: four AVX-512 or eight AVX2 registers, so the sums never leave them."""

_COLUMNS = 64
"""Voxels along x finished before they are written: runs of four cache lines in the volume."""


@kernel
def backproject(volume_zyx, blocks, start_u, step_x, step_z):
    """Spread lines over a slab: ``V(z, y, x) = Σ_t lerp(line_t(y), start_t + x·step_x_t + z·step_z_t)``.

    Parameters
    ----------
    volume_zyx : float32[nz, ny, nx]
        Overwritten.
    blocks : float32[n_blocks, n_tilts, n_u, ROWS]
        The lines; fastest when aligned to 64 bytes.
    start_u, step_x, step_z : float64[n_tilts]
        Position on the line of voxel (0, ·, 0), and how it moves per voxel along x and z.

    Notes
    -----
    Not checked: every position lies in [0, n_u - 1); ``n_blocks * ROWS >= ny``; C order.
    Threads own whole (block, z) pairs, and each voxel is summed in the order of the tilts, so the
    result does not depend on the number of threads. NaN and infinity spread along their rays.
    """
    nz, _, nx = volume_zyx.shape
    n_blocks, n_tilts, n_u, _ = blocks.shape
    for task in prange(n_blocks * nz):
        block, z = task // nz, task % nz
        lines = blocks[block].reshape(-1)
        start_of_row = start_u + z * step_z
        offsets = np.empty((_COLUMNS, n_tilts), np.int64)
        weights = np.empty((_COLUMNS, n_tilts), np.float32)
        tile = np.empty((_COLUMNS, ROWS), np.float32)
        for x0 in range(0, nx, _COLUMNS):
            _locate(offsets, weights, start_of_row, step_x, x0, n_u)
            n_columns = min(_COLUMNS, nx - x0)
            for column in range(n_columns):
                sum_rows(tile[column], lines, offsets[column], weights[column])
            _write(volume_zyx[z, block * ROWS : (block + 1) * ROWS, x0 : x0 + n_columns], tile)


@inner
def _locate(offsets, weights, start_of_row, step_x, x0, n_u):
    """Find where each of the next columns falls on each line: the row left of it in a flat block, and the weight."""
    for column in range(offsets.shape[0]):
        for t in range(offsets.shape[1]):
            u = start_of_row[t] + (x0 + column) * step_x[t]
            left = np.int32(u)
            weights[column, t] = np.float32(u - left)
            offsets[column, t] = (t * n_u + left) * ROWS


@inner
def _write(part_yx, tile):
    """Transpose a tile into the volume."""
    for row in range(part_yx.shape[0]):
        for column in range(part_yx.shape[1]):
            part_yx[row, column] = tile[column, row]


@kernel
def project(blocks, volume_zyx, start_u, step_x, step_z):
    """Add a slab into lines: the exact transpose of `backproject`.

    Parameters
    ----------
    blocks : float32[n_blocks, n_tilts, n_u, ROWS]
        Added to, so that slab after slab may be projected.
    volume_zyx : float32[nz, ny, nx]
    start_u, step_x, step_z : float64[n_tilts]
        As in `backproject`.

    Notes
    -----
    Not checked: as in `backproject`. Threads own whole blocks. NaN spreads along its rays.
    """
    nz, _, nx = volume_zyx.shape
    n_blocks, n_tilts, n_u, _ = blocks.shape
    for block in prange(n_blocks):
        lines = blocks[block].reshape(-1)
        offsets = np.empty((n_tilts, _COLUMNS), np.int64)
        weights = np.empty((n_tilts, _COLUMNS), np.float32)
        tile = np.zeros((_COLUMNS, ROWS), np.float32)
        for z in range(nz):
            start_of_row = start_u + z * step_z
            for x0 in range(0, nx, _COLUMNS):
                _locate(offsets.T, weights.T, start_of_row, step_x, x0, n_u)
                n_columns = min(_COLUMNS, nx - x0)
                _read_tile(tile, volume_zyx[z, block * ROWS : (block + 1) * ROWS, x0 : x0 + n_columns])
                for t in range(n_tilts):
                    spread_rows(lines, tile, offsets[t, :n_columns], weights[t, :n_columns])


@kernel
def weigh_residuals(blocks, measured, per_length, sums):
    """Turn predicted lines into ``R (b - A x)``; where nothing was measured it is 0.

    Parameters
    ----------
    blocks : float32[n_blocks, n_tilts, n_u, ROWS]
        The prediction A x; overwritten.
    measured : float32[n_blocks, n_tilts, n_u, ROWS]
        b; NaN marks rays that missed the image.
    per_length : float32[n_tilts, n_u]
        R.
    sums : float64[n_tilts]
        Becomes ``Σ R (b - A x)²`` of each tilt, summed in one order by any number of threads.

    Notes
    -----
    Not checked: equal shapes. Threads own whole tilts.
    """
    n_blocks, n_tilts, n_u, _ = blocks.shape
    for t in prange(n_tilts):
        total = 0.0
        for block in range(n_blocks):
            for u in range(n_u):
                row, given, weight = blocks[block, t, u], measured[block, t, u], per_length[t, u]
                squares = np.float32(0.0)
                for i in range(ROWS):
                    difference = given[i] - row[i]
                    known = difference if given[i] == given[i] else np.float32(0.0)
                    squares += known * known
                    row[i] = weight * known
                total += weight * squares
        sums[t] = total


@inner
def _read_tile(tile, part_yx):
    """Transpose a part of the volume; rows of the tile beyond it stay as they are."""
    for row in range(part_yx.shape[0]):
        for column in range(part_yx.shape[1]):
            tile[column, row] = part_yx[row, column]


def spread_rows(lines, tile, offsets, weights):
    """Share columns of a tile between neighbouring rows: the transpose of `sum_rows`.

    ``lines[o_c : o_c + ROWS] += (1 - w_c)·tile[c]`` and the row after it ``+= w_c·tile[c]``, for every
    column c. Compiled code gets `_spread_rows_in_registers`, for the reason told in `sum_rows`.
    """
    for offset, weight, values in zip(offsets, weights, tile, strict=False):
        lines[offset : offset + ROWS] += (1 - weight) * values
        lines[offset + ROWS : offset + 2 * ROWS] += weight * values


@overload(spread_rows, inline="never")
def _compiled_spread_rows(lines, tile, offsets, weights):
    """Choose the register version in compiled code."""

    def call(lines, tile, offsets, weights):
        _spread_rows_in_registers(lines, tile, offsets, weights)

    return call


@intrinsic
def _spread_rows_in_registers(_, lines, tile, offsets, weights):
    """Emit the loop of `spread_rows`, holding the two rows in use until the next column leaves them.

    Neighbouring columns are at most a row apart, so a row is written once and not once per column.
    """
    row, i64 = ir.VectorType(ir.FloatType(), ROWS), ir.IntType(64)
    rows = ir.Constant(i64, ROWS)

    def emit(context, builder, signature, args):
        arrays = [
            context.make_array(kind)(context, builder, arg) for kind, arg in zip(signature.args, args, strict=True)
        ]
        lines, tile, offsets, weights = arrays
        near, far = (cgutils.alloca_once_value(builder, ir.Constant(row, None)) for _ in range(2))
        at = cgutils.alloca_once_value(builder, builder.load(offsets.data))

        with cgutils.for_range(builder, builder.extract_value(offsets.shape, 0)) as column:
            here, before = builder.load(builder.gep(offsets.data, [column.index])), builder.load(at)
            with builder.if_then(builder.icmp_signed("!=", here, before)):
                _flush(builder, near, lines.data, before)
                after = builder.add(before, rows)
                with builder.if_else(builder.icmp_signed("==", here, after)) as (is_next, is_elsewhere):
                    with is_next:
                        builder.store(builder.load(far), near)
                        builder.store(ir.Constant(row, None), far)
                    with is_elsewhere:
                        _flush(builder, far, lines.data, after)
                builder.store(here, at)
            weight = builder.load(builder.gep(weights.data, [column.index]))
            values = _load(builder, builder.gep(tile.data, [builder.mul(column.index, rows)]), row)
            _accumulate(builder, near, builder.fsub(ir.Constant(ir.FloatType(), 1.0), weight), values)
            _accumulate(builder, far, weight, values)
        last = builder.load(at)
        _flush(builder, near, lines.data, last)
        _flush(builder, far, lines.data, builder.add(last, rows))
        return context.get_dummy_value()

    return types.void(lines, tile, offsets, weights), emit


def _accumulate(builder, held, share, values):
    """Add a share of a row to one held in registers."""
    term = builder.fmul(_splat(builder, share, values.type), values, flags=("contract",))
    builder.store(builder.fadd(builder.load(held), term, flags=("contract",)), held)


def _flush(builder, held, lines, start):
    """Add a row held in registers to the lines and empty it."""
    values = builder.load(held)
    target = builder.gep(lines, [start])
    total = builder.fadd(_load(builder, target, values.type), values)
    builder.store(total, builder.bitcast(target, values.type.as_pointer()), align=4)
    builder.store(ir.Constant(values.type, None), held)


def sum_rows(total, lines, offsets, weights):
    """Sum interpolated rows: ``total = Σ_t (1 - w_t)·lines[o_t : o_t + ROWS] + w_t·(the row after it)``.

    This body says what is computed and runs when compilation is switched off. Compiled code gets
    `_sum_rows_in_registers`: numba keeps a local array in memory and reaches 40 % of its speed.
    """
    rows = offsets[:, None] + np.arange(ROWS)
    total[:] = ((1 - weights[:, None]) * lines[rows] + weights[:, None] * lines[rows + ROWS]).sum(axis=0)


@overload(sum_rows, inline="never")
def _compiled_sum_rows(total, lines, offsets, weights):
    """Choose the register version in compiled code."""

    def call(total, lines, offsets, weights):
        _sum_rows_in_registers(total, lines, offsets, weights)

    return call


@intrinsic
def _sum_rows_in_registers(_, total, lines, offsets, weights):
    """Emit the loop of `sum_rows` on one LLVM vector of ROWS floats, which every target cuts to its registers."""
    row = ir.VectorType(ir.FloatType(), ROWS)
    fused = ("contract",)

    def emit(context, builder, signature, args):
        arrays = [
            context.make_array(kind)(context, builder, arg) for kind, arg in zip(signature.args, args, strict=True)
        ]
        total, lines, offsets, weights = arrays
        total_row = cgutils.alloca_once_value(builder, ir.Constant(row, None))  # None: all zero
        with cgutils.for_range(builder, builder.extract_value(offsets.shape, 0)) as tilt:
            at = builder.gep(lines.data, [builder.load(builder.gep(offsets.data, [tilt.index]))])
            weight = builder.load(builder.gep(weights.data, [tilt.index]))
            rest = builder.fsub(ir.Constant(ir.FloatType(), 1.0), weight)
            value = builder.load(total_row)
            for share, start in ((rest, at), (weight, builder.gep(at, [ir.Constant(ir.IntType(64), ROWS)]))):
                term = builder.fmul(_splat(builder, share, row), _load(builder, start, row), flags=fused)
                value = builder.fadd(value, term, flags=fused)
            builder.store(value, total_row)
        builder.store(builder.load(total_row), builder.bitcast(total.data, row.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(total, lines, offsets, weights), emit


def _load(builder, pointer, row):
    """Read a row that need not be aligned."""
    return builder.load(builder.bitcast(pointer, row.as_pointer()), align=4)


def _splat(builder, scalar, row):
    """Repeat a number along a row."""
    undefined = ir.Constant(row, ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.IntType(32)(0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(ir.IntType(32), ROWS), None))

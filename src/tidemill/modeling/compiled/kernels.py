"""The two inner loops of `forest`, compiled by numba at run time; they release the GIL.

Nothing is reordered: sums are computed tree by tree, as in the libraries.
"""

from typing import Any

import numba
import numpy as np

__all__ = ["N_WORDS", "add_leaves", "table_rows"]

N_WORDS = 64
"""Words processed together for all rows: with a few thousand table rows, they fit a processor's cache."""

# Maps a word with one set bit to that bit's position in `values`: a de Bruijn sequence, see `forest.PLACES`.
SEQUENCE, SHIFT = np.uint64(0x03F79D71B4CB0A89), np.uint64(58)


@numba.njit(nogil=True)  # type: ignore[untyped-decorator]  # numba has no types
def table_rows(matrix: Any, cuts: Any, cut_starts: Any, row_starts: Any, n_levels: Any, rows: Any) -> None:
    """Write the table row of each value into ``rows``.

    Parameters
    ----------
    matrix : ndarray of shape (n_samples, n_columns)
        Output of the preprocessing.
    cuts, cut_starts : ndarray
        Thresholds of all columns, ascending per column, and the start of each column.
    row_starts : ndarray of shape (n_columns + 1,)
        Start of each column's table rows; its last row is for missing values.
    n_levels : ndarray of shape (n_columns,)
        Number of category codes, or -1 for a number.
    rows : ndarray of shape (n_columns, n_samples), int32
        Output.
    """
    for column in range(matrix.shape[1]):
        first, end = cut_starts[column], cut_starts[column + 1]
        row, missing = row_starts[column], row_starts[column + 1] - 1
        for sample in range(matrix.shape[0]):
            value = matrix[sample, column]
            if np.isnan(value):
                rows[column, sample] = missing
            elif n_levels[column] >= 0:
                known = 0 <= value < n_levels[column]
                rows[column, sample] = row + np.int64(value) if known else missing - 1
            else:  # count the thresholds that it reaches, by binary search
                at, left = first, end - first
                while left > 0:
                    half = (left + 1) >> 1
                    at += half if cuts[at + half - 1] <= value else 0
                    left -= half
                rows[column, sample] = row + at - first


@numba.njit(nogil=True)  # type: ignore[untyped-decorator]  # numba has no types
def add_leaves(rows: Any, table: Any, values: Any, first_word: int, end_word: int, sums: Any) -> None:
    """Add the leaf value of each tree to ``sums``.

    Parameters
    ----------
    rows : ndarray of shape (n_columns, n_samples)
        From ``table_rows``.
    table : ndarray of shape (n_rows, n_words), uint64
        Bits of the leaves that remain possible.
    values : ndarray of shape (n_words, 64)
        Leaf values.
    sums : ndarray of shape (n_samples,)
        Updated in place.
    """
    possible = np.empty(N_WORDS, np.uint64)
    n_columns = rows.shape[0]
    for begin in range(first_word, end_word, N_WORDS):
        end = min(begin + N_WORDS, end_word)
        n_words = end - begin
        for sample in range(rows.shape[1]):
            possible[:] = ~np.uint64(0)
            column = 0
            while column + 4 <= n_columns:  # four at a time, since the loop's own stores would dominate
                a, b = table[rows[column, sample], begin:end], table[rows[column + 1, sample], begin:end]
                c, d = table[rows[column + 2, sample], begin:end], table[rows[column + 3, sample], begin:end]
                for word in range(n_words):
                    possible[word] &= a[word] & b[word] & c[word] & d[word]
                column += 4
            while column < n_columns:
                a = table[rows[column, sample], begin:end]
                for word in range(n_words):
                    possible[word] &= a[word]
                column += 1
            total = sums[sample]
            for word in range(n_words):
                total += values[begin + word, (possible[word] * SEQUENCE) >> SHIFT]
            sums[sample] = total

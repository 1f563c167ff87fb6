"""Trees compiled to a table: bit-identical to the library's prediction, in a fraction of its time.

A column's value rules out leaves in every tree at once: for each split on the column, the leaves on the other side. All
columns together leave one leaf per tree. Each column has one table row per interval between its thresholds, and each row
has one bit per leaf. The *and* of one table row per column replaces the walk from node to node, without branches (after
QuickScorer, Lucchese et al. 2015).

Sums use the library's order and type, and the library converts them to predictions. Before use, a forest is still
compared with its model, on values at and next to every threshold.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tidemill.modeling.answers import answer
from tidemill.modeling.compiled.trees import Sum, Tree, sum_of
from tidemill.modeling.tasks import task_type

__all__ = ["PLACES", "Forest"]

_log = logging.getLogger(__name__)

_LEAVES = 63  # leaves per word; bit 0 is never set, so a word without the tree's leaf points to the value -0.0
_MOST_BYTES = 2**26  # bytes of the table; 300 trees of depth 6 need 4 MB
_N_PROBES = 2_000  # rows to compare, 20 ms of the library's time
_SEQUENCE = 0x03F79D71B4CB0A89  # de Bruijn sequence: its 64 windows of 6 bits all differ

PLACES = np.array([((_SEQUENCE << bit) % 2**64) >> 58 for bit in range(64)])
"""Position of a word's value, by bit."""

Words = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Forest:
    """A sum of trees, compiled to a table."""

    model: Sum
    """The source trees."""
    cuts: npt.NDArray[Any]
    """Thresholds of all columns, in ascending order per column."""
    cut_starts: Ints
    """Start of each column in ``cuts``, shape (n_columns + 1,)."""
    n_levels: Ints
    """Number of category codes per column, -1 for a number, shape (n_columns,)."""
    row_starts: Ints
    """Start of each column's table rows, shape (n_columns + 1,)."""
    table: Words
    """Bits of the leaves that remain possible, shape (n_rows, n_words)."""
    values: npt.NDArray[Any]
    """Leaf values per word, shape (n_words, 64)."""
    word_starts: Ints
    """Start of each output's words, shape (n_outputs + 1,)."""

    @classmethod
    def of(cls, model: Any, task: str, n_columns: int) -> Self | None:
        """Compile a fitted model.

        Parameters
        ----------
        model : object
            Fitted estimator, or an XGBoost booster.
        task : str
            ``binary``, ``multiclass`` or ``regression``.

        Returns
        -------
        Forest or None
            None if the model is not a sum of trees, needs too large a table, or differs by a single bit.
        """
        found = sum_of(model)
        forest = None if found is None else cls._tabled(found, n_columns)
        if forest is None:
            return None
        probes = forest.probes()
        expected = answer(model, probes, task=task, n_threads=1, block_rows=None)
        if expected.tobytes() != forest.answer(probes, task).tobytes():
            _log.warning(
                "The compiled trees of %s differ from its own scores; the model itself is used instead.",
                type(model).__name__,
            )
            return None
        return forest

    @classmethod
    def _tabled(cls, model: Sum, n_columns: int) -> Self | None:
        cuts, n_levels = _cuts(model.trees, n_columns)
        sizes = [(len(cut) if levels < 0 else levels) + 2 for cut, levels in zip(cuts, n_levels, strict=True)]
        row_starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        by_output = [[tree for tree in model.trees if tree.output == output] for output in range(len(model.start))]
        n_words = [sum(_n_words(tree) for tree in trees) for trees in by_output]
        if row_starts[-1] * sum(n_words) * 8 > _MOST_BYTES:
            return None
        cut_starts = np.concatenate([[0], np.cumsum([len(cut) for cut in cuts])]).astype(np.int64)
        table = np.empty((row_starts[-1], sum(n_words)), np.uint64)
        values = np.full((sum(n_words), 64), -0.0, model.start.dtype)  # adding -0.0 changes no bit of any number
        forest = cls(
            model,
            np.concatenate(cuts).astype(model.start.dtype),
            cut_starts,
            n_levels,
            row_starts,
            table,
            values,
            np.concatenate([[0], np.cumsum(n_words)]).astype(np.int64),
        )
        word = 0
        for tree in (tree for trees in by_output for tree in trees):
            forest._write(tree, word)
            word += _n_words(tree)
        return forest

    def _write(self, tree: Tree, word: int) -> None:
        """Fill a tree's words: for each value of each split's column, rule out the leaves on the other side."""
        first, end = _spans(tree)
        for number, bits in _bits(0, int(end[0])):
            self.table[:, word + number] = bits
        for node in range(len(tree.left)):
            if tree.left[node] < 0:
                leaf = int(first[node])
                self.values[word + leaf // _LEAVES, PLACES[1 + leaf % _LEAVES]] = tree.threshold[node]
                continue
            goes_right = self._goes_right(tree, node)
            at = self.row_starts[tree.feature[node]]
            rows = np.arange(at, at + len(goes_right))
            for child, others in ((tree.left[node], rows[goes_right]), (tree.right[node], rows[~goes_right])):
                for number, bits in _bits(int(first[child]), int(end[child])):
                    self.table[others, word + number] &= ~np.uint64(bits)

    def _goes_right(self, tree: Tree, node: int) -> npt.NDArray[np.bool_]:
        """Return whether each table row of the split's column goes right; the row of missing values is last."""
        column = tree.feature[node]
        codes = np.arange(self.row_starts[column + 1] - self.row_starts[column])
        named = tree.categories.get(node)
        if named is not None:
            right = np.isin(codes, named)
        else:
            cuts = self.cuts[self.cut_starts[column] : self.cut_starts[column + 1]]
            right = codes > np.searchsorted(cuts, tree.threshold[node])
        right[-1] = not tree.missing_left[node]
        return right

    def answer(self, matrix: npt.NDArray[Any], task: str) -> npt.NDArray[np.float64]:
        """Return the model's predictions for a matrix of at least one row, as ``answers.answer`` does."""
        from tidemill.modeling.compiled.kernels import add_leaves, table_rows  # numba compiles them on the first call

        matrix = np.ascontiguousarray(matrix, self.model.start.dtype)
        rows = np.empty(matrix.shape[::-1], np.int32)
        table_rows(matrix, self.cuts, self.cut_starts, self.row_starts, self.n_levels, rows)
        sums = np.empty((len(self.model.start), len(matrix)), self.model.start.dtype)
        sums[:] = self.model.start[:, None]
        for total, (begin, end) in zip(sums, pairwise(self.word_starts), strict=True):
            add_leaves(rows, self.table, self.values, begin, end, total)
        return task_type(task).shaped(self.model.finish(matrix, np.ascontiguousarray(sums.T)))

    def probes(self) -> npt.NDArray[Any]:
        """Return rows with values at thresholds, just below them, beyond all of them, and missing."""
        rng = np.random.default_rng(0)
        columns = []
        for column, levels in enumerate(self.n_levels):
            cuts = self.cuts[self.cut_starts[column] : self.cut_starts[column + 1]]
            beside = np.concatenate([cuts, np.nextafter(cuts, -np.inf), [-1e30, 0.0, 1e30]])
            beside = beside[np.isfinite(beside)]  # a split only on missing values has a threshold that no value reaches
            known = beside if levels < 0 else np.arange(levels + 2)
            columns.append(rng.choice(np.append(known, np.nan), _N_PROBES))
        return np.column_stack(columns).astype(self.model.start.dtype)


def _cuts(trees: Sequence[Tree], n_columns: int) -> tuple[list[npt.NDArray[Any]], Ints]:
    """Return each column's thresholds and number of category codes (-1 for a number)."""
    found: list[set[Any]] = [set() for _ in range(n_columns)]
    n_levels = np.full(n_columns, -1)
    for tree in trees:
        for node in map(int, np.flatnonzero(tree.left >= 0)):
            column = tree.feature[node]
            if node in tree.categories:
                n_levels[column] = max(n_levels[column], max(tree.categories[node]) + 1)
            else:
                found[column].add(tree.threshold[node])
    return [np.array(sorted(values)) for values in found], n_levels


def _n_words(tree: Tree) -> int:
    return -(-int((tree.left < 0).sum()) // _LEAVES)


def _spans(tree: Tree) -> tuple[Ints, Ints]:
    """Return the leaf range ``[first, end)`` under each node; leaves are numbered from left to right."""
    first, end = np.zeros(len(tree.left), np.int64), np.zeros(len(tree.left), np.int64)
    waiting, seen, n_leaves = [0], [], 0
    while waiting:
        node = waiting.pop()
        if tree.left[node] < 0:
            first[node], end[node] = n_leaves, n_leaves + 1
            n_leaves += 1
        else:
            seen.append(node)
            waiting += [int(tree.right[node]), int(tree.left[node])]
    for node in reversed(seen):
        first[node], end[node] = first[tree.left[node]], end[tree.right[node]]
    return first, end


def _bits(first: int, end: int) -> list[tuple[int, int]]:
    """Return the words that contain leaves ``[first, end)``, each with their bits."""
    found = []
    for number in range(first // _LEAVES, (end - 1) // _LEAVES + 1):
        low, high = max(first - number * _LEAVES, 0), min(end - number * _LEAVES, _LEAVES)
        found.append((number, (2**high - 2**low) << 1))
    return found

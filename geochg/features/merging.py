"""Pieces of changed ground that share an edge become one feature."""

from typing import NamedTuple, Self

import numpy as np
import shapely
from numpy.typing import NDArray

from geochg.geometry.lattice import Steps, edge_keys, unit_steps
from geochg.geometry.pieces import number_groups


class Contacts(NamedTuple):
    """The outlines of pieces, and the pairs of pieces that share a unit edge.

    Attributes:
        steps: Unit steps along the outlines, the ground of each piece on their left.
        left: `(edges,)` int64, one piece of each pair, a pair for each such edge.
        right: `(edges,)` int64, the other.
    """

    steps: Steps
    left: NDArray[np.int64]
    right: NDArray[np.int64]

    @classmethod
    def of(cls, polygons: NDArray[np.object_]) -> Self:
        """Finds the pairs.

        Args:
            polygons: `(n,)` polygons in grid pixels with whole-number vertices; at least one.
        """
        steps = unit_steps(shapely.orient_polygons(polygons))
        piece = steps.polygon_of_ring[steps.ring]
        key = edge_keys(steps).edge
        order = np.argsort(key, kind="stable")
        key, piece = key[order], piece[order]
        pairs = [(piece[:0], piece[:0])]
        reach = 1
        # Of pieces that overlap, more than two may have an edge.
        while (is_twin := key[reach:] == key[:-reach]).any():
            pairs.append((piece[:-reach][is_twin], piece[reach:][is_twin]))
            reach += 1
        left, right = zip(*pairs, strict=True)
        return cls(steps, np.concatenate(left), np.concatenate(right))

    def feature_numbers(self, kind: NDArray[np.int64]) -> NDArray[np.int64]:
        """Numbers the features that pieces belong to.

        Pieces of one kind that share an edge of positive length belong together, and so do those
        that a chain of such pieces connects; contact at a corner does not join.

        Args:
            kind: `(n,)` int64, what must be equal for pieces to be joined.

        Returns:
            `(n,)` int64 from 0 without gaps, in order of each feature's first piece.
        """
        joined = kind[self.left] == kind[self.right]
        return number_groups(self.left[joined], self.right[joined], len(kind))

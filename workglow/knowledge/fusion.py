"""One ranking from several: reciprocal rank fusion.

Each item scores the sum of 1 / (k + rank) over the rankings it is in.  From G. V. Cormack, C. L. A. Clarke and
S. Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning Methods", SIGIR 2009, who also
found k = 60.  It needs no scores that can be compared, which distances and BM25 cannot.
"""

from __future__ import annotations

__all__ = ["reciprocal_rank_score"]

_K = 60


def reciprocal_rank_score(*ranks: int | None) -> float:
    """Score an item by its ranks, which count from 1; None where it is not ranked."""
    return sum(1 / (_K + rank) for rank in ranks if rank is not None)

"""From how many rows on the store seals, merges and drops. Tests that need many segments name small ones."""

from __future__ import annotations

from dataclasses import dataclass

SEAL_ROWS = 1024
# Vectors from which codes choose what a search looks at: until then to import what reads codes takes a new process
# longer than to multiply all rows.
APPROXIMATE_FROM = 10_000
LEAST_RECALL = 0.99  # of the ten nearest; where codes were measured to find less, search is exact


@dataclass(frozen=True, slots=True)
class Sizes:
    """In vectors, but `most_small`, which is in segments, `dead_words`, which is in chunks, and `free`, in bytes."""

    # So many that wait in the catalog become a segment: they are read whole at every open, and have no codes.
    seal: int = SEAL_ROWS
    kept_unused: int = 8192  # vectors that no chunk uses are kept for reuse: this many, or as many as are used
    small: int = 65_536  # segments are merged up to this length
    most_small: int = 16  # once there are more small ones than this
    beside: int = 65_536  # once so many are sealed, codes of them are made while the run goes on
    free: int = 1 << 18  # what vectors leave in the catalog that became a segment: so much stays for the next ones
    dead_words: int = 1000  # what is gone may stay in the word index: so many, or as many as are there

"""The local store: one truth (catalog and segments) and two caches (word index, ANN codes)."""

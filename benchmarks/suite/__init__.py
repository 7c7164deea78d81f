"""ragkit beside raw faiss and numpy, and beside its peers: `python -m benchmarks.suite`. See benchmarks/README.md."""

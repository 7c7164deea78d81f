"""Measurements that anyone can repeat. Scripts run by their path; the suite is `python -m benchmarks.suite`."""

"""Files made to do harm, and whole indexing runs over them: mutants by a seed, what a file system can hold.

`python -m tests.hostile --count 5000` runs the long form. Everything is made from seeds of a few hundred bytes that
stand in this folder and in loader_files.py; no foreign file is needed.
"""

"""Files made to do harm, and whole indexing runs over them: mutants by a seed, and what a file system can hold.

`make hostile` runs the long form. Everything is made from seeds of a few hundred bytes; no foreign file is needed.
"""

"""A harness that kills, starves and unplugs a store at every call that changes a file, and looks what is left.

`make crash` runs the long form. It knows the store by its public face, and what must be in it by a list of states.
"""

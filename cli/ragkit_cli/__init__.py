"""The command line of ragkit: each command parses, calls one verb of the library and renders what it returned."""

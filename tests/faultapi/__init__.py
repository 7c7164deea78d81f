"""A service that breaks in every way the tests can think of, byte by byte, on this machine.

It shares no code with the client or with the sandbox: what both might misunderstand in the same way is told apart here.
"""

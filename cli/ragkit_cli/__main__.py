"""`python -m ragkit_cli`, for where the console script is not on the path."""

from ragkit_cli.main import console

console()

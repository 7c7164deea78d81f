"""`python -m ragkit_cli`, for where the console script is not on the path."""

import sys

from ragkit_cli.main import main

sys.exit(main())

"""`python -m faceloom` is `faceloom`."""

import sys

from faceloom.cli.main import main

if __name__ == "__main__":
    sys.exit(main())

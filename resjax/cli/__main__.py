"""python -m resjax.cli: the `resjax` command."""

import sys

from resjax.cli import main

if __name__ == "__main__":
    sys.exit(main())

"""The Hydra entry: `python experiments/train.py [-m] ...` is `resjax train [-m] ...`."""

import sys

from resjax.cli import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))

"""The experiment's tables, sentences and figures, from the records beside it alone.

python experiments/shortcuts/figure.py          fills README.md, draws the figures
python experiments/shortcuts/figure.py SWEEP    takes the records from a sweep's folder first
"""

from pathlib import Path

from resjax.report.experiment import main

FIGURES, SEEDS = ("beside_paper",), 3

if __name__ == "__main__":
    main(Path(__file__).parent, FIGURES, SEEDS, str(__doc__))

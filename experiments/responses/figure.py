"""The page's tables and figure, from the records of experiments/degradation: python experiments/responses/figure.py"""

from pathlib import Path

from resjax.report.experiment import main

FIGURES, SEEDS = ("response_std",), 3
OF = Path(__file__).parents[1] / "degradation" / "records"

if __name__ == "__main__":
    main(Path(__file__).parent, FIGURES, SEEDS, str(__doc__), OF)

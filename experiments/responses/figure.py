"""The page's tables and figure, from the records of experiments/degradation: python experiments/responses/figure.py"""

from pathlib import Path

from resjax.report.experiment import Experiment

OF = Path(__file__).parents[1] / "degradation" / "records"
EXPERIMENT = Experiment(Path(__file__).parent, ("response_std",), seeds=3, of=OF)

if __name__ == "__main__":
    EXPERIMENT.main(str(__doc__))

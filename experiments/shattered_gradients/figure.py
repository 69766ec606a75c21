"""The page from the records of experiments/lab: python experiments/shattered_gradients/figure.py"""

from pathlib import Path

from resjax.report.experiment import Experiment

OF = Path(__file__).parents[1] / "lab" / "records"
FIGURES = ("shattering_by_depth", "shattering_along", "shattering_pairs")
EXPERIMENT = Experiment(Path(__file__).parent, FIGURES, seeds=1, of=OF)

if __name__ == "__main__":
    EXPERIMENT.main(str(__doc__))

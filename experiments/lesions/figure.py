"""The page from the records of experiments/lab: python experiments/lesions/figure.py"""

from pathlib import Path

from resjax.report.experiment import Experiment

OF = Path(__file__).parents[1] / "lab" / "records"
FIGURES = ("lesion_by_unit", "lesion_by_count", "lesion_by_disorder")
EXPERIMENT = Experiment(Path(__file__).parent, FIGURES, seeds=1, of=OF)

if __name__ == "__main__":
    EXPERIMENT.main(str(__doc__))

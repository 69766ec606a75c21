"""The page from the records of experiments/lab: python experiments/landscapes/figure.py"""

from pathlib import Path

from resjax.report.experiment import Experiment

OF = Path(__file__).parents[1] / "lab" / "records"
FIGURES = ("landscape_loss", "landscape_roughness", "landscape_contours", "landscape_surfaces")
EXPERIMENT = Experiment(Path(__file__).parent, FIGURES, seeds=1, of=OF)

if __name__ == "__main__":
    EXPERIMENT.main(str(__doc__))

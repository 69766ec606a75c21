"""The experiment's tables, sentences and figures, from the records beside it alone.

python experiments/convergence_rate/figure.py          fills README.md, draws the figures
python experiments/convergence_rate/figure.py SWEEP    takes the records from a sweep's folder first
"""

from pathlib import Path

from resjax.report.experiment import Experiment

EXPERIMENT = Experiment(Path(__file__).parent, ("iterations_to_loss", "training_curves", "final_by_depth"), seeds=3)

if __name__ == "__main__":
    EXPERIMENT.main(str(__doc__))

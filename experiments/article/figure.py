"""The experiment's tables, sentences and figures, from the records beside it alone.

python experiments/article/figure.py             fills README.md, draws the figures
python experiments/article/figure.py SWEEP...    takes the records from the sweeps' folders first
"""

from pathlib import Path

from resjax.report.experiment import Experiment

EXPERIMENT = Experiment(Path(__file__).parent, ("training_curves",), seeds=3)

if __name__ == "__main__":
    EXPERIMENT.main(str(__doc__))

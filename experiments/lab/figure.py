"""The page's tables and figures, from the records beside it alone.

python experiments/lab/figure.py                  fills README.md, draws the figures
python experiments/lab/figure.py SWEEP SWEEP      takes the records from the sweeps' folders first
"""

from pathlib import Path

from resjax.report.experiment import Experiment

FIGURES = (
    *("paths_by_length", "paths_gradient", "similarity_within", "similarity_between"),
    *("jacobian_rms", "jacobian_condition", "hessian_sharpness", "hessian_density", "hessian_ratio", "readout_by_unit"),
)
EXPERIMENT = Experiment(Path(__file__).parent, FIGURES, seeds=1)

if __name__ == "__main__":
    EXPERIMENT.main(str(__doc__))

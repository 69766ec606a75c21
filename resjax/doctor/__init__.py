"""Whether this machine is fit to train: what is installed, what computes, whether it computes rightly and fast."""

"""Speed, memory and starting time of resjax, beside other implementations of the same training. See README.md."""

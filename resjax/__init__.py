"""resjax: what do residual connections do? The same network with and without its shortcuts, measured layer by layer."""

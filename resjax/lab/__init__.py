"""Analyses of finished runs: what a trained net does that its loss does not tell. Each instrument is one module."""

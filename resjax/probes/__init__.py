"""Diagnostics: named pure functions of arrays whose results have a leading layer axis."""

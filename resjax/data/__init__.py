"""Data sets as plain NumPy arrays, each with the record of where its bytes came from."""

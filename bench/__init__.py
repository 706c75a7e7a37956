"""Benchmarks: fallline beside pure NumPy and beside the libraries a user would otherwise pick."""

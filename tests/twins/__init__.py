"""Plain float64 NumPy versions of what the core computes, written to be read beside the formulas."""

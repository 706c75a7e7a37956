"""Tables that the contract tests drive: one row per layer, activation, loss and optimizer."""

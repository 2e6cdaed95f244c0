"""Sweeps: many settings tried on the same data, with samplers and pruners of Optuna."""

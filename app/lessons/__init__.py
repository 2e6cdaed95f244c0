"""Guided experiments on the studio's data: what is varied, what is measured, and what the figures say of a claim."""

"""Data, mathematics, training and export of the attention model."""

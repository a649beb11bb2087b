"""Trains, evaluates and exports the intent classifier from a data directory."""

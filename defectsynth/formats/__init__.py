"""Datasets on disk. A format is a pair of functions, one that writes and one that reads."""

"""Serves precomputed feeds from memory."""

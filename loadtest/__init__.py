"""Bounded load against a forefeed server on this machine."""

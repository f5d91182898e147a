"""Compiled hot loops of generation, one idea a file. They see arrays only, hold no lock, and draw nothing."""

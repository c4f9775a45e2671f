"""Threads as they are stored: load one, look at it and inside it, change it, go back."""

"""What knows nothing of reviews: files that people write, read as plain data (UTF-8, not too large, no tags); Python threads; tracebacks."""

"""One execution of a node: calling it, retries, failures, what it may ask for, what it keeps."""

"""Looking after the folder of a store, beside those who use it: what `hitl-nb store` does."""

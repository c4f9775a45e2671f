"""Files that people write (answers, cases, reviewers), read as plain data: UTF-8, not too large, no tags, no aliases that multiply."""

"""Questions and answers: asking, deadlines, static pauses, which answer is for which question."""

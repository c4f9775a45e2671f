"""`python -m hitl_nb.cli` is `hitl-nb`."""

from hitl_nb.cli import main

main(prog_name="hitl-nb")

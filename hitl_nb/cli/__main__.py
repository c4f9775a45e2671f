"""`python -m hitl_nb.cli` is `hitl-nb`."""

from hitl_nb.cli import main

if __name__ == "__main__":
    main(prog_name="hitl-nb")

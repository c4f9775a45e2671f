"""The papermill engine `hitl`: runs a notebook, and stops cleanly at a question that nobody answers.

papermill loads this module while it is loaded itself. So nothing is imported here before a notebook runs, and the engine derives from none of
papermill's classes; these three methods are all that papermill asks of one.
"""

from __future__ import annotations

from typing import Any


class HitlEngine:
    """`papermill in.ipynb out.ipynb --engine hitl`, or `papermill.execute_notebook(…, engine_name="hitl", answers=…)`. See `execute`."""

    @classmethod
    def execute_notebook(cls, nb: Any, kernel_name: str, output_path: str | None = None, **options: Any) -> Any:
        from hitl_nb.batch.execution import execute

        return execute(nb, kernel_name, output_path, **options)

    @classmethod
    def nb_kernel_name(cls, nb: Any, name: str | None = None) -> str:
        from papermill.utils import nb_kernel_name

        return str(nb_kernel_name(nb, name))

    @classmethod
    def nb_language(cls, nb: Any, language: str | None = None) -> str:
        from papermill.utils import nb_language

        return str(nb_language(nb, language))

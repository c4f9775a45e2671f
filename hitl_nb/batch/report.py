"""An executed notebook as one HTML file without any script: it shows the same offline, mailed or printed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from hitl_nb.batch.saving import write_whole

# nbconvert's page loads require.js, MathJax and mermaid from the internet. A report of decisions needs none of them; a formula stays as typed.
PAGE: Final = """\
{%- extends 'lab/index.html.j2' -%}
{%- block html_head_js -%}{%- endblock -%}
{%- block html_head_js_mathjax -%}{%- endblock -%}
{%- block html_head_js_mermaidjs -%}{%- endblock -%}
{%- block jupyter_widgets -%}{%- endblock -%}
{%- block data_javascript -%}{%- endblock -%}
{%- block footer -%}</html>{%- endblock -%}
"""


def write_report(notebook: Any, path: Path) -> Path:
    """The report's path, written from a notebook in memory (nbformat 4)."""
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(raw_template=PAGE, embed_images=True)
    html, _ = exporter.from_notebook_node(notebook, resources={"metadata": {"name": path.stem}})
    write_whole(path, html)
    return path

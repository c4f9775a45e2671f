"""YAML read as the data of JSON: only true and false are bools, dates and times stay texts, no tags, no key twice.

YAML 1.1 reads `answer: no` as False and `12:30` as 750, `010` as 8; in an answers file they are the texts they look like.
"""

from __future__ import annotations

import re
from typing import Any

from hitl_nb.errors import AnswersFileError


def load_with_lines(text: str, source: str) -> tuple[Any, list[int]]:
    """The data, and the line of each item of the list that is the document or its `answers`. Raises AnswersFileError with the line."""
    import yaml

    class Loader(yaml.SafeLoader):
        yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  PyYAML's own name and kind

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
            seen: set[Any] = set()
            for key_node, _ in node.value:
                key = self.construct_object(key_node, deep=True)
                if key in seen:
                    raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} is there twice", key_node.start_mark)
                seen.add(key)
            return super().construct_mapping(node, deep=deep)

    for tag, pattern, first in (
        ("bool", r"true|false", "tf"),
        ("null", r"null|~|", ["n", "~", ""]),
        ("int", r"[-+]?(0|[1-9][0-9]*)", "-+0123456789"),
        ("float", r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
    ):
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(rf"^(?:{pattern})$"), list(first))
    loader = Loader(text)
    try:
        root = loader.get_single_node()
        data = None if root is None else loader.construct_document(root)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{source}, line {mark.line + 1}" if mark is not None else source
        raise AnswersFileError(f"{where}: {getattr(error, 'problem', None) or error}; expected YAML or JSON") from None
    except (TypeError, ValueError) as error:
        raise AnswersFileError(f"{source}: {error}; expected YAML or JSON") from None
    finally:
        loader.dispose()
    return data, _lines(root)


def _lines(root: Any) -> list[int]:
    if root is not None and root.id == "mapping":
        root = next((value for key, value in root.value if key.value == "answers"), None)
    return [item.start_mark.line + 1 for item in root.value] if root is not None and root.id == "sequence" else []

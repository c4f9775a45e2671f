"""Texts of answers files from a seeded source: grown after the grammar, real ones that were altered, and nonsense."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import yaml

from hitl_nb.checkpoint.serde import Serde
from hitl_nb.decisions.answers.reading import TAPE_VERSION
from hitl_nb.decisions.answers.values import to_plain
from tests.fuzz.schemas import plain
from tests.fuzz.values import text, value

KEYS = ("answer", "edit", "node", "thread", "key", "when", "nth", "position", "times", "by", "comment", "node", "when", "times")
ODD = ("payload", "schema", "asked", "anwser", "x")
PIECES = ("\n", "  ", "- ", ": ", "? ", "&a ", "*a", "!!python/object/apply:os.system ['true']",
          "!!set ", "{", "}", "[", "]", '"', "'", "|\n", ">-\n", "#", "---\n",
          "...\n", "\t", "%YAML 9.9\n", "\x00", "\ufeff", "\u2028", "<<: *a", "[" * 200, '{"a":' * 150, "1e999", "9" * 5000, ".nan", "0x1F", "NaN",
          "\\u0000", "$stored",
          "$tuple", "$plain", "$decimal", "answers:", "default:", "tape: 1", "on_missing: ")  # fmt: skip
SERDE = Serde()


def entry(chance: Random) -> Any:
    made = {"answer": answer(chance)} if chance.random() < 0.97 else {}
    for _ in range(chance.randrange(3)):
        name = chance.choice(KEYS if chance.random() < 0.9 else ODD)
        made[name] = {
            "node": chance.choice(("review", "*", "rev?ew", "[a-", "outer/review", text(chance))),
            "times": chance.choice((1, 3, "always", 2, 1, "always", True)),
            "nth": chance.choice((1, 2, 1, 5, None)),
            "position": chance.choice((0, 0, 1, True)),
            "edit": chance.choice(("a better text", {"a": 5}, None)),
            "when": {chance.choice(("amount", "a", "")): plain(chance)},
        }.get(name, chance.choice(("x", text(chance), "t-1", "blake2b:00")) if chance.random() < 0.95 else plain(chance))
    return made


def answer(chance: Random) -> Any:
    if chance.random() < 0.3:
        return to_plain(value(chance, 2), SERDE)
    if chance.random() < 0.2:
        return {chance.choice(("$decimal", "$date", "$datetime", "$time", "$float", "$bytes", "$tuple", "$stored", "$plain")): plain(chance)}
    return plain(chance)


def document(chance: Random) -> Any:
    kind = chance.randrange(6)
    entries = [entry(chance) for _ in range(chance.randrange(5))]
    if kind == 0:
        return [answer(chance) for _ in range(chance.randrange(4))]
    if kind == 1:
        return {
            chance.choice(("review", "a", 5, text(chance))): chance.choice((answer(chance), [answer(chance)])) for _ in range(chance.randrange(4))
        }
    if kind == 2:
        return plain(chance, 3)
    made = {"answers": entries}
    if kind == 3:
        made = {"tape": chance.choice((TAPE_VERSION, 2, True)), "on_change": chance.choice(("fail", "ask", "accept", 1)), **made}
    if chance.random() < 0.3:
        made[chance.choice(("default", "on_missing", "on_unused", "more"))] = chance.choice(
            ({"*": answer(chance)}, "fail", "warn", "leave_open", plain(chance))
        )
    return made


def written(chance: Random, samples: list[str]) -> tuple[str, str]:
    """The text of a file, and the end of its name."""
    ending = chance.choice((".yaml", ".yaml", ".yml", ".json", ".jsonl", ""))
    if chance.random() < 0.15:
        return "".join(chance.choice((*PIECES, text(chance))) for _ in range(chance.randrange(1, 12))), ending
    if chance.random() < 0.15:
        made = chance.choice(samples)
    elif ending == ".json":
        made = json.dumps(document(chance), default=str, ensure_ascii=chance.random() < 0.5, indent=chance.choice((None, 1)))
    elif ending == ".jsonl":
        made = "".join(json.dumps(entry(chance), default=str) + "\n" for _ in range(chance.randrange(4)))
    else:
        made = yaml.safe_dump(
            json.loads(json.dumps(document(chance), default=str)), allow_unicode=True, default_flow_style=chance.choice((None, True, False))
        )
        made += "...\n" if made.startswith("tape") or chance.random() < 0.2 else ""
    for _ in range(chance.choice((0, 0, 0, 0, 0, 0, 1, 1, 2, 5))):
        at = chance.randrange(len(made) + 1)
        match chance.randrange(5):
            case 0:
                made = made[:at]
            case 1:
                made = made[:at] + chance.choice(PIECES) + made[at:]
            case 2:
                made = made[:at] + made[at + chance.randrange(1, 9) :]
            case 3:
                made = made[:at] + chr(chance.choice((0, 9, 10, 58, 0x85, 0x202E, 0xFFFF, 0x1F600))) + made[at + 1 :]
            case _:
                end = at + chance.randrange(1, 60)
                made = made[:end] + made[at:end] + made[end:]
    return made, ending


def real_files(folder: Path) -> list[str]:
    return [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.yaml"))]

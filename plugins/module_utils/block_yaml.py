# Copyright: quorum.kubeadm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of YAML that Kubernetes' own programs write, for hosts without PyYAML.

Block mappings and sequences, plain and quoted scalars, `{}` and `[]`. What it accepts, it reads exactly as PyYAML
does; everything else is refused, never guessed.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

_KEY = re.compile(r"([A-Za-z_][A-Za-z0-9_./-]*):(?: +(.*))?")
_INT = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"-?(?:0|[1-9][0-9]{0,8})\.[0-9]{1,9}")
# Words, paths, URLs, base64, versions, flags; what may begin with a digit: addresses, networks, durations, amounts.
_INNER = r"""A-Za-z0-9/_.@+=,*%()<>'"$;~!&|?\[\]{}\\^-"""
_REST = rf"(?:[{_INNER}]|[: ](?=[:{_INNER}]))*"
_PLAIN = re.compile(rf"(?:-{{0,2}}[A-Za-z]|[/_]){_REST}")
_NUMERIC = re.compile(
    rf"[0-9]{{1,3}}(?:\.[0-9]{{1,3}}){{3}}(?::[0-9]{{1,5}}|[/,]{_REST})?"
    r"|[0-9][0-9a-fA-F:]*::[0-9a-fA-F:]*(?:(?<!:)|/[0-9]{1,3})"
    r"|(?:[0-9]+(?:h|m|s|ms))+"
    r"|[0-9]+(?:\.[0-9]+)?(?:[KMGTPE]i|[kMGTPE%])"
)
_SINGLE = re.compile(r"'((?:[^'\x00-\x1f\x7f-\xa0\ufeff]|'')*)'")
_DOUBLE = re.compile(r'"(?:[^"\\\x00-\x1f\x7f-\xa0\ufeff]|\\["\\/bfnrt])*"')
_ODD = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\ufeff]")
_RESERVED = re.compile(r"null|true|false|yes|no|on|off", re.IGNORECASE)
_WORDS: dict[str, Any] = {"null": None, "~": None, "true": True, "false": False}


class BlockYamlError(ValueError):
    """The text is not in the part of YAML that this file reads."""


@dataclass
class _Line:
    number: int
    indent: int
    text: str

    @property
    def is_item(self) -> bool:
        return self.text == "-" or self.text.startswith("- ")


def loads(text: str) -> Any:
    """Read one document; an empty one is None."""
    lines: list[_Line] = []
    begun = False
    for number, raw in enumerate(text.split("\n"), 1):
        if _ODD.search(raw):
            raise BlockYamlError(f"line {number}: a tab, a control character or another kind of line break")
        body = raw.strip(" ")
        if not body or body.startswith("#"):
            continue
        if raw.rstrip(" ") == "---" and not begun:
            begun = True
            continue
        begun = True
        lines.append(_Line(number, len(raw) - len(raw.lstrip(" ")), body))
    if not lines:
        return None
    reader = _Reader(lines)
    value = reader.block(lines[0].indent)
    if reader.line is not None:
        raise BlockYamlError(f"line {reader.line.number}: not at the indentation of what stands before it")
    return value


class _Reader:
    def __init__(self, lines: list[_Line]) -> None:
        self._lines = lines
        self._at = 0

    @property
    def line(self) -> _Line | None:
        return self._lines[self._at] if self._at < len(self._lines) else None

    def _here(self, indent: int, item: bool) -> _Line | None:
        line = self.line
        return line if line is not None and line.indent == indent and line.is_item == item else None

    def block(self, indent: int) -> Any:
        return self._sequence(indent) if self._here(indent, item=True) else self._mapping(indent)

    def _mapping(self, indent: int) -> dict[str, Any]:
        out: dict[str, Any] = {}
        while (line := self._here(indent, item=False)) is not None:
            match = _KEY.fullmatch(line.text)
            if match is None or _RESERVED.fullmatch(match[1]) or match[1] in out:
                raise BlockYamlError(f"line {line.number}: not a key, or one that is there twice")
            self._at += 1
            out[match[1]] = _scalar(match[2], line.number) if match[2] else self._below(indent, items_at=indent)
        return out

    def _below(self, indent: int, items_at: int) -> Any:
        """What a key or a dash without a value of its own stands for."""
        line = self.line
        if line is not None and line.indent > indent:
            return self.block(line.indent)
        if line is not None and line.indent == items_at and line.is_item:
            return self._sequence(items_at)
        return None

    def _sequence(self, indent: int) -> list[Any]:
        out: list[Any] = []
        while (line := self._here(indent, item=True)) is not None:
            rest = line.text[1:].lstrip(" ")
            if not rest:
                self._at += 1
                out.append(self._below(indent, items_at=-1))
            elif rest.startswith("- ") or rest == "-" or _KEY.fullmatch(rest):
                # What follows the dash is the first line of a block one level deeper.
                deeper = indent + len(line.text) - len(rest)
                self._lines[self._at] = _Line(line.number, deeper, rest)
                out.append(self.block(deeper))
            else:
                self._at += 1
                out.append(_scalar(rest, line.number))
        return out


def _scalar(text: str, number: int) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if text in ("{}", "[]"):
        return json.loads(text)
    if _INT.fullmatch(text) or _FLOAT.fullmatch(text):
        return float(text) if "." in text else int(text)
    if _NUMERIC.fullmatch(text) or (_PLAIN.fullmatch(text) and not _RESERVED.fullmatch(text)):
        return text
    single = _SINGLE.fullmatch(text)
    if single:
        return single[1].replace("''", "'")
    if _DOUBLE.fullmatch(text):
        return json.loads(text)
    raise BlockYamlError(f"line {number}: a kind of value that needs PyYAML")

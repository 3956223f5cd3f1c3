"""Items by the words in them: what a query means, which rows may hold it, and whether one does."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_WORD = re.compile(r'"([^"]+)"|(\S+)')
MAX_QUERY = 200
MAX_WORDS = 8


def query_words(query: str) -> tuple[str, ...]:
    """The words that an item must hold, all of them; what stands in double quotes is one word with its spaces."""
    found = (quoted or single for quoted, single in _WORD.findall(query[:MAX_QUERY]))
    words = (" ".join(word.replace('"', " ").split()) for word in found)
    return tuple(dict.fromkeys(word for word in words if word))[:MAX_WORDS]


def holds_words(data: Any, words: Sequence[str]) -> bool:
    """Whether the values of an item's data hold all the words, in whatever case. Names of fields do not count."""
    text = "\n".join(_texts(data)).casefold()
    # Between words an item may have more than one space, or a new line.
    line = " ".join(text.split()) if any(" " in word for word in words) else text
    return all(word.casefold() in line for word in words)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for child in value.values():
            yield from _texts(child)
    elif isinstance(value, list):
        for child in value:
            yield from _texts(child)
    elif value is not None:
        yield str(value)


def like_patterns(word: str, *, is_ascii: bool) -> list[str]:
    """Patterns of LIKE ... ESCAPE '!', one of which fits the JSON text of every item that holds the word.

    `is_ascii` says that the JSON is stored with all else escaped. The databases compare letters beyond ASCII by their
    case, so such a word is looked for as it is, in small letters, in capitals and capitalized.
    """
    cases = [word] if word.isascii() else [word, word.lower(), word.upper(), word.title()]
    patterns = []
    for case in dict.fromkeys(cases):
        written = json.dumps(case, ensure_ascii=is_ascii)[1:-1]
        escaped = re.sub(r"([!%_])", r"!\1", written)
        # A space may be any white space in the item, which its JSON may write as \n.
        patterns.append(f"%{escaped.replace(' ', '%')}%")
    return patterns

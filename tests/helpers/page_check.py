"""An HTML page as tests read it: its elements, its tables, and what would make it depend on anything else."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "img", "br", "link", "input"}


@dataclass
class Element:
    name: str
    attributes: dict[str, str]
    children: list[Element | str] = field(default_factory=list)

    def all(self, name: str, **attributes: str) -> list[Element]:
        """The elements of this name below, in the order of the page; `class_` and `id` narrow them down."""
        wanted = {key.rstrip("_"): value for key, value in attributes.items()}
        found = []
        for child in self.children:
            if isinstance(child, Element):
                if child.name == name and all(child.attributes.get(key) == value for key, value in wanted.items()):
                    found.append(child)
                found += child.all(name, **attributes)
        return found

    @property
    def text(self) -> str:
        parts = [child if isinstance(child, str) else child.text for child in self.children]
        return re.sub(r"\s+", " ", " ".join(parts)).strip()

    def rows(self) -> list[list[str]]:
        """The cells of a table."""
        return [
            [cell.text for cell in row.children if isinstance(cell, Element) and cell.name in ("td", "th")]
            for row in self.all("tr")
        ]


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.page = Element("", {})
        self.open = [self.page]

    def handle_starttag(self, tag, attrs):
        element = Element(tag, {key: value or "" for key, value in attrs})
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag):
        assert self.open[-1].name == tag, f"</{tag}> closes <{self.open[-1].name}> at {self.getpos()}"
        self.open.pop()

    def handle_data(self, data):
        self.open[-1].children.append(data)


def parse(html: str) -> Element:
    """The page; a tag that is not closed is an error."""
    parser = _Parser()
    parser.feed(html)
    parser.close()
    assert parser.open == [parser.page], f"<{parser.open[-1].name}> is not closed"
    return parser.page


def elements(page: Element) -> list[Element]:
    found = []
    for child in page.children:
        if isinstance(child, Element):
            found += [child, *elements(child)]
    return found


def problems(html: str) -> list[str]:
    """What makes a page need something else than itself, run something, or hard to hear read aloud."""
    page = parse(html)
    found, every = [], elements(page)
    for element in every:
        for key, value in element.attributes.items():
            if key in ("src", "href", "srcset", "poster", "action", "data") and not value.startswith(("data:", "#")):
                found.append(f"<{element.name} {key}={value[:40]}> leads out of the page")
            if key.startswith("on"):
                found.append(f"<{element.name} {key}> runs something")
        if element.name in ("script", "iframe", "object", "embed", "link", "form", "base"):
            found.append(f"<{element.name}>")
        if element.name == "img" and len(element.attributes.get("alt", "")) < 10:
            found.append("an image without a text")
        if element.name == "audio" and not element.attributes.get("aria-label"):
            found.append("a recording without a name")
        if element.name == "table" and not (element.all("caption") and element.all("caption")[0].text):
            found.append("a table without a caption")
        if element.name == "th" and element.attributes.get("scope") not in ("row", "col", "colgroup"):
            found.append(f"the heading {element.text!r} belongs to no row or column")
    if "url(" in html.replace("data:", "") or "@import" in html:
        found.append("the style fetches something")
    levels = [int(e.name[1]) for e in every if re.fullmatch("h[1-6]", e.name)]
    if levels.count(1) != 1 or levels[0] != 1 or any(b > a + 1 for a, b in itertools.pairwise(levels)):
        found.append(f"headings of levels {levels}")
    ids = [e.attributes["id"] for e in every if "id" in e.attributes]
    if len(ids) != len(set(ids)):
        found.append("an id twice")
    targets = [e.attributes["href"][1:] for e in every if e.attributes.get("href", "").startswith("#")]
    targets += [e.attributes["aria-labelledby"] for e in every if "aria-labelledby" in e.attributes]
    found += [f"no place {target}" for target in targets if target not in ids]
    (root,) = page.all("html")
    if root.attributes.get("lang") != "en" or not page.all("title")[0].text:
        found.append("no language or title")
    return found

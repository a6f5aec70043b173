"""Local links lead somewhere: on the site to a file and its anchor, in the project's markdown pages to a file."""

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sphinx.errors import ExtensionError

ROOT = Path(__file__).parents[1]


class Page(HTMLParser):
    """The links and the anchors of a page of the site."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.anchors = {"", "top"}
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if name in ("href", "src") and value:
                self.links.add(value)
            elif name == "id" and value:
                self.anchors.add(value)


def markdown(file: Path) -> set[str]:
    """The links of a markdown page without their anchors. They are for code hosts; the site checks the anchors."""
    text = re.sub(r"^```.*?^```", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return set(re.findall(r'(?:\]\(|src=")([^)#"\s]+)', text))


def check(app, exception):
    """Raises ExtensionError with every broken link."""
    if exception or app.builder.name != "html":
        return
    pages = {file.resolve(): Page(file) for file in Path(app.outdir).rglob("*.html")}
    broken = []

    def follow(file: Path, link: str) -> None:
        scheme, host, path, _, anchor = urlsplit(link)
        target = (file.parent / unquote(path)).resolve() if path else file
        if scheme or host:
            return
        if not target.exists() or (target in pages and anchor not in pages[target].anchors):
            broken.append(f"{file}: {link}")

    links = {file: page.links for file, page in pages.items()}
    links |= {file: markdown(file) for folder in (".", "docs", "tutorials") for file in ROOT.glob(f"{folder}/*.md")}
    for file in links:
        for link in sorted(links[file]):
            follow(file, link)
    if broken:
        raise ExtensionError("broken links\n" + "\n".join(broken))

"""Every link of the built site that stays within it leads to a file, and to an anchor if it has one."""

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sphinx.errors import ExtensionError


class Page(HTMLParser):
    """The links and the anchors of a page."""

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


def check(app, exception):
    """Raises ExtensionError with every broken link."""
    if exception or app.builder.name != "html":
        return
    pages = {file.resolve(): Page(file) for file in Path(app.outdir).rglob("*.html")}
    broken = []
    for file, page in pages.items():
        for link in sorted(page.links):
            scheme, host, path, _, anchor = urlsplit(link)
            target = (file.parent / unquote(path)).resolve() if path else file
            if scheme or host:
                continue
            if not target.is_file() or (target in pages and anchor not in pages[target].anchors):
                broken.append(f"{file.relative_to(Path(app.outdir).resolve())}: {link}")
    if broken:
        raise ExtensionError("broken links\n" + "\n".join(broken))

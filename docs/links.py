"""Local links. They are written for readers on a code host; here, they become links of the site, and are checked.

make    the name of a file is a link to its page, "tutorial 5" is one, and tutorials/README.md gives its table
check   every link leads somewhere: on the site to a file and its anchor, in the project's markdown pages to a file
"""

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sphinx.errors import ExtensionError

ROOT = Path(__file__).parents[1]
TUTORIALS = {int(script.name[:2]): f"/tutorials/{script.stem}" for script in ROOT.glob("tutorials/[0-9]*.py")}
EXERCISES = "|".join(file.name for file in ROOT.glob("tutorials/exercises/*.py"))
EXERCISE = r":download:`\1 <../../tutorials/exercises/\1>`"  # from the folder of the tutorials
CODE = re.compile(r"^( *\.\. code-block::.*\n(?:(?:    .*)?\n)*)", re.MULTILINE)
NUMBERS = re.compile(r"\b[Tt]utorials\s+\d+(?:(?:\s\([^)]*\))?(?:,|\s+and|\s+to)\s+\d+)*")


def numbered(text: str, number: str) -> str:
    """The text with a link for each match of `number`, whose group 1 is the number of a tutorial."""
    return re.sub(number, lambda match: f":doc:`{match[0]} <{TUTORIALS[int(match[1])]}>`", text)


def tutorial(text: str) -> str:
    """The reStructuredText of a tutorial with links to pages, tutorials and exercises. Code stays as it is."""
    parts = CODE.split(text)  # every second one is code
    for i in range(0, len(parts), 2):
        part = re.sub(r"``docs/([\w-]+)\.md``", r":doc:`\1.md </\1>`", parts[i])
        part = re.sub(rf"``(?:tutorials/exercises/)?({EXERCISES})``", EXERCISE, part)
        part = re.sub(r"``tutorials/(numpy_\w+\.py)``", r":download:`\1 <../../tutorials/\1>`", part)
        part = numbered(part, r"\b[Tt]utorial\s+(\d+)")
        parts[i] = NUMBERS.sub(lambda match: numbered(match[0], r"(\d+)"), part)  # "tutorials 4 and 6 to 9"
    return "".join(parts)


def inline(text: str) -> str:
    """Links and code of a line of tutorials/README.md, in reStructuredText."""
    text = re.sub(r"`([^`]+)`", r"``\1``", text)
    text = re.sub(r"``(\w+\.py)``", EXERCISE, text)
    text = re.sub(r"\[(?:<img[^>]*><br>)?([^]]*)\]\((\w+)\.py\)", r":doc:`\1 </tutorials/\2>`", text)
    return re.sub(r"\[[^]]*\]\(\.\./docs/([\w-]+)\.md\)", r":doc:`\1.md </\1>`", text)


def which_tutorial() -> str:
    """The table of tutorials/README.md and the note below it, in reStructuredText."""
    blocks = (ROOT / "tutorials" / "README.md").read_text(encoding="utf-8").split("\n\n")
    place = next(i for i, block in enumerate(blocks) if block.startswith("| | for whom"))
    title = ".. _which-tutorial:\n\nWhich tutorial?\n---------------\n"
    lines = ["", title, ".. list-table::", "   :header-rows: 1", "   :widths: 18 20 22 9 8 8 23", ""]
    for row in blocks[place].splitlines():
        if not row.startswith("|---"):
            first, *others = (inline(cell.strip()) for cell in row[1:-1].split("|"))
            lines += [f"   * - {first}", *(f"     - {cell}" for cell in others)]
    return "\n".join([*lines, "", inline(blocks[place + 1]), ""])


def make(app, page, source):
    """Make the links of a page from its text."""
    if page == "tutorials/index":
        source[0] += which_tutorial()
    elif page.startswith("tutorials/"):
        source[0] = tutorial(source[0])
    else:
        text = re.sub(r"\]\(\.\./tutorials/(\d\d_\w+)\.py\)", r"](tutorials/\1.rst)", source[0])
        text = text.replace("](../tutorials/README.md)", "](tutorials/index.rst)")
        source[0] = re.sub(r"(?<![`[])`docs/([\w-]+\.md)`(?![`\]])", r"[\1](\1)", text)


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

"""Where the pictures of the tutorials go: tutorials/figures/, which git ignores."""

from pathlib import Path

FOLDER = Path(__file__).parent / "figures"
DOTS = 110  # per inch


def save(figure, name):
    """Write a matplotlib figure as figures/NAME.png, and say so."""
    FOLDER.mkdir(exist_ok=True)
    figure.savefig(FOLDER / f"{name}.png", dpi=DOTS)
    print(f"picture: tutorials/figures/{name}.png")

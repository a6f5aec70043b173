"""The folder for the figures of the tutorials: tutorials/figures/, which git ignores."""

from pathlib import Path

FOLDER = Path(__file__).parent / "figures"
DOTS = 110  # per inch


def save(figure, name):
    """Write a matplotlib figure to figures/NAME.png, and print its path."""
    FOLDER.mkdir(exist_ok=True)
    figure.savefig(FOLDER / f"{name}.png", dpi=DOTS)
    print(f"figure: tutorials/figures/{name}.png")

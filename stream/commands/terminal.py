"""What every command is handed: where it writes, and how it was called."""

import typer
from rich.console import Console


class Terminal:
    """Results go to `out`, everything else to `err`.

    `args` is what stood after `freshrank` on the command line.
    """

    def __init__(self, out: Console, err: Console, args: tuple[str, ...]) -> None:
        self.out = out
        self.err = err
        self.args = args

    def tell(self, text: str) -> None:
        """A line of a result, as it is: nothing in it is markup, and no line is broken."""
        self.out.print(text, markup=False, highlight=False, emoji=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        """A line beside the result."""
        self.err.print(text, markup=False, highlight=False, emoji=False, soft_wrap=True)

    def complain(self, text: str) -> None:
        """An error, each of its lines marked as one."""
        for line in text.splitlines():
            self.err.print("[bold red]error:[/]", end=" ")
            self.warn(line)


def terminal_of(ctx: typer.Context) -> Terminal:
    """The terminal that the command line was started with."""
    terminal = ctx.find_object(Terminal)
    assert terminal is not None, "commands run through stream.cli.run"
    return terminal


def examples(*lines: str) -> str:
    """The last part of a command's help."""
    return "\n  ".join(["[bold]Examples[/]", *lines])

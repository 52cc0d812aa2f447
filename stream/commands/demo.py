"""`freshrank demo`: a simulated shop, learned from its first click, that breaks twice."""

import json
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from stream.commands.demo_story import story_table, verdicts
from stream.commands.replay import Watched, run_watched, tell_report
from stream.commands.simulate import count_types, write_shop
from stream.commands.terminal import Terminal, examples, terminal_of
from stream.errors import SinkError, UsageError
from stream.settings import read_settings
from stream.tables import sparkline

if TYPE_CHECKING:
    from stream.sources.simulator import SimulatorConfig

EXAMPLES = examples("freshrank demo", "freshrank demo --out /tmp/shop --seed 3")

_MARKER_FILE = ".freshrank-demo"
_MARKER_TEXT = "Made by freshrank demo: the next one clears events/, run/ and freshrank.yaml.\n"
# Windows and records that show single days of a short stream.
_CONFIG_TEXT = """\
# The settings of the demo; freshrank check FILE --show prints all others.
evaluator:
  window_events: 2000
  window_time: 12h
  emit_events: 250
alerts:
  evaluate_every: 30m
  rules:
    # The shop's own ranking, not ours: somebody has to look.
    - name: ctr_drop
      kind: drop
      metric: ctr
      reference: 2d
      share: 0.3
      for: 2h
      keep_firing_for: 2h
      severity: page
    # Our ranking: while it is worse than it was, learn faster.
    - name: recall_drop
      kind: drop
      metric: recall@20
      reference: 4d
      share: 0.15
      clear_share: 0.1
      for: 2h
      keep_firing_for: 2h
      react: boost
  reactions: {boost: {at_most: 3d}}
threads: 1  # a small shop keeps no more busy, and one thread has the same bits everywhere
"""
_SHOP = {
    "clicks": 30_000,
    "users": 1000,
    "items": 500,
    "switching_ratio": 0.0,
    "events": [
        {"kind": "broken_policy", "day": 5.25, "days": 0.5},
        {"kind": "catalogue_switch", "day": 9, "share": 0.5},
    ],
}
_DAY_MS = 86_400_000


def demo(
    ctx: typer.Context,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="Where the demo goes.")
    ] = Path("demo"),
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Other seeds, other shops.")] = 0,
) -> None:
    """Simulate a small shop, learn from its clicks, and show what came of it.

    It takes a minute or two and needs nothing. On the sixth of its fourteen days a bug turns the
    shop's ranking around, on the tenth half of its items give way to new ones; the learners are
    not told. Alerts fire, the loop reacts, and a report shows how it went.
    """
    from stream.sources.simulator import SimulatorConfig

    shop = SimulatorConfig.model_validate(_SHOP | {"seed": seed})
    show_demo(terminal_of(ctx), out, shop)


def show_demo(
    terminal: Terminal, out: Path, shop: "SimulatorConfig", config_text: str = _CONFIG_TEXT
) -> None:
    """Simulate a shop, replay it under the settings given, and tell what happened."""
    from stream.config import FreshrankConfig

    _clear(out)
    terminal.tell(
        f"Simulating a shop: {shop.users:,} users, {shop.items:,} items, {shop.days} days"
    )
    paths = write_shop(terminal, shop, out / "events")
    config_path = out / "freshrank.yaml"
    config_path.write_text(config_text, encoding="utf-8")
    config = read_settings(FreshrankConfig, config_path)
    names = [config.champion, *config.shadows]
    terminal.tell(
        f"\nLearning click by click: {names[0]}, beside {', '.join(names[1:]) or 'nobody'}"
    )
    run_out = out / "run"
    job = Watched(
        config=config,
        paths=[str(paths.events)],
        out=run_out,
        resume=False,
        is_quiet=False,
        resume_args=[
            *("replay", str(paths.events), "--config", str(config_path)),
            *("--out", str(run_out), "--resume"),
        ],
        n_records=count_types(paths.events).total(),
    )
    run_watched(terminal, job)
    tell_report(terminal, run_out, paths.truth)
    _tell_days(terminal, shop, run_out / "metrics.jsonl", names)
    _tell_story(terminal, shop, run_out)
    _tell_next(terminal, out, paths.events)


def _clear(out: Path) -> None:
    """Make the folder empty of an earlier demo; nothing that a demo did not make is touched.

    Raises
    ------
    UsageError
        If it holds anything and no demo made it.
    """
    try:
        if out.exists() and not (out / _MARKER_FILE).is_file() and any(out.iterdir()):
            raise UsageError(f"{out}: was not made by a demo; name another folder with --out")
        for folder in ("events", "run"):
            if (out / folder).exists():
                shutil.rmtree(out / folder)
        out.mkdir(parents=True, exist_ok=True)
        (out / _MARKER_FILE).write_text(_MARKER_TEXT, encoding="utf-8")
    except OSError as err:
        raise SinkError(f"{out}: cannot be used for the demo: {err.strerror}") from err


def _tell_days(
    terminal: Terminal, shop: "SimulatorConfig", metrics_path: Path, names: Sequence[str]
) -> None:
    """Recall of each learner, day by day."""
    recalls = {name: _recall_by_day(metrics_path, shop, name) for name in names}
    seen = [recall for recall_by_day in recalls.values() for recall in recall_by_day.values()]
    if not seen:
        return
    table = Table.grid(padding=(0, 2))
    for name, recall_by_day in recalls.items():
        days = list(recall_by_day.values())
        bars = sparkline(days, min(seen), max(seen))
        table.add_row(name, bars, f"{days[0]:.3f} to {days[-1]:.3f}")
    terminal.tell(f"\nRecall of each day, from day {min(recalls[names[0]])} on")
    terminal.out.print(table)


def _recall_by_day(metrics_path: Path, shop: "SimulatorConfig", name: str) -> dict[int, float]:
    """The learner's recall over the last day of time, as each day ends; days count from 1."""
    from stream.sources.shop import START_MS

    recall_by_day: dict[int, float] = {}
    with metrics_path.open(encoding="utf-8") as file:
        for record in map(json.loads, file):
            figures = record["shadows"].get(name, record["metrics"])
            day = (record["watermark_ms"] - START_MS) // _DAY_MS + 1
            recall = _longest_recall(figures)
            if "time" in recall:
                recall_by_day[min(day, shop.days)] = recall["time"]
    return recall_by_day


def _longest_recall(figures: dict[str, Any]) -> dict[str, Any]:
    names = [name for name in figures if name.startswith("recall@")]
    longest: dict[str, Any] = figures[max(names, key=lambda name: int(name[7:]))] if names else {}
    return longest


def _tell_story(terminal: Terminal, shop: "SimulatorConfig", run_out: Path) -> None:
    """What was done to the shop, what was said of it, and which alerts fired and resolved."""
    text = (run_out / "alerts.jsonl").read_text(encoding="utf-8")
    alerts = [json.loads(line) for line in text.splitlines()]
    terminal.tell("\nWhat happened, by the time of the shop")
    terminal.out.print(story_table(shop.schedule, alerts))
    terminal.tell("")
    for sentence in verdicts(alerts) or ["No alert fired."]:
        terminal.tell(sentence)
    terminal.tell(f"The report: {run_out / 'report.html'}")


def _tell_next(terminal: Terminal, out: Path, events: Path) -> None:
    terminal.tell("\nNext")
    for args in (
        ["inspect", str(out / "run")],
        ["check", str(out / "freshrank.yaml"), "--show"],
        ["replay", str(events), "-o", str(out / "mine"), "-s", "learner.width=128"],
    ):
        terminal.tell(f"  {shlex.join(['freshrank', *args])}")

"""`freshrank test-alerts`: tries alert rules on the figures of a run that is over."""

import difflib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from stream.commands.options import SetOption
from stream.commands.terminal import Terminal, examples, terminal_of
from stream.durations import lasted_text
from stream.errors import UsageError
from stream.settings import read_settings
from stream.tables import alerts_table, time_text

if TYPE_CHECKING:
    from stream.alert_trial import Trial
    from stream.reporting.alert_episodes import Episode

EXAMPLES = examples(
    "freshrank test-alerts freshrank.yaml runs/replay/metrics.jsonl",
    "freshrank test-alerts freshrank.yaml runs/replay --set alerts.rules.0.threshold=0.2",
    "freshrank test-alerts freshrank.yaml runs/replay --expect recall_low --expect-not ctr_drop",
)
MAX_EPISODES = 50


def try_alerts(  # noqa: PLR0913
    ctx: typer.Context,
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML file of settings.")],
    metrics: Annotated[
        Path,
        typer.Argument(metavar="METRICS", help="A run's metrics.jsonl, or the run's folder."),
    ],
    overrides: SetOption = None,
    expected: Annotated[
        list[str] | None,
        typer.Option("--expect", metavar="RULE", help="Status 1 unless this rule fires."),
    ] = None,
    unexpected: Annotated[
        list[str] | None,
        typer.Option("--expect-not", metavar="RULE", help="Status 1 if this rule fires."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object.", metavar="")
    ] = False,
) -> None:
    """Try alert rules on recorded metrics: what would have fired, when, and for how long.

    The exit status is 1 if a rule did not do what was expected of it.
    """
    from stream.alert_trial import try_rules
    from stream.config import FreshrankConfig

    terminal = terminal_of(ctx)
    alerts = read_settings(FreshrankConfig, config, overrides or ()).alerts
    names = [rule.name for rule in alerts.rules]
    if not names:
        raise UsageError(f"{config}: has no alerts.rules, so there is nothing to try")
    for option, rules in (("--expect", expected), ("--expect-not", unexpected)):
        for rule in rules or ():
            _check_named(option, rule, names)
    trial = try_rules(alerts, metrics)
    fired = {name for name, state in trial.states.items() if state["times_fired"]}
    unmet = [
        f"{rule}: expected to fire, and did not" for rule in expected or () if rule not in fired
    ]
    unmet += [
        f"{rule}: expected not to fire, and did" for rule in unexpected or () if rule in fired
    ]
    if as_json:
        terminal.tell(json.dumps(_fields(trial, unmet), indent=2))
    else:
        _tell(terminal, trial)
    for text in unmet:
        terminal.complain(text)
    if unmet:
        raise typer.Exit(1)


def _check_named(option: str, rule: str, names: list[str]) -> None:
    if rule not in names:
        nearest = difflib.get_close_matches(rule, names, n=1)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"rules: {', '.join(names)}"
        raise UsageError(f"{option} {rule}: no rule has that name; {hint}")


def _fields(trial: "Trial", unmet: list[str]) -> dict[str, Any]:
    return {
        "metrics": str(trial.path),
        "records": trial.n_records,
        "first_ts": trial.first_ms,
        "last_ts": trial.last_ms,
        "step_ms": trial.step_ms,
        "rules": {
            name: {
                **state,
                "episodes": [
                    _episode_fields(episode)
                    for episode in trial.log.episodes
                    if episode.rule == name
                ],
            }
            for name, state in trial.states.items()
        },
        "unmet": unmet,
        "notes": list(trial.notes),
    }


def _episode_fields(episode: "Episode") -> dict[str, Any]:
    return {
        "pending_ts": episode.pending_ms,
        "firing_ts": episode.fired_ms,
        "ended_ts": episode.ended_ms,
        "told_ts": episode.told_ms,
        "muted_by": episode.muted_by,
        "value": episode.record.get("value"),
        "threshold": episode.threshold,
    }


def _tell(terminal: Terminal, trial: "Trial") -> None:
    from stream.alert_timeline import LEGEND, timeline

    terminal.tell(
        f"{trial.path}: {trial.n_records:,} records from {time_text(trial.first_ms)} to "
        f"{time_text(trial.last_ms)}, usually {lasted_text(trial.step_ms)} apart"
    )
    terminal.tell("")
    terminal.out.print(alerts_table({"alerts": trial.states}))
    terminal.tell("")
    if trial.log.fired:
        terminal.out.print(_episodes_table(trial))
        terminal.tell("")
    if (more := len(trial.log.fired) - MAX_EPISODES) > 0:
        terminal.tell(f"and {more:,} more; --json has them all")
    if terminal.out.is_terminal:  # in a file it says less than the tables
        span_ms = (trial.first_ms, trial.last_ms)
        for row in timeline(trial.log, list(trial.states), span_ms, terminal.out.width):
            terminal.out.print(row)
        terminal.out.print(Text(LEGEND, "dim"))
    for note in trial.notes:
        terminal.warn(f"note: {note}")


def _episodes_table(trial: "Trial") -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column("rule", overflow="fold")
    for heading in ("fired", "resolved", "firing for"):
        table.add_column(heading, no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("against", justify="right", no_wrap=True)
    episodes = trial.log.fired[:MAX_EPISODES]
    if has_muted := any(episode.muted_by for episode in episodes):
        table.add_column("muted by", overflow="fold")
    for episode in episodes:
        assert episode.fired_ms is not None, "only those that fired have a row"
        ended_ms = trial.last_ms if episode.ended_ms is None else episode.ended_ms
        table.add_row(
            Text(episode.rule),
            time_text(episode.fired_ms),
            "still firing" if episode.ended_ms is None else time_text(episode.ended_ms),
            lasted_text(ended_ms - episode.fired_ms),
            _number_text(episode.record.get("value")),
            _number_text(episode.threshold),
            *([Text(", ".join(episode.muted_by))] if has_muted else ()),
        )
    return table


def _number_text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else "-"

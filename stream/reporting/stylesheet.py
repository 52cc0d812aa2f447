"""How the report looks: one column on a phone, light or dark as the reader's system is."""

from stream.reporting.colours import DARK, LIGHT, variables

_RULES = """\
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; scroll-padding-top: 3.5rem; }
body {
  margin: 0; background: var(--page); color: var(--ink); overflow-wrap: anywhere;
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
.column { max-width: 1080px; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0; }
h2 { font-size: 1.25rem; margin: 0 0 .75rem; }
h3 { font-size: 1rem; margin: 0 0 .25rem; }
p { margin: 0 0 .75rem; }
a { color: var(--accent); }
small, figcaption, .caption, .period, dd + dd, footer { color: var(--muted); font-size: .85rem; }
code, pre { font: .85em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }

.product { color: var(--muted); font-size: .85rem; margin: 0; }
.period { margin: .25rem 0 1rem; }
.tiles {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: .75rem;
  margin: 0;
}
.tiles > div, section, .bar {
  background: var(--card); border: 1px solid var(--line); border-radius: 10px; min-width: 0;
}
.tiles > div { padding: .75rem .9rem; }
dt { color: var(--muted); font-size: .85rem; line-height: 1.3; }
dd { margin: 0; line-height: 1.35; }
.headline {
  font-size: 1.4rem; font-weight: 650; line-height: 1.3; font-variant-numeric: tabular-nums;
}
.notes {
  margin: 1rem 0 0; padding: .6rem 1rem .6rem 2rem; border: 1px solid var(--pending);
  border-radius: 10px; background: var(--pending-fill);
}
.glance { margin: 0 0 1rem; padding-left: 1.2rem; }
/* The contents stay in sight: a line that scrolls sideways, beside the page where it is wide. */
nav {
  position: sticky; top: 0; z-index: 5; margin: 1rem 0; background: var(--page);
  border-bottom: 1px solid var(--line);
}
nav ul {
  display: flex; gap: .25rem 1rem; list-style: none; margin: 0; padding: .25rem 0;
  overflow-x: auto; white-space: nowrap; scrollbar-width: thin;
}
nav a { display: inline-block; padding: .25rem 0; text-decoration: none; }
nav a:hover { text-decoration: underline; }
section, .bar { padding: 1.1rem; margin: 0 0 1rem; }
section > :last-child, section > div > :last-child, .bar > :last-child { margin-bottom: 0; }

.windows {
  display: flex; flex-wrap: wrap; gap: .4rem; align-items: center; border: 0; margin: 0 0
  .75rem; padding: 0;
}
.windows legend { float: left; margin-right: .4rem; padding: 0; }
.windows label { display: inline-flex; position: relative; }
.windows input {
  position: absolute; opacity: 0; inset: 0; width: 100%; height: 100%; margin: 0; cursor:
  pointer;
}
.windows span { border: 1px solid var(--line); border-radius: 999px; padding: .3rem .8rem; }
.windows input:checked + span {
  background: var(--accent); border-color: var(--accent); color: var(--card);
}
.windows input:focus-visible + span { outline: 2px solid var(--accent); outline-offset: 2px; }
.marks p { margin: 0 0 .25rem; display: flex; flex-wrap: wrap; gap: .1rem 1rem; }
.mark { white-space: nowrap; }
.swatch {
  display: inline-block; width: 1.1em; height: .85em; margin-right: .4em;
  vertical-align: -.05em; border-radius: 2px; border: 1px solid;
}
.swatch.drift { color: var(--drift); background: var(--drift-fill); }
.swatch.pending { color: var(--pending); background: var(--pending-fill); }
.swatch.firing { color: var(--firing); background: var(--firing-fill); }
.swatch.reaction { color: var(--reaction); background: var(--reaction-fill); }
.marks ul {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 245px), 1fr));
  gap: .25rem 1rem; list-style: none; margin: 0; padding: 0;
}
b.drift { color: var(--drift); }
b.alert { color: var(--firing); }
b.reaction { color: var(--reaction); }

figure { margin: 0 0 1.25rem; min-width: 0; }
figcaption { max-width: 70ch; }
.plot { height: 260px; width: 100%; overflow: hidden; }
.plot.tall { height: 340px; }
.pair {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 400px), 1fr)); gap: 0
  1.5rem; margin-top: 1.25rem;
}
section > .pair:first-of-type { margin-top: 0; }
.legend { display: flex; flex-wrap: wrap; gap: 0 .25rem; margin: 0 0 .1rem -.4rem; }
.legend button {
  display: inline-flex; align-items: center; gap: .4rem; min-height: 2rem; padding: .1rem .4rem;
  border: 0; border-radius: 6px; background: none; color: inherit; font: inherit; font-size: .9rem;
  text-align: left; cursor: pointer;
}
.legend button:hover { background: var(--grid); }
.legend [aria-pressed="false"] { opacity: .55; text-decoration: line-through; }
.key { display: inline-block; flex: none; width: 1.25rem; border-top: 3px solid; }
.key.dash { border-top-style: dashed; }
.key.dot { border-top-style: dotted; }
.value { font-weight: 650; font-variant-numeric: tabular-nums; }
:root[data-window="events"] .value[data-window]:not([data-window="events"]),
:root[data-window="time"] .value[data-window]:not([data-window="time"]),
:root[data-window="total"] .value[data-window]:not([data-window="total"]) { display: none; }

/* A shadow at an edge says that the table goes on there. */
.scroll {
  overflow-x: auto; margin: 0 0 1rem; position: relative;
  background:
    linear-gradient(to right, var(--card) 40%, transparent) left / 2rem 100%,
    linear-gradient(to left, var(--card) 40%, transparent) right / 2rem 100%,
    linear-gradient(to right, var(--line), transparent) left / .7rem 100%,
    linear-gradient(to left, var(--line), transparent) right / .7rem 100%;
  background-repeat: no-repeat; background-attachment: local, local, scroll, scroll;
}
table { border-collapse: collapse; width: 100%; overflow-wrap: normal; font-size: .9rem; }
caption {
  position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%);
  white-space: nowrap;
}
th, td {
  padding: .4rem .6rem; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line);
}
td { min-width: 3rem; }
td.number, .nowrap { white-space: nowrap; }
th[scope="row"] { max-width: 14rem; overflow-wrap: break-word; }
td.long { min-width: 12rem; }
th:first-child, td:first-child { padding-left: 0; }
thead th { color: var(--muted); font-weight: 500; vertical-align: bottom; }
tbody th { font-weight: 400; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
.good { color: var(--good); } .bad { color: var(--bad); }
.stacked { display: block; min-width: 6.5rem; }
.stacked small { display: block; }
.letters { padding-left: 1.25rem; margin: 0; }
.letters p { margin: 0 0 .25rem; }
.letters ul { list-style: none; padding: 0; margin: 0 0 .9rem; }
.letters ul li {
  border-left: 3px solid var(--line); padding: .1rem 0 .1rem .7rem; margin: 0 0 .35rem;
}
.letters small, .marks small { display: block; }
code { unicode-bidi: isolate; }
details { margin-top: .75rem; }
summary { cursor: pointer; padding: .25rem 0; }
pre {
  overflow-x: auto; margin: .5rem 0 0; padding: .75rem; border: 1px solid var(--line);
  border-radius: 8px; overflow-wrap: normal;
}
footer { margin-top: 1.5rem; }

@media screen and (min-width: 1200px) {
  html { scroll-padding-top: 1rem; }
  .column {
    display: grid; grid-template-columns: 10.5rem minmax(0, 1fr); gap: 0 2rem; max-width: 1310px;
  }
  .column > header, .column > main, .column > footer { grid-column: 2; min-width: 0; }
  nav {
    grid-column: 1; grid-row: 1 / span 3; align-self: start; top: 1.5rem; margin: 3.5rem 0 0;
    border: 0;
  }
  nav ul { flex-direction: column; white-space: normal; overflow: visible; }
  .tiles { margin-bottom: 1rem; }
}
@media (max-width: 600px) {
  .column { padding: 1rem .6rem 2rem; }
  section, .bar { padding: .85rem .75rem; border-radius: 8px; }
  .tiles { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: .5rem; }
  .tiles > div { padding: .6rem .7rem; }
  .headline { font-size: 1.35rem; }
  .plot { height: 240px; } .plot.tall { height: 290px; }
}
@media print {
  html { font-size: 11px; }
  body { font-size: 1rem; background: none; }
  .column { max-width: none; padding: 0; }
  nav, .windows label:not(:has(:checked)) { display: none; }
  .tiles { grid-template-columns: repeat(6, minmax(0, 1fr)); }
  .pair { grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); }
  section, .bar, .tiles > div { border-color: #ccc; }
  figure, tr, .tiles > div, .letters > li { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
  .scroll { overflow: visible; }
  .legend button { min-height: 0; }
}
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
"""


def stylesheet() -> str:
    """The page's style; on paper it is light whatever the screen is."""
    light, dark = variables(LIGHT), variables(DARK)
    return (
        f":root {{ color-scheme: light dark; {light} }}\n"
        "@media screen and (prefers-color-scheme: dark) { :root:not([data-printing]) { "
        f"{dark} }} }}\n{_RULES}"
    )

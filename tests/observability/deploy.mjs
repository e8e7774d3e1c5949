// What deploy/ has for Prometheus and Grafana, and what docs/ says about it.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const path = (relative) => fileURLToPath(new URL(`../../${relative}`, import.meta.url));
export const read = (relative) => readFileSync(path(relative), 'utf8');

export const dashboards = readdirSync(path('deploy/grafana'))
  .filter((name) => name.endsWith('.json'))
  .map((name) => ({ name, ...JSON.parse(read(`deploy/grafana/${name}`)) }));

// Of all panels of all dashboards: {where, expr}.
export const panelExpressions = dashboards.flatMap((dashboard) =>
  dashboard.panels.flatMap((panel) =>
    (panel.targets ?? []).map(({ expr }) => ({ where: `${dashboard.name}, "${panel.title}"`, expr }))));

// Of variables, each as the selector within label_values(SELECTOR, LABEL).
export const variableExpressions = dashboards.flatMap((dashboard) =>
  dashboard.templating.list
    .filter(({ type }) => type === 'query')
    .map(({ name, query }) => ({ where: `${dashboard.name}, variable ${name}`, expr: query.match(/^label_values\((.*), \w+\)$/)[1] })));

// The metrics that the document lists, and the names that histograms have in expressions.
export function documentedMetrics() {
  const names = [...read('docs/operations.md').matchAll(/`((?:skein_|process_)[a-z0-9_]+)(?:\{[a-z_,]*\})?`/g)].map((match) => match[1]);
  return new Set([...names, ...names.flatMap((name) => (name.endsWith('_seconds') || name.endsWith('_rows')
    ? [`${name}_bucket`, `${name}_count`, `${name}_sum`] : []))]);
}

// The anchors of the sections of docs/alerts.md.
export function runbookAnchors() {
  return new Set([...read('docs/alerts.md').matchAll(/^## (.*)$/gm)].map((match) =>
    match[1].toLowerCase().replaceAll(/[^a-z0-9 _-]/g, '').replaceAll(' ', '-')));
}

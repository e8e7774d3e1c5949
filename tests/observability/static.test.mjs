// The files of deploy/prometheus and deploy/grafana by themselves: valid, tested, and about metrics that exist.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import test from 'node:test';

import { dashboards, documentedMetrics, panelExpressions, path, read, runbookAnchors, variableExpressions } from './deploy.mjs';
import { metricNames, substitute } from './promql.mjs';

const promtool = (...args) => execFileSync('promtool', args, { cwd: path('tests/observability'), encoding: 'utf8', stdio: 'pipe' });
const rules = ['rules.yaml', 'alerts.yaml'].map((name) => path(`deploy/prometheus/${name}`));
const all = (text, pattern) => [...text.matchAll(pattern)].map((match) => match[1]);
const alerts = all(read('deploy/prometheus/alerts.yaml'), /- alert: (\w+)/g);
const records = all(read('deploy/prometheus/rules.yaml'), /- record: (\S+)/g);

test('promtool accepts the configuration and the rules', () => {
  promtool('check', 'config', '--syntax-only', path('deploy/prometheus/prometheus.yml'));
  promtool('check', 'rules', ...rules);
});

test('each alert is tested: it fires, and it stays quiet', () => {
  const tests = ['alerts_test.yaml', 'slow_burn_test.yaml'].map((name) => read(`tests/observability/${name}`)).join('');
  for (const alert of alerts) {
    assert.match(tests, new RegExp(`name: '${alert}: `), `${alert} has no test in which it fires`);
    assert.match(tests, new RegExp(`name: 'no ${alert}: `), `${alert} has no test in which it stays quiet`);
  }
  promtool('test', 'rules', 'alerts_test.yaml', 'slow_burn_test.yaml');
});

test('each alert says how bad it is, what happens, and where docs/alerts.md tells what to do', () => {
  const anchors = runbookAnchors();
  const named = new Set();
  const blocks = read('deploy/prometheus/alerts.yaml').split('- alert: ').slice(1);
  assert.equal(blocks.length, alerts.length);
  for (const block of blocks) {
    assert.match(block, /severity: (critical|warning)\n/);
    assert.match(block, /summary: "/);
    assert.match(block, /description: "/);
    const runbook = block.match(/runbook: docs\/alerts\.md#(\S+)/)?.[1];
    assert.ok(anchors.has(runbook), `docs/alerts.md has no section ${runbook}`);
    named.add(runbook);
  }
  assert.deepEqual([...anchors].filter((anchor) => !named.has(anchor)), [], 'sections of docs/alerts.md without an alert');
});

test('dashboards are what tools/dashboards makes', () => {
  execFileSync('node', [path('tools/dashboards/generate.mjs'), '--check'], { stdio: 'pipe' });
});

test('dashboards can be imported: own ids, a data source to choose, a unit and a description for each panel', () => {
  assert.deepEqual(dashboards.map(({ name }) => name).sort(), ['errors.json', 'gateway.json', 'users.json', 'workers.json']);
  assert.equal(new Set(dashboards.map(({ uid }) => uid)).size, dashboards.length);
  for (const { name, title, uid, panels, templating } of dashboards) {
    assert.match(uid, /^skein-/);
    assert.ok(title);
    assert.equal(templating.list[0].type, 'datasource');
    assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
    for (const panel of panels.filter(({ type }) => type !== 'row')) {
      const where = `${name}, "${panel.title}"`;
      assert.ok(panel.description, where);
      assert.ok(panel.fieldConfig.defaults.unit, where);
      assert.equal(panel.datasource.uid, '${datasource}', where);
      assert.ok(panel.targets.every(({ legendFormat }) => legendFormat), where);
    }
  }
});

// Of the programs' sources: the first argument of LogInfo("...") and its like, which may be in several pieces.
function loggedEvents() {
  const filesOf = (folder) => readdirSync(path(folder), { recursive: true }).map((name) => `${folder}/${name}`);
  const files = ['common', 'gateway', 'kernels', 'worker'].flatMap(filesOf).filter((name) => /\.(cc|cu)$/.test(name));
  const text = files.map(read).join('\n');
  return all(text, /\bLog(?:Debug|Info|Warning|Error)\(\s*((?:"[^"]*"\s*)+)[,)]/g).map((pieces) => all(pieces, /"([^"]*)"/g).join(''));
}

test('every event of the logs is documented', () => {
  const events = new Set(loggedEvents());
  assert.ok(events.size > 50, `${events.size}`);
  const table = read('docs/operations.md').split('### Every event')[1];
  assert.deepEqual([...events].filter((event) => !table.includes(`\`${event}\``)), []);
});

test('every metric in dashboards is documented or recorded', () => {
  const known = new Set([...documentedMetrics(), ...records, 'up']);
  for (const { where, expr } of [...panelExpressions, ...variableExpressions]) {
    for (const name of metricNames(substitute(expr))) assert.ok(known.has(name), `${where}: ${name}`);
  }
});

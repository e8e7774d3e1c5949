// A worker, a gateway and a Prometheus under load: no expression of a dashboard, rule or alert is about nothing, and log lines
// tell of each request in both processes.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, test } from 'node:test';

import { documentedMetrics, panelExpressions, variableExpressions } from './deploy.mjs';
import { innerVectors, metricNames, substitute } from './promql.mjs';
import { startAll } from './servers.mjs';

const PATIENCE_MS = 40_000;
const TRACE = '0af7651916cd43dd8448eb211c80319c';
const chat = (more = {}) => ({ model: 'demo', messages: [{ role: 'user', content: 'Hello, how are you?' }], max_tokens: 48, ...more });
const CHAT = '/v1/chat/completions';

let skein;
let beginnings; // the metrics of gateway and worker before the first request

before(async () => {
  skein = await startAll();
  beginnings = await metricsNow();
});

after(async () => {
  await skein?.stop();
});

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const quietly = (promise) => promise.catch(() => undefined); // a worker is killed, a client leaves

const metricsNow = () => Promise.all([skein.gateway, skein.workers[0]].map(skein.metricsOf));
const counters = (text) => [...text.matchAll(/^(skein_\w+_(?:total|count)(?:\{.*\})?) /gm)].map((match) => match[1]);

// Streams for as long as `running` says so.
async function stream(running) {
  while (running()) {
    await quietly(skein.ask(CHAT, { body: chat({ stream: true, temperature: 1 }) }));
    await sleep(30);
  }
}

async function mistakes(running) {
  while (running()) {
    await skein.ask(CHAT, { body: chat({ model: 'none' }) });
    await skein.ask(CHAT, { body: '{' });
    await skein.ask('/nothing/here', {});
    await skein.ask(CHAT, { body: chat(), key: 'wrong' });
    await quietly(skein.ask(CHAT, { body: chat(), headers: { 'x-request-timeout-ms': '1' } }));
    await quietly(skein.ask(CHAT, { body: chat({ max_tokens: 1 }), key: 'sk-few' }));
    await quietly(skein.ask(CHAT, { body: chat({ stream: true, max_tokens: 200 }), leave: true }));
    await sleep(200);
  }
}

// First it hangs and is ejected, then it dies with its streams.
async function loseWorker(worker) {
  await sleep(3000);
  worker.kill('SIGSTOP');
  await sleep(4000);
  worker.kill('SIGCONT');
  await sleep(3000);
  worker.kill('SIGKILL');
}

// Of series that are there, 'NaN' tells nothing either.
const says = (series) => series.some((each) => (each.value ?? each)[1] !== 'NaN');

// {labels, value} of each series.
async function query(expression) {
  const response = await fetch(`${skein.api}/query?${new URLSearchParams({ query: expression })}`);
  const answer = await response.json();
  assert.equal(answer.status, 'success', `${expression}: ${answer.error}`);
  return answer.data.resultType === 'vector' ? answer.data.result : [answer.data.result];
}

// Everything that must return something: {where, expr}.
async function expressions() {
  const { data } = await (await fetch(`${skein.api}/rules`)).json();
  const rules = data.groups.flatMap((group) => group.rules);
  assert.ok(rules.length > 40, 'Prometheus has loaded the rules');
  const records = rules.filter(({ type }) => type === 'recording').map(({ name }) => ({ where: name, expr: name }));
  const alerts = rules.filter(({ type }) => type === 'alerting')
    .flatMap(({ name, query: expr }) => innerVectors(expr).map((inner) => ({ where: name, expr: inner })));
  const panels = [...panelExpressions, ...variableExpressions].map(({ where, expr }) => ({ where, expr: substitute(expr) }));
  const whole = [...records, ...alerts, ...panels];
  const known = documentedMetrics();
  const names = whole.flatMap(({ where, expr }) => [...metricNames(expr)].map((name) => ({ where, expr: name })));
  for (const { where, expr } of names.filter(({ expr: name }) => /^(skein|process)_/.test(name))) {
    assert.ok(known.has(expr), `${where}: ${expr} is not in docs/operations.md`);
  }
  return [...whole, ...names];
}

test('every expression of dashboards, rules and alerts returns something', async (t) => {
  const wanted = await expressions();
  let load = true;
  const clients = [...Array(8).fill(stream), mistakes].map((client) => client(() => load));
  const end = Date.now() + PATIENCE_MS;
  let empty = wanted;
  let failed;
  try {
    await loseWorker(skein.workers[1].child);
    while (empty.length > 0 && Date.now() < end) {
      await sleep(1000);
      const results = await Promise.all(empty.map(({ expr }) => query(expr)));
      empty = empty.filter((_, index) => !says(results[index]));
    }
  } catch (error) {
    failed = error;
  } finally {
    load = false;
    await Promise.all(clients);
  }
  assert.ifError(failed);
  assert.deepEqual(empty.map(({ where, expr }) => `${where}: ${expr}`), [], 'these return nothing');
  t.diagnostic(`${wanted.length} expressions`);
});

test('what was counted under load had been at 0 before, so that increase() sees its first event', async () => {
  const ends = await metricsNow();
  for (const [index, end] of ends.entries()) {
    const before = new Set(counters(beginnings[index]));
    assert.ok(before.size > 20);
    assert.deepEqual(counters(end).filter((series) => !before.has(series)), []);
  }
});

test('promtool has nothing to say about the metrics of both processes', async () => {
  const lint = (text) => execFileSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8', stdio: 'pipe' });
  assert.equal(lint(await skein.metricsOf(skein.gateway)), '');
  // The colon in vLLM's names is against the rules.
  const worker = await skein.metricsOf(skein.workers[0]);
  assert.match(worker, /^vllm:num_requests_running\{model_name="demo"\} /m);
  assert.equal(lint(worker.replaceAll(/^.*\bvllm:.*\n/gm, '')), '');
});

test('a request can be followed by its ids through the JSON logs of both processes', async () => {
  const headers = { 'x-request-id': 'follow-me', traceparent: `00-${TRACE}-b7ad6b7169203331-01` };
  const answer = await skein.ask(CHAT, { body: chat({ messages: [{ role: 'user', content: 'secret words' }] }), headers });
  assert.equal(answer.status, 200);
  assert.equal(answer.headers['x-request-id'], 'follow-me');
  const { usage } = JSON.parse(answer.text);
  const accessLine = (process) => process.log.map((line) => JSON.parse(line))
    .find(({ event, request }) => event === 'request' && request === 'follow-me');
  let lines;
  for (let i = 0; i < 100 && !lines?.every((line) => line); ++i) {
    await sleep(50);
    lines = [accessLine(skein.gateway), accessLine(skein.workers[0])];
  }
  const [gateway, worker] = lines;
  assert.equal(gateway.trace_id, TRACE);
  assert.equal(worker.trace_id, TRACE);
  assert.equal(new Set([gateway.span_id, worker.span_id, 'b7ad6b7169203331']).size, 3);
  assert.equal(gateway.worker, skein.workers[0].address('listening'));
  assert.equal(gateway.key, 'test');
  assert.equal(gateway.status, 200);
  assert.equal(worker.outcome, 'ok');
  for (const line of lines) {
    assert.equal(line.model, 'demo');
    assert.equal(line.prompt_tokens, usage.prompt_tokens);
    assert.equal(line.completion_tokens, usage.completion_tokens);
    assert.match(line.finish_reason, /^(stop|length)$/);
    for (const field of ['queue_ms', 'first_token_ms', 'total_ms']) assert.equal(typeof line[field], 'number', field);
  }
  assert.ok(!JSON.stringify(skein.gateway.log.concat(skein.workers[0].log)).includes('secret words'));
});

test('the access line names the client that a trusted proxy tells of, whatever the client itself has claimed', async () => {
  const headers = { 'x-request-id': 'from-afar', 'x-forwarded-for': '198.51.100.1, 203.0.113.7' };
  const answer = await skein.ask('/v1/models', { headers });
  assert.equal(answer.status, 200);
  const find = () => skein.gateway.log.map((line) => JSON.parse(line)).find(({ request }) => request === 'from-afar');
  for (let i = 0; i < 100 && !find(); ++i) await sleep(50);
  assert.equal(find().client, '203.0.113.7');
  assert.match(find().proxy, /^127\.0\.0\.1:\d+$/);
});

test('each line of the JSON logs is an object with time, level and event', () => {
  for (const line of [...skein.gateway.log, ...skein.workers[0].log]) {
    const { time, level, event } = JSON.parse(line);
    assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.match(level, /^(debug|info|warning|error)$/);
    assert.ok(event);
  }
});

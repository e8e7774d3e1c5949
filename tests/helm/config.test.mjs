// The configurations that the chart renders are what the programs read.
import assert from 'node:assert/strict';
import {spawnSync} from 'node:child_process';
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import test from 'node:test';
import {ofKind, render, template, valueSets} from './helm.mjs';
import {programs} from './pods.mjs';

const configurations = ({file}, ...args) =>
  ofKind(render(4, file, ...args), 'ConfigMap')
    .flatMap(({metadata, data}) => Object.entries(data).map(([name, text]) => ({name: metadata.name, file: name, text})))
    .filter(({file: name}) => ['gateway.txtpb', 'worker.txtpb'].includes(name));

// Runs the program on the text; {status, stderr}.
function check({file, text}) {
  const folder = mkdtempSync(`${tmpdir()}/skein-config-`);
  try {
    writeFileSync(`${folder}/${file}`, text);
    const program = file === 'gateway.txtpb' ? programs.gateway : programs.worker;
    return spawnSync(program, [`--config=${folder}/${file}`, '--check-config'], {encoding: 'utf8'});
  } finally {
    rmSync(folder, {recursive: true});
  }
}

// This machine may have no GPU, and then the program says that it has not; all else is the same.
const withoutGpu = (configuration) => ({...configuration, text: configuration.text.replace('device: "cuda"', 'device: "cpu"').replace(/state_dtype: .*/, '')});

for (const set of valueSets) {
  test(`${set.name}: the programs take their configurations`, () => {
    const found = configurations(set);
    assert.ok(found.length >= 2);
    for (const configuration of found) {
      const {status, stderr} = check(withoutGpu(configuration));
      assert.equal(status, 0, `${configuration.name}: ${stderr}\n${configuration.text}`);
    }
  });
}

const only = (set, name, ...args) => configurations(set, ...args).find((configuration) => configuration.name === name).text;
const named = (name) => valueSets.find((set) => set.name === name);

test('gateways look for the workers of every model, and for those that values add', () => {
  const sources = [...only(named('everything'), 'r-skein-gateway').matchAll(/^worker: "(.*)"$/gm)].map(([, source]) => source);
  const models = ['external-metric', 'fetched', 'pods-metric', 'scratch'];
  const expected = models.map((model) => `dns:r-skein-worker-${model}.llm.svc.cluster.local:50051`);
  assert.deepEqual(sources, [...expected, '10.0.0.5:50051', 'file:/etc/more/workers']);
});

test('proxies that values name are trusted, and no others', () => {
  const proxies = (set) => [...only(named(set), 'r-skein-gateway').matchAll(/^trusted_proxy: "(.*)"$/gm)].map(([, range]) => range);
  assert.deepEqual(proxies('everything'), ['10.244.3.0/24', 'fd00::/8']);
  assert.deepEqual(proxies('minimal'), []);
});

test('workers are told of the registry that values describe', () => {
  const registry = (set, model) => only(named(set), `r-skein-worker-${model}`).match(/^registry \{\n((?: .*\n)+)\}/m)?.[1].trim().split(/\n */);
  assert.deepEqual(registry('secured', 'demo'),
    ['kept: "/var/lib/skein/registry.txtpb"', 'manifest: "/etc/skein/config/registry.txtpb"', 'root: "/states"']);
  assert.deepEqual(registry('everything', 'fetched'),
    ['kept: "/var/lib/kept/registry.txtpb"', 'manifest: "/models/fetched/registry.txtpb"', 'root: "/srv/states"']);
  assert.equal(registry('minimal', 'demo'), undefined);
});

test('workers have as many threads as their limit has cores', () => {
  const threads = (cpu) => only(named('minimal'), 'r-skein-worker-demo', '--set-string', `worker.resources.limits.cpu=${cpu}`).match(/threads: (\d+)/)[1];
  assert.deepEqual(['4', '3500m', '100m', '2.5'].map(threads), ['4', '4', '1', '3']);
});

test('a number of cores that values give is kept', () => {
  assert.match(only(named('everything'), 'r-skein-worker-scratch'), /threads: 3\n/);
});

test('large numbers stay whole, and text is quoted', () => {
  const args = ['--set', 'models.demo.config.engine.kv_bytes=1099511627776', '--set-string', 'models.demo.config.model.stop={a"b\\\\n,ü}'];
  const text = only(named('minimal'), 'r-skein-worker-demo', ...args);
  assert.match(text, /kv_bytes: 1099511627776\n/);
  assert.match(text, /stop: "a\\"b\\\\n"\n *stop: "ü"/);
  assert.equal(check({file: 'worker.txtpb', text}).status, 0);
});

test('models that take a path keep it, relative ones are in the volume', () => {
  const path = (value) => only(named('minimal'), 'r-skein-worker-demo', '--set', `models.demo.path=${value}`).match(/path: "(.*)"/)[1];
  assert.deepEqual(['a/b', '/srv/c', ''].map(path), ['/models/a/b', '/srv/c', '/models']);
});

test('a number that the program refuses would have been found', () => {
  const {status, stdout} = template(4, named('minimal').file, '--set', 'models.demo.config.engine.page_tokens=3');
  assert.equal(status, 0);
  const text = stdout.match(/worker.txtpb: \|\n((?: {4}.*\n)+)/)[1];
  assert.match(check({file: 'worker.txtpb', text}).stderr, /page_tokens/);
});

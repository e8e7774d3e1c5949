// The compose file: a linter with its schema, and what it promises.
import assert from 'node:assert/strict';
import {execFileSync, spawnSync} from 'node:child_process';
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {test} from 'node:test';
import {parse} from 'yaml';

const root = new URL('../../', import.meta.url).pathname;
const here = new URL('.', import.meta.url).pathname;
const programs = {gateway: process.env.SKEIN_GATEWAY, worker: process.env.SKEIN_WORKER};
const source = readFileSync(join(root, 'docker/compose.yaml'), 'utf8');
const example = readFileSync(join(root, 'docker/env.example'), 'utf8');

const variable = /\$\{(\w+):-([^}]*)\}/g;
const text = source.replace(variable, (_, name, value) => value);
const compose = parse(text, {merge: true});
const services = Object.entries(compose.services);
const program = (service) => programs[service.split('-')[0]];

// What the linter says of a compose file.
function lint(content) {
  const folder = mkdtempSync(join(tmpdir(), 'skein-compose-'));
  const file = join(folder, 'compose.yaml');
  writeFileSync(file, content);
  const {stdout, stderr} = spawnSync(join(here, 'node_modules/.bin/dclint'), ['--quiet', file], {encoding: 'utf8'});
  rmSync(folder, {recursive: true});
  return (stdout + stderr).trim();
}

test('the linter finds nothing in the compose file, and what is wrong in others', () => {
  assert.equal(lint(text), '');
  assert.match(lint('services:\n  a:\n    image: x:1\n    comand: y\n'),
    /services\/a.*must NOT have additional properties/);
});

test('env.example shows every variable of the compose file with its default', () => {
  const used = [...source.matchAll(variable)].map(([, name, value]) => `${name}=${value}`);
  const shown = example.split('\n').filter((line) => /^\w+=/.test(line));
  assert.deepEqual([...new Set(used)].sort(), shown.sort());
  const version = /^project\(skein VERSION ([0-9.]+)/m.exec(readFileSync(join(root, 'CMakeLists.txt'), 'utf8'))[1];
  assert.ok(shown.includes(`SKEIN_VERSION=${version}`));
});

test('services are contained, and stop after they have drained', () => {
  for (const [name, service] of services) {
    assert.equal(service.read_only, true, name);
    assert.deepEqual(service.cap_drop, ['ALL'], name);
    assert.deepEqual(service.security_opt, ['no-new-privileges:true'], name);
    assert.equal(service.pull_policy, 'never', name);
    const help = execFileSync(program(name), ['--help'], {encoding: 'utf8'});
    const drain = /--drain-timeout SECONDS[^]*?default: (\d+)/.exec(help)?.[1] ?? '30';
    assert.ok(parseInt(service.stop_grace_period) > Number(drain), name);
  }
});

test('the programs take the commands of the services', () => {
  for (const [name, service] of services) {
    const flags = service.command.filter((flag) => flag !== '--device=cuda');  // this machine may have no GPU
    const {status, stderr} = spawnSync(program(name), [...flags, '--check-config'], {encoding: 'utf8'});
    assert.equal(status, 0, `${name}: ${stderr}`);
  }
});

test('the workers differ in their device', () => {
  const commands = new Map(services.map(([name, service]) => [name, service.command]));
  assert.deepEqual(commands.get('worker-cuda'), [...commands.get('worker'), '--device=cuda']);
});

test('a worker on a GPU may write where it keeps its measurements, and no other service may write', () => {
  for (const [name, service] of services) {
    const writable = (service.volumes ?? []).filter((volume) => !volume.endsWith(':ro'));
    assert.deepEqual(writable, name === 'worker-cuda' ? ['cache:/var/cache/skein'] : [], name);
  }
  assert.deepEqual(Object.keys(compose.volumes), ['cache']);
});

test('health checks ask where the service listens', () => {
  for (const [name, service] of services) {
    const [kind, path, flag, target] = service.healthcheck.test;
    assert.equal(kind, 'CMD');
    assert.equal(path, `/opt/skein/bin/skein-${name.split('-')[0]}`);
    assert.equal(flag, '--health-check');
    const port = /:\d+/.exec(target)[0];
    assert.ok(service.command.some((flag) => /^--(metrics-)?listen=/.test(flag) && flag.endsWith(port)),
      `${name}: nothing listens on ${port}`);
  }
});

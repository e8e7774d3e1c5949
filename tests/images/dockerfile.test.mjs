// The Dockerfile: linters, and what it promises.
import assert from 'node:assert/strict';
import {spawnSync} from 'node:child_process';
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {test} from 'node:test';
import {DockerfileParser} from 'dockerfile-ast';

const root = new URL('../../', import.meta.url).pathname;
const here = new URL('.', import.meta.url).pathname;
const dockerfile = join(root, 'docker/Dockerfile');
const programs = {gateway: process.env.SKEIN_GATEWAY, worker: process.env.SKEIN_WORKER};

const tool = (name, ...args) =>
  spawnSync(join(here, 'node_modules/.bin', name), args, {cwd: here, encoding: 'utf8'});

test('the linters find nothing in the Dockerfile', () => {
  const {stdout, status} = tool('dockerfilelint', '--config', here, dockerfile);
  assert.match(stdout, /Issues: None found/);
  assert.equal(status, 0);
  const utils = tool('dockerfile-utils', 'lint', dockerfile);
  assert.equal(utils.stdout + utils.stderr, '');
});

test('the linters find what is wrong', () => {
  const folder = mkdtempSync(join(tmpdir(), 'skein-lint-'));
  const bad = join(folder, 'Dockerfile');
  writeFileSync(bad, 'FROM debian:bookworm-slim\nRUN sudo apt-get install -y curl\nEXPSE 80\n');
  assert.match(tool('dockerfilelint', '--config', here, bad).stdout, /Issues: [1-9]/);
  assert.match(tool('dockerfile-utils', 'lint', bad).stdout, /EXPSE/);
  rmSync(folder, {recursive: true});
});

// Stage name -> [[INSTRUCTION, arguments], ...], its FROM first.
function readStages() {
  const stages = new Map();
  let name;
  for (const instruction of DockerfileParser.parse(readFileSync(dockerfile, 'utf8')).getInstructions()) {
    const keyword = instruction.getKeyword();
    const text = (instruction.getArgumentsContent() ?? '').replace(/\\\n\s*/g, '');
    if (keyword === 'FROM') {
      name = / AS (\S+)$/.exec(text)[1];
      stages.set(name, []);
    }
    if (name) stages.get(name).push([keyword, text]);
  }
  return stages;
}

test('images run as a number without rights, and name what they are', () => {
  const stages = readStages();
  for (const target of ['gateway', 'worker', 'worker-cuda']) {
    const of = (keyword) => stages.get(target).filter(([k]) => k === keyword).map(([, text]) => text);
    assert.deepEqual(of('USER'), ['65532:65532'], target);
    assert.deepEqual(of('STOPSIGNAL'), ['SIGTERM'], target);
    assert.equal(of('RUN').length, 0, target);
    assert.match(of('ENTRYPOINT')[0], /^\["\/opt\/skein\/bin\/skein-/, target);
    assert.match(of('LABEL')[0], new RegExp(`image.title="skein-${target}"`));
    for (const label of ['description', 'version', 'revision', 'source', 'licenses']) {
      assert.match(of('LABEL')[0], new RegExp(`image.${label}="[^"]`), `${target}: ${label}`);
    }
  }
});

test('the workers differ in their base, their files, their device and their description', () => {
  const stages = readStages();
  const shared = (target) =>
    stages.get(target).filter(([keyword]) => !['FROM', 'COPY', 'LABEL', 'ENV', 'CMD'].includes(keyword));
  assert.deepEqual(shared('worker-cuda'), shared('worker'));
  const command = (target) => JSON.parse(stages.get(target).find(([keyword]) => keyword === 'CMD')[1]);
  assert.deepEqual(command('worker-cuda'), [...command('worker'), '--device=cuda']);
  assert.equal(stages.get('worker-cuda')[0][1], '${CUDA_RUNTIME} AS worker-cuda');
});

test('the worker on GPUs keeps its measurements in a folder that is its own', () => {
  const stage = readStages().get('worker-cuda');
  assert.match(stage.find(([keyword]) => keyword === 'ENV')[1], / XDG_CACHE_HOME=\/var\/cache$/);
  // The parser keeps flags apart from arguments.
  assert.match(readFileSync(dockerfile, 'utf8'), /^COPY --from=cache --chown=65532:65532 \/cache\/ \/var\/cache\/$/m);
  assert.deepEqual(readStages().get('cache').at(-1), ['RUN', 'mkdir -p /cache/skein']);
});

test('the image is labelled with the version of the project', () => {
  const version = /^project\(skein VERSION ([0-9.]+)/m.exec(readFileSync(join(root, 'CMakeLists.txt')))[1];
  for (const [, instructions] of readStages()) {
    for (const [keyword, text] of instructions) {
      if (keyword === 'ARG' && text.startsWith('VERSION=')) assert.equal(text, `VERSION=${version}`);
    }
  }
});

test('the programs take the commands of their images', () => {
  const stages = readStages();
  for (const target of ['gateway', 'worker', 'worker-cuda']) {
    const [, command] = stages.get(target).find(([keyword]) => keyword === 'CMD');
    const flags = JSON.parse(command).filter((flag) => flag !== '--device=cuda');  // this machine may have no GPU
    const {status, stderr} = spawnSync(programs[target.split('-')[0]], [...flags, '--check-config'], {encoding: 'utf8'});
    assert.equal(status, 0, `${target}: ${stderr}`);
  }
});

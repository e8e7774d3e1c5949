import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import test from 'node:test';
import {parse} from 'yaml';
import {generatedFiles} from './generated.mjs';
import {chart, repository} from './paths.mjs';

for (const [path, contents] of generatedFiles()) {
  test(`${path.split('/').at(-1)} is as npm run generate makes it`, () => {
    assert.equal(readFileSync(path, 'utf8'), contents, 'run npm run generate in tests/helm');
  });
}

// Every key that the schema knows has a default that users can read, but those of a model alone.
test('values.yaml has every key of the schema', () => {
  const schema = JSON.parse(readFileSync(`${chart}/values.schema.json`, 'utf8'));
  const values = parse(readFileSync(`${chart}/values.yaml`, 'utf8'));
  const resolve = (part) => (part.$ref ? schema.definitions[part.$ref.split('/').at(-1)] : part);
  const expectKeys = (part, value, path) => {
    const {properties} = resolve(part);
    if (!properties || typeof value !== 'object' || value === null) return;
    const known = Object.keys(properties).filter((key) => !['global', 'worker.name', 'worker.path'].includes([...path, key].join('.')));
    const optional = path.includes('config') || ['source', 'resources', 'probes', 'strategy', 'updateStrategy', 'affinity', 'authenticationRef'].includes(path.at(-1)) || path.includes('probes');
    if (!optional) assert.deepEqual(Object.keys(value).sort(), known.sort(), path.join('.'));
    for (const key of Object.keys(value)) expectKeys(properties[key], value[key], [...path, key]);
  };
  expectKeys(schema, values, []);
});

test('the version of skein is that of the build', () => {
  const {appVersion} = parse(readFileSync(`${chart}/Chart.yaml`, 'utf8'));
  assert.match(readFileSync(`${repository}/CMakeLists.txt`, 'utf8'), new RegExp(`^project\\(skein VERSION ${appVersion} `, 'm'));
});

// The values that docs/kubernetes.md and the chart's README show are values that the chart takes.
import assert from 'node:assert/strict';
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import test from 'node:test';
import {template, valueSets, versions} from './helm.mjs';
import {chart, repository} from './paths.mjs';

const minimal = valueSets.find(({name}) => name === 'minimal').file;
const guide = readFileSync(`${repository}/docs/kubernetes.md`, 'utf8');
const readme = readFileSync(`${chart}/README.md`, 'utf8');

// Indented blocks of code, each without its indentation.
function blocks(text) {
  return [...text.matchAll(/(?:^ {4}.*\n(?:^\n(?= {4}))?)+/gm)].map(([block]) => block.replace(/^ {4}/gm, ''));
}

const examples = blocks(guide).filter((block) => block.startsWith('# values.yaml'));
const smallest = blocks(readme).find((block) => block.startsWith('gateway:'));

function check(values, inAddition) {
  const folder = mkdtempSync(`${tmpdir()}/skein-docs-`);
  try {
    writeFileSync(`${folder}/values.yaml`, values);
    const files = inAddition ? [minimal, '--values', `${folder}/values.yaml`] : [`${folder}/values.yaml`];
    for (const version of versions) {
      const {status, stderr} = template(version, ...files);
      assert.equal(status, 0, `${stderr}\n${values}`);
    }
  } finally {
    rmSync(folder, {recursive: true});
  }
}

for (const [index, example] of examples.entries()) {
  test(`example ${index + 1} of docs/kubernetes.md is taken`, () => check(example, example.startsWith('# values.yaml, in addition')));
}
test('the guide has its examples', () => assert.ok(examples.length >= 9, `${examples.length}`));
test('the smallest values of README.md are taken', () => check(smallest, false));

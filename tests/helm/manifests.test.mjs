// Every set of values, under both Helms: lint, the same manifests, types, unknown fields.
import assert from 'node:assert/strict';
import {spawnSync} from 'node:child_process';
import {mkdirSync, rmSync, writeFileSync} from 'node:fs';
import test from 'node:test';
import {helm, render, succeed, template, valueSets, versions} from './helm.mjs';
import {moduleOf} from './kinds.mjs';
import {chart, folder} from './paths.mjs';

const rendered = new Map(valueSets.map(({name, file}) => [name, render(4, file)]));

for (const {name, file} of valueSets) {
  for (const version of versions) {
    test(`${name}: helm ${version} lint --strict finds nothing`, () => {
      const result = helm(version, ['lint', '--strict', chart, '--values', file]);
      assert.equal(result.status, 0, result.stdout + result.stderr);
    });
  }

  test(`${name}: both Helms render the same`, () => {
    assert.equal(succeed(template(3, file)), succeed(template(4, file)));
  });

  test(`${name}: every manifest passes its schema`, async () => {
    for (const manifest of rendered.get(name)) {
      const {[manifest.kind]: Kind} = await import(moduleOf(manifest));
      assert.doesNotThrow(() => new Kind(manifest).validate(), undefined, `${manifest.kind}/${manifest.metadata.name}`);
    }
  });

  test(`${name}: names are taken once`, () => {
    const names = rendered.get(name).map(({kind, metadata}) => `${kind} ${metadata.namespace}/${metadata.name}`);
    assert.deepEqual(names, [...new Set(names)]);
  });
}

test('lint without any values finds nothing', () => {
  for (const version of versions) succeed(helm(version, ['lint', '--strict', chart]));
});

// Literals of a type may have no field that the type has not.
function typedConstants(manifests) {
  const kinds = new Map(manifests.map((manifest) => [manifest.kind, moduleOf(manifest)]));
  const imports = [...kinds].map(([kind, path]) => `import type {I${kind}} from ${JSON.stringify(path)};`);
  const constants = manifests.map((manifest, index) => `export const m${index}: I${manifest.kind} = ${JSON.stringify(manifest, null, 1)};`);
  return [...imports, ...constants].join('\n');
}

// Compiles files by name -> text; what the compiler says.
function compile(files) {
  const work = `${folder}/node_modules/.cache/types`;
  rmSync(work, {recursive: true, force: true});
  mkdirSync(work, {recursive: true});
  const paths = Object.entries(files).map(([name, text]) => {
    writeFileSync(`${work}/${name}.ts`, text);
    return `${work}/${name}.ts`;
  });
  const options = ['--noEmit', '--strict', '--target', 'es2022', '--module', 'nodenext'];
  return spawnSync(process.execPath, [`${folder}/node_modules/typescript/bin/tsc`, ...options, ...paths], {encoding: 'utf8'}).stdout;
}

test('no manifest has a field that Kubernetes does not know', () => {
  const misspelt = typedConstants(rendered.get('minimal')).replace('"automountServiceAccountToken"', '"automountServiceAccountTokens"');
  const files = Object.fromEntries([...rendered].map(([name, manifests]) => [name, typedConstants(manifests)]));
  const complaints = compile({...files, misspelt}).trim().split('\n');
  assert.equal(complaints.length, 1, complaints.join('\n'));
  assert.match(complaints[0], /misspelt\.ts.*automountServiceAccountTokens/);
});

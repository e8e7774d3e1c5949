// Helm 3 and 4, and what they render.
import {spawnSync} from 'node:child_process';
import {readdirSync} from 'node:fs';
import {parseAllDocuments} from 'yaml';
import {chart, folder} from './paths.mjs';

export const versions = [3, 4];
export const release = {name: 'r', namespace: 'llm'};

const sets = readdirSync(`${folder}/values`).map((file) => file.replace(/\.yaml$/, ''));
export const valueSets = sets.map((name) => ({name, file: `${folder}/values/${name}.yaml`}));

// {status, stdout, stderr}
export function helm(version, args) {
  const result = spawnSync(`${folder}/node_modules/.cache/helm${version}/helm`, args, {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    env: {PATH: process.env.PATH, HOME: process.env.HOME},
  });
  if (result.error) throw result.error;
  return result;
}

export function succeed(result) {
  if (result.status !== 0) throw new Error(result.stderr || result.stdout);
  return result.stdout;
}

export function template(version, valuesFile, ...args) {
  return helm(version, ['template', release.name, chart, '--namespace', release.namespace, '--values', valuesFile, ...args]);
}

// Manifests, as Kubernetes reads them: YAML 1.1, where 0440 is octal.
export function parseManifests(text) {
  return parseAllDocuments(text, {version: '1.1'})
    .map((document) => {
      if (document.errors.length > 0) throw document.errors[0];
      return document.toJS();
    })
    .filter((manifest) => manifest);
}

export function render(version, valuesFile, ...args) {
  return parseManifests(succeed(template(version, valuesFile, ...args)));
}

const templated = ['Deployment', 'StatefulSet'];

// {name, spec, labels, owner} of every pod, templates and the test's.
export function podsOf(manifests) {
  return manifests
    .filter(({kind}) => kind === 'Pod' || templated.includes(kind))
    .map((owner) => {
      const pod = owner.kind === 'Pod' ? owner : owner.spec.template;
      return {name: `${owner.kind}/${owner.metadata.name}`, spec: pod.spec, labels: pod.metadata.labels, owner};
    });
}

export const containersOf = (pod) => [...(pod.spec.initContainers ?? []), ...pod.spec.containers];

export const ofKind = (manifests, kind) => manifests.filter((manifest) => manifest.kind === kind);

export function find(manifests, kind, name) {
  const found = manifests.find((manifest) => manifest.kind === kind && manifest.metadata.name === name);
  if (!found) throw new Error(`no ${kind} ${name} among ${manifests.map((m) => `${m.kind}/${m.metadata.name}`).join(', ')}`);
  return found;
}

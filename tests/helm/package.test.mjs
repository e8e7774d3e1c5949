// A packed chart stands alone: what its links lead to is in it, and rendered as it is in deploy/.
import assert from 'node:assert/strict';
import {mkdtempSync, readdirSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import test from 'node:test';
import {parse} from 'yaml';
import {find, helm, ofKind, parseManifests, release, succeed, valueSets, versions} from './helm.mjs';
import {chart, repository} from './paths.mjs';

const deploy = `${repository}/deploy`;
const {file} = valueSets.find(({name}) => name === 'everything');

function renderPacked(version) {
  const folder = mkdtempSync(`${tmpdir()}/skein-chart-`);
  try {
    succeed(helm(version, ['package', chart, '--destination', folder]));
    const [packed] = readdirSync(folder);
    return parseManifests(succeed(helm(version, ['template', release.name, `${folder}/${packed}`, '--values', file])));
  } finally {
    rmSync(folder, {recursive: true});
  }
}

for (const version of versions) {
  test(`packed by helm ${version}, the chart has every dashboard and every rule`, () => {
    const manifests = renderPacked(version);
    const dashboards = readdirSync(`${deploy}/grafana`).filter((name) => name.endsWith('.json'));
    assert.ok(dashboards.length > 0);
    const rendered = ofKind(manifests, 'ConfigMap').filter(({metadata}) => metadata.labels.grafana_dashboard);
    const contents = Object.assign({}, ...rendered.map(({data}) => data));
    assert.deepEqual(Object.keys(contents).sort(), dashboards.sort());
    for (const name of dashboards) {
      assert.deepEqual(JSON.parse(contents[name]), JSON.parse(readFileSync(`${deploy}/grafana/${name}`, 'utf8')), name);
    }
    const groups = ['rules', 'alerts'].flatMap((name) => parse(readFileSync(`${deploy}/prometheus/${name}.yaml`, 'utf8')).groups);
    assert.deepEqual(find(manifests, 'PrometheusRule', 'r-skein').spec.groups, groups);
  });
}

// Prints a rendered Deployment and its ConfigMap in the form that `podman play kube` starts on this machine's network: listeners take free
// ports of the loopback address, for which nothing has to be mapped.
//
//   node playable.mjs VALUES_FILE NAME [FROM=TO...]      FROM in the configuration becomes TO
import {stringify} from 'yaml';
import {find, render} from './helm.mjs';

const [file, name, ...replacements] = process.argv.slice(2);
const manifests = render(4, file);
const deployment = find(manifests, 'Deployment', name);
const config = find(manifests, 'ConfigMap', name);

const {spec} = deployment.spec.template;
for (const container of spec.containers) {
  delete container.ports;
  // Podman would have systemd ask for a container's health.
  for (const probe of ['startupProbe', 'readinessProbe', 'livenessProbe']) delete container[probe];
}
deployment.spec.replicas = 1;
spec.restartPolicy = 'Never'; // their ends are looked at
for (const [key, text] of Object.entries(config.data)) {
  config.data[key] = replacements
    .map((replacement) => replacement.split('='))
    .reduce((result, [from, to]) => result.replaceAll(from, to), text.replace(/"0\.0\.0\.0:\d+"/g, '"127.0.0.1:0"'));
}
process.stdout.write([config, deployment].map((manifest) => stringify(manifest)).join('---\n'));

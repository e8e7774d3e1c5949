// Values that are refused, and how both Helms say so.
import assert from 'node:assert/strict';
import test from 'node:test';
import {template, valueSets, versions} from './helm.mjs';
import {chart} from './paths.mjs';

const minimal = valueSets.find(({name}) => name === 'minimal').file;
const defaults = `${chart}/values.yaml`;

// name, --set on top of minimal.yaml, or of the defaults where it starts with a space, what Helm 3 and Helm 4 say; one text where it is the chart that says it.
const cases = [
  ['unknown key', 'replicas=2', '(root): Additional property replicas is not allowed', "additional properties 'replicas' not allowed"],
  ['unknown key of a component', 'gateway.replica=2', 'gateway: Additional property replica is not allowed', "at '/gateway': additional properties 'replica' not allowed"],
  [
    'unknown key of a model',
    'models.demo.volumes.source=x',
    'models.demo: Additional property volumes is not allowed',
    "at '/models/demo': additional properties 'volumes' not allowed",
  ],
  [
    'unknown field of a configuration',
    'models.demo.config.engine.max_seqs=1',
    'models.demo.config.engine: Additional property max_seqs is not allowed',
    "at '/models/demo/config/engine': additional properties 'max_seqs' not allowed",
  ],
  [
    'field that the chart sets',
    'gateway.config.listen=0.0.0.0:1',
    'gateway.config: Additional property listen is not allowed',
    "at '/gateway/config': additional properties 'listen' not allowed",
  ],
  [
    'text for a number',
    'models.demo.gpu.count=one',
    'models.demo.gpu.count: Invalid type. Expected: integer, given: string',
    "at '/models/demo/gpu/count': got string, want integer",
  ],
  [
    'negative number',
    'worker.config.engine.max_sequences=-1',
    'worker.config.engine.max_sequences: Must be greater than or equal to 0',
    "at '/worker/config/engine/max_sequences': minimum: got -1, want 0",
  ],
  [
    'none of the choices',
    'models.demo.kind=DaemonSet',
    'models.demo.kind must be one of the following: "Deployment", "StatefulSet"',
    "at '/models/demo/kind': value must be one of 'Deployment', 'StatefulSet'",
  ],
  ['no quantity', 'gateway.resources.limits.memory=1GB', "Does not match pattern '^[0-9]+", "'1GB' does not match pattern '^[0-9]+"],
  ['a model with capitals', 'models.Demo.path=x', 'Does not match pattern', "'Demo' does not match pattern"],
  ['no digest', 'worker.image.digest=latest', "worker.image.digest: Does not match pattern '^(sha256:", "'latest' does not match pattern '^(sha256:"],
  ['no models', ' gateway.allowNoKeys=true', 'models: empty, expected at least one entry (or gateway.workers)'],
  ['no keys', 'gateway.allowNoKeys=false', 'gateway.keys.existingSecret: empty, expected the name of a Secret'],
  ['keys and no keys', 'gateway.keys.existingSecret=x', 'gateway.allowNoKeys: true, expected false with gateway.keys.existingSecret'],
  [
    'no volume',
    ' gateway.allowNoKeys=true,models.demo.path=x',
    'models.demo.volume.source: 0 kinds of volumes, expected one, such as {persistentVolumeClaim: {claimName: NAME}}',
  ],
  ['two volumes', 'models.demo.volume.source.hostPath.path=/x', 'models.demo.volume.source: 2 kinds of volumes, expected one'],
  ['two volumes of measurements', 'models.demo.cache.source.hostPath.path=/x,models.demo.cache.source.nfs.server=x', 'models.demo.cache.source: 2 kinds of volumes, expected one'],
  ['two volumes of states', 'models.demo.registry.files.source.hostPath.path=/x,models.demo.registry.files.source.nfs.server=x', 'models.demo.registry.files.source: 2 kinds of volumes, expected one'],
  ['two manifests', 'models.demo.registry.manifest=x,models.demo.registry.manifestFile=y', 'models.demo.registry.manifestFile: expected none with manifest'],
  ['a claim of registrations for each pod of a Deployment', 'models.demo.registry.kept.enabled=true,models.demo.registry.kept.claimTemplate.storageClassName=x', 'models.demo.registry.kept.claimTemplate: expected kind: StatefulSet with it'],
  ['a place of files that the chart sets', 'models.demo.config.registry.kept=/x', 'models.demo.config.registry: Additional property kept is not allowed', "at '/models/demo/config/registry': additional properties 'kept' not allowed"],
  ['an empty model', ' gateway.allowNoKeys=true,models.demo.volume.source.emptyDir.sizeLimit=1Gi', 'models.demo.fetch.image: empty, expected the image that fills the emptyDir'],
  ['a claim for each pod of a Deployment', 'models.demo.volume.claimTemplate.storageClassName=x', 'models.demo.volume.claimTemplate: expected kind: StatefulSet with it'],
  ['the same name twice', 'models.other.name=demo,models.other.volume.source.nfs.server=x', 'models.other.name: "demo" is the name of models.demo, too'],
  ['a name of all models', 'worker.name=x', 'worker.name: expected in an entry of models'],
  [
    'a name too long',
    'fullnameOverride=a12345678901234567890123456789012345678901',
    'models.demo: its objects would be named a12345678901234567890123456789012345678901-worker-demo, expected at most 52 characters',
  ],
  ['a short grace period', 'gateway.terminationGracePeriodSeconds=30', 'gateway.terminationGracePeriodSeconds: 30, expected at least 65, what draining may take'],
  ['a short grace period of a model', 'models.demo.config.drain_timeout_s=600,models.demo.terminationGracePeriodSeconds=300', 'models.demo.terminationGracePeriodSeconds: 300, expected at least 600'],
  ['more at least than at most', 'gateway.autoscaling.enabled=true,gateway.autoscaling.minReplicas=9', 'gateway.autoscaling.minReplicas: 9, expected at most maxReplicas, 8'],
  ['KEDA without Prometheus', 'models.demo.autoscaling.type=keda', 'models.demo.autoscaling.keda.serverAddress: empty, expected the address of Prometheus'],
  ['mutual TLS without certificates', 'mutualTls.enabled=true', 'mutualTls.worker.existingSecret: empty, expected the name of a Secret with tls.crt, tls.key and ca.crt'],
  ['an ingress without hosts', 'gateway.ingress.enabled=true', 'gateway.ingress.hosts: empty, expected at least one host'],
  ['a proxy by name', 'gateway.trustedProxies={ingress}', "gateway.trustedProxies.0: Does not match pattern '^[0-9A-Fa-f.:]+", "at '/gateway/trustedProxies/0': 'ingress' does not match pattern"],
  ['a route without a Gateway', 'gateway.httpRoute.enabled=true', 'gateway.httpRoute.parentRefs: empty, expected the Gateway'],
  ['a route of gRPC without gRPC', 'gateway.grpcRoute.enabled=true', 'gateway.grpcRoute.enabled: true, expected gateway.grpc.enabled with it'],
];

for (const [name, values, ...messages] of cases) {
  for (const [index, version] of versions.entries()) {
    test(`${name}: helm ${version} says so`, () => {
      const {status, stderr} = template(version, values.startsWith(' ') ? defaults : minimal, '--set', values.trim());
      assert.notEqual(status, 0);
      const expected = messages[index] ?? messages[0];
      assert.ok(stderr.includes(expected), `expected ${expected}\nin ${stderr}`);
    });
  }
}

test('all mistakes are told at once', () => {
  const {stderr} = template(4, defaults, '--set', 'mutualTls.enabled=true');
  assert.equal(stderr.match(/: empty, expected/g).length, 4, stderr);
});

test('an older Kubernetes is refused', () => {
  for (const version of versions) {
    const {status, stderr} = template(version, minimal, '--kube-version', '1.29.0');
    assert.notEqual(status, 0);
    assert.match(stderr, /requires kubeVersion: >=1\.30\.0-0 which is incompatible with Kubernetes v1\.29\.0/);
  }
});

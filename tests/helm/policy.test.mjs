// What every rendered pod and object has to be like.
import assert from 'node:assert/strict';
import test from 'node:test';
import {containersOf, find, ofKind, podsOf, render, valueSets} from './helm.mjs';

const rendered = new Map(valueSets.map(({name, file}) => [name, render(4, file)]));
const restrictedVolumes = ['configMap', 'csi', 'downwardAPI', 'emptyDir', 'ephemeral', 'image', 'persistentVolumeClaim', 'projected', 'secret'];
// The one set with a folder of the node, which the standard forbids.
const onHostPath = new Set(['closed']);

const matches = (selector, labels) => Object.entries(selector).every(([key, value]) => labels[key] === value);
const seconds = (probe) => probe.periodSeconds * probe.failureThreshold;

function each(what, check) {
  for (const [name, manifests] of rendered) test(`${name}: ${what}`, () => check(manifests, name));
}

each('pods keep to the restricted standard', (manifests, name) => {
  for (const pod of podsOf(manifests)) {
    assert.equal(pod.spec.securityContext.runAsNonRoot, true, pod.name);
    assert.ok(pod.spec.securityContext.runAsUser > 0, pod.name);
    assert.equal(pod.spec.securityContext.seccompProfile.type, 'RuntimeDefault', pod.name);
    assert.equal(pod.spec.automountServiceAccountToken, false, pod.name);
    for (const shared of ['hostNetwork', 'hostPID', 'hostIPC']) assert.equal(pod.spec[shared], undefined, pod.name);
    for (const {name: volume, ...source} of pod.spec.volumes ?? []) {
      const kinds = onHostPath.has(name) ? [...restrictedVolumes, 'hostPath'] : restrictedVolumes;
      assert.ok(kinds.includes(Object.keys(source)[0]), `${pod.name}: volume ${volume}`);
    }
    for (const container of containersOf(pod)) {
      const context = container.securityContext;
      assert.equal(context.allowPrivilegeEscalation, false, `${pod.name} ${container.name}`);
      assert.equal(context.readOnlyRootFilesystem, true, `${pod.name} ${container.name}`);
      assert.deepEqual(context.capabilities, {drop: ['ALL']}, `${pod.name} ${container.name}`);
    }
  }
});

each('containers have requests, limits and a fixed image', (manifests) => {
  for (const pod of podsOf(manifests)) {
    for (const {name, image, resources} of containersOf(pod)) {
      for (const part of ['requests', 'limits']) {
        for (const resource of ['cpu', 'memory']) assert.ok(resources[part][resource], `${pod.name} ${name} ${part}.${resource}`);
      }
      assert.match(image, /(:[^:/]+|@sha256:[0-9a-f]{64})$/, `${pod.name} ${name}`);
      assert.doesNotMatch(image, /:latest$/, `${pod.name} ${name}`);
    }
  }
});

each('servers have three probes on ports that they have', (manifests) => {
  for (const pod of podsOf(manifests).filter(({owner}) => owner.kind !== 'Pod')) {
    const [container] = pod.spec.containers;
    for (const name of ['startupProbe', 'readinessProbe', 'livenessProbe']) {
      const probe = container[name];
      const port = probe.grpc?.port ?? probe.httpGet.port;
      assert.ok(
        container.ports.some((known) => known.name === port || known.containerPort === port),
        `${pod.name} ${name}: ${port}`,
      );
    }
    assert.ok(seconds(container.startupProbe) >= 60, pod.name);
    assert.ok(seconds(container.livenessProbe) >= 30, `${pod.name}: a slow moment is no reason to restart`);
  }
});

each('pods have time to drain', (manifests) => {
  for (const pod of podsOf(manifests).filter(({owner}) => owner.kind !== 'Pod')) {
    const [container] = pod.spec.containers;
    const {data} = find(manifests, 'ConfigMap', pod.owner.metadata.name);
    const drain = Number(Object.values(data)[0].match(/^drain_timeout_s: (\d+)$/m)[1]);
    const sleep = container.lifecycle?.preStop.sleep.seconds ?? 0;
    assert.ok(pod.spec.terminationGracePeriodSeconds > drain + sleep, pod.name);
  }
});

each('what is stuck is killed soon, rather than given the time to drain', (manifests) => {
  for (const pod of podsOf(manifests).filter(({owner}) => owner.kind !== 'Pod')) {
    const [{livenessProbe, readinessProbe}] = pod.spec.containers;
    assert.equal(livenessProbe.terminationGracePeriodSeconds, 10, pod.name);
    assert.equal(readinessProbe.terminationGracePeriodSeconds, undefined, `${pod.name}: Kubernetes refuses it there`);
  }
});

each('mounts have volumes, and volumes have mounts', (manifests) => {
  for (const pod of podsOf(manifests)) {
    const claims = pod.owner.spec.volumeClaimTemplates ?? [];
    const volumes = [...(pod.spec.volumes ?? []), ...claims.map(({metadata}) => metadata)].map(({name}) => name);
    const mounts = containersOf(pod).flatMap(({volumeMounts}) => (volumeMounts ?? []).map(({name}) => name));
    assert.deepEqual([...new Set(mounts)].sort(), volumes.sort(), pod.name);
    for (const {name, configMap} of pod.spec.volumes ?? []) {
      if (configMap && name === 'config') find(manifests, 'ConfigMap', configMap.name);
    }
  }
});

each('selectors select the pods that they are for, and only those', (manifests) => {
  const pods = podsOf(manifests);
  const selected = (selector) => pods.filter(({labels}) => matches(selector, labels)).map(({name}) => name);
  for (const {kind, metadata, spec} of manifests) {
    if (['Deployment', 'StatefulSet'].includes(kind)) {
      assert.deepEqual(selected(spec.selector.matchLabels), [`${kind}/${metadata.name}`]);
    } else if (kind === 'Service') {
      assert.deepEqual(selected(spec.selector).length, 1, metadata.name);
    } else if (kind === 'PodDisruptionBudget') {
      assert.deepEqual(selected(spec.selector.matchLabels).map((name) => name.split('/')[1]), [metadata.name]);
    } else if (kind === 'NetworkPolicy') {
      const component = metadata.name.endsWith('-gateway') ? 'gateway' : 'worker';
      const expected = pods.filter(({labels}) => labels['app.kubernetes.io/component'] === component).map(({name}) => name);
      assert.deepEqual(selected(spec.podSelector.matchLabels), expected);
    }
  }
});

each('Services and policies name ports of their pods', (manifests) => {
  const ports = (selector) =>
    podsOf(manifests)
      .filter(({labels}) => matches(selector, labels))
      .flatMap(({spec}) => spec.containers.flatMap((container) => container.ports));
  for (const {metadata, spec} of ofKind(manifests, 'Service')) {
    for (const {targetPort} of spec.ports) {
      assert.ok(ports(spec.selector).some(({name}) => name === targetPort), `${metadata.name}: ${targetPort}`);
    }
  }
  for (const {metadata, spec} of ofKind(manifests, 'NetworkPolicy')) {
    const own = ports(spec.podSelector.matchLabels).map(({containerPort}) => containerPort);
    for (const {port} of spec.ingress.flatMap((rule) => rule.ports)) assert.ok(own.includes(port), `${metadata.name}: ${port}`);
  }
});

each('the gateway may reach its workers, and nobody else may', (manifests) => {
  const policies = ofKind(manifests, 'NetworkPolicy');
  if (policies.length === 0) return;
  const [gateway, worker] = ['gateway', 'worker'].map((name) => policies.find(({metadata}) => metadata.name === `r-skein-${name}`));
  const grpc = worker.spec.ingress.find(({ports}) => ports.some(({port}) => port === 50051));
  assert.deepEqual(grpc.from, [{podSelector: gateway.spec.podSelector}]);
  const out = gateway.spec.egress.find(({ports}) => ports.some(({port}) => port === 50051));
  assert.deepEqual(out.to, [{podSelector: worker.spec.podSelector}]);
});

each('names can be resolved, and Prometheus gets to the metrics, from its namespace alone', (manifests) => {
  for (const {metadata, spec} of ofKind(manifests, 'NetworkPolicy')) {
    const dns = spec.egress.find(({ports}) => ports.some(({port}) => port === 53));
    assert.deepEqual(dns.ports.map(({port, protocol}) => `${port}/${protocol}`), ['53/UDP', '53/TCP'], metadata.name);
    assert.ok(dns.to.length > 0, metadata.name);
    const scrape = spec.ingress.find(({ports}) => ports.some(({port}) => port === 9091));
    assert.deepEqual(scrape.ports.map(({port}) => port), [9091], metadata.name);
    const namespaces = scrape.from.map(({namespaceSelector}) => namespaceSelector.matchLabels['kubernetes.io/metadata.name']);
    assert.deepEqual(namespaces, ['monitoring'], metadata.name);
  }
});

each('what is scaled has no replicas of its own', (manifests) => {
  for (const {kind, spec} of manifests.filter((m) => ['HorizontalPodAutoscaler', 'ScaledObject'].includes(m.kind))) {
    const target = find(manifests, spec.scaleTargetRef.kind, spec.scaleTargetRef.name);
    assert.equal(target.spec.replicas, undefined, `${kind} of ${target.metadata.name}`);
  }
});

each('another configuration restarts the pods, another version of the chart does not', (manifests) => {
  for (const pod of podsOf(manifests).filter(({owner}) => owner.kind !== 'Pod')) {
    assert.match(pod.owner.spec.template.metadata.annotations['checksum/config'], /^[0-9a-f]{64}$/, pod.name);
    assert.doesNotMatch(JSON.stringify(pod.labels), /helm.sh\/chart|app.kubernetes.io\/version/, pod.name);
  }
});

each('monitors find the pods, under jobs that the alerts look for', (manifests) => {
  for (const {kind, spec} of manifests.filter((m) => ['PodMonitor', 'ServiceMonitor'].includes(m.kind))) {
    const found = kind === 'PodMonitor' ? podsOf(manifests).map(({labels}) => labels) : ofKind(manifests, 'Service').map(({metadata}) => metadata.labels);
    const components = found.filter((labels) => matches(spec.selector.matchLabels, labels)).map((labels) => labels['app.kubernetes.io/component']);
    const [{values}] = spec.selector.matchExpressions;
    assert.deepEqual(values.filter((value) => !components.includes(value)), []);
    const [{relabelings}] = spec.podMetricsEndpoints ?? spec.endpoints;
    assert.deepEqual(relabelings.map(({targetLabel, replacement}) => [targetLabel, replacement]), [['job', 'skein-$1']]);
  }
});

each('Secrets are named, never rendered', (manifests) => assert.deepEqual(ofKind(manifests, 'Secret'), []));

test('workers on GPUs may write where they keep their measurements, and nowhere else', () => {
  const {file} = valueSets.find(({name}) => name === 'gpu');
  const look = (model, ...args) => {
    const manifests = render(4, file, ...args);
    const {spec} = find(manifests, 'Deployment', `r-skein-worker-${model}`).spec.template;
    const writable = spec.containers[0].volumeMounts.filter(({readOnly}) => !readOnly).map(({name, mountPath}) => [name, mountPath]);
    const [, folder] = find(manifests, 'ConfigMap', `r-skein-worker-${model}`).data['worker.txtpb'].match(/cache_dir: "(.*)"/) ?? [];
    return {writable, folder, volume: spec.volumes.find(({name}) => name === 'cache')};
  };
  const claim = {name: 'cache', persistentVolumeClaim: {claimName: 'skein-cache'}};
  assert.deepEqual(look('rwkv7-1b5'), {writable: [['cache', '/var/cache/skein']], folder: '/var/cache/skein', volume: claim});
  const ofPod = {name: 'cache', emptyDir: {sizeLimit: '64Mi'}};
  assert.deepEqual(look('hybrid-7b', '--set', 'worker.cache.mountPath=/c'), {writable: [['cache', '/c']], folder: '/c', volume: ofPod});
  assert.deepEqual(look('hybrid-7b', '--set', 'models.hybrid-7b.gpu.count=0'), {writable: [], folder: undefined, volume: undefined});
});

test('the registry has its files, and a place for what clients register', () => {
  const look = (set, kind, name) => {
    const manifests = render(4, valueSets.find((each) => each.name === set).file);
    const {spec} = find(manifests, kind, name);
    const ours = ({name: volume}) => ['states', 'kept'].includes(volume);
    return {
      mounts: spec.template.spec.containers[0].volumeMounts.filter(ours),
      volumes: spec.template.spec.volumes.filter(ours),
      claims: (spec.volumeClaimTemplates ?? []).map(({metadata}) => metadata.name),
    };
  };
  assert.deepEqual(look('secured', 'Deployment', 'r-skein-worker-demo'), {
    mounts: [{name: 'states', mountPath: '/states', readOnly: true}, {name: 'kept', mountPath: '/var/lib/skein'}],
    volumes: [{name: 'states', persistentVolumeClaim: {claimName: 'states', readOnly: true}}, {name: 'kept', emptyDir: {sizeLimit: '64Mi'}}],
    claims: [],
  });
  assert.deepEqual(look('everything', 'StatefulSet', 'r-skein-worker-fetched'), {
    mounts: [{name: 'states', mountPath: '/srv/states', readOnly: true, subPath: 'tuned'}, {name: 'kept', mountPath: '/var/lib/kept'}],
    volumes: [{name: 'states', image: {reference: 'registry.example.com/states:1'}}],
    claims: ['kept', 'model'],
  });
});

test('a changed manifest of states replaces the pods', () => {
  const {file} = valueSets.find(({name}) => name === 'secured');
  const checksum = (...args) =>
    find(render(4, file, ...args), 'Deployment', 'r-skein-worker-demo').spec.template.metadata.annotations['checksum/config'];
  assert.notEqual(checksum(), checksum('--set', 'models.demo.registry.manifest='));
  const other = 'models.demo.registry.manifest=state { name: "other" path: "/states/other.pth" }';
  assert.notEqual(checksum(), checksum('--set', other));
  assert.equal(checksum('--set', other), checksum('--set', other));
});

test('a changed configuration changes the checksum of its own pods alone', () => {
  const {file} = valueSets.find(({name}) => name === 'gpu');
  const checksums = (...args) =>
    Object.fromEntries(
      podsOf(render(4, file, ...args))
        .filter(({owner}) => owner.kind !== 'Pod')
        .map(({name, owner}) => [name, owner.spec.template.metadata.annotations['checksum/config']]),
    );
  const before = checksums();
  const after = checksums('--set', 'models.hybrid-7b.config.engine.max_queue=7');
  const changed = Object.keys(before).filter((name) => before[name] !== after[name]);
  assert.deepEqual(changed, ['Deployment/r-skein-worker-hybrid-7b']);
});

test('an entry of models lays its values over those of worker, false and 0 too', () => {
  const {file} = valueSets.find(({name}) => name === 'gpu');
  const manifests = render(4, file, '--set', 'models.hybrid-7b.gpu.count=0,models.hybrid-7b.podDisruptionBudget.enabled=false');
  const [container] = find(manifests, 'Deployment', 'r-skein-worker-hybrid-7b').spec.template.spec.containers;
  assert.equal(container.image, 'skein-worker:0.1.0');
  assert.equal(container.resources.limits['nvidia.com/gpu'], undefined);
  assert.match(find(manifests, 'ConfigMap', 'r-skein-worker-hybrid-7b').data['worker.txtpb'], /device: "cpu"/);
  const budgets = ofKind(manifests, 'PodDisruptionBudget').map(({metadata}) => metadata.name);
  assert.deepEqual(budgets, ['r-skein-gateway', 'r-skein-worker-rwkv7-1b5']);
});

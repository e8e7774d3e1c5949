// Rendered pods, started as processes: their probes say yes, the commands of NOTES and of helm test get answers, they end in time.
import assert from 'node:assert/strict';
import {execFile, spawnSync} from 'node:child_process';
import {createHash} from 'node:crypto';
import {once} from 'node:events';
import {mkdirSync, readFileSync} from 'node:fs';
import {connect} from 'node:http2';
import test from 'node:test';
import {promisify} from 'node:util';
import {makeCertificates} from './certificates.mjs';
import {find, helm, release, render, succeed, valueSets} from './helm.mjs';
import {chart, repository} from './paths.mjs';
import {Pods, programs, until} from './pods.mjs';

const run = promisify(execFile);
const key = 'sk-test-of-the-chart';
const named = (name) => valueSets.find((set) => set.name === name).file;

function notes(file) {
  const args = ['install', release.name, chart, '--namespace', release.namespace, '--dry-run=client', '--values', file];
  return succeed(helm(4, args)).split('\nNOTES:\n')[1];
}

// The curl command of NOTES, against another address.
const curlOf = (text, address) => text.match(/^ {2}(curl [^]*?)\n(?!.*\\$)(?! {4})/m)[1].replace(/127\.0\.0\.1:8080/, address);

async function probe(container, name, addresses) {
  const {grpc, httpGet} = container[name];
  if (grpc) {
    const address = addresses[grpc.port];
    const {status, stderr} = spawnSync(programs.worker, ['--health-check', `${address}/${grpc.service}`], {encoding: 'utf8'});
    return {ok: status === 0, text: stderr};
  }
  const {containerPort} = container.ports.find((port) => port.name === httpGet.port);
  const response = await fetch(`http://${addresses[containerPort]}${httpGet.path}`);
  return {ok: response.ok, text: await response.text()};
}

async function expectProbes(manifests, name, addresses) {
  const [container] = find(manifests, 'Deployment', name).spec.template.spec.containers;
  for (const kind of ['startupProbe', 'livenessProbe', 'readinessProbe']) {
    await until(`${name}: ${kind}`, async () => (await probe(container, kind, addresses)).ok);
  }
}

async function terminate({child}) {
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  assert.deepEqual(await ended, [0, null]);
}

// Starts the pods of the set, hands them to `check`, ends them. `makePlaces` says where their mounts are here.
async function serve(set, makePlaces, check) {
  const manifests = render(4, named(set));
  const pods = new Pods();
  try {
    const places = makePlaces(pods);
    const model = {'/models/demo-model': `${repository}/deploy/demo-model`};
    const worker = await pods.start(manifests, 'r-skein-worker-demo', {...model, ...places.worker});
    const port = worker.addresses[50051].split(':').at(-1);
    const source = {'r-skein-worker-demo.llm.svc.cluster.local:50051': `localhost:${port}`};
    const gateway = await pods.start(manifests, 'r-skein-gateway', {...source, ...places.gateway});
    await expectProbes(manifests, 'r-skein-worker-demo', worker.addresses);
    await expectProbes(manifests, 'r-skein-gateway', gateway.addresses);
    await check({manifests, worker, gateway, places});
    await terminate(gateway);
    await terminate(worker);
  } finally {
    await pods.stop();
  }
}

async function expectNotesAnswer(set, gateway) {
  const text = notes(named(set));
  const {stdout} = await run('bash', ['-c', curlOf(text, gateway.addresses[8080])], {env: {...process.env, SKEIN_API_KEY: key}});
  assert.match(stdout, /"delta"/);
  assert.match(stdout, /data: \[DONE\]/);
}

async function expectTestPodSucceeds(manifests, scheme, gateway, environment) {
  const [{command, args}] = find(manifests, 'Pod', 'r-skein-test').spec.containers;
  const env = {...process.env, SKEIN_URL: `${scheme}://${gateway.addresses[8080]}`, ...environment};
  const {stdout} = await run(command[0], [...command.slice(1), ...args], {env});
  assert.match(stdout, /"finish_reason"/);
}

test('minimal: pods serve', () =>
  serve(
    'minimal',
    () => ({}),
    async ({manifests, gateway}) => {
      await expectNotesAnswer('minimal', gateway);
      await expectTestPodSucceeds(manifests, 'http', gateway, {});
    },
  ));

// The status of a call about the model `demo`, over TLS, to the name that the certificate is for.
async function grpcStatus(address, ca, headers) {
  const session = connect(`https://${address}`, {ca, servername: 'llm.example.com'});
  try {
    const request = session.request({
      ':method': 'POST',
      ':path': '/skein.v1.InferenceService/Detokenize',
      'content-type': 'application/grpc',
      te: 'trailers',
      ...headers,
    });
    let status;
    const take = (each) => (status = each['grpc-status'] ?? status);
    request.on('response', take).on('trailers', take).resume();
    request.end('\0\0\0\0\x06\x0a\x04demo'); // a frame of 6 bytes: field 1, 4 bytes
    await once(request, 'close');
    return status;
  } finally {
    session.destroy();
  }
}

// The Secrets that the set names, as folders.
function mountSecrets(pods) {
  const work = `${pods.folder}/authority`;
  mkdirSync(work);
  const [server, worker, client] = makeCertificates(work, ['llm.example.com', 'r-skein-worker.llm.svc', 'gateway']);
  const sha256 = createHash('sha256').update(key).digest('hex');
  return {
    gateway: {
      '/etc/skein/keys': pods.mount('keys', {keys: `key { name: "test" sha256: "${sha256}" role: "inference" }`}),
      '/etc/skein/tls': pods.mount('server', server),
      '/etc/skein/worker-tls': pods.mount('client', client),
    },
    worker: {
      '/etc/skein/tls': pods.mount('worker', worker),
      '"/states"': `"${pods.mount('states', {})}"`,
      '/var/lib/skein': pods.mount('kept', {}),
    },
  };
}

test('secured: pods serve those who have a key, over TLS, and workers only the gateway', () =>
  serve(
    'secured',
    mountSecrets,
    async ({manifests, gateway, worker, places}) => {
      await expectNotesAnswer('secured', gateway);
      await expectTestPodSucceeds(manifests, 'https', gateway, {SKEIN_API_KEY: key});
      await assert.rejects(expectTestPodSucceeds(manifests, 'https', gateway, {SKEIN_API_KEY: 'sk-wrong'}), /401/);
      const ca = readFileSync(`${places.gateway['/etc/skein/tls']}/ca.crt`);
      assert.equal(await grpcStatus(gateway.addresses[8081], ca, {authorization: `Bearer ${key}`}), '0');
      assert.equal(await grpcStatus(gateway.addresses[8081], ca, {}), '16');
      const direct = spawnSync(programs.worker, ['--health-check', worker.addresses[50051]], {encoding: 'utf8'});
      assert.notEqual(direct.status, 0);
      const metrics = await (await fetch(`http://${worker.addresses[9091]}/metrics`)).text();
      assert.match(metrics, /^skein_worker_registry_entries\{kind="state",model="demo"\} 2$/m);
      assert.match(metrics, /^skein_worker_registry_entries\{kind="mixture",model="demo"\} 1$/m);
    },
  ));

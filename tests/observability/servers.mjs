// Two workers, a gateway with TLS and keys, and a Prometheus that reads deploy/prometheus, all on free ports.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { getText, start, stop, until } from '../e2e/node/processes.mjs';
import { path, read } from './deploy.mjs';

const { SKEIN_WORKER, SKEIN_GATEWAY } = process.env;
const KEYS = { test: 'sk-test', few: 'sk-few' };

function makeCertificate(folder) {
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30',
    '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1',
    '-keyout', join(folder, 'key.pem'), '-out', join(folder, 'certificate.pem')], { stdio: 'pipe' });
}

const keyEntry = (name, more) =>
  `key { name: "${name}" sha256: "${createHash('sha256').update(KEYS[name]).digest('hex')}" role: "inference" ${more} }\n`;

function write(folder, name, text) {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
}

async function startWorker(folder, name) {
  const config = write(folder, `${name}.txtpb`, `
    listen: "127.0.0.1:0" metrics_listen: "127.0.0.1:0" vllm_metrics: true log_format: "json"
    model { path: "${path('deploy/demo-model')}" name: "demo" }
    engine { device: "cpu" threads: 1 max_sequences: 2 max_queue: 1 kv_bytes: 16777216 }
    tls { certificate: "${folder}/certificate.pem" key: "${folder}/key.pem" }`);
  return start(SKEIN_WORKER, ['--config', config], ['metrics listening', 'listening', 'model ready']);
}

async function startGateway(folder, workers) {
  write(folder, 'keys.txtpb', keyEntry('test', '') + keyEntry('few', 'requests_per_minute: 1'));
  const config = write(folder, 'gateway.txtpb', `
    listen: "127.0.0.1:0" metrics_listen: "127.0.0.1:0" log_format: "json" threads: 1 routing { silence_ms: 1500 }
    trusted_proxy: "127.0.0.0/8"
    ${workers.map((worker) => `worker: "${worker.address('listening')}"`).join(' ')}
    keys_file: "${folder}/keys.txtpb"
    tls { certificate: "${folder}/certificate.pem" key: "${folder}/key.pem" }
    worker_tls { ca: "${folder}/certificate.pem" }`);
  return start(SKEIN_GATEWAY, ['--config', config], ['metrics listening', 'listening']);
}

// The example configuration, with other addresses and shorter intervals.
async function startPrometheus(folder, gateway, workers) {
  for (const name of ['rules.yaml', 'alerts.yaml']) copyFileSync(path(`deploy/prometheus/${name}`), join(folder, name));
  const addresses = (processes) => JSON.stringify(processes.map((each) => each.address('metrics listening')));
  const config = read('deploy/prometheus/prometheus.yml')
    .replace('scrape_interval: 15s', 'scrape_interval: 500ms\n  scrape_timeout: 500ms')
    .replace('evaluation_interval: 15s', 'evaluation_interval: 500ms')
    .replace('["127.0.0.1:9092"]', addresses([gateway]))
    .replace('["127.0.0.1:9091"]', addresses(workers));
  return start('prometheus', [`--config.file=${write(folder, 'prometheus.yml', config)}`, `--storage.tsdb.path=${folder}/tsdb`,
    '--web.listen-address=127.0.0.1:0'], ['Listening on']);
}

export async function startAll() {
  const folder = mkdtempSync(join(tmpdir(), 'skein-observability-'));
  makeCertificate(folder);
  const workers = await Promise.all([startWorker(folder, 'a'), startWorker(folder, 'b')]);
  const gateway = await startGateway(folder, workers);
  const prometheus = await startPrometheus(folder, gateway, workers);
  await until('Prometheus is ready', async () => (await fetch(`http://${prometheus.address('Listening on')}/-/ready`)).ok);
  const probes = `http://${gateway.address('metrics listening')}`;
  await until('the gateway is ready', async () => (await fetch(`${probes}/readyz`)).ok);
  const ca = readFileSync(join(folder, 'certificate.pem'));
  return {
    workers,
    gateway,
    api: `http://${prometheus.address('Listening on')}/api/v1`,
    metricsOf: (process) => getText(`http://${process.address('metrics listening')}/metrics`),
    ask: (path, options) => ask(`https://${gateway.address('listening')}${path}`, { ca, ...options }),
    stop: async () => {
      await Promise.all([prometheus, gateway, ...workers].map(({ child }) => stop(child)));
      rmSync(folder, { recursive: true });
    },
  };
}

// Status, headers and body. With `leave`, the connection is closed after the first bytes of the answer.
function ask(url, { ca, body, key = KEYS.test, headers = {}, leave = false }) {
  return new Promise((resolve, reject) => {
    const request = https.request(url, { ca, agent: false, method: body === undefined ? 'GET' : 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers } });
    request.on('error', reject);
    request.on('response', (response) => {
      let text = '';
      response.on('error', () => resolve({ status: response.statusCode, text }));
      response.on('data', (part) => {
        text += part;
        if (leave) request.destroy();
      });
      response.on('close', () => resolve({ status: response.statusCode, headers: response.headers, text }));
    });
    request.end(typeof body === 'object' ? JSON.stringify(body) : body);
  });
}

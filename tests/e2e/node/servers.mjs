// A worker with the demo model and a gateway, as processes on free ports, and a client for them.
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import http from 'node:http';
import {createInterface} from 'node:readline';
import OpenAI from 'openai';

export const model = 'demo';

// Starts a server and resolves with its log lines, by event name, once those in `events` are there.
async function start(program, args, events) {
  const child = spawn(program, args, {stdio: ['ignore', 'inherit', 'pipe']});
  const log = [];
  const found = new Map();
  await new Promise((resolve, reject) => {
    createInterface({input: child.stderr}).on('line', (line) => {
      log.push(line);
      const event = events.find((name) => line.includes(` event="${name}"`));
      if (event) found.set(event, line);
      if (found.size === events.length) resolve();
    });
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`${program} ended with ${code}:\n${log.join('\n')}`)));
  });
  const address = (event) => found.get(event).match(/ address="?([^" ]+)/)[1];
  return {child, address};
}

async function stop(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 20000);
  await ended;
  clearTimeout(timer);
}

export async function until(what, condition, milliseconds = 10000) {
  const end = Date.now() + milliseconds;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`timed out: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

// A connection of its own: the metrics port closes idle ones, which a pool of connections learns too late.
function getText(url) {
  return new Promise((resolve, reject) => {
    http
      .get(url, {agent: false}, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (part) => (text += part));
        response.on('end', () => resolve(text));
      })
      .on('error', reject);
  });
}

// The programs and the model's folder come from the environment. `gauge` reads a metric of the worker.
export async function startServers() {
  const {SKEIN_WORKER, SKEIN_GATEWAY, SKEIN_MODEL} = process.env;
  const worker = await start(
    SKEIN_WORKER,
    ['--model', SKEIN_MODEL, '--name', model, '--listen', '127.0.0.1:0', '--metrics-listen', '127.0.0.1:0'],
    ['metrics listening', 'listening', 'model ready'],
  );
  const gateway = await start(
    SKEIN_GATEWAY,
    ['--worker', worker.address('listening'), '--listen', '127.0.0.1:0', '--grpc-listen', '127.0.0.1:0'],
    ['listening', 'grpc listening'],
  );
  const url = `http://${gateway.address('listening')}`;
  await until('the gateway is ready', async () => (await fetch(`${url}/readyz`)).ok);
  const metricsUrl = `http://${worker.address('metrics listening')}/metrics`;
  return {
    url,
    grpcAddress: gateway.address('grpc listening'),
    client: new OpenAI({baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0}),
    gauge: async (name) => {
      const text = await getText(metricsUrl);
      return Number(text.match(new RegExp(`^${name}\\{[^}]*\\} (\\S+)`, 'm'))[1]);
    },
    stop: async () => {
      await stop(gateway.child);
      await stop(worker.child);
    },
  };
}

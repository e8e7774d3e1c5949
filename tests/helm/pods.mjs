// Rendered pods as processes of this machine: their configurations with the places and addresses of here.
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {createInterface} from 'node:readline';
import {find} from './helm.mjs';
import {repository} from './paths.mjs';

export const programs = {
  gateway: process.env.SKEIN_GATEWAY ?? `${repository}/build/cpu/gateway/skein-gateway`,
  worker: process.env.SKEIN_WORKER ?? `${repository}/build/cpu/worker/skein-worker`,
};

// What listeners are called in the log, by the port of the container.
const events = {
  gateway: {8080: 'listening', 8081: 'grpc listening', 9091: 'metrics listening'},
  worker: {50051: 'listening', 50052: 'health listening', 9091: 'metrics listening'},
};

const replaceAll = (text, replacements) =>
  Object.entries(replacements).reduce((result, [from, to]) => result.replaceAll(from, to), text);

// {event, address} of a line in either format of logs.
function parseLogLine(line) {
  if (line.startsWith('{')) return JSON.parse(line);
  return {event: line.match(/ event="([^"]*)"/)?.[1], address: line.match(/ address="?([^" ]+)/)?.[1]};
}

export class Pods {
  folder = mkdtempSync(`${tmpdir()}/skein-pods-`);
  processes = [];

  // A ConfigMap or Secret as a folder of files: {name: contents}.
  mount(name, files) {
    const path = `${this.folder}/${name}`;
    mkdirSync(path, {recursive: true});
    for (const [file, contents] of Object.entries(files)) writeFileSync(`${path}/${file}`, contents);
    return path;
  }

  // Starts the first container of the Deployment's pod and resolves with its addresses by container port. `places` are what
  // its configuration says of other mounts and addresses, with what to say here.
  async start(manifests, name, places) {
    const [container] = find(manifests, 'Deployment', name).spec.template.spec.containers;
    const listeners = container.ports.map(({containerPort}) => containerPort);
    const here = Object.fromEntries(listeners.map((port) => [`0.0.0.0:${port}"`, '127.0.0.1:0"']));
    const {data} = find(manifests, 'ConfigMap', name);
    const own = {'/etc/skein/config': `${this.folder}/${name}`};
    const config = Object.entries(data).map(([file, text]) => [file, replaceAll(text, {...here, ...own, ...places})]);
    const folder = this.mount(name, Object.fromEntries(config));
    const args = container.args.map((arg) => arg.replace('/etc/skein/config', folder));
    const wanted = Object.fromEntries(listeners.map((port) => [events[container.name][port], port]));
    return this.run(programs[container.name], args, wanted);
  }

  async run(program, args, wanted) {
    const child = spawn(program, args, {stdio: ['ignore', 'inherit', 'pipe']});
    this.processes.push(child);
    const log = [];
    const addresses = {};
    const missing = new Set(Object.keys(wanted));
    await new Promise((resolve, reject) => {
      createInterface({input: child.stderr}).on('line', (line) => {
        log.push(line);
        const {event, address} = parseLogLine(line);
        if (missing.delete(event)) addresses[wanted[event]] = address;
        if (missing.size === 0) resolve();
      });
      child.once('error', reject);
      child.once('exit', (code) => reject(new Error(`${program} ended with ${code}:\n${log.join('\n')}`)));
    });
    return {child, addresses, log};
  }

  async stop() {
    for (const child of this.processes) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    }
    rmSync(this.folder, {recursive: true, force: true});
  }
}

export async function until(what, condition, milliseconds = 20000) {
  const end = Date.now() + milliseconds;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`timed out: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

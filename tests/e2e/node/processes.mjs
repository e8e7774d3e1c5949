// Processes on free ports: started, awaited by their log lines, stopped.
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import http from 'node:http';
import {createInterface} from 'node:readline';

// Starts a server and resolves once the log lines of all `events` are there. `address` reads it from the line of an event; `log`
// has all lines, text or JSON, and goes on growing.
export async function start(program, args, events) {
  const child = spawn(program, args, {stdio: ['ignore', 'inherit', 'pipe']});
  const log = [];
  const found = new Map();
  await new Promise((resolve, reject) => {
    createInterface({input: child.stderr}).on('line', (line) => {
      log.push(line);
      const event = events.find((name) => line.includes(`="${name}"`) || line.includes(`:"${name}"`));
      if (event) found.set(event, line);
      if (found.size === events.length) resolve();
    });
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`${program} ended with ${code}:\n${log.join('\n')}`)));
  });
  const address = (event) => found.get(event).match(/[ "]address"?[=:]"?([^" ]+)/)[1];
  return {child, address, log};
}

export async function stop(child) {
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
export function getText(url) {
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

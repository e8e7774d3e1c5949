// A worker with the demo model and a gateway, as processes on free ports, and a client for them.
import OpenAI from 'openai';

import {getText, start, stop, until} from './processes.mjs';

export {until};

export const model = 'demo';

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
    ['--worker', worker.address('listening'), '--listen', '127.0.0.1:0', '--grpc-listen', '127.0.0.1:0',
      '--trusted-proxy', '127.0.0.1'],
    ['listening', 'grpc listening'],
  );
  const url = `http://${gateway.address('listening')}`;
  await until('the gateway is ready', async () => (await fetch(`${url}/readyz`)).ok);
  const metricsUrl = `http://${worker.address('metrics listening')}/metrics`;
  return {
    url,
    gatewayLog: gateway.log,
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

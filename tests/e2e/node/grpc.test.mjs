// What a gRPC client of another language finds at the gateway.
import assert from 'node:assert/strict';
import {after, before, test} from 'node:test';
import {fileURLToPath} from 'node:url';
import grpc from '@grpc/grpc-js';
import protoLoader from '@grpc/proto-loader';
import {model, startServers, until} from './servers.mjs';

const proto = grpc.loadPackageDefinition(
  protoLoader.loadSync(['skein/v1/inference.proto', 'skein/v1/registry.proto'], {
    includeDirs: [fileURLToPath(new URL('../../../proto', import.meta.url))],
    keepCase: true,
    enums: String,
    longs: Number,
  }),
).skein.v1;

let servers;
let inference;
let registry;

before(async () => {
  servers = await startServers();
  const credentials = grpc.credentials.createInsecure();
  inference = new proto.InferenceService(servers.grpcAddress, credentials);
  registry = new proto.RegistryService(servers.grpcAddress, credentials);
});
after(async () => {
  inference?.close();
  registry?.close();
  await servers?.stop();
});

const chat = (content) => ({chat: {turns: [{role: 'user', content}]}});
const sum = {model, prompt: chat('What is 345 + 278?'), sampling: {temperature: 0}};
const endless = {
  model,
  prompt: {text: 'One two three'},
  stopping: {max_tokens: 4000, ignore_eos: true},
};

function unary(client, method, request) {
  return new Promise((resolve, reject) => {
    client[method](request, (error, response) => (error ? reject(error) : resolve(response)));
  });
}

test('a generation streams its text, and ends with its reason and usage', async () => {
  const metadata = new grpc.Metadata();
  metadata.set('x-request-id', 'from-node');
  const call = inference.Generate(sum, metadata);
  let headers;
  call.on('metadata', (received) => (headers = received));
  const messages = [];
  for await (const message of call) messages.push(message);
  assert.equal(messages.map((message) => message.text ?? '').join(''), '623');
  assert.ok(messages[0].started.prompt_tokens > 0);
  assert.equal(messages.filter((message) => message.finish === 'FINISH_REASON_STOP').length, 1);
  const {usage} = messages.at(-1);
  assert.equal(usage.prompt_tokens, messages[0].started.prompt_tokens);
  assert.ok(usage.completion_tokens > 0);
  assert.deepEqual(headers.get('x-request-id'), ['from-node']);
});

test('text and tokens are changed into each other', async () => {
  const {tokens} = await unary(inference, 'Tokenize', {model, prompt: {text: 'What is 1 + 1?'}});
  assert.ok(tokens.length > 0);
  const {text} = await unary(inference, 'Detokenize', {model, ids: tokens.map((token) => token.id)});
  assert.equal(text, 'What is 1 + 1?');
});

test('the access line names the client that a trusted proxy tells of, whatever the client itself has claimed', async () => {
  const metadata = new grpc.Metadata();
  metadata.set('x-request-id', 'from-afar');
  metadata.set('x-forwarded-for', '198.51.100.1, 203.0.113.7');
  await new Promise((resolve, reject) => {
    inference.Tokenize({model, prompt: {text: '1'}}, metadata, (error) => (error ? reject(error) : resolve()));
  });
  const find = () => servers.gatewayLog.find((line) => line.includes('request=from-afar '));
  await until('the access line', async () => find());
  assert.match(find(), / client=203\.0\.113\.7 proxy="?127\.0\.0\.1:\d+"? method=gRPC /);
});

test('a cancelled generation frees its slot', async () => {
  const call = inference.Generate(endless);
  const ended = new Promise((resolve) => call.on('error', resolve));
  await new Promise((resolve) => call.once('data', resolve));
  assert.equal(await servers.gauge('skein_worker_running_sequences'), 1);
  call.cancel();
  assert.equal((await ended).code, grpc.status.CANCELLED);
  await until('the slot is free', async () => (await servers.gauge('skein_worker_running_sequences')) === 0);
});

test('a deadline ends a generation', async () => {
  const call = inference.Generate(endless, {deadline: Date.now() + 300});
  await assert.rejects(
    async () => {
      for await (const message of call) assert.ok(message);
    },
    {code: grpc.status.DEADLINE_EXCEEDED},
  );
  await until('the slot is free', async () => (await servers.gauge('skein_worker_running_sequences')) === 0);
});

test("a worker's error arrives with its message", async () => {
  await assert.rejects(
    async () => {
      for await (const message of inference.Generate({...sum, sampling: {top_p: 2}})) assert.ok(message);
    },
    (error) => error.code === grpc.status.INVALID_ARGUMENT && error.details.includes('top_p'),
  );
});

test('an unknown model is not found', async () => {
  await assert.rejects(unary(inference, 'Tokenize', {model: 'none', prompt: {text: 'x'}}), {
    code: grpc.status.NOT_FOUND,
  });
});

test('the registry of a worker answers', async () => {
  assert.deepEqual((await unary(registry, 'List', {model})).entries ?? [], []);
  await assert.rejects(unary(registry, 'Remove', {model, name: 'nobody'}), {code: grpc.status.NOT_FOUND});
});

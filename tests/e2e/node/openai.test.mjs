// What the official client asks of an OpenAI-compatible server.
import assert from 'node:assert/strict';
import {after, before, test} from 'node:test';
import OpenAI from 'openai';
import {model, startServers, until} from './servers.mjs';

let servers;
let client;

before(async () => {
  servers = await startServers();
  client = servers.client;
});
after(async () => servers?.stop());

const user = (content) => [{role: 'user', content}];
const sum = {model, messages: user('What is 345 + 278?'), temperature: 0};

async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

test('a chat is answered, with usage', async () => {
  const answer = await client.chat.completions.create(sum);
  assert.equal(answer.object, 'chat.completion');
  assert.equal(answer.model, model);
  assert.match(answer.id, /^chatcmpl-/);
  assert.equal(answer.choices.length, 1);
  assert.deepEqual(answer.choices[0].message.role, 'assistant');
  assert.equal(answer.choices[0].message.content, '623');
  assert.equal(answer.choices[0].finish_reason, 'stop');
  assert.ok(answer.usage.prompt_tokens > 0);
  assert.ok(answer.usage.completion_tokens > 0);
  assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
});

test('a chat remembers its turns and obeys its system message', async () => {
  const answer = await client.chat.completions.create({
    model,
    temperature: 0,
    messages: [...user('6 x 5'), {role: 'assistant', content: '30'}, ...user('What is 803 plus 802?')],
  });
  assert.equal(answer.choices[0].message.content, '1605');
});

test('a streamed chat has the role first, the text in pieces, the reason and the usage last', async () => {
  const chunks = await collect(
    await client.chat.completions.create({...sum, stream: true, stream_options: {include_usage: true}}),
  );
  const ids = new Set(chunks.map((chunk) => `${chunk.id} ${chunk.created} ${chunk.model} ${chunk.object}`));
  assert.equal(ids.size, 1, 'id, created, model and object stay the same');
  assert.equal(chunks[0].choices[0].delta.role, 'assistant');
  const usage = chunks.at(-1);
  assert.deepEqual(usage.choices, []);
  assert.ok(usage.usage.completion_tokens > 0);
  const choices = chunks.slice(0, -1).map((chunk) => chunk.choices[0]);
  assert.equal(choices.map((choice) => choice.delta.content ?? '').join(''), '623');
  assert.deepEqual(
    choices.map((choice) => choice.finish_reason).filter((reason) => reason !== null),
    ['stop'],
  );
  assert.equal(choices.at(-1).finish_reason, 'stop');
});

test('a stream without usage has none', async () => {
  const chunks = await collect(await client.chat.completions.create({...sum, stream: true}));
  assert.ok(chunks.every((chunk) => chunk.choices.length === 1 && !chunk.usage));
});

test("the client's own stream helper adds the pieces up", async () => {
  const stream = client.chat.completions.stream(sum);
  const pieces = [];
  stream.on('content', (piece) => pieces.push(piece));
  const answer = await stream.finalChatCompletion();
  assert.equal(answer.choices[0].message.content, '623');
  assert.equal(pieces.join(''), '623');
});

test('a text is continued, streamed and whole, with the same text', async () => {
  const request = {model, prompt: 'The capital of', max_tokens: 12, temperature: 0};
  const whole = await client.completions.create(request);
  assert.equal(whole.object, 'text_completion');
  assert.match(whole.id, /^cmpl-/);
  const chunks = await collect(await client.completions.create({...request, stream: true}));
  assert.equal(chunks.map((chunk) => chunk.choices[0].text).join(''), whole.choices[0].text);
  assert.equal(chunks.at(-1).choices[0].finish_reason, whole.choices[0].finish_reason);
});

test('a completion stops at max_tokens, and echoes when asked', async () => {
  const request = {model, prompt: 'Hello', max_tokens: 5, temperature: 0, ignore_eos: true};
  const plain = await client.completions.create(request);
  assert.equal(plain.choices[0].finish_reason, 'length');
  assert.equal(plain.usage.completion_tokens, 5);
  const echoed = await client.completions.create({...request, echo: true});
  assert.equal(echoed.choices[0].text, `Hello${plain.choices[0].text}`);
});

test('models are listed and described', async () => {
  const list = await collect(await client.models.list());
  assert.deepEqual(list.map((entry) => entry.id), [model]);
  assert.equal(list[0].object, 'model');
  assert.equal((await client.models.retrieve(model)).id, model);
});

test('log-probabilities come with the tokens that were drawn', async () => {
  const answer = await client.chat.completions.create({...sum, logprobs: true, top_logprobs: 3});
  const tokens = answer.choices[0].logprobs.content;
  assert.equal(tokens.map((entry) => entry.token).join('').replace('<|im_end|>', ''), '623');
  for (const entry of tokens) {
    assert.ok(entry.logprob <= 0);
    assert.equal(entry.top_logprobs.length, 3);
    assert.equal(entry.top_logprobs[0].token, entry.token, 'greedy takes the likeliest token');
    assert.equal(entry.top_logprobs[0].logprob, entry.logprob);
    assert.ok(entry.top_logprobs[1].logprob <= entry.top_logprobs[0].logprob);
    assert.equal(Buffer.from(entry.bytes).toString(), entry.token);
  }
  const chunks = await collect(
    await client.chat.completions.create({...sum, logprobs: true, top_logprobs: 3, stream: true}),
  );
  assert.deepEqual(chunks.flatMap((chunk) => chunk.choices[0].logprobs?.content ?? []), tokens);
});

test('completions have the older form of log-probabilities', async () => {
  const answer = await client.completions.create({model, prompt: 'Hello', max_tokens: 3, logprobs: 2, ignore_eos: true});
  const {tokens, token_logprobs, top_logprobs, text_offset} = answer.choices[0].logprobs;
  assert.equal(tokens.length, 3);
  assert.equal(token_logprobs.length, 3);
  assert.equal(top_logprobs.length, 3);
  assert.equal(text_offset.length, 3);
});

test('n choices are drawn, each with its index', async () => {
  const answer = await client.chat.completions.create({
    model,
    messages: user('Tell me a story.'),
    n: 3,
    max_tokens: 30,
    temperature: 1,
    seed: 11,
  });
  assert.deepEqual(answer.choices.map((choice) => choice.index), [0, 1, 2]);
  assert.ok(new Set(answer.choices.map((choice) => choice.message.content)).size > 1);
});

test('a stop string ends the text before it', async () => {
  const request = {model, prompt: 'Once upon a time', max_tokens: 24, temperature: 0, ignore_eos: true};
  const text = (await client.completions.create(request)).choices[0].text;
  assert.ok(text.length > 8, text);
  const stop = text.slice(5, 8);
  for (const value of [stop, ['never occurs', stop]]) {
    const cut = await client.completions.create({...request, stop: value});
    assert.equal(cut.choices[0].text, text.slice(0, text.indexOf(stop)));
    assert.equal(cut.choices[0].finish_reason, 'stop');
  }
});

test('a seed repeats a text, and another seed draws another', async () => {
  const draw = async (seed) =>
    (await client.chat.completions.create({model, messages: user('Tell me a story.'), temperature: 1.5, max_tokens: 40, seed}))
      .choices[0].message.content;
  const [first, other, ...again] = await Promise.all([draw(5), draw(6), draw(5), draw(5)]);
  assert.deepEqual(again, [first, first]);
  assert.notEqual(other, first);
});

test('errors are of the class and name the field that the client expects', async () => {
  const cases = [
    [{...sum, temperature: 'hot'}, OpenAI.BadRequestError, 400, 'temperature'],
    [{...sum, top_logprobs: 99, logprobs: true}, OpenAI.BadRequestError, 400, 'top_logprobs'],
    [{...sum, unheard_of: 1}, OpenAI.BadRequestError, 400, 'unheard_of'],
    [{...sum, messages: []}, OpenAI.BadRequestError, 400, 'messages'],
    [{...sum, model: 'nobody'}, OpenAI.NotFoundError, 404, 'model'],
  ];
  for (const [request, type, status, param] of cases) {
    for (const stream of [false, true]) {
      await assert.rejects(client.chat.completions.create({...request, stream}), (error) => {
        assert.ok(error instanceof type, `${param}: ${error}`);
        assert.equal(error.status, status);
        assert.equal(error.param, param);
        assert.ok(error.message.length > 10);
        assert.ok(error.requestID);
        return true;
      });
    }
  }
  await assert.rejects(client.models.retrieve('nobody'), OpenAI.NotFoundError);
  await assert.rejects(client.embeddings.create({model, input: 'x'}), OpenAI.NotFoundError);
});

test('an aborted stream frees its place in the worker', async () => {
  const free = await servers.gauge('skein_worker_free_state_slots');
  const streams = await Promise.all(
    Array.from({length: 8}, () =>
      client.completions.create({model, prompt: 'Tell me', max_tokens: 4000, ignore_eos: true, stream: true})),
  );
  for (const stream of streams) await stream[Symbol.asyncIterator]().next();
  assert.ok((await servers.gauge('skein_worker_running_sequences')) > 0);
  for (const stream of streams) stream.controller.abort();
  await until('all slots are free', async () => (await servers.gauge('skein_worker_free_state_slots')) === free, 5000);
  assert.equal((await client.chat.completions.create(sum)).choices[0].message.content, '623');
});

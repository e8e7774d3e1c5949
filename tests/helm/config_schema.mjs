// The messages of skein.config.v1 as JSON schemas: what `gateway.config` and `worker.config` may hold.
import {readdirSync, readFileSync} from 'node:fs';
import {repository} from './paths.mjs';

// What the chart itself sets.
const settled = {
  GatewayConfig: ['listen', 'worker', 'grpc_listen', 'metrics_listen', 'keys_file', 'allow_no_keys', 'tls', 'worker_tls', 'trusted_proxy'],
  WorkerConfig: ['listen', 'metrics_listen', 'health_listen', 'tls'],
  ModelConfig: ['path', 'name'],
  EngineConfig: ['cache_dir'],
  RegistryConfig: ['root', 'manifest', 'kept'],
};
const roots = ['GatewayConfig', 'WorkerConfig'];

const whole = {type: 'integer', minimum: 0};
const scalars = {
  string: {type: 'string'},
  bool: {type: 'boolean'},
  uint32: whole,
  uint64: whole,
  int32: {type: 'integer'},
  int64: {type: 'integer'},
  float: {type: 'number'},
  double: {type: 'number'},
};

// Message name -> [{name, type, repeated}], for messages without nesting, maps and oneofs, which configurations do without.
function readMessages(folder) {
  const messages = new Map();
  for (const file of readdirSync(folder)) {
    const text = readFileSync(`${folder}/${file}`, 'utf8').replace(/\/\/.*$/gm, '');
    for (const [, name, body] of text.matchAll(/^message (\w+) \{([^}]*)\}/gm)) {
      const fields = [...body.matchAll(/(optional |repeated )?(\w+) (\w+) = \d+;/g)];
      messages.set(
        name,
        fields.map(([, label, type, field]) => ({name: field, type, repeated: label === 'repeated '})),
      );
    }
  }
  return messages;
}

function messageSchema(message, fields) {
  const properties = {};
  for (const {name, type, repeated} of fields) {
    if (settled[message]?.includes(name)) continue;
    const schema = scalars[type] ?? {$ref: `#/definitions/${type}`};
    properties[name] = repeated ? {type: 'array', items: schema} : schema;
  }
  return {type: 'object', additionalProperties: false, properties};
}

// Definitions by message name.
export function configDefinitions() {
  const messages = readMessages(`${repository}/proto/skein/config/v1`);
  const definitions = {};
  const visit = (name) => {
    if (definitions[name]) return;
    if (!messages.has(name)) throw new Error(`${name}: no such message in proto/skein/config/v1`);
    definitions[name] = messageSchema(name, messages.get(name));
    for (const {name: field, type} of messages.get(name)) {
      if (!scalars[type] && !settled[name]?.includes(field)) visit(type);
    }
  };
  roots.forEach(visit);
  return definitions;
}

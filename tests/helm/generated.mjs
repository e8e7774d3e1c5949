// What is made from other files: a map from path to contents.
import {readFileSync} from 'node:fs';
import {compactJson} from './compact_json.mjs';
import {configDefinitions} from './config_schema.mjs';
import {chart} from './paths.mjs';
import {valuesTable} from './values_table.mjs';

const read = (path) => readFileSync(path, 'utf8');

// The definitions of configurations come from the .proto files, the rest is written by hand.
function schemaFile() {
  const schema = JSON.parse(read(`${chart}/values.schema.json`));
  Object.assign(schema.definitions, configDefinitions());
  return `${compactJson(schema)}\n`;
}

function readmeFile() {
  const table = valuesTable(read(`${chart}/values.yaml`));
  return read(`${chart}/README.md`).replace(
    /(<!-- values -->\n)[^]*(<!-- end of values -->)/,
    (_, begin, end) => `${begin}\n${table}\n\n${end}`,
  );
}

export function generatedFiles() {
  return new Map([
    [`${chart}/values.schema.json`, schemaFile()],
    [`${chart}/README.md`, readmeFile()],
  ]);
}

// Writes deploy/grafana/*.json; with --check says whether they are as they would be written.
// @ts-check
import { readFileSync, writeFileSync } from 'node:fs';

import errors from './errors.mjs';
import gateway from './gateway.mjs';
import users from './users.mjs';
import workers from './workers.mjs';

const check = process.argv.includes('--check');
for (const [name, dashboard] of Object.entries({ users, workers, gateway, errors })) {
  const path = new URL(`../../deploy/grafana/${name}.json`, import.meta.url);
  const text = `${JSON.stringify(dashboard, null, 2)}\n`;
  if (!check) {
    writeFileSync(path, text);
  } else if (readFileSync(path, 'utf8') !== text) {
    console.error(`deploy/grafana/${name}.json: differs from what tools/dashboards makes; run npm run generate there`);
    process.exitCode = 1;
  }
}

// Writes values.schema.json's configuration part and README.md's table of values anew: npm run generate.
import {writeFileSync} from 'node:fs';
import {generatedFiles} from './generated.mjs';

for (const [path, contents] of generatedFiles()) writeFileSync(path, contents);

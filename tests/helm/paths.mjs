import {fileURLToPath} from 'node:url';

export const folder = fileURLToPath(new URL('.', import.meta.url)).replace(/\/$/, '');
export const repository = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
export const chart = `${repository}/helm/skein`;

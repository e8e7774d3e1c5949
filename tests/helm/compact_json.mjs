// JSON as people write it: what fits in a line is one.
const columns = 140;

const flat = (value) => {
  if (Array.isArray(value)) return `[${value.map(flat).join(', ')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([key, entry]) => `${JSON.stringify(key)}: ${flat(entry)}`)
    .join(', ')}}`;
};

export function compactJson(value, indent = '', taken = 0) {
  const line = flat(value);
  if (value === null || typeof value !== 'object' || indent.length + taken + line.length <= columns) return line;
  const inner = `${indent}  `;
  const list = Array.isArray(value);
  const parts = list
    ? value.map((entry) => compactJson(entry, inner))
    : Object.entries(value).map(([key, entry]) => {
        const name = `${JSON.stringify(key)}: `;
        return name + compactJson(entry, inner, name.length);
      });
  const [open, close] = list ? '[]' : '{}';
  return `${open}\n${parts.map((part) => inner + part).join(',\n')}\n${indent}${close}`;
}

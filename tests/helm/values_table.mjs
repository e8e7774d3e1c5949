// The values of the chart as a table, from values.yaml and its comments.
import {isMap, isScalar, parseDocument} from 'yaml';

const clean = (comment) =>
  (comment ?? '')
    .split('\n')
    .map((line) => line.trim())
    .join(' ')
    .trim();

// Comments before the first key belong to the map in the library's eyes.
const commentOf = (map, index) => clean(index === 0 ? (map.commentBefore ?? map.items[0].key.commentBefore) : map.items[index].key.commentBefore);

const hasComments = (map) => map.items.some((_, index) => commentOf(map, index));

function* rows(map, path) {
  for (const [index, {key, value}] of map.items.entries()) {
    const name = [...path, key.value].join('.');
    const about = commentOf(map, index);
    if (isMap(value) && value.items.length > 0 && (hasComments(value) || path.length === 0)) {
      if (about && path.length > 0) yield {name, about, value: undefined};
      yield* rows(value, [...path, key.value]);
    } else {
      yield {name, about, value: isScalar(value) ? value.value : value.toJSON()};
    }
  }
}

const cell = (text) => text.replaceAll('|', '\\|');

export function valuesTable(text) {
  const document = parseDocument(text, {version: '1.1'});
  const lines = ['| key | default | |', '|---|---|---|'];
  for (const {name, about, value} of rows(document.contents, [])) {
    const shown = value === undefined ? '' : `\`${cell(JSON.stringify(value))}\``;
    lines.push(`| \`${name}\` | ${shown} | ${cell(about)} |`);
  }
  return lines.join('\n');
}

// What an expression of PromQL is made of.
import { parser } from '@prometheus-io/lezer-promql';

const COMPARISONS = ['Eql', 'Neq', 'Gtr', 'Gte', 'Lss', 'Lte'];
const SET_OPERATORS = ['And', 'Or', 'Unless'];
const NO_OPERATORS = ['MatchingModifierClause', 'BoolModifier'];

// Grafana's variables as Prometheus would get them, with everything selected.
export function substitute(expression) {
  return expression.replaceAll('$__rate_interval', '30s').replaceAll(/\$(model|worker|gateway)\b/g, '.*');
}

function parse(expression) {
  const tree = parser.parse(expression);
  tree.iterate({
    enter: (node) => {
      if (node.type.isError) throw new Error(`no PromQL at ${node.from}: ${expression}`);
    },
  });
  return tree;
}

// The names of all metrics in it.
export function metricNames(expression) {
  const names = new Set();
  parse(expression).iterate({
    enter: ({ name, node }) => {
      if (name !== 'VectorSelector') return;
      const identifier = node.getChild('Identifier');
      if (!identifier) throw new Error(`a selector without a name in ${expression}`);
      names.add(expression.slice(identifier.from, identifier.to));
    },
  });
  return names;
}

function childrenOf(node) {
  const children = [];
  for (let child = node.firstChild; child; child = child.nextSibling) children.push(child);
  return children;
}

// An alert's expression is empty while all is well. These are the vectors that it looks at, which are not: comparisons
// and set operations are taken apart, absent() is opened, and plain numbers are left out.
export function innerVectors(expression) {
  const text = (node) => expression.slice(node.from, node.to);
  const visit = (node) => {
    if (node.name === 'ParenExpr') return visit(node.firstChild);
    if (node.name === 'FunctionCall' && node.firstChild.firstChild?.name === 'Absent') return [text(node.lastChild).slice(1, -1)];
    if (node.name === 'BinaryExpr') {
      const [left, ...others] = childrenOf(node).filter((child) => !NO_OPERATORS.includes(child.name));
      const [operator, right] = others;
      if (COMPARISONS.includes(operator.name) || SET_OPERATORS.includes(operator.name)) return [...visit(left), ...visit(right)];
    }
    return metricNames(text(node)).size > 0 ? [text(node)] : [];
  };
  return visit(parse(expression).topNode.firstChild);
}

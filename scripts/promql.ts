import { parser } from '@prometheus-io/lezer-promql';

type SyntaxNode = ReturnType<typeof parser.parse>['topNode'];

/** A metric that a query asks for. */
export interface Selected {
  readonly metric: string;
  /** In braces, and in the `by (…)` around it. */
  readonly labels: readonly string[];
  /** The functions around it, the nearest first. */
  readonly functions: readonly string[];
}

/** What a query asks for. @throws Error for what is no PromQL */
export function metricsOf(query: string): Selected[] {
  const text = ({ from, to }: SyntaxNode): string => query.slice(from, to);
  const selected: Selected[] = [];
  parser.parse(query).iterate({
    enter: ({ type, node }) => {
      if (type.isError) throw new Error(`no PromQL, from character ${node.from} on: ${query}`);
      if (type.name !== 'VectorSelector') return;
      const metric = node.getChild('Identifier');
      if (metric === null) throw new Error(`no name of a metric: ${text(node)}`);
      const matched = node.getChild('LabelMatchers')?.getChildren('UnquotedLabelMatcher') ?? [];
      const labels = matched.flatMap((matcher) => matcher.getChildren('LabelName').map(text));
      const functions: string[] = [];
      for (let around = node.parent; around !== null; around = around.parent) {
        if (around.name === 'FunctionCall') functions.push(around.getChildren('FunctionIdentifier').map(text).join(''));
        const grouping = around.getChild('AggregateModifier')?.getChild('GroupingLabels');
        labels.push(...(grouping?.getChildren('LabelName').map(text) ?? []));
      }
      selected.push({ metric: text(metric), labels, functions });
    },
  });
  return selected;
}

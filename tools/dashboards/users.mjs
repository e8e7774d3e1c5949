// What users feel: times and throughput, by model.
// @ts-check
import { dashboard, quantiles, variable } from './panels.mjs';

const model = 'model=~"$model"';
const LATE = /** @type {[number | null, string][]} */ ([[null, 'green'], [1, 'orange'], [2, 'red']]);

export default dashboard({
  uid: 'skein-users',
  title: 'skein: users',
  description: 'How fast answers begin and flow, as the gateway sees it.',
  variables: [variable('model', 'Model', 'label_values(skein_worker_state_slots, model)')],
  sections: [
    {
      row: 'Now',
      panels: [
        { title: 'First token, p95', description: 'The objective is 2 s for 95 % of the answers.', unit: 's', kind: 'stat',
          thresholds: LATE, width: 6, queries: [[`skein:first_token_seconds:p95_5m{${model}}`, '{{model}}']] },
        { title: 'Between tokens, p95', description: 'Below 50 ms text flows faster than anybody reads.', unit: 's', kind: 'stat',
          thresholds: [[null, 'green'], [0.05, 'orange'], [0.2, 'red']], width: 6,
          queries: [[`skein:inter_token_seconds:p95_5m{${model}}`, '{{model}}']] },
        { title: 'Generated tokens', description: 'Tokens a second over all workers.', unit: 'short', kind: 'stat', width: 6,
          queries: [[`skein:generated_tokens:rate5m{${model}}`, '{{model}}']] },
        { title: 'Failed requests', description: 'Share over 5 minutes; the objective is 0.1 %.', unit: 'percentunit', kind: 'stat',
          thresholds: [[null, 'green'], [0.001, 'orange'], [0.01, 'red']], width: 6,
          queries: [['skein:request_errors:ratio_rate5m', 'failed']] },
      ],
    },
    {
      row: 'Latency',
      panels: [
        { title: 'Time to first token', description: 'Last byte of the request to the first text: queue, prefill and one step.',
          unit: 's', thresholds: LATE, queries: quantiles('skein_gateway_first_token_seconds', model, 'model, ', '{{model}}') },
        { title: 'Between tokens', description: 'Between two pieces of text of a choice, as they come from the worker.', unit: 's',
          queries: quantiles('skein_gateway_inter_token_seconds', model, 'model, ', '{{model}}') },
        { title: 'Whole requests', description: 'Last byte of the request to the end of the answer, by route.', unit: 's',
          queries: quantiles('skein_gateway_request_seconds', 'route=~"/v1/.+|/skein[.]v1[.].+"', 'route, ', '{{route}}') },
        { title: 'Wait for a slot', description: 'Part of the time to first token: accepted by the worker to admitted.', unit: 's',
          queries: quantiles('skein_worker_queue_seconds', model, 'model, ', '{{model}}') },
        { title: 'Slow first tokens', description: 'Share of answers that began after more than 2 s; the budget is 5 %.',
          unit: 'percentunit', thresholds: [[null, 'green'], [0.05, 'red']],
          queries: [[`skein:first_token_slow:ratio_rate5m{${model}}`, '{{model}} 5m'],
            [`skein:first_token_slow:ratio_rate1h{${model}}`, '{{model}} 1h']] },
        { title: 'Requests within the worker', description: 'Accepted to ended; the difference to whole requests is the gateway\'s.',
          unit: 's', queries: quantiles('skein_worker_request_seconds', model, 'model, ', '{{model}}') },
      ],
    },
    {
      row: 'Throughput',
      panels: [
        { title: 'Tokens', description: 'Prompt tokens fed, and tokens drawn.', unit: 'short',
          queries: [[`sum by (model) (rate(skein_worker_prompt_tokens_total{${model}}[$__rate_interval]))`, '{{model}} prompt'],
            [`sum by (model) (rate(skein_worker_generated_tokens_total{${model}}[$__rate_interval]))`, '{{model}} generated']] },
        { title: 'Requests', description: 'Answered requests by route.', unit: 'reqps', stacked: true,
          queries: [['sum by (route) (rate(skein_gateway_requests_total{route=~"/v1/.+|/skein[.]v1[.].+"}[$__rate_interval])) > 0', '{{route}}']] },
        { title: 'How choices end', description: 'stop: the model or a stop string ended them; length: max_tokens did.', unit: 'short',
          stacked: true,
          queries: [[`sum by (model, reason) (rate(skein_worker_finished_choices_total{${model}}[$__rate_interval]))`,
            '{{model}} {{reason}}']] },
        { title: 'Open streams', description: 'Answers that are being streamed now.', unit: 'short',
          queries: [['sum(skein_gateway_open_streams)', 'streams']] },
      ],
    },
  ],
});

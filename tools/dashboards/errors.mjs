// What goes wrong, from the client's side to the worker's. Counters start at 0 for all their labels: `> 0` leaves out those that
// nothing has been counted for.
// @ts-check
import { dashboard, variable } from './panels.mjs';

const model = 'model=~"$model"';
const WINDOWS = ['5m', '1h', '6h', '3d'];

export default dashboard({
  uid: 'skein-errors',
  title: 'skein: errors',
  description: 'Failed and refused requests, and how fast they use up the budget.',
  variables: [variable('model', 'Model', 'label_values(skein_worker_state_slots, model)')],
  sections: [
    {
      row: 'Objectives',
      panels: [
        { title: 'Failed requests', description: 'Status 5xx, or an error event within a stream. The budget is 0.1 %; alerts fire at 14.4, 6, 3 and 1 times that.',
          unit: 'percentunit', thresholds: [[null, 'green'], [0.001, 'orange'], [0.0144, 'red']],
          queries: WINDOWS.map((window) => [`skein:request_errors:ratio_rate${window}`, window]) },
        { title: 'Slow first tokens', description: 'After more than 2 s. The budget is 5 %.', unit: 'percentunit',
          thresholds: [[null, 'green'], [0.05, 'orange'], [0.72, 'red']],
          queries: WINDOWS.map((window) => [`skein:first_token_slow:ratio_rate${window}{${model}}`, `{{model}} ${window}`]) },
      ],
    },
    {
      row: 'At the gateway',
      panels: [
        { title: 'Faults of the server', description: 'By route and status.', unit: 'reqps', stacked: true,
          queries: [['sum by (route, status) (rate(skein_gateway_requests_total{status=~"5.."}[$__rate_interval])) > 0', '{{route}} {{status}}']] },
        { title: 'Faults of clients', description: 'By route and status; 499: the client left first.', unit: 'reqps', stacked: true,
          queries: [['sum by (route, status) (rate(skein_gateway_requests_total{status=~"4.."}[$__rate_interval])) > 0', '{{route}} {{status}}']] },
        { title: 'Broken streams', description: 'Event streams that ended with an error event, by status code.', unit: 'short', stacked: true,
          queries: [['sum by (error) (increase(skein_gateway_failed_streams_total[$__rate_interval])) > 0', '{{error}}']] },
        { title: 'Refused', description: 'Keys, roles and limits.', unit: 'reqps', stacked: true,
          queries: [['sum by (reason) (rate(skein_gateway_refused_requests_total[$__rate_interval])) > 0', '{{reason}}']] },
        { title: 'Failed calls to workers', description: 'By worker and status code.', unit: 'reqps', stacked: true,
          queries: [['sum by (worker, outcome) (rate(skein_gateway_worker_requests_total{outcome!="ok"}[$__rate_interval])) > 0',
            '{{worker}} {{outcome}}']] },
        { title: 'Retries', description: 'Of failed calls, before the first token. budget: too many calls fail; exhausted: no other worker.',
          unit: 'short', stacked: true,
          queries: [['sum by (outcome) (increase(skein_gateway_retries_total[$__rate_interval]))', '{{outcome}}']] },
      ],
    },
    {
      row: 'At the workers',
      panels: [
        { title: 'Ended badly', description: 'Requests by status code.', unit: 'reqps', stacked: true,
          queries: [[`sum by (model, outcome) (rate(skein_worker_requests_total{${model}, outcome!="ok"}[$__rate_interval])) > 0`,
            '{{model}} {{outcome}}']] },
        { title: 'Turned away', description: 'Full queues and draining workers.', unit: 'reqps', stacked: true,
          queries: [[`sum by (model, reason) (rate(skein_worker_rejected_requests_total{${model}}[$__rate_interval])) > 0`,
            '{{model}} {{reason}}']] },
        { title: 'Out of rotation', description: 'Workers that gateways do not use, by state.', unit: 'short', stacked: true,
          queries: [['max by (state) (skein_gateway_workers{state!="ready"})', '{{state}}']] },
        { title: 'Ejections', description: 'By reason.', unit: 'short', stacked: true,
          queries: [['sum by (reason) (increase(skein_gateway_ejections_total[$__rate_interval]))', '{{reason}}']] },
        { title: 'Not scraped', description: 'Processes that Prometheus cannot reach.', unit: 'short',
          queries: [['count by (job) (up{job=~".*skein.*"} == 0) or count by (job) (up{job=~".*skein.*"}) * 0', '{{job}}']] },
        { title: 'Restarts', description: 'Within the last hour.', unit: 'short',
          queries: [['sum by (job) (changes(process_start_time_seconds{job=~".*skein.*"}[1h]))', '{{job}}']] },
      ],
    },
  ],
});

// What the gateways do: routing, ejections, retries, connections, limits.
// @ts-check
import { dashboard, quantiles, variable } from './panels.mjs';

const gateway = 'instance=~"$gateway"';

export default dashboard({
  uid: 'skein-gateway',
  title: 'skein: gateway',
  description: 'Connections, the choice of workers, and limits.',
  variables: [variable('gateway', 'Gateway', 'label_values(skein_gateway_build_info, instance)'),
    variable('worker', 'Worker', 'label_values(skein_gateway_worker_in_flight, worker)')],
  sections: [
    {
      row: 'Now',
      panels: [
        { title: 'Gateways', description: 'That are scraped.', unit: 'short', kind: 'stat',
          queries: [[`count(skein_gateway_build_info{${gateway}})`, 'gateways']] },
        { title: 'Ready workers', description: 'As the gateway with the fewest sees it.', unit: 'short', kind: 'stat',
          thresholds: [[null, 'red'], [1, 'green']], queries: [[`min(skein_gateway_ready_workers{${gateway}})`, 'ready']] },
        { title: 'Connections', description: 'Of clients, open.', unit: 'short', kind: 'stat',
          queries: [[`sum(skein_gateway_connections{${gateway}})`, 'connections']] },
        { title: 'Open streams', description: 'Answers that are being streamed.', unit: 'short', kind: 'stat',
          queries: [[`sum(skein_gateway_open_streams{${gateway}})`, 'streams']] },
        { title: 'API keys', description: 'That are known; 0 without a key file.', unit: 'short', kind: 'stat',
          queries: [[`max(skein_gateway_api_keys{${gateway}})`, 'keys']] },
        { title: 'Certificates', description: 'Until the first one expires.', unit: 's', kind: 'stat',
          thresholds: [[null, 'red'], [259200, 'orange'], [1209600, 'green']],
          queries: [[`min(skein_gateway_certificate_expiry_timestamp_seconds{${gateway}}) - time()`, 'left']] },
      ],
    },
    {
      row: 'Requests',
      panels: [
        { title: 'Requests by route', description: 'Answered.', unit: 'reqps', stacked: true,
          queries: [[`sum by (route) (rate(skein_gateway_requests_total{${gateway}}[$__rate_interval]))`, '{{route}}']] },
        { title: 'Requests by status', description: '499: the client left first.', unit: 'reqps', stacked: true,
          queries: [[`sum by (status) (rate(skein_gateway_requests_total{${gateway}}[$__rate_interval]))`, '{{status}}']] },
        { title: 'Whole requests', description: 'Of all gateways, over all routes under /v1/ and all gRPC calls.', unit: 's',
          queries: quantiles('skein_gateway_request_seconds', `route=~"/v1/.+|/skein[.]v1[.].+", ${gateway}`, '', '') },
        { title: 'Connections and streams', description: 'Of each gateway.', unit: 'short',
          queries: [[`skein_gateway_connections{${gateway}}`, '{{instance}} connections'],
            [`skein_gateway_open_streams{${gateway}}`, '{{instance}} streams']] },
      ],
    },
    {
      row: 'Routing',
      panels: [
        { title: 'Workers by state', description: 'The most that any gateway counts.', unit: 'short', stacked: true,
          queries: [[`max by (state) (skein_gateway_workers{${gateway}})`, '{{state}}']] },
        { title: 'In flight', description: 'Calls that each worker has from the gateways.', unit: 'short',
          queries: [[`sum by (worker) (skein_gateway_worker_in_flight{${gateway}, worker=~"$worker"})`, '{{worker}}']] },
        { title: 'Calls by worker', description: 'Ended calls a second.', unit: 'reqps', stacked: true,
          queries: [[`sum by (worker) (rate(skein_gateway_worker_requests_total{${gateway}, worker=~"$worker"}[$__rate_interval]))`,
            '{{worker}}']] },
        { title: 'Balance', description: 'Busiest worker over the mean; the load bound keeps it near 1.25.', unit: 'short',
          thresholds: [[null, 'green'], [1.5, 'orange'], [2, 'red']],
          queries: [[`max(sum by (worker) (skein_gateway_worker_in_flight{${gateway}})) / avg(sum by (worker) (skein_gateway_worker_in_flight{${gateway}}))`,
            'max / mean']] },
        { title: 'How workers are chosen', description: 'affine: where the key or the chat was before; random: the less loaded of two; bound: the affine one was too full.',
          unit: 'reqps', stacked: true,
          queries: [[`sum by (choice) (rate(skein_gateway_picks_total{${gateway}}[$__rate_interval]))`, '{{choice}}']] },
        { title: 'Ejections and retries', description: 'Workers taken out of rotation, and calls that were repeated elsewhere.', unit: 'short',
          queries: [[`sum by (reason) (increase(skein_gateway_ejections_total{${gateway}}[$__rate_interval]))`, 'ejected: {{reason}}'],
            [`sum by (outcome) (increase(skein_gateway_retries_total{${gateway}}[$__rate_interval]))`, 'retry: {{outcome}}']] },
      ],
    },
    {
      row: 'Limits and process',
      panels: [
        { title: 'Refused', description: 'Turned away before any work: keys, roles, limits.', unit: 'reqps', stacked: true,
          queries: [[`sum by (reason) (rate(skein_gateway_refused_requests_total{${gateway}}[$__rate_interval]))`, '{{reason}}']] },
        { title: 'Closed connections', description: 'Because max_connections were open.', unit: 'cps',
          queries: [[`rate(skein_gateway_rejected_connections_total{${gateway}}[$__rate_interval])`, '{{instance}}']] },
        { title: 'CPU', description: 'Cores in use.', unit: 'short',
          queries: [[`rate(process_cpu_seconds_total{${gateway}}[$__rate_interval]) and on (instance) skein_gateway_build_info`, '{{instance}}']] },
        { title: 'Resident memory', description: 'Of each gateway.', unit: 'bytes',
          queries: [[`process_resident_memory_bytes{${gateway}} and on (instance) skein_gateway_build_info`, '{{instance}}']] },
        { title: 'File descriptors', description: 'Share of those that may be open.', unit: 'percentunit', max: 1,
          thresholds: [[null, 'green'], [0.9, 'red']],
          queries: [[`process_open_fds{${gateway}} / process_max_fds and on (instance) skein_gateway_build_info`, '{{instance}}']] },
        { title: 'Stale files', description: '1 while a changed key file or certificate cannot be used.', unit: 'short',
          thresholds: [[null, 'green'], [1, 'red']],
          queries: [[`skein_gateway_stale_file{${gateway}}`, '{{instance}} {{file}}']] },
      ],
    },
  ],
});

// What the workers do: batches, slots, pages, memory, adapters.
// @ts-check
import { dashboard, quantiles, variable } from './panels.mjs';

const worker = 'model=~"$model", instance=~"$worker"';
const FULL = /** @type {[number | null, string][]} */ ([[null, 'green'], [0.9, 'orange'], [0.99, 'red']]);

export default dashboard({
  uid: 'skein-workers',
  title: 'skein: workers',
  description: 'Load, memory and speed of each worker.',
  variables: [variable('model', 'Model', 'label_values(skein_worker_state_slots, model)'),
    variable('worker', 'Worker', 'label_values(skein_worker_state_slots{model=~"$model"}, instance)')],
  sections: [
    {
      row: 'Now',
      panels: [
        { title: 'Workers', description: 'That are scraped.', unit: 'short', kind: 'stat',
          queries: [[`count(skein_worker_state_slots{${worker}})`, 'workers']] },
        { title: 'Running sequences', description: 'That hold a slot.', unit: 'short', kind: 'stat',
          queries: [[`sum(skein_worker_running_sequences{${worker}})`, 'running']] },
        { title: 'Waiting requests', description: 'Accepted, without a slot.', unit: 'short', kind: 'stat',
          thresholds: [[null, 'green'], [1, 'orange'], [100, 'red']],
          queries: [[`sum(skein_worker_waiting_requests{${worker}})`, 'waiting']] },
        { title: 'Slots in use', description: 'At 100 % requests wait.', unit: 'percentunit', kind: 'stat', thresholds: FULL,
          queries: [['skein:state_slots_used:ratio{model=~"$model"}', '{{model}}']] },
        { title: 'State memory', description: 'Of the recurrent states of all slots.', unit: 'bytes', kind: 'stat',
          queries: [[`sum(skein_worker_state_bytes{${worker}})`, 'states']] },
        { title: 'Steps', description: 'A second, over all workers.', unit: 'short', kind: 'stat',
          queries: [[`sum(rate(skein_worker_steps_total{${worker}}[$__rate_interval]))`, 'steps']] },
      ],
    },
    {
      row: 'Batch',
      panels: [
        { title: 'Running sequences', description: 'That hold a slot, by worker.', unit: 'short', stacked: true,
          queries: [[`skein_worker_running_sequences{${worker}}`, '{{instance}}']] },
        { title: 'Rows of a step', description: 'Tokens that one pass of the model takes: decodes, and chunks of prompts.', unit: 'short',
          queries: quantiles('skein_worker_step_rows', worker, '', '') },
        { title: 'Step time', description: 'Median over the steps of each worker.', unit: 's',
          queries: [[`histogram_quantile(0.5, sum by (instance, le) (rate(skein_worker_step_seconds_bucket{${worker}}[$__rate_interval])))`,
            '{{instance}}']] },
        { title: 'Tokens of each worker', description: 'Drawn, a second.', unit: 'short',
          queries: [[`sum by (instance) (rate(skein_worker_generated_tokens_total{${worker}}[$__rate_interval]))`, '{{instance}}']] },
        { title: 'Between tokens', description: 'Of all sequences, at the worker.', unit: 's',
          queries: quantiles('skein_worker_inter_token_seconds', worker, '', '') },
        { title: 'First token', description: 'Accepted to the end of the prompt, at the worker.', unit: 's',
          queries: quantiles('skein_worker_first_token_seconds', worker, '', '') },
      ],
    },
    {
      row: 'Queue',
      panels: [
        { title: 'Waiting requests', description: 'Accepted, without a slot.', unit: 'short', stacked: true,
          queries: [[`skein_worker_waiting_requests{${worker}}`, '{{instance}}']] },
        { title: 'Waiting tokens', description: 'Prompt tokens that have not been fed yet.', unit: 'short', stacked: true,
          queries: [[`skein_worker_waiting_tokens{${worker}}`, '{{instance}}']] },
        { title: 'Wait', description: 'Accepted to admitted.', unit: 's', thresholds: [[null, 'green'], [5, 'red']],
          queries: quantiles('skein_worker_queue_seconds', worker, '', '') },
        { title: 'Turned away', description: 'Requests that found the queue full, or the worker draining.', unit: 'reqps', stacked: true,
          queries: [[`sum by (instance, reason) (rate(skein_worker_rejected_requests_total{${worker}}[$__rate_interval])) > 0`,
            '{{instance}} {{reason}}']] },
      ],
    },
    {
      row: 'Memory',
      panels: [
        { title: 'State slots in use', description: 'Of each worker.', unit: 'percentunit', max: 1, thresholds: FULL,
          queries: [[`1 - skein_worker_free_state_slots{${worker}} / skein_worker_state_slots`, '{{instance}}']] },
        { title: 'KV pages in use', description: 'Of each worker; nothing for models without attention layers.', unit: 'percentunit', max: 1,
          thresholds: FULL, queries: [[`1 - skein_worker_free_kv_pages{${worker}} / skein_worker_kv_pages`, '{{instance}}']] },
        { title: 'State memory in use', description: 'Recurrent states of running sequences.', unit: 'bytes', stacked: true,
          queries: [[`skein_worker_state_bytes{${worker}} * (1 - skein_worker_free_state_slots / skein_worker_state_slots)`,
            '{{instance}}']] },
        { title: 'Resident memory', description: 'Of the process; weights that are mapped count once read.', unit: 'bytes',
          queries: [['process_resident_memory_bytes and on (instance) skein_worker_state_slots{instance=~"$worker"}', '{{instance}}']] },
        { title: 'States, mixtures and adapters', description: 'That are registered.', unit: 'short', kind: 'bargauge',
          queries: [[`max by (model, kind) (skein_worker_registry_entries{${worker}})`, '{{model}} {{kind}}']] },
        { title: 'CPU', description: 'Cores in use.', unit: 'short',
          queries: [['rate(process_cpu_seconds_total[$__rate_interval]) and on (instance) skein_worker_state_slots{instance=~"$worker"}',
            '{{instance}}']] },
      ],
    },
  ],
});

// Panels and dashboards from short descriptions, so that all look alike.
// @ts-check
import { PanelBuilder as BarGaugeBuilder } from '@grafana/grafana-foundation-sdk/bargauge';
import { BigValueColorMode, LegendDisplayMode, LegendPlacement, ReduceDataOptionsBuilder, SortOrder, StackingConfigBuilder,
  StackingMode, GraphThresholdsStyleConfigBuilder, GraphThresholdsStyleMode, TooltipDisplayMode, VizLegendOptionsBuilder,
  VizTooltipOptionsBuilder } from '@grafana/grafana-foundation-sdk/common';
import { DashboardBuilder, DashboardCursorSync, DashboardLinkBuilder, DashboardLinkType, DatasourceVariableBuilder,
  QueryVariableBuilder, RowBuilder, ThresholdsConfigBuilder, ThresholdsMode,
  VariableRefresh, VariableSort } from '@grafana/grafana-foundation-sdk/dashboard';
import { DataqueryBuilder } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as TimeseriesBuilder } from '@grafana/grafana-foundation-sdk/timeseries';

const DATASOURCE = { type: 'prometheus', uid: '${datasource}' };

/**
 * @typedef {object} Panel
 * @property {string} title
 * @property {string} description  what it shows, and what to make of it
 * @property {string} unit  Grafana's name: s, percentunit, bytes, reqps, short ...
 * @property {[string, string][]} queries  expression and legend
 * @property {'timeseries' | 'stat' | 'bargauge'} [kind]  default timeseries
 * @property {[number | null, string][]} [thresholds]  from which value on which colour; the first one has none
 * @property {boolean} [stacked]
 * @property {number} [width]  of 24; default 12, of a stat 4
 * @property {number} [max]
 */

/** @typedef {{row: string, panels: Panel[]}} Section */

/** @param {Panel} panel */
const widthOf = (panel) => panel.width ?? (panel.kind === 'stat' ? 4 : 12);
/** @param {Panel} panel */
const heightOf = (panel) => (panel.kind === 'stat' ? 4 : 8);

/** @param {Panel} panel */
function makeBuilder(panel) {
  if (panel.kind === 'stat') {
    return new StatBuilder()
      .colorMode(panel.thresholds ? BigValueColorMode.Background : BigValueColorMode.Value)
      .reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull']));
  }
  if (panel.kind === 'bargauge') {
    return new BarGaugeBuilder().reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull']));
  }
  const builder = new TimeseriesBuilder()
    .lineWidth(1)
    .fillOpacity(panel.stacked ? 40 : 8)
    .legend(new VizLegendOptionsBuilder()
      .displayMode(LegendDisplayMode.Table).placement(LegendPlacement.Bottom).showLegend(true).calcs(['mean', 'max', 'lastNotNull']))
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending));
  if (panel.stacked) builder.stacking(new StackingConfigBuilder().mode(StackingMode.Normal).group('A'));
  if (panel.thresholds) {
    builder.thresholdsStyle(new GraphThresholdsStyleConfigBuilder().mode(GraphThresholdsStyleMode.Dashed));
  }
  return builder;
}

/**
 * @param {Panel} panel
 * @param {number} id
 * @param {{x: number, y: number}} at
 */
function makePanel(panel, id, at) {
  const builder = makeBuilder(panel)
    .id(id)
    .title(panel.title)
    .description(panel.description)
    .unit(panel.unit)
    .min(0)
    .datasource(DATASOURCE)
    .gridPos({ ...at, w: widthOf(panel), h: heightOf(panel) });
  if (panel.max !== undefined) builder.max(panel.max);
  if (panel.thresholds) {
    builder.thresholds(new ThresholdsConfigBuilder()
      .mode(ThresholdsMode.Absolute)
      .steps(panel.thresholds.map(([value, color]) => ({ value, color }))));
  }
  panel.queries.forEach(([expr, legend], index) => {
    builder.withTarget(new DataqueryBuilder()
      .refId(String.fromCharCode(65 + index)).expr(expr).legendFormat(legend).datasource(DATASOURCE));
  });
  return builder;
}

/**
 * @param {string} name
 * @param {string} label
 * @param {string} query  label_values(...)
 */
export function variable(name, label, query) {
  return new QueryVariableBuilder(name)
    .label(label).query(query).datasource(DATASOURCE)
    .refresh(VariableRefresh.OnTimeRangeChanged).sort(VariableSort.AlphabeticalAsc)
    .multi(true).includeAll(true).allValue('.*').current({ selected: true, text: 'All', value: '$__all' });
}

/**
 * @param {{uid: string, title: string, description: string, variables: QueryVariableBuilder[], sections: Section[]}} spec
 */
export function dashboard(spec) {
  const builder = new DashboardBuilder(spec.title)
    .uid(spec.uid)
    .description(spec.description)
    .tags(['skein'])
    .timezone('browser')
    .refresh('30s')
    .time({ from: 'now-1h', to: 'now' })
    .tooltip(DashboardCursorSync.Crosshair)
    .link(new DashboardLinkBuilder('skein').type(DashboardLinkType.Dashboards).tags(['skein']).asDropdown(true)
      .includeVars(true).keepTime(true))
    .withVariable(new DatasourceVariableBuilder('datasource').label('Data source').type('prometheus'));
  spec.variables.forEach((each) => builder.withVariable(each));
  let id = 0;
  let y = 0;
  for (const section of spec.sections) {
    builder.withRow(new RowBuilder(section.row).id(++id).gridPos({ x: 0, y: y++, w: 24, h: 1 }));
    let x = 0;
    let height = 0;
    for (const panel of section.panels) {
      if (x + widthOf(panel) > 24) {
        x = 0;
        y += height;
        height = 0;
      }
      builder.withPanel(makePanel(panel, ++id, { x, y }));
      x += widthOf(panel);
      height = Math.max(height, heightOf(panel));
    }
    y += height;
  }
  return builder.build();
}

/**
 * A histogram's quantiles over a rate; nothing, rather than NaN, where nothing was observed.
 * @param {string} name  without _bucket
 * @param {string} selector
 * @param {string} by  labels besides le, with a comma at the end
 * @param {string} legend
 * @returns {[string, string][]}
 */
export function quantiles(name, selector, by, legend) {
  return [[0.5, 'p50'], [0.95, 'p95'], [0.99, 'p99']].map(([quantile, label]) => [
    `histogram_quantile(${quantile}, sum by (${by}le) (rate(${name}_bucket{${selector}}[$__rate_interval]))) >= 0`,
    `${legend} ${label}`.trim(),
  ]);
}

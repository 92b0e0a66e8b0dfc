// Draws a dashboard with Grafana's own components, fields and transformations, over a real Prometheus.
//
// Grafana's panels themselves are in no package: what they do between a query's answer and a component is done here, as
// far as these dashboards need it. There is no component for a state timeline: its rows are shown as a table.
import "uplot/dist/uPlot.min.css";
import * as React from "react";
import { createRoot } from "react-dom/client";
import {
  DataFrame, DataTransformerConfig, FieldConfigOptionsRegistry, FieldType, ThemeContext, VizOrientation, applyFieldOverrides,
  createTheme, dataLinksOverrideProcessor, dateTime, getDisplayValueAlignmentFactors, getFieldDisplayValues,
  identityOverrideProcessor, standardFieldConfigEditorRegistry, standardTransformers, standardTransformersRegistry,
  thresholdsOverrideProcessor, toDataFrame, transformDataFrame, valueMappingsOverrideProcessor,
} from "@grafana/data";
import {
  BarGauge, BigValue, BigValueColorMode, BigValueGraphMode, BigValueTextMode, GlobalStyles, PanelChrome, Table, TimeSeries,
} from "@grafana/ui";

const COLUMN = 66, ROW = 38; // Pixels of Grafana's grid.
const POINTS = 1000;

// Put there by docs/dashboard_pictures.py.
const { board, prometheus, from, to, scrape, variables } = (window as any).VIEW;
const theme = createTheme({ colors: { mode: "light" } });
const same = (text: string) => text;

const property = (id: string, process: any = identityOverrideProcessor, path = id, isCustom = false): any => ({
  id, path, name: id, isCustom, process, editor: () => null, override: () => null, shouldApply: () => true,
});
const CUSTOM = {
  align: "auto", axisPlacement: "auto", cellOptions: { type: "auto" }, drawStyle: "line", fillOpacity: 0, filterable: false,
  gradientMode: "none", hideFrom: { tooltip: false, viz: false, legend: false }, inspect: false, lineInterpolation: "linear",
  lineWidth: 1, pointSize: 5, scaleDistribution: { type: "linear" }, showPoints: "auto", spanNulls: false,
  stacking: { group: "A", mode: "none" }, thresholdsStyle: { mode: "off" },
};
const registry = new FieldConfigOptionsRegistry(() => [
  ...["color", "decimals", "displayName", "max", "min", "noValue", "unit"].map((id) => property(id)),
  property("links", dataLinksOverrideProcessor),
  property("mappings", valueMappingsOverrideProcessor),
  property("thresholds", thresholdsOverrideProcessor),
  ...Object.keys(CUSTOM).map((id) => property(`custom.${id}`, undefined, id, true)),
]);
standardFieldConfigEditorRegistry.setInit(() => registry.list());
const byId = new Map(Object.values(standardTransformers).map((one: any) => [one.id, one]));
standardTransformersRegistry.setInit(() => [...byId.values()].map((one: any) => ({
  id: one.id, name: one.name, transformation: one, editor: () => null,
}) as any));

async function framesOf(target: any, isAlone: boolean): Promise<DataFrame[]> {
  const least = { "1m": 60, "5m": 300 }[target.interval as string] ?? scrape;
  const step = Math.max(Math.ceil((to - from) / POINTS), least);
  let expression = target.expr
    .replaceAll("$__rate_interval", `${Math.max(step + scrape, 4 * scrape)}s`)
    .replaceAll("$__interval", `${step}s`)
    .replaceAll("$__range", `${to - from}s`);
  for (const [name, value] of Object.entries(variables)) {
    expression = expression.replaceAll(`$${name}`, value as string);
  }
  const when = target.instant ? { time: to } : { start: from, end: to, step };
  const asked = new URLSearchParams({ query: expression, ...when } as any);
  const answer = await (await fetch(`${prometheus}/api/v1/query${target.instant ? "" : "_range"}?${asked}`)).json();
  if (answer.status !== "success") {
    throw new Error(`${target.expr}: ${answer.error}`);
  }
  const series = answer.data.result.map((one: any) => ({ metric: one.metric, samples: one.values ?? [one.value] }));
  return target.format === "table" ? [tableOf(series, target, isAlone)] : series.map((one: any) => curveOf(one, target, step));
}

function tableOf(series: any[], target: any, isAlone: boolean): DataFrame {
  const rows = series.flatMap(({ metric, samples }) => samples.map(([time, value]: any) => ({ metric, time, value })));
  rows.sort((one, other) => one.time - other.time);
  const labels = [...new Set(series.flatMap(({ metric }) => Object.keys(metric)))].sort();
  return toDataFrame({
    refId: target.refId,
    fields: [
      { name: "Time", type: FieldType.time, values: rows.map((row) => row.time * 1000) },
      ...labels.map((name) => ({ name, type: FieldType.string, values: rows.map((row) => row.metric[name] ?? "") })),
      { name: isAlone ? "Value" : `Value #${target.refId}`, type: FieldType.number, values: rows.map((row) => Number(row.value)) },
    ],
  });
}

function curveOf({ metric, samples }: any, target: any, step: number): DataFrame {
  const values = new Map(samples.map(([time, value]: any) => [Math.round((time - from) / step), Number(value)]));
  const places = target.instant ? [...values.keys()] : Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, n) => n);
  const named = (target.legendFormat ?? "").replace(/\{\{\s*(.+?)\s*\}\}/g, (_: string, label: string) => metric[label] ?? "");
  return toDataFrame({
    refId: target.refId,
    fields: [
      { name: "Time", type: FieldType.time, values: places.map((n: any) => (from + n * step) * 1000) },
      { name: "Value", type: FieldType.number, labels: metric, config: { displayNameFromDS: named }, values: places.map((n) => values.get(n) ?? null) },
    ],
  });
}

async function dataOf(panel: any): Promise<DataFrame[]> {
  const asked = panel.targets.map((target: any) => framesOf(target, panel.targets.length === 1));
  const steps: DataTransformerConfig[] = panel.transformations ?? [];
  const frames: DataFrame[] = await new Promise(async (done, failed) =>
    transformDataFrame(steps, (await Promise.all(asked)).flat()).subscribe({ next: done, error: failed }));
  const { defaults, overrides } = structuredClone(panel.fieldConfig);
  const isCurve = panel.type === "timeseries";
  const custom = { ...CUSTOM, ...defaults.custom, stacking: { ...CUSTOM.stacking, ...defaults.custom?.stacking } };
  const thresholds = defaults.thresholds ?? { mode: "absolute", steps: [{ color: "green", value: null }] };
  thresholds.steps[0].value = -Infinity; // JSON has no such number.
  const color = defaults.color ?? { mode: isCurve ? "palette-classic" : "thresholds" };
  return applyFieldOverrides({
    data: frames,
    fieldConfig: { defaults: { ...defaults, color, thresholds, custom }, overrides },
    fieldConfigRegistry: registry,
    replaceVariables: same,
    theme,
    timeZone: "browser",
  });
}

function Body({ panel, data, width, height }: any): any {
  if (!data.length) {
    return "No data";
  }
  if (panel.type === "timeseries") {
    const timeRange = { from: dateTime(from * 1000), to: dateTime(to * 1000), raw: { from: "now-24h", to: "now" } };
    const { legend } = panel.options;
    return <TimeSeries frames={data} timeZone="browser" {...{ timeRange, width, height, legend, theme }} options={panel.options} />;
  }
  if (panel.type === "table" || panel.type === "state-timeline") {
    return <Table data={data[0]} width={width} height={height} />;
  }
  const { reduceOptions } = panel.options;
  const values = getFieldDisplayValues({ fieldConfig: panel.fieldConfig, reduceOptions, replaceVariables: same, theme, data, timeZone: "browser" });
  const count = values.length, names = count > 1 ? BigValueTextMode.ValueAndName : BigValueTextMode.Auto;
  const drawn = values.map(({ display, field }, n) => panel.type === "stat"
    ? <BigValue key={n} value={display} width={width / count} colorMode={BigValueColorMode.Value} graphMode={BigValueGraphMode.None} textMode={names} {...{ height, theme, count }} />
    : <BarGauge key={n} value={display} field={field as any} orientation={VizOrientation.Horizontal} displayMode={"basic" as any} valueDisplayMode={"color" as any} showUnfilled height={Math.min(40, height / count)} alignmentFactors={getDisplayValueAlignmentFactors(values)} itemSpacing={8} lcdCellWidth={12} {...{ width, theme }} />);
  return <div style={{ display: "flex", flexDirection: panel.type === "stat" ? "row" : "column" }}>{drawn}</div>;
}

function Panel({ panel, data }: any): any {
  const { x, y, w, h } = panel.gridPos;
  const width = w * COLUMN - 8, height = h * ROW - 8;
  return <div style={{ position: "absolute", left: 8 + x * COLUMN, top: 8 + y * ROW, width, height }}>
    {panel.type === "row"
      ? <h3>{panel.title}</h3>
      : <PanelChrome title={panel.title} padding="sm" {...{ width, height }}>
          {(innerWidth, innerHeight) => <Body width={innerWidth} height={innerHeight} {...{ panel, data }} />}
        </PanelChrome>}
  </div>;
}

async function draw(): Promise<void> {
  const drawn = await Promise.all(board.panels.map(async (panel: any) =>
    <Panel key={panel.id} panel={panel} data={panel.type === "row" ? [] : await dataOf(panel)} />));
  const height = 8 + ROW * Math.max(...board.panels.map(({ gridPos }: any) => gridPos.y + gridPos.h));
  const style = { position: "relative", width: 8 + 24 * COLUMN, height, background: theme.colors.background.canvas } as const;
  createRoot(document.body).render(<ThemeContext.Provider value={theme}><GlobalStyles /><div id="board" style={style}>{drawn}</div></ThemeContext.Provider>);
}

draw().catch((error) => { document.body.textContent = `FAILED: ${error.stack}`; });

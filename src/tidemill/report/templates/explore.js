// The chart of a model's figures: choices from the API, drawn by Vega-Lite; the strip below chooses a window of time. Runs under a strict policy.
const form = document.querySelector("form.explore"), place = document.querySelector("#chart"), note = document.querySelector("#note");
const dark = matchMedia("(prefers-color-scheme: dark)").matches;
const ink = dark ? "#c9d3da" : "#1d2b36", grid = dark ? "#2b3740" : "#e3e8ec";
const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const releases = [colour("--accent"), colour("--second"), "#8a6fc0", "#7f8c3a", "#b0577f", "#8b8f94"];

async function ask(path, values) {
  const query = new URLSearchParams(Object.entries(values).filter(([, value]) => value));
  const answer = await fetch(`../api/${path}?${query}`, {credentials: "same-origin"});
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}

// The name that the other pages give to a figure.
const KINDS = {performance: "realised", estimate: "estimated"};
const shown = text => text.replace(/^\w+/, part => KINDS[part] ?? part).replace(/_recent$/, ", newest matured partitions");

function fill(select, texts, label = text => text || "all rows") {
  const chosen = select.value;
  select.replaceChildren(...texts.map(text => new Option(label(text), text)));
  if (texts.includes(chosen)) select.value = chosen;
}

const TOLD = {partition: "partition", value: "value", low: "from", high: "to", n: "rows", label_coverage: "label coverage", release_id: "release", as_of: "as of"};
const ROUNDED = ["value", "low", "high", "label_coverage"];

function spec(name, values) {
  const x = {field: "partition", type: "ordinal", axis: {labelOverlap: true, labelAngle: 0, title: null}};
  const y = {field: "value", type: "quantitative", scale: {zero: false}, title: name};
  const tooltip = Object.entries(TOLD).map(([field, title]) => ({field, title, ...(ROUNDED.includes(field) ? {format: ".4~f"} : {})}));
  const width = place.clientWidth - 110;
  const chart = {
    width, height: 300, transform: [{filter: {param: "window"}}],
    layer: [
      {mark: {type: "rule", opacity: 0.45, color: ink}, encoding: {x, y: {...y, field: "low"}, y2: {field: "high"}}},
      {mark: {type: "line", opacity: 0.6}, encoding: {x, y}},
      {params: [{name: "zoom", select: {type: "interval", encodings: ["y"]}, bind: "scales"}],
       mark: {type: "point", filled: true, size: 45},
       encoding: {x, y, color: {field: "release_id", type: "nominal", title: "release", legend: {orient: "top"}}, tooltip}},
    ],
  };
  const overview = {
    width, height: 46, mark: {type: "area", opacity: 0.35},
    params: [{name: "window", select: {type: "interval", encodings: ["x"]}}],
    encoding: {x: {...x, axis: null}, y: {...y, axis: null}},
  };
  return {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json", data: {values}, vconcat: [chart, overview],
    config: {background: "transparent", axis: {labelColor: ink, titleColor: ink, gridColor: grid, domainColor: grid, tickColor: grid},
             legend: {labelColor: ink, titleColor: ink}, view: {stroke: grid}, mark: {color: colour("--accent")}, range: {category: releases}},
  };
}

async function draw() {
  const [part, name] = form.elements.figure.value.split(" ");
  const {slice, first, last} = Object.fromEntries(new FormData(form));
  const values = await ask("figures", {part, name, slice, first, last});
  note.textContent = values.length ? `${values.length} partitions, ${values[0].partition} to ${values.at(-1).partition}.` : "There is no such figure yet.";
  await vegaEmbed(place, spec(shown(`${part} ${name}`), values), {actions: false, ast: true, defaultStyle: false, tooltip: {disableDefaultStyle: true}, renderer: "svg"});
}

function tell(error) { note.textContent = `The figures cannot be shown: ${error.message}`; }

async function start() {
  const names = (await ask("names", {})).filter(item => !item.by_feature);
  const slices = () => names.filter(item => `${item.part} ${item.name}` === form.elements.figure.value).map(item => item.slice ?? "");
  fill(form.elements.figure, [...new Set(names.map(item => `${item.part} ${item.name}`))], shown);
  const wanted = form.dataset.metric;
  if (names.some(item => item.part === "performance" && item.name === wanted)) form.elements.figure.value = `performance ${wanted}`;
  fill(form.elements.slice, slices());
  form.addEventListener("change", () => { fill(form.elements.slice, slices()); draw().catch(tell); });
  form.addEventListener("submit", event => event.preventDefault());
  await draw();
}

start().catch(tell);

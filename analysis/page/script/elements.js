"use strict";

// Helpers of all parts. Text that comes from a run is inserted as text, never as markup.

const byId = (id) => document.getElementById(id);

/** An HTML element. Attributes that are null are left out; children that are strings become text. */
function element(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** An SVG element; see `element`. */
function shape(tag, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) if (value !== null) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

const unique = (values) => [...new Set(values)];

/** Replaces the options of a select by [value, text] pairs; keeps its value if that is still an option. */
function setOptions(select, options, preferred) {
  const stays = select.options.length > 0 && options.some(([value]) => String(value) === select.value);
  const wanted = stays ? select.value : (preferred ?? options[0]?.[0]);
  select.replaceChildren(...options.map(([value, text]) => element("option", { value }, text)));
  if (wanted !== undefined) select.value = wanted;
}

const sameText = (values) => unique(values).map((value) => [value, value]);

/** A number with four digits, trailing zeros included, for columns; "–" if there is none. */
function measured(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  const plain = size === 0 || (size >= 1e-3 && size < 1e6);
  const digits = size === 0 ? 0 : Math.max(0, 3 - Math.floor(Math.log10(size)));
  const text = plain ? value.toFixed(digits) : value.toExponential(2);
  return text.replaceAll("-", "−");
}

/** A number with at most four digits, for sentences; "–" if there is none. */
function brief(value) {
  return value === null ? "–" : String(Number(value.toPrecision(4))).replaceAll("-", "−");
}


import assert from "node:assert/strict";
import { test } from "node:test";
import { gapsOf } from "../../../cli/fleet/charts.ts";
import { judge } from "../../../cli/fleet/judge.ts";
import { renderPage } from "../../../cli/fleet/page.ts";
import { DARK, LIGHT, type Palette } from "../../../cli/fleet/palette.ts";
import { outputs } from "../support/factories.ts";
import { drillOf, lookedOf, NOW, storedOf } from "./factories.ts";

const HOSTILE = `</title><script>alert(1)</script>" onload='x' &amp; \u202e`;

/** Elements that have no end. */
const VOID = new Set(["meta", "rect", "line", "path"]);

/** Reads the page as a strict parser would: each element is ended in its order, each attribute quoted, each sign escaped. */
function elementsOf(page: string): { name: string; attributes: Map<string, string> }[] {
  const open: string[] = [];
  const all: { name: string; attributes: Map<string, string> }[] = [];
  const body = page.replace(/^<!DOCTYPE html>\n/, "").replace(/<style>[^<]*<\/style>/, "");
  for (const [, text, end, name = "", rest = ""] of body.matchAll(
    /([^<]*)<(\/?)([a-z0-9]+)((?:\s+[a-zA-Z0-9-]+="[^"<>]*")*)\/?>/gy,
  )) {
    assert.doesNotMatch(text ?? "", /[>"]|&(?!(amp|lt|gt|quot|#39);)/);
    if (end === "/") assert.equal(open.pop(), name);
    else {
      if (!VOID.has(name)) open.push(name);
      const attributes = [...rest.matchAll(/([a-zA-Z0-9-]+)="([^"]*)"/g)];
      all.push({
        name,
        attributes: new Map(attributes.map(([, key = "", value = ""]) => [key, value])),
      });
    }
  }
  assert.deepEqual(open, []);
  const read = [...body.matchAll(/<\/?[a-z0-9]+/g)].length;
  assert.equal(read, all.length + (body.match(/<\//g) ?? []).length, "all of it was read");
  return all;
}

function pageOf(name: string): string {
  const failed = drillOf(30, { verdict: "failed", reason: name });
  const looked = [
    lookedOf({ databases: [storedOf(100, { database: name, drills: [drillOf(2), failed] })] }),
    lookedOf({ stack: name, databases: [storedOf(0, { database: name })] }),
    lookedOf({ stack: "unread", failure: name, databases: [] }),
    { stack: name, databases: [], pending: 0, failure: "no passphrase" },
    lookedOf({ backup: { ...outputs, name, schedule: name }, lock: { mode: name, days: 3 } }),
  ];
  return renderPage(
    looked.map((one) => judge(one, NOW)),
    new Date(NOW),
  );
}

test("the page is well formed, holds all of itself, and runs nothing", () => {
  for (const name of ["shop_production", HOSTILE]) {
    const page = pageOf(name);
    const elements = elementsOf(page);
    const names = new Set(elements.map((one) => one.name));
    for (const active of ["script", "iframe", "img", "link", "object", "form"]) {
      assert.ok(!names.has(active), active);
    }
    for (const { name: element, attributes } of elements) {
      for (const [key, value] of attributes) {
        assert.doesNotMatch(key, /^(on|src$|style$)/, element);
        if (key === "href") assert.match(value, /^#application-\d+$/);
      }
    }
    assert.doesNotMatch(page, /https?:|url\(|@import|\u202e/);
    assert.match(page, /default-src &#39;none&#39;|default-src 'none'/);
  }
});

test("whoever sees no picture, or no colour, reads the same", () => {
  const page = pageOf("shop_production");
  const elements = elementsOf(page);
  const ids = elements.flatMap(({ attributes }) => attributes.get("id") ?? []);
  assert.deepEqual(ids, [...new Set(ids)]);
  for (const { name, attributes } of elements) {
    const labels = attributes.get("aria-labelledby");
    if (labels !== undefined) assert.ok(ids.includes(labels), labels);
    const target = attributes.get("href")?.slice(1);
    if (target !== undefined) assert.ok(ids.includes(target), target);
    if (name === "svg") assert.equal(attributes.get("role"), "img");
    if (name === "th") assert.equal(attributes.get("scope"), "col");
  }
  const count = (name: string) => elements.filter((one) => one.name === name).length;
  assert.equal((page.match(/<svg [^>]*><title>[^<]+<\/title>/g) ?? []).length, count("svg"));
  assert.equal(count("caption"), count("table"));
  assert.ok(count("svg") >= 3 && count("table") >= 3);
  assert.match(page, /<html lang="en">/);
  assert.match(page, /name="viewport"/);
  assert.match(page, /@media \(prefers-color-scheme: dark\)/);
  assert.match(page, /@media print/);
  // What needs attention stands in words before everything else.
  const [attention = ""] = /id="attention"[\s\S]*?<\/section>/.exec(page) ?? [];
  assert.match(attention, /needs attention<\/span>: no complete backup, RPO 26 h: missed/);
  assert.match(attention, /not known<\/span>: no passphrase/);
  assert.ok(page.indexOf('id="attention"') < page.indexOf('id="overview"'));
  assert.match(page, /The newest 31 of 100 backups of shop_production/);
  assert.match(page, /Timeline of shop_production: 100 backups, 2 drills</);
  const well = renderPage([judge(lookedOf(), NOW)], new Date(NOW));
  assert.match(well, /Nothing: every newest backup is young enough\./);
});

test("each text can be read on its ground, by WCAG's arithmetic", () => {
  const channel = (value: number) =>
    value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const luminance = (colour: string) => {
    const [r = 0, g = 0, b = 0] = [1, 3, 5].map((i) =>
      channel(Number.parseInt(colour.slice(i, i + 2), 16) / 255),
    );
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a: string, b: string) => {
    const [light = 0, dark = 0] = [luminance(a), luminance(b)].toSorted((x, y) => y - x);
    return (light + 0.05) / (dark + 0.05);
  };
  assert.ok(contrast("#000000", "#ffffff") === 21);
  const texts: (keyof Palette)[] = ["ink", "faint", "good", "bad", "uncertain", "mark"];
  for (const palette of [LIGHT, DARK]) {
    for (const text of texts) {
      const found = contrast(palette[text], palette.paper);
      assert.ok(found >= 4.5, `${text} on ${palette.paper}: ${found.toFixed(2)}`);
    }
  }
});

test("a gap is where the newest backup was older than the RPO", () => {
  const hour = 3_600_000;
  const at = (...hours: number[]) => hours.map((each) => each * hour);
  assert.deepEqual(gapsOf(at(0, 24, 48), 26 * hour, 50 * hour), []);
  assert.deepEqual(gapsOf(at(48, 0), 26 * hour, 80 * hour), [at(26, 48), at(74, 80)]);
  assert.deepEqual(gapsOf([], 26 * hour, 0), []);
});

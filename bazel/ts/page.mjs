// Makes one file of a page: page.mjs HTML SCRIPT STYLE OUTPUT.
//
// The page names its one style sheet and its one script as if they were served beside it; here they go into it, and a
// content security policy lets nothing else run, load or be reached, but the server that the page comes from.
// https://www.w3.org/TR/CSP3/

import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import process from "node:process";

const [html, script, style, output] = process.argv.slice(2);
const read = (file) => readFileSync(file, "utf8").trim();

const hash = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

const replaced = (page, pattern, text) => {
  if (!pattern.test(page)) {
    throw new Error(`${html} has no ${pattern}`);
  }
  return page.replace(pattern, () => text);
};

// What would end the element that it is in.
const javaScript = read(script).replaceAll("</script", "<\\/script");
const css = read(style).replaceAll("</style", "<\\/style");

const policy = [
  "default-src 'none'",
  `script-src ${hash(javaScript)}`,
  `style-src ${hash(css)}`,
  "connect-src 'self'",
  "img-src data:",
  "base-uri 'none'",
  "form-action 'none'",
  "require-trusted-types-for 'script'",
].join("; ");

const inlined = [
  [
    /<meta charset="utf-8" \/>/u,
    `<meta charset="utf-8" /><meta http-equiv="Content-Security-Policy" content="${policy}" />`,
  ],
  [/<link rel="stylesheet"[^>]*>/u, `<style>${css}</style>`],
  [/<script type="module"[^>]*><\/script>/u, `<script type="module">${javaScript}</script>`],
].reduce((page, [pattern, text]) => replaced(page, pattern, text), read(html));
writeFileSync(output, `${inlined}\n`);

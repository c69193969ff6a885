// Inlines the script and the style sheet into a page: page.mjs HTML SCRIPT STYLE METAFILE PACKAGE_LOCK OUTPUT.
//
// The HTML refers to one style sheet and one script by name. The output contains both, and a content security policy:
// the page can run and load nothing else, and can connect only to the server that it comes from.
// https://www.w3.org/TR/CSP3/

import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import process from "node:process";

const [html, script, style, metafile, packageLock, output] = process.argv.slice(2);
const read = (file) => readFileSync(file, "utf8").trim();

const hash = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

const replaced = (page, pattern, text) => {
  if (!pattern.test(page)) {
    throw new Error(`${html} has no ${pattern}`);
  }
  return page.replace(pattern, () => text);
};

// Escape the text that would end the enclosing element.
const javaScript = read(script).replace(/<\/script/giu, "<\\/script");
const css = read(style).replace(/<\/style/giu, "<\\/style");

// The packages whose code is in the bundle: esbuild lists them, and npm's lock has their versions and licenses.
const folders = Object.keys(JSON.parse(read(metafile)).inputs).map(
  (file) => /(node_modules\/(@[^/]+\/)?[^/]+)\//u.exec(file)?.[1],
);
const { packages } = JSON.parse(read(packageLock));
const notice = [...new Set(folders)]
  .filter((folder) => folder !== undefined)
  .sort()
  .map(
    (folder) =>
      `${folder.replace("node_modules/", "")} ${packages[folder].version} (${packages[folder].license.replace(/^\((.*)\)$/u, "$1")})`,
  );

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
writeFileSync(output, `${inlined}\n<!-- With parts of ${notice.join(", ")}. -->\n`);

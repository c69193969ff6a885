// Makes one file of a page: page.mjs HTML SCRIPT STYLE METAFILE PACKAGE_LOCK OUTPUT.
//
// The page names its one style sheet and its one script as if they were served beside it; here they go into it, and a
// content security policy lets nothing else run, load or be reached, but the server that the page comes from.
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

// What would end the element that it is in.
const javaScript = read(script).replace(/<\/script/giu, "<\\/script");
const css = read(style).replace(/<\/style/giu, "<\\/style");

// The packages that the script has parts of, as esbuild has seen and npm has pinned them.
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

// The main module of every ts_test: runs test modules under Bazel, with Node's test runner.
//
// Bazel sets the test filter and the path of the report by environment variables:
// https://bazel.build/reference/test-encyclopedia#initial-conditions

import { createWriteStream } from "node:fs";
import { resolve } from "node:path";
import process from "node:process";
import { run } from "node:test";
import { junit, spec } from "node:test/reporters";

const { TESTBRIDGE_TEST_ONLY: filter, XML_OUTPUT_FILE: report } = process.env;
const files = process.argv.slice(2).map((module) => resolve(module));

const fail = (reason) => {
  console.error(reason);
  process.exitCode = 1;
};

const tests = run({ files, ...(filter ? { testNamePatterns: [filter] } : {}) });
tests.on("test:fail", () => {
  process.exitCode = 1;
});
let passed = 0;
tests.on("test:pass", ({ details, name, skip }) => {
  // Node reports a module without (matching) tests as a passed test with the name of the module.
  if (files.includes(name)) {
    if (!filter) {
      fail(`${name} contains no tests`);
    }
  } else if (details.type !== "suite" && skip === undefined) {
    passed += 1;
  }
});
tests.on("test:summary", ({ file }) => {
  if (file === undefined && passed === 0) {
    fail(filter ? `no test name matches ${filter}` : "no test passed");
  }
});
tests.compose(new spec()).pipe(process.stdout);
if (report) {
  tests.compose(junit).pipe(createWriteStream(report));
}

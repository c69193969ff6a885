// The main module of every ts_test: runs test modules by Node's own runner, under Bazel.
//
// Bazel says by the environment which tests to run, and where the report goes:
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
  // A module that has none, or none of the filter's, counts as one that passes, by its own name.
  if (files.includes(name)) {
    if (!filter) {
      fail(`there is no test in ${name}`);
    }
  } else if (details.type !== "suite" && skip === undefined) {
    passed += 1;
  }
});
tests.on("test:summary", ({ file }) => {
  if (file === undefined && passed === 0) {
    fail(filter ? `no test's name has ${filter} in it` : "no test has passed");
  }
});
tests.compose(new spec()).pipe(process.stdout);
if (report) {
  tests.compose(junit).pipe(createWriteStream(report));
}

// Package testrun runs the tests of a go_test target as Bazel asks for it.
package testrun

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/internal/testdeps"
)

// Prepare returns what the generated main function of a test runs. It applies --test_filter, which Bazel passes in
// TESTBRIDGE_TEST_ONLY (https://bazel.build/reference/test-encyclopedia), and ends the process if the filter matches
// none of the names.
func Prepare(
	tests []testing.InternalTest,
	benchmarks []testing.InternalBenchmark,
	fuzzTests []testing.InternalFuzzTarget,
	examples []testing.InternalExample,
) *testing.M {
	m := testing.MainStart(testdeps.TestDeps{}, tests, benchmarks, fuzzTests, examples)
	set("test.v", "true")
	if filter, ok := os.LookupEnv("TESTBRIDGE_TEST_ONLY"); ok {
		requireMatch(filter, tests, fuzzTests, examples)
		set("test.run", filter)
	}
	return m
}

func set(name, value string) {
	if err := flag.Set(name, value); err != nil {
		fail("--%s=%s: %v", name, value, err)
	}
}

func requireMatch(
	filter string, tests []testing.InternalTest, fuzzTests []testing.InternalFuzzTarget, examples []testing.InternalExample,
) {
	// What follows a slash selects subtests, whose names are known only when they run.
	pattern, err := regexp.Compile(strings.SplitN(filter, "/", 2)[0])
	if err != nil {
		fail("--test_filter=%s is not a regular expression: %v", filter, err)
	}
	var names []string
	for _, test := range tests {
		names = append(names, test.Name)
	}
	for _, test := range fuzzTests {
		names = append(names, test.Name)
	}
	for _, example := range examples {
		names = append(names, example.Name)
	}
	for _, name := range names {
		if pattern.MatchString(name) {
			return
		}
	}
	fail("--test_filter=%s matches none of the tests: %s", filter, strings.Join(names, ", "))
}

func fail(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", arguments...)
	os.Exit(2)
}

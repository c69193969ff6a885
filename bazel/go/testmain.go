// Command testmain writes the main function of a go_test target: testmain OUTPUT IMPORTPATH SOURCE...
package main

import (
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"log"
	"os"
	"strings"
	"text/template"
	"unicode"
	"unicode/utf8"
)

// functions are the names of a package's functions that the testing package runs.
type functions struct {
	ImportPath              string
	Tests, Benchmarks, Fuzz []string
	Examples                []*doc.Example
	HasMain                 bool
}

var mainSource = template.Must(template.New("main").Parse(`package main

import (
	"os"
{{- if .HasMain}}
	"reflect"
{{- end}}
	"testing"

	"calculator/bazel/go/testrun"
	under "{{.ImportPath}}"
)

func main() {
	m := testrun.Prepare(
		[]testing.InternalTest{ {{- range .Tests}}{"{{.}}", under.{{.}}}, {{end -}} },
		[]testing.InternalBenchmark{ {{- range .Benchmarks}}{"{{.}}", under.{{.}}}, {{end -}} },
		[]testing.InternalFuzzTarget{ {{- range .Fuzz}}{"{{.}}", under.{{.}}}, {{end -}} },
		[]testing.InternalExample{ {{- range .Examples}}{"Example{{.Name}}", under.Example{{.Name}}, {{printf "%q" .Output}}, {{.Unordered}}}, {{end -}} },
	)
{{- if .HasMain}}
	under.TestMain(m)
	os.Exit(int(reflect.ValueOf(m).Elem().FieldByName("exitCode").Int()))
{{- else}}
	os.Exit(m.Run())
{{- end}}
}
`))

func main() {
	log.SetFlags(0)
	if len(os.Args) < 4 {
		log.Fatal("usage: testmain OUTPUT IMPORTPATH SOURCE...")
	}
	found, err := find(os.Args[3:])
	if err != nil {
		log.Fatal(err)
	}
	found.ImportPath = os.Args[2]
	output, err := os.Create(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	if err := mainSource.Execute(output, found); err != nil {
		log.Fatal(err)
	}
	if err := output.Close(); err != nil {
		log.Fatal(err)
	}
}

// find parses sources and returns their test functions. It returns an error if there are none.
func find(sources []string) (*functions, error) {
	found := &functions{}
	for _, source := range sources {
		file, err := parser.ParseFile(token.NewFileSet(), source, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, declaration := range file.Decls {
			if function, ok := declaration.(*ast.FuncDecl); ok && function.Recv == nil {
				found.add(function.Name.Name)
			}
		}
		for _, example := range doc.Examples(file) {
			if example.Output != "" || example.EmptyOutput { // the others are compiled, but not run
				found.Examples = append(found.Examples, example)
			}
		}
	}
	if len(found.Tests)+len(found.Fuzz)+len(found.Examples) == 0 {
		return nil, fmt.Errorf("%s: no function is a test: func TestX(t *testing.T)", strings.Join(sources, ", "))
	}
	return found, nil
}

func (f *functions) add(name string) {
	switch {
	case name == "TestMain":
		f.HasMain = true
	case hasPrefix(name, "Test"):
		f.Tests = append(f.Tests, name)
	case hasPrefix(name, "Benchmark"):
		f.Benchmarks = append(f.Benchmarks, name)
	case hasPrefix(name, "Fuzz"):
		f.Fuzz = append(f.Fuzz, name)
	}
}

// hasPrefix reports whether name is prefix, or continues after it with anything other than a lower case letter, which is
// how "go test" recognizes tests.
func hasPrefix(name, prefix string) bool {
	rest, ok := strings.CutPrefix(name, prefix)
	first, _ := utf8.DecodeRuneInString(rest)
	return ok && !unicode.IsLower(first)
}

// Package testdata has tests that fail, for rules_test.py.
package testdata

import (
	"fmt"
	"testing"
)

func TestFails(t *testing.T) {
	t.Error("one is not two")
}

func TestPasses(t *testing.T) {}

func FuzzFails(f *testing.F) {
	f.Add(1)
	f.Fuzz(func(t *testing.T, number int) {
		t.Errorf("%d is not accepted", number)
	})
}

func Example_printsOne() {
	fmt.Println(1)
	// Output: 2
}

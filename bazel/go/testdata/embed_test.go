package testdata

import (
	_ "embed"
	"testing"
)

//go:embed embedded.txt
var embedded string

func TestAFileInAnotherFolderIsEmbeddedByItsName(t *testing.T) {
	if embedded != "text\n" {
		t.Errorf("embedded %q", embedded)
	}
}

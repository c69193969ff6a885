// Tests of messages as JSON.

package main

import (
	"encoding/json"
	"math"
	"testing"

	pb "calculator/proto/calculator/v1/calculatorpb"
)

func TestJSONHasTheSpacesOfThePythonClientButStringsStayAsTheyAre(t *testing.T) {
	remaining := `-0,"max":-0, "\":-0,` + "\t ä"
	step := &pb.EvaluateResponse_Step{Result: math.Copysign(0, -1), Remaining: remaining, Arguments: []float64{-1e30, 2}}
	text, err := asJSON(step)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"operation": "OPERATION_UNSPECIFIED", "first_operand": 0, "second_operand": 0, "result": -0.0, ` +
		`"remaining": "-0,\"max\":-0, \"\\\":-0,\t ä", "function": "", "arguments": [-1e+30, 2]}`
	if text != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	var parsed struct{ Remaining string }
	if err := json.Unmarshal([]byte(text), &parsed); err != nil || parsed.Remaining != remaining {
		t.Errorf("remaining is %q, error %v", parsed.Remaining, err)
	}
}

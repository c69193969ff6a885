// Messages as JSON, for --json.

package main

import (
	"fmt"
	"regexp"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// jsonToken matches what jsonSpacing rewrites, and the strings, which it keeps.
var jsonToken = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|[-+.0-9eE]+|[,:]|\s`)

// jsonSpacing replaces tokens. protojson adds spaces at random, so that nothing depends on its output. It prints -0,
// which many parsers read as an integer, without the sign.
var jsonSpacing = map[string]string{",": ", ", ":": ": ", " ": "", "-0": "-0.0"}

// asJSON returns a message as one line of JSON, with the spaces of the Python client.
func asJSON(message proto.Message) (string, error) {
	options := protojson.MarshalOptions{UseProtoNames: true, EmitDefaultValues: true}
	encoded, err := options.Marshal(message)
	if err != nil {
		return "", fmt.Errorf("the answer cannot be printed as JSON: %w", err)
	}
	return jsonToken.ReplaceAllStringFunc(string(encoded), func(token string) string {
		if replaced, ok := jsonSpacing[token]; ok {
			return replaced
		}
		return token
	}), nil
}

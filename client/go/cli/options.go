// The global options.

package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/pflag"

	"calculator/client"
)

const longestTimeout = 24 * 3600 // seconds

var (
	auths   = []string{client.AuthAuto, client.AuthIdentityToken, client.AuthNone}
	headers = []string{client.HeaderAuthorization, client.HeaderServerless}
)

// options are the global options, as they are given.
type options struct {
	target, timeout string
	asJSON          bool
	access          client.Access
	flags           *pflag.FlagSet
}

func (o *options) add(flags *pflag.FlagSet) {
	o.flags = flags
	flags.SortFlags = false
	flags.StringVar(&o.target, "target", client.DefaultTarget,
		"Address of the server: `HOST[:PORT]`. PORT defaults to 443, which uses TLS; other ports use plaintext.")
	flags.BoolVar(&o.access.TLS, "tls", false, "Use TLS on other ports too.")
	flags.StringVar(&o.access.CACert, "ca-cert", "",
		"Use TLS, and verify the server with the CA certificates in a PEM `FILE` instead of the system's.")
	flags.StringVar(&o.access.Auth, "auth", client.AuthAuto,
		"`HOW` to authenticate: auto, identity-token or none; auto sends a token to Cloud Run if credentials are available.")
	flags.StringVar(&o.access.Audience, "audience", "", "Audience of the tokens: a `URL`, by default https://HOST.")
	flags.StringVar(&o.access.Impersonate, "impersonate-service-account", "",
		"`EMAIL` of the service account whose tokens to send, by default your own.")
	flags.StringArrayVar(&o.access.Headers, "token-header", headers[:1],
		"`NAME` of the header that carries the token: authorization or x-serverless-authorization. Pass both if the service "+
			"behind Cloud Run's IAM verifies tokens too.")
	flags.StringVar(&o.timeout, "timeout", "5", "Timeout of a call in `SECONDS`, 0<x<=86400.")
	flags.BoolVar(&o.asJSON, "json", false, "Print each answer as one line of JSON.")
}

// caller checks the options, and returns what calls the server with them.
func (o *options) caller() (*caller, error) {
	if err := checkTarget(o.target); err != nil {
		return nil, invalid("--target", err)
	}
	if err := checkFile(o.access.CACert, o.flags.Changed("ca-cert")); err != nil {
		return nil, invalid("--ca-cert", err)
	}
	if err := checkChoice(o.access.Auth, auths); err != nil {
		return nil, invalid("--auth", err)
	}
	for _, header := range o.access.Headers {
		if err := checkChoice(header, headers); err != nil {
			return nil, invalid("--token-header", err)
		}
	}
	seconds, err := parseNumber(o.timeout)
	if err == nil && !(seconds > 0 && seconds <= longestTimeout) {
		err = fmt.Errorf("'%s' is not in the range 0<x<=%d", o.timeout, longestTimeout)
	}
	if err != nil {
		return nil, invalid("--timeout", err)
	}
	return &caller{o.target, o.access, time.Duration(seconds * float64(time.Second)), o.asJSON}, nil
}

// invalid returns the error of the value of an option or a parameter.
func invalid(name string, reason error) error {
	return fmt.Errorf("Invalid value for '%s': %w", name, reason)
}

func checkTarget(target string) error {
	isUnusual := func(r rune) bool { return !unicode.IsPrint(r) || r == ' ' }
	if target == "" || strings.ContainsFunc(target, isUnusual) {
		return fmt.Errorf("%s is invalid: must be HOST:PORT, such as localhost:50051, or HOST", quoted(target))
	}
	_, err := client.ParseAddress(target)
	return err
}

// quoted returns a text in single quotes, in which only printable characters are not escaped.
func quoted(text string) string {
	escaped := strconv.Quote(text)
	return "'" + escaped[1:len(escaped)-1] + "'"
}

// checkFile returns an error if the given name cannot be the name of a file. An empty name, such as that of an unset
// variable, must not mean plaintext.
func checkFile(name string, isGiven bool) error {
	if isGiven && name == "" {
		return errors.New("'' is not a file")
	}
	if found, err := os.Stat(name); err == nil && found.IsDir() {
		return fmt.Errorf("File '%s' is a directory.", name)
	}
	return nil
}

func checkChoice(value string, choices []string) error {
	if !slices.Contains(choices, value) {
		return fmt.Errorf("'%s' is not one of '%s'.", value, strings.Join(choices, "', '"))
	}
	return nil
}

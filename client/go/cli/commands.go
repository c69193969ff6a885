// Shared code of all commands: channels, errors and output.

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"calculator/client"
)

// exitError is an error of a call or of its input, not of the command line, so that it is printed without the usage.
type exitError struct {
	status  int
	message string // one line; nothing is printed if it is empty
}

func (e *exitError) Error() string {
	return e.message
}

// failure returns an error with exit status 1, whose text is one line.
func failure(text string) error {
	return &exitError{1, strings.Join(strings.Fields(text), " ")}
}

// caller calls the server, and prints its answers, according to the global options.
type caller struct {
	target  string
	access  client.Access
	timeout time.Duration // of a call; calls that read their requests from standard input have none
	asJSON  bool
}

// session is what a command does with a channel to the server.
type session func(ctx context.Context, channel *grpc.ClientConn) error

// withDeadline runs a function with a channel, and with a context that has the deadline of a call. The deadline does not
// include the time until there is an identity token. The error describes a failed call in one line.
func (c *caller) withDeadline(ctx context.Context, run session) error {
	return c.withChannel(ctx, func(ctx context.Context, channel *grpc.ClientConn) error {
		ctx, cancel := context.WithTimeout(ctx, c.timeout)
		defer cancel()
		return run(ctx, channel)
	})
}

// withChannel is like withDeadline, but without a deadline. Reading standard input can take any time, so a deadline would
// limit the input, not the server.
func (c *caller) withChannel(ctx context.Context, run session) error {
	channel, err := client.Connect(ctx, c.target, c.access)
	if err != nil {
		return failure(err.Error())
	}
	defer channel.Close()
	err = run(ctx, channel)
	var described *exitError
	switch _, isStatus := status.FromError(err); {
	case err == nil || errors.As(err, &described):
		return err
	case isStatus:
		return c.describe(err)
	default:
		return failure(err.Error())
	}
}

func (c *caller) describe(err error) error {
	address, parseErr := client.ParseAddress(c.target)
	if parseErr != nil {
		return parseErr
	}
	return failure(client.Describe(err, client.Call{
		Target:   c.target,
		Timeout:  c.timeout,
		Audience: c.access.RequiredAudience(address),
		IsTLS:    c.access.UsesTLS(address),
	}))
}

// show prints a message as JSON if --json is set, otherwise its text form.
func (c *caller) show(message proto.Message, text string) error {
	if c.asJSON {
		encoded, err := asJSON(message)
		if err != nil {
			return err
		}
		text = encoded
	}
	if _, err := fmt.Println(text); err != nil {
		var cause *fs.PathError
		if errors.As(err, &cause) {
			err = cause.Err // without the name of the file
		}
		return failure(fmt.Sprintf("cannot write the answer: %v", err))
	}
	return nil
}

// checkUTF8 returns an error if a word is not UTF-8, as protobuf requires; words of the command line can be any bytes.
func checkUTF8(word string) error {
	if !utf8.ValidString(word) {
		return fmt.Errorf("%s is not UTF-8", quoted(word))
	}
	return nil
}

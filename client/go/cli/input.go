// Standard input of the commands, as words or as lines, in any amount.

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"strings"
	"sync"
	"unicode/utf8"
)

const (
	chunkBytes   = 64 * 1024
	maxWordBytes = 1000
	maxLineBytes = 1_000_000
	whitespace   = " \t\n\v\f\r"
)

var byteOrderMark = []byte("\ufeff")

// standardInput reads words or lines, in any amount. It keeps the first problem, which ends the input, until the call
// has ended: the status of the call is more important.
type standardInput struct {
	file *os.File

	mu  sync.Mutex
	err error
}

func newStandardInput() *standardInput {
	return &standardInput{file: os.Stdin}
}

// problem returns the problem that ended the input, if it was invalid: which number or line, and why.
func (s *standardInput) problem() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *standardInput) end(format string, arguments ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = &exitError{2, fmt.Sprintf(format, arguments...)}
}

// words yields the parsed words, which whitespace separates. A word that is invalid ends the input.
func words[T any](s *standardInput, parse func(string) (T, error)) iter.Seq[T] {
	return func(yield func(T) bool) {
		for place, word := range s.pieces("number", splitWords, maxWordBytes) {
			parsed, err := parse(word)
			if err != nil {
				s.end("number %d: %v", place, err)
				return
			}
			if !yield(parsed) {
				return
			}
		}
	}
}

// lines yields the parsed lines that are not empty; it reports an invalid line on standard error, and continues. A line
// that is not UTF-8 ends the input, since the rest of a file in another encoding would not be right either.
func lines[T any](s *standardInput, parse func(string) (T, error)) iter.Seq[T] {
	return func(yield func(T) bool) {
		for _, line := range s.pieces("line", splitLines, maxLineBytes) {
			text := strings.TrimSpace(line)
			if text == "" {
				continue
			}
			parsed, err := parse(text)
			if err != nil {
				fmt.Fprintf(os.Stderr, "Invalid line '%s': %v\n", text, err)
			} else if !yield(parsed) {
				return
			}
		}
	}
}

// pieces yields the words or lines with their places, from 1. One that is too long or not UTF-8 ends the input.
func (s *standardInput) pieces(kind string, split bufio.SplitFunc, maxBytes int) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		scanner := bufio.NewScanner(s.file)
		scanner.Buffer(make([]byte, chunkBytes), maxBytes+len(byteOrderMark)+len("\r\n"))
		scanner.Split(withoutMark(split))
		place := 1
		for ; scanner.Scan(); place++ {
			piece := scanner.Bytes()
			switch {
			case len(piece) > maxBytes:
				s.end("%s %d: longer than %d bytes", kind, place, maxBytes)
				return
			case !utf8.Valid(piece):
				s.end("%s %d: not UTF-8", kind, place)
				return
			case !yield(place, string(piece)):
				return
			}
		}
		if err := scanner.Err(); errors.Is(err, bufio.ErrTooLong) {
			s.end("%s %d: longer than %d bytes", kind, place, maxBytes)
		} else if err != nil {
			var cause *fs.PathError
			if errors.As(err, &cause) {
				err = cause.Err
			}
			s.end("standard input cannot be read: %v", err)
		}
	}
}

// withoutMark skips a byte order mark at the start.
func withoutMark(split bufio.SplitFunc) bufio.SplitFunc {
	isStart := true
	return func(data []byte, isEnd bool) (int, []byte, error) {
		skipped := 0
		if isStart && bytes.HasPrefix(data, byteOrderMark) {
			skipped = len(byteOrderMark)
		}
		advance, piece, err := split(data[skipped:], isEnd)
		if advance == 0 {
			return 0, piece, err
		}
		isStart = false
		return skipped + advance, piece, err
	}
}

// splitWords is a bufio.SplitFunc. Unlike bufio.ScanWords, it splits at ASCII whitespace only, like the other clients.
func splitWords(data []byte, isEnd bool) (advance int, word []byte, err error) {
	rest := bytes.TrimLeft(data, whitespace)
	start := len(data) - len(rest)
	if end := bytes.IndexAny(rest, whitespace); end >= 0 {
		return start + end + 1, rest[:end], nil
	}
	if isEnd && len(rest) > 0 {
		return len(data), rest, nil
	}
	return start, nil, nil
}

// splitLines is a bufio.SplitFunc. Unlike bufio.ScanLines, it also splits at single carriage returns.
func splitLines(data []byte, isEnd bool) (advance int, line []byte, err error) {
	end := bytes.IndexAny(data, "\r\n")
	switch {
	case end < 0 && isEnd && len(data) > 0:
		return len(data), data, nil
	case end < 0:
		return 0, nil, nil
	case data[end] == '\r' && end+1 == len(data) && !isEnd:
		return 0, nil, nil // a line feed may follow
	case bytes.HasPrefix(data[end:], []byte("\r\n")):
		return end + len("\r\n"), data[:end], nil
	default:
		return end + 1, data[:end], nil
	}
}

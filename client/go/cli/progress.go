// The progress of reading numbers, on a terminal.

package main

import (
	"fmt"
	"iter"
	"os"

	"golang.org/x/sys/unix"
)

// withProgress shows on a terminal how many numbers were read.
func withProgress(numbers iter.Seq[float64]) iter.Seq[float64] {
	if _, err := unix.IoctlGetTermios(int(os.Stderr.Fd()), unix.TCGETS); err != nil {
		return numbers // standard error is not a terminal
	}
	return func(yield func(float64) bool) {
		count := 0
		defer func() { fmt.Fprintf(os.Stderr, "\rnumbers  %d\n", count) }()
		for number := range numbers {
			count++
			if count%numbersPerMessage == 0 {
				fmt.Fprintf(os.Stderr, "\rnumbers  %d", count)
			}
			if !yield(number) {
				return
			}
		}
	}
}

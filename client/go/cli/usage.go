// Usage and help of the commands, in the format of the other clients.

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// helpWidth is the width of a terminal.
const helpWidth = 80

// usageLine returns the first line of the usage of a command.
func usageLine(command *cobra.Command) string {
	_, parameters, _ := strings.Cut(command.Use, " ")
	return strings.TrimSpace(fmt.Sprintf("Usage: %s [OPTIONS] %s", command.CommandPath(), parameters)) + "\n"
}

// usageProblem returns the text of an error of the command line in the words of the other clients.
func usageProblem(err error) string {
	text := err.Error()
	if option, ok := strings.CutPrefix(text, "unknown flag: "); ok {
		return fmt.Sprintf("No such option '%s'.", option)
	}
	if option, ok := strings.CutPrefix(text, "flag needs an argument: "); ok {
		return fmt.Sprintf("Option '%s' requires an argument.", option)
	}
	return text
}

// globalError is an error of a global option, which the root command documents.
type globalError struct{ error }

// newGroup returns a command that has subcommands.
func newGroup(name, short string) *cobra.Command {
	group := &cobra.Command{
		Use:               name + " COMMAND [ARGS]...",
		Short:             short,
		SilenceErrors:     true, // main prints them
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		RunE: func(command *cobra.Command, words []string) error {
			if len(words) > 0 {
				return fmt.Errorf("No such command '%s'.", words[0])
			}
			if command.Flags().NFlag() > 0 {
				return errors.New("Missing command.")
			}
			fmt.Fprint(command.ErrOrStderr(), helpOf(command))
			return &exitError{status: 2}
		},
	}
	group.Flags().SetInterspersed(false) // options after a command are the command's
	addHelp(group)
	return group
}

// action is what a command does with the words that follow its name.
type action func(ctx context.Context, caller *caller, words []string) error

// newCommand returns a command without subcommands. Its use is its name and its parameters: [X] is optional, and the
// last one may be repeated if it ends with "...".
func newCommand(global *options, use, short string, act action) *cobra.Command {
	command := &cobra.Command{
		Use:   use,
		Short: short,
		RunE: func(command *cobra.Command, words []string) error {
			if err := checkCount(strings.Fields(use)[1:], words); err != nil {
				return err
			}
			caller, err := global.caller()
			if err != nil {
				return &globalError{err}
			}
			return act(command.Context(), caller, words)
		},
	}
	addHelp(command)
	return command
}

// withOperands makes a command pass words such as -2 to its function, although they look like options.
func withOperands(command *cobra.Command) *cobra.Command {
	run := command.RunE
	command.DisableFlagParsing = true
	command.RunE = func(command *cobra.Command, words []string) error {
		options, operands := words, []string(nil)
		if end := slices.Index(words, "--"); end >= 0 {
			options, operands = words[:end], words[end+1:]
		}
		if slices.Contains(options, "--help") || slices.Contains(options, "-h") {
			return pflag.ErrHelp // cobra prints the help
		}
		return run(command, slices.Concat(options, operands))
	}
	return command
}

func addHelp(command *cobra.Command) {
	command.Flags().BoolP("help", "h", false, "Show this message and exit.")
	command.SetHelpFunc(func(command *cobra.Command, _ []string) {
		fmt.Fprint(command.OutOrStdout(), helpOf(command))
	})
}

// helpOf returns what --help prints.
func helpOf(command *cobra.Command) string {
	text := fmt.Sprintf("%s\n  %s\n", usageLine(command), command.Short)
	if command.Example != "" {
		text += "\n  Examples:\n" + command.Example + "\n"
	}
	text += "\nOptions:\n" + command.Flags().FlagUsagesWrapped(helpWidth)
	if command.HasAvailableSubCommands() {
		text += "\nCommands:\n"
	}
	for _, each := range command.Commands() {
		if each.IsAvailableCommand() {
			text += fmt.Sprintf("  %-*s  %s\n", each.NamePadding(), each.Name(), each.Short)
		}
	}
	return text
}

// checkCount checks the number of words against the names of the parameters.
func checkCount(parameters, words []string) error {
	isRepeated := slices.ContainsFunc(parameters, func(name string) bool { return strings.HasSuffix(name, "...") })
	if isRepeated {
		return nil
	}
	if len(words) > len(parameters) {
		what, extra := "argument", words[len(parameters):]
		if len(extra) > 1 {
			what = "arguments"
		}
		return fmt.Errorf("Got unexpected extra %s (%s)", what, strings.Join(extra, " "))
	}
	for _, missing := range parameters[len(words):] {
		if !strings.HasPrefix(missing, "[") {
			return fmt.Errorf("Missing argument '%s'.", missing)
		}
	}
	return nil
}

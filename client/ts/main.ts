// //client/ts: the command line of the client in TypeScript, with the commands of //client for both calculators.

import { getSystemErrorMessage } from "node:util";
import { Argument, Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { type Access, AUTHS, HEADERS } from "./access.ts";
import { parseAddress } from "./address.ts";
import * as calculator from "./calculator.ts";
import { DEFAULT_TARGET } from "./channel.ts";
import { CallError, Caller, fail, UsageError } from "./commands.ts";
import { parseNumber, parseNumber32 } from "./numbers.ts";
import { OPERATIONS } from "./operations.ts";
import * as tutorial from "./tutorial.ts";

const LONGEST_TIMEOUT_SECONDS = 24 * 3600;

/** Adapts a parser to commander, which prints the message of an InvalidArgumentError. */
function argument<T>(parse: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return parse(text);
    } catch (error) {
      throw new InvalidArgumentError((error as Error).message);
    }
  };
}

function target(text: string): string {
  parseAddress(text);
  return text;
}

/** Returns the name of a file. An empty name, such as that of an unset variable, must not mean plaintext. */
function fileName(text: string): string {
  if (!text) {
    throw new RangeError("'' is not a file");
  }
  return text;
}

function timeout(text: string): number {
  const seconds = parseNumber(text);
  if (!(seconds > 0 && seconds <= LONGEST_TIMEOUT_SECONDS)) {
    throw new RangeError(`${text} is not in the range 0<x<=${LONGEST_TIMEOUT_SECONDS}`);
  }
  return seconds;
}

/** Returns a parser that collects headers; the first one replaces the default. */
function tokenHeaders(): (name: string) => readonly string[] {
  const given = new Set<string>();
  return (name) => {
    if (!(HEADERS as readonly string[]).includes(name)) {
      throw new InvalidArgumentError(`Allowed choices are ${HEADERS.join(", ")}.`);
    }
    return [...given.add(name)];
  };
}

function text(word: string): string {
  if (word.includes("\ufffd")) {
    throw new RangeError(`'${word}' is not UTF-8`); // Node replaces invalid bytes with U+FFFD
  }
  return word;
}

function program(): Command {
  const root = new Command("client")
    .description("Call a calculator over gRPC.")
    .option(
      "--target <HOST[:PORT]>",
      "address of the server; PORT defaults to 443, which uses TLS; other ports use plaintext",
      argument(target),
      DEFAULT_TARGET,
    )
    .option("--tls", "use TLS on other ports too", false)
    .option(
      "--ca-cert <FILE>",
      "use TLS, and verify the server with the CA certificates in this PEM file instead of Node's",
      argument(fileName),
    )
    .addOption(
      new Option(
        "--auth <HOW>",
        "whether to send an identity token; auto sends one to Cloud Run if credentials are available",
      )
        .choices([...AUTHS])
        .default("auto"),
    )
    .option("--audience <URL>", "audience of the tokens, if not https://HOST", "")
    .option("--impersonate-service-account <EMAIL>", "service account whose tokens to send, if not your own", "")
    .addOption(
      new Option("--token-header <NAME>", "header that carries the token; may be given more than once")
        .argParser(tokenHeaders())
        .default([HEADERS[0]]),
    )
    .option("--timeout <SECONDS>", "timeout of a call", argument(timeout), 5)
    .option("--json", "print each answer as one line of JSON", false)
    .enablePositionalOptions()
    .addHelpText(
      "after",
      "\nExamples:\n  ./bazelw run //client/ts -- add 2 3\n  ./bazelw run //client/ts -- eval '2*(3+4)^2'",
    );
  for (const [name, action, description] of [
    ["add", tutorial.add, "print FIRST + SECOND"],
    ["subtract", tutorial.subtract, "print FIRST - SECOND"],
  ] as const) {
    command(root, name, description)
      .argument("<FIRST>", "", argument(parseNumber32))
      .argument("<SECOND>", "", argument(parseNumber32))
      .action((first: number, second: number) => action(caller(root), first, second));
  }
  command(root, "calc", "print the result of one operation, such as 7 / 2")
    .argument("<FIRST>", "", argument(parseNumber))
    .addArgument(new Argument("<OPERATION>").choices(Object.keys(OPERATIONS)))
    .argument("<SECOND>", "", argument(parseNumber))
    .action((first: number, sign: string, second: number) => calculator.calc(caller(root), first, sign, second));
  command(
    root,
    "eval",
    "print the steps of evaluating EXPRESSION, such as '2*(3+4)^2' or 'sqrt(9)*pi', and then its value",
  )
    .argument("<EXPRESSION>", "", argument(text))
    .action((expression: string) => calculator.evaluate(caller(root), expression));
  command(
    root,
    "aggregate",
    'print count, sum, mean, variance and range of NUMBERS; pass "-" to read them from standard input',
  )
    .argument("[NUMBERS...]")
    .action((words: string[]) => calculator.aggregate(caller(root), words));
  command(
    root,
    "converse",
    'evaluate one operation per input line, such as "3 + 4"; "* 2" continues from the last result',
  ).action(() => calculator.converse(caller(root)));
  return root;
}

/** Adds a command. A negative operand looks like an unknown option; commander passes it on as an argument. */
function command(root: Command, name: string, description: string): Command {
  return root.command(name).description(description).allowUnknownOption().passThroughOptions();
}

function caller(root: Command): Caller {
  const options = root.opts();
  const access: Access = {
    tls: options["tls"],
    caCert: options["caCert"],
    auth: options["auth"],
    audience: options["audience"],
    impersonate: options["impersonateServiceAccount"],
    headers: options["tokenHeader"],
  };
  return new Caller({ target: options["target"], access, timeout: options["timeout"], json: options["json"] });
}

async function main(): Promise<void> {
  process.stdout.on("error", ({ errno = 0 }: NodeJS.ErrnoException) => {
    fail(`cannot write the answer: ${getSystemErrorMessage(errno)}`, 1);
  });
  const root = program();
  for (const each of [root, ...root.commands]) {
    each.exitOverride().configureOutput({
      // The format of the Python client.
      outputError: (message, write) =>
        write(message.replace(/^error: (\w)/u, (_, first) => `Error: ${first.toUpperCase()}`)),
    });
  }
  try {
    await root.parseAsync();
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exit(error.exitCode && 2);
    }
    if (error instanceof UsageError || error instanceof CallError) {
      fail(error.message, error instanceof UsageError ? 2 : 1);
    }
    throw error;
  }
}

// `bazel run` starts programs in another folder than the one in which it was typed. File names are relative to the latter.
process.chdir(process.env["BUILD_WORKING_DIRECTORY"] ?? ".");
void main();

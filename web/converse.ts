// "Line by line": a conversation with the calculator.
//
// A browser cannot send while it receives, so each line is a separate call. Like the client on a new stream, the call
// starts by sending the last result, which the server does not know.

import { type Client, Code, ConnectError } from "@connectrpc/connect";
import { createAsyncIterable } from "@connectrpc/connect/protocol";
import type { Calculator, ConverseRequest } from "@proto/calculator/v1/calculator_pb.js";
import { reminderOf } from "../client/ts/conversation.ts";
import { formatNumber } from "../client/ts/numbers.ts";
import { parseLine } from "../client/ts/operations.ts";
import { find, InputProblem, panel } from "./panel.ts";

/** Sets up the form of a conversation. */
export function conversing(form: HTMLFormElement, client: Client<typeof Calculator>): void {
  const input = find(form, "input", HTMLInputElement);
  const tape = find(form, ".tape", HTMLOListElement);
  let last: number | undefined;

  const ask = async (line: string, signal: AbortSignal): Promise<void> => {
    const request = parsed(line);
    const reminder = last === undefined ? [] : [reminderOf(last)];
    const responses = await Array.fromAsync(client.converse(createAsyncIterable([...reminder, request]), { signal }));
    if (responses.length !== reminder.length + 1) {
      throw new ConnectError("the server ended the stream without an answer", Code.Internal);
    }
    const outcome = responses.at(-1)?.outcome;
    if (outcome?.case === "result") {
      last = outcome.value;
      tape.append(entry(line, formatNumber(last)));
      if (input.value.trim() === line) {
        input.value = ""; // otherwise the user is already typing the next line
      }
    } else if (outcome?.case === "failure") {
      throw new InputProblem(`${outcome.value.message}.`);
    }
  };
  panel(form, input, ask, { queued: true });
}

function parsed(line: string): ConverseRequest {
  try {
    return parseLine(line);
  } catch {
    const expected = "an operation such as 3 + 4, or * 2 to continue from the last result";
    throw new InputProblem(`Invalid line “${line}”: must be ${expected}.`);
  }
}

function entry(line: string, result: string): HTMLLIElement {
  const [made, asked] = [document.createElement("li"), document.createElement("span")];
  asked.className = "line";
  asked.textContent = `${line} = `;
  made.append(asked, result);
  return made;
}
